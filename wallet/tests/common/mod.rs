//! A small world: three members, an account, and a chain made of blocks nobody mined.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use autonomy_wallet::account::{AccountMap, Birthday, MapKind, Member, MemberLabel, Plan};
use autonomy_wallet::bitcoin::address::NetworkUnchecked;
use autonomy_wallet::bitcoin::hashes::Hash;
use autonomy_wallet::bitcoin::{
    Address, Amount, Block, BlockHash, CompactTarget, FeeRate, Network, OutPoint, Psbt, ScriptBuf, Sequence,
    Transaction, TxIn, TxMerkleNode, TxOut, Txid, Witness, absolute, block, transaction,
};
use autonomy_wallet::check::{CheckRefusal, DeviceView, Proposal, Unchecked};
use autonomy_wallet::keys::{AccountIndex, AccountKey, RecoveryKey, Seed};
use autonomy_wallet::ledger::{Applied, BlockId, LOOKAHEAD, Ledger};
use autonomy_wallet::payment::{Intent, parse_address};
use autonomy_wallet::policy::Policy;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub const NETWORK: Network = Network::Regtest;

/// Somebody outside, on regtest.
pub const SHOP: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
pub const THIEF: &str = "bcrt1q703tr77zexzw79etl0y64q88zyush2ueunrcl7kxm2362xzqa07qpahh65";

pub fn sat(amount: u64) -> Amount {
    Amount::from_sat(amount)
}

pub fn rate(sat_per_vb: u64) -> FeeRate {
    FeeRate::from_sat_per_vb(sat_per_vb).unwrap()
}

pub fn address(text: &str) -> Address<NetworkUnchecked> {
    parse_address(text).unwrap()
}

pub fn pay(to: &str, amount: u64) -> Intent {
    Intent::pay(NETWORK, [(address(to), sat(amount))], rate(5)).unwrap()
}

pub fn randomness(label: u8) -> [u8; 32] {
    core::array::from_fn(|i| (i as u8).wrapping_mul(37) ^ label)
}

pub struct Members {
    pub p: AccountKey,
    pub r: AccountKey,
    pub g: AccountKey,
}

impl Members {
    pub fn new(label: u8) -> Self {
        let account = AccountIndex::FIRST;
        Self {
            p: seed_key(label, 0),
            r: RecoveryKey::draw(&randomness(label + 1), &[]).unwrap().account_key(NETWORK, account),
            g: seed_key(label + 2, 0),
        }
    }

    /// P, R and G as they are announced.
    pub fn announced(&self) -> [Member; 3] {
        let [p, r, g] = MemberLabel::PERSONAL;
        [(p, &self.p), (r, &self.r), (g, &self.g)].map(|(label, key)| Member::new(label, *key.public()))
    }

    pub fn map(&self, kind: MapKind) -> AccountMap {
        let members = self.announced();
        AccountMap::rebuild(plan(kind, 2), &members, &members[0]).unwrap()
    }
}

/// An account key of a seed of its own.
pub fn seed_key(label: u8, account: u32) -> AccountKey {
    let account = AccountIndex::new(account).unwrap();
    Seed::generate(&randomness(label), &[]).unwrap().account_key(NETWORK, account)
}

pub fn plan(kind: MapKind, threshold: u8) -> Plan {
    let birthday = Birthday { height: 100, time: 1_700_000_000 };
    Plan { name: "savings".into(), kind, threshold, network: NETWORK, birthday }
}

/// A member of a shared account by number, at an account index of its own.
pub fn sharer(number: u8) -> (Member, AccountKey) {
    let key = seed_key(100 + number, number.into());
    let label = MemberLabel::new(format!("member {number}")).unwrap();
    (Member::new(label, *key.public()), key)
}

pub struct World {
    pub members: Members,
    pub map: AccountMap,
    pub ledger: Ledger,
    pub rng: StdRng,
    salt: u32,
}

impl World {
    pub fn new() -> Self {
        Self::of_kind(MapKind::Personal)
    }

    pub fn of_kind(kind: MapKind) -> Self {
        Self::of_map(Members::new(1).map(kind))
    }

    pub fn of_map(map: AccountMap) -> Self {
        let members = Members::new(1);
        let start = BlockId { height: 100, hash: BlockHash::all_zeros() };
        let ledger = Ledger::create(map.clone(), start, LOOKAHEAD);
        Self { members, map, ledger, rng: StdRng::seed_from_u64(7), salt: 0 }
    }

    /// A world with three confirmed coins of 0.5, 0.3 and 0.2 bitcoin.
    pub fn funded() -> Self {
        Self::new().with_coins(&[50_000_000, 30_000_000, 20_000_000])
    }

