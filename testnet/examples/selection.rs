//! Which coins are cheaper: those that this wallet chooses, or those of Bitcoin Core's wallet?
//!
//! Both get the same random coins of a 2-of-3 account on a regtest chain, and are asked for the same payment at the same
//! rate. What a payment costs is its fee, and what spending its change will cost at the long-term rate.
//!
//! ```text
//! cargo run -p autonomy-testnet --example selection -- --wallets 1000
//! ```
#![allow(clippy::print_stdout, missing_docs, reason = "a program that prints figures")]

use std::error::Error;

use autonomy_testnet::bitcoind::{Bitcoind, Rpc, RpcError};
use autonomy_testnet::world::{World, WorldConfig};
use autonomy_wallet::LONG_TERM_FEE_RATE;
use autonomy_wallet::account::{AccountMap, Birthday, Keychain, MapKind, Member, MemberLabel, Plan};
use autonomy_wallet::bitcoin::{
    Address, Amount, Block, FeeRate, Network, Psbt, Weight, address::NetworkUnchecked, consensus,
};
use autonomy_wallet::keys::{AccountIndex, Seed};
use autonomy_wallet::ledger::{BlockId, LOOKAHEAD, Ledger};
use autonomy_wallet::payment::{Intent, parse_address};
use clap::Parser;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

type Failed = Box<dyn Error>;

/// Who is paid.
const SHOP: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// Blocks that give the miner enough to hand out: 50 BTC each for the first 150.
const COINS_FROM: u32 = 250;
/// Blocks mined with one call, which has a limit of time.
const MINED_AT_ONCE: u32 = 10;
/// Wallets after which the figures so far are printed.
const TOLD_EVERY: u32 = 50;
/// Most coins of a wallet: within the addresses that a ledger looks ahead.
const MOST_COINS: u32 = 60;
/// Largest weight of an input of a 2-of-3 account: what spending the change will cost is counted alike for both.
const INPUT: Weight = Weight::from_wu(418);

/// Compare coin selection with Bitcoin Core's.
#[derive(Debug, Parser)]
struct Args {
    /// Number of random wallets
    #[arg(long, default_value_t = 1000)]
    wallets: u32,
    /// Seed of the random wallets
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What one side's payments came to.
#[derive(Debug, Default)]
struct Total {
    fees: u64,
    changes: u64,
    inputs: u64,
}

/// A payment as it was drafted.
struct Drafted {
    fee: u64,
    change: bool,
    inputs: usize,
}

impl Total {
    fn add(&mut self, drafted: &Drafted) {
        self.fees += drafted.fee;
        self.changes += u64::from(drafted.change);
        self.inputs += drafted.inputs as u64;
    }

    /// Fees, and what spending all this change will cost.
    fn cost(&self) -> u64 {
        self.fees + self.changes * later()
    }
}

fn later() -> u64 {
    LONG_TERM_FEE_RATE.fee_wu(INPUT).map_or(0, Amount::to_sat)
}

fn main() -> Result<(), Failed> {
    let args = Args::parse();
    let world = World::fresh(WorldConfig::default())?;
    let node = world.bitcoind()?;
    (0..COINS_FROM / MINED_AT_ONCE).try_for_each(|_| node.mine(MINED_AT_ONCE).map(drop))?;
    let version = node.rpc().call("getnetworkinfo", &json!([]))?;
    println!("bitcoind {}, seed {}", version["subversion"], args.seed);
    let mut rng = StdRng::seed_from_u64(args.seed);
    let mut tally = Tally::default();
    for number in 1..=args.wallets {
        tally.add(Wallet::make(node, number, &mut rng)?.pay(&mut rng)?);
        if number % TOLD_EVERY == 0 || number == args.wallets {
            tally.print(number);
        }
    }
    Ok(())
}

/// Both sides, of payments that both drafted.
#[derive(Debug, Default)]
struct Tally {
    ours: Total,
    cores: Total,
    both: u32,
    ours_only: u32,
    cores_only: u32,
}

impl Tally {
    fn add(&mut self, drafts: (Option<Drafted>, Option<Drafted>)) {
        match drafts {
            (Some(own), Some(core)) => {
                self.ours.add(&own);
                self.cores.add(&core);
                self.both += 1;
            }
            (Some(_), None) => self.ours_only += 1,
            (None, Some(_)) => self.cores_only += 1,
            (None, None) => {}
        }
    }