    pub fn with_coins(mut self, amounts: &[u64]) -> Self {
        let txs: Vec<_> = amounts.iter().map(|amount| self.payment_to_us(*amount)).collect();
        self.mine(txs);
        self
    }

    /// A transaction from elsewhere that pays us at a fresh address.
    pub fn payment_to_us(&mut self, amount: u64) -> Transaction {
        let script = match self.ledger.reveal_next_address() {
            Ok(own) => own.address.script_pubkey(),
            Err(_) => self.map.first_address().script_pubkey(),
        };
        self.payment_to(script, amount)
    }

    pub fn payment_to(&mut self, script: ScriptBuf, amount: u64) -> Transaction {
        self.salt += 1;
        let mut from = [0x55; 32];
        from[..4].copy_from_slice(&self.salt.to_be_bytes());
        spend(OutPoint::new(Txid::from_byte_array(from), 0), script, amount)
    }

    pub fn mine(&mut self, txs: Vec<Transaction>) -> Applied {
        let tip = self.ledger.tip();
        let block = self.block_on(tip, txs);
        self.ledger.apply_block(&block, tip.height + 1, tip).unwrap()
    }

    pub fn mine_empty(&mut self, blocks: u32) {
        for _ in 0..blocks {
            self.mine(vec![]);
        }
    }

    pub fn block_on(&mut self, parent: BlockId, txdata: Vec<Transaction>) -> Block {
        self.salt += 1;
        let header = block::Header {
            version: block::Version::TWO,
            prev_blockhash: parent.hash,
            merkle_root: TxMerkleNode::all_zeros(),
            time: 1_700_000_000 + 600 * ((parent.height + 1) % 1_000_000),
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: self.salt,
        };
        Block { header, txdata }
    }

    /// What the device remembers: it gave out the addresses that were paid.
    pub fn device(&self) -> DeviceView {
        use autonomy_wallet::account::Keychain::{External, Internal};
        DeviceView {
            external: self.ledger.last_known(External),
            internal: self.ledger.last_used(Internal),
            height: None,
        }
    }

    pub fn draft(&mut self, intent: &Intent) -> Unchecked<Psbt> {
        self.ledger.draft(intent, &mut self.rng).unwrap()
    }

    pub fn draft_psbt(&mut self, intent: &Intent) -> Psbt {
        Psbt::deserialize(&self.draft(intent).to_bytes()).unwrap()
    }

    /// As the device sees it.
    pub fn on_device(&self, bytes: &[u8], intent: Option<&Intent>) -> Result<Proposal, CheckRefusal> {
        let view = self.device();
        Unchecked::from_bytes(bytes)?.check(&self.map, &view, &Policy::STANDARD, intent)
    }

    /// As the pod sees it.
    pub fn on_pod(&self, bytes: &[u8], intent: Option<&Intent>) -> Result<Proposal, CheckRefusal> {
        Unchecked::from_bytes(bytes)?.check(&self.map, &self.ledger, &Policy::STANDARD, intent)
    }

    /// Both must refuse, for the same reason.
    pub fn refused(&self, psbt: &Psbt, intent: Option<&Intent>) -> CheckRefusal {
        let bytes = psbt.serialize();
        let device = self.on_device(&bytes, intent).unwrap_err();
        let pod = self.on_pod(&bytes, intent).unwrap_err();
        assert_eq!(device, pod);
        device
    }

    /// Draft, device signs, pod signs: the finished transaction.
    pub fn paid(&mut self, intent: &Intent) -> Transaction {
        let draft = self.draft(intent).to_bytes();
        let proposal = self.on_device(&draft, Some(intent)).unwrap();
        let digest = proposal.summary().digest();
        let from_device = proposal.approve(&digest).unwrap().sign(&self.members.p).unwrap().to_bytes();
        let proposal = self.on_pod(&from_device, Some(intent)).unwrap();
        assert_eq!(proposal.signers(), [MemberLabel::P]);
        assert_eq!(proposal.summary().digest(), digest);
        proposal.approve(&digest).unwrap().sign(&self.members.g).unwrap().finalise().unwrap()
    }
}

pub fn spend(coin: OutPoint, script: ScriptBuf, amount: u64) -> Transaction {
    Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: coin,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::new(),
        }],
        output: vec![TxOut { value: sat(amount), script_pubkey: script }],
    }
}

pub fn coinbase(script: ScriptBuf, amount: u64, salt: u8) -> Transaction {
    let mut tx = spend(OutPoint::null(), script, amount);
    tx.input[0].script_sig = ScriptBuf::from_bytes(vec![1, salt]);
    tx
}