    fn print(&self, wallets: u32) {
        let Self { ours, cores, both, ours_only, cores_only } = self;
        println!(
            "{wallets} wallets: drafted by both {both}, by this wallet only {ours_only}, by Core only {cores_only}"
        );
        for (who, total) in [("this wallet", ours), ("Core", cores)] {
            let Total { fees, changes, inputs } = total;
            println!(
                "  {who}: fees {fees} sat, {inputs} inputs, {changes} with change; cost {} sat",
                total.cost()
            );
        }
        println!("  cost, this wallet / Core: {:.4}", ours.cost() as f64 / cores.cost() as f64);
    }
}

/// One account with random coins, in a ledger of ours and in a wallet of bitcoind.
struct Wallet {
    ledger: Ledger,
    core: Rpc,
    total: u64,
}

impl Wallet {
    fn make(node: &Bitcoind, number: u32, rng: &mut StdRng) -> Result<Self, Failed> {
        let map = account(rng)?;
        let core = watched(node, &format!("account {number}"), &map)?;
        let start = BlockId { height: node.height()?, hash: node.block_hash(node.height()?)?.parse()? };
        let coins: Vec<u64> = (0..rng.gen_range(1..=MOST_COINS)).map(|_| value(rng)).collect();
        let mut outputs = serde_json::Map::new();
        for (index, value) in (0..).zip(&coins) {
            outputs.insert(map.address(Keychain::External, index)?.to_string(), btc(*value).into());
        }
        let named = json!({"amounts": outputs, "fee_rate": 1});
        node.rpc().wallet("miner").call("sendmany", &named)?;
        let hash = node.mine(1)?.remove(0);
        let block = node.rpc().call("getblock", &json!([hash, 0]))?;
        let block: Block = consensus::encode::deserialize_hex(block.as_str().unwrap_or_default())?;
        let mut ledger = Ledger::create(map, start, LOOKAHEAD);
        ledger.apply_block(&block, start.height + 1, start)?;
        core.call("syncwithvalidationinterfacequeue", &json!([]))?;
        Ok(Self { ledger, core, total: coins.iter().sum() })
    }

    /// The same payment, drafted by both; nothing where one has too little.
    fn pay(mut self, rng: &mut StdRng) -> Result<(Option<Drafted>, Option<Drafted>), Failed> {
        // From 1 to 200 sat/vB, low ones as often as high ones; Core takes thousandths, the ledger steps of 0.004.
        let kwu = (250.0 * 200f64.powf(rng.r#gen())) as u64;
        let paid = (self.total as f64 * rng.gen_range(0.01..0.9)) as u64;
        let rate = FeeRate::from_sat_per_kwu(kwu);
        let paid = Amount::from_sat(paid.max(1_000));
        let drafts = (self.own(paid, rate, rng)?, self.cores(paid, rate)?);
        self.core.call("unloadwallet", &json!([]))?;
        Ok(drafts)
    }

    fn own(&mut self, paid: Amount, rate: FeeRate, rng: &mut StdRng) -> Result<Option<Drafted>, Failed> {
        let intent = Intent::pay(Network::Regtest, [(shop()?, paid)], rate)?;
        let Ok(draft) = self.ledger.draft(&intent, rng) else { return Ok(None) };
        let psbt = Psbt::deserialize(&draft.to_bytes())?;
        let (inputs, change) = (psbt.inputs.len(), psbt.outputs.len() > 1);
        Ok(Some(Drafted { fee: psbt.fee()?.to_sat(), change, inputs }))
    }

    fn cores(&self, paid: Amount, rate: FeeRate) -> Result<Option<Drafted>, Failed> {
        let change = self.ledger.map().address(Keychain::Internal, 0)?.to_string();
        let named = json!({
            "inputs": [],
            "outputs": [{SHOP: btc(paid.to_sat())}],
            "options": {"fee_rate": rate.to_sat_per_kwu() as f64 / 250.0, "changeAddress": change},
        });
        match self.core.call("walletcreatefundedpsbt", &named) {
            Ok(answer) => drafted(&answer).map(Some),
            Err(RpcError::Refused { code: -4 | -6, .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }
}

fn drafted(answer: &Value) -> Result<Drafted, Failed> {
    let psbt: Psbt = answer["psbt"].as_str().unwrap_or_default().parse()?;
    let change = answer["changepos"].as_i64() != Some(-1);
    Ok(Drafted { fee: psbt.fee()?.to_sat(), change, inputs: psbt.inputs.len() })
}

/// A 2-of-3 account of random keys.
fn account(rng: &mut StdRng) -> Result<AccountMap, Failed> {
    let birthday = Birthday { height: 0, time: 0 };
    let network = Network::Regtest;
    let plan = Plan { name: "account".into(), kind: MapKind::Shared, threshold: 2, network, birthday };
    let member = |number: usize, seed: [u8; 16]| -> Result<Member, Failed> {
        let key = Seed::from_entropy(&seed)?.account_key(network, AccountIndex::FIRST);
        Ok(Member::new(MemberLabel::new(format!("member {number}"))?, *key.public()))
    };
    let members = (0..3).map(|number| member(number, rng.r#gen())).collect::<Result<Vec<_>, _>>()?;
    Ok(AccountMap::rebuild(plan, &members, &members[0])?)
}

/// A wallet of bitcoind that watches the account. Its keypool is not filled, which would take a second.
fn watched(node: &Bitcoind, name: &str, map: &AccountMap) -> Result<Rpc, Failed> {
    let named = json!({"wallet_name": name, "disable_private_keys": true, "blank": true});
    node.rpc().call("createwallet", &named)?;
    let rpc = node.rpc().wallet(name);
    let import = json!({"desc": map.descriptor(), "timestamp": "now", "range": [0, MOST_COINS]});
    let answer = rpc.call("importdescriptors", &json!([[import]]))?;
    match answer[0]["success"] == true {
        true => Ok(rpc),
        false => Err(answer.to_string().into()),
    }
}

/// From 1,000 sat to 0.1 BTC, of each magnitude as many.
fn value(rng: &mut StdRng) -> u64 {
    (1_000.0 * 10_000f64.powf(rng.r#gen())) as u64
}

fn shop() -> Result<Address<NetworkUnchecked>, Failed> {
    Ok(parse_address(SHOP)?)
}

fn btc(sats: u64) -> String {
    format!("{}.{:08}", sats / 100_000_000, sats % 100_000_000)
}
