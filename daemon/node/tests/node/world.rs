//! A pod, its owner's device, and a chain, all in memory.

use std::{collections::BTreeMap, sync::Arc};

use autonomy_api::{
    Account, AccountKind, AccountOffer, AddDevice, ApprovePayment, BeginAccount, CompleteAccount, DeviceKey,
    Event, EventKind, Hex, NewPayment, Payment, PsbtBytes, Recipient, Written,
};
use autonomy_blocks::{block_on, coinbase, spend};
use autonomy_messaging::{
    Access, AuthSeed, CertificateRole, DescriptorSecret, Name, PublicKey, SigningKey, Validity,
    provision::{Bundle, BundleTerms, SealedBundle},
};
use autonomy_node::{
    Answer, BroadcastOutcome, Caller, ChainEvent, ChainPoint, Command, Effect, IdempotencyKey, Identity,
    Input, Node, Refusal, Reply, Request, Row, SourceState, Step, Timestamp, Watched,
};
use autonomy_wallet::{
    account::AccountMap,
    bitcoin::{
        Address, Amount, Block, BlockHash, FeeRate, Network, OutPoint, Transaction, Txid,
        address::NetworkUnchecked, hashes::Hash as _,
    },
    keys::Seed,
    rate,
};
use rand::{SeedableRng as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};

use crate::cosigner;

/// When the story begins: 2026-01-01.
pub(crate) const START: Timestamp = 1_767_225_600;
/// An address outside, on regtest.
pub(crate) const OUTSIDE: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) now: Timestamp,
    pub(crate) effects: Vec<Effect>,
    pub(crate) device: Device,
    pub(crate) rng: StdRng,
    /// Whether each step is compared with a restored pod.
    pub(crate) checked: bool,
    /// What the pod has said that it watches, since it started.
    watched: Watched,
    chain: Vec<(u32, BlockHash)>,
    salt: u32,
}

/// The owner's device.
pub(crate) struct Device {
    pub(crate) auth: AuthSeed,
    pub(crate) key: SigningKey,
    pub(crate) payer: Seed,
}

impl Device {
    pub(crate) fn caller(&self) -> Caller {
        Caller::Device(DeviceKey(self.key.verifying_key().to_bytes()))
    }
}

impl World {
    /// A pod just made, that nobody owns.
    pub(crate) fn new() -> Self {
        Self::seeded(7)
    }

    /// The same with other randomness: another pod.
    pub(crate) fn seeded(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (node, rows) = Node::create(Identity::draw(Network::Regtest, &mut rng, START));
        let mut world = Self::around(node, rng, START);
        world.commit(&rows);
        world.give(Input::Clock { is_right: true });
        world
    }

    /// A pod that starts from rows at the end of the [story](crate::story).
    pub(crate) fn from_rows(rows: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        let found = rows.iter().map(|(key, value)| Row::found(key.clone(), value.clone()));
        let (node, effects) = Node::restore(found).unwrap();
        let world = Self::around(node, StdRng::seed_from_u64(70), crate::story::END);
        let mut world = Self { rows, ..world };
        world.carry_out(effects);
        world.give(Input::Clock { is_right: true });
        world.effects.clear();
        world
    }

    fn around(node: Node, rng: StdRng, now: Timestamp) -> Self {
        let device = Device {
            auth: AuthSeed::from_bytes(&[1; 32]),
            key: SigningKey::from_bytes(&[2; 32]),
            payer: Seed::from_entropy(&[3; 32]).unwrap(),
        };
        let (rows, effects, chain) = (BTreeMap::new(), Vec::new(), Vec::new());
        let watched = Watched::default();
        Self { node, rows, now, effects, device, rng, checked: true, watched, chain, salt: 0 }
    }

    /// The same pod once more, with the chain that this one follows; its steps are not compared.
    pub(crate) fn twin(&self, seed: u64) -> Self {
        let (node, effects) = self.restored();
        let twin = Self::around(node, StdRng::seed_from_u64(seed), self.now);
        let (rows, chain, salt) = (self.rows.clone(), self.chain.clone(), self.salt);
        let mut twin = Self { rows, chain, salt, checked: false, ..twin };
        twin.carry_out(effects);
        twin.effects.clear();
        twin
    }

    /// A pod that belongs to the device and follows a chain.
    pub(crate) fn adopted() -> Self {
        let mut world = Self::new();
        let bundle = world.bundle(1);
        world.ask(Caller::Owner, Command::Adopt(bundle)).unwrap();
        let genesis = autonomy_wallet::bitcoin::constants::genesis_block(Network::Regtest);
        world.chain.push((0, genesis.block_hash()));
        let point = ChainPoint { height: 0, hash: genesis.block_hash(), time: START };
        world.give(Input::Chain(ChainEvent::Anchor(vec![point])));
        world.give(Input::Chain(ChainEvent::Source(SourceState::Synced(0))));
        world.mine(vec![]);
        world
    }

    /// The bundle of this world's device, at an epoch.
    pub(crate) fn bundle(&mut self, epoch: u64) -> SealedBundle {
        let terms = BundleTerms {
            pod_name: Name::new("home").unwrap(),
            device_key: PublicKey::from(&self.device.key),
            descriptor_key: DescriptorSecret::from_bytes(&[9; 32]).public(),
            epoch,
            onion_epoch: 0,
            validity: Validity::lasting(self.now, 10 * 365 * 86_400),
        };
        let request = self.node.pod_request();
        let bundle = Bundle::new(&self.device.auth, &request, terms);
        bundle.seal(&self.device.auth, &request, &mut self.rng)
    }

    /// What a further device needs to be let in.
    pub(crate) fn newcomer(&self, key: &SigningKey, access: Access) -> AddDevice {
        self.certified(key, access, 1)
    }

    pub(crate) fn certified(&self, key: &SigningKey, access: Access, epoch: u64) -> AddDevice {
        let validity = Validity::lasting(self.now, 86_400);
        let role = CertificateRole::Device { access };
        let certificate = self.device.auth.root_key().certify(role, &PublicKey::from(key), epoch, validity);
        AddDevice {
            certificate: certificate.into(),
            name: Name::new("laptop").unwrap(),
            descriptor_key: Hex(*DescriptorSecret::from_bytes(&[8; 32]).public().as_bytes()),
        }
    }

    /// Gives the node an input, commits, and checks that a restored node is the same.
    pub(crate) fn give(&mut self, input: Input) -> Option<Reply> {
        let reply = self.give_unchecked(input);
        let same = !self.checked || self.restored().0 == self.node;
        assert!(same, "a restored pod differs from the one that kept running");
        reply
    }

    /// Gives the node an input and commits.
    pub(crate) fn give_unchecked(&mut self, input: Input) -> Option<Reply> {
        let Step { rows, effects, reply } = self.node.handle(self.now, &mut self.rng, &self.rows, input);
        self.commit(&rows);
        self.carry_out(effects);
        reply
    }

    pub(crate) fn ask(&mut self, caller: Caller, command: Command) -> Reply {
        self.ask_with_key(caller, None, command)
    }

    pub(crate) fn ask_with_key(&mut self, caller: Caller, key: Option<&str>, command: Command) -> Reply {
        self.app_asks_with_key("", caller, key, command)
    }

    /// Asks as the program `app` of a caller.
    pub(crate) fn app_asks_with_key(
        &mut self,
        app: &str,
        caller: Caller,
        key: Option<&str>,
        command: Command,
    ) -> Reply {
        // As a route does it: the same command comes in the same bytes, and another in others.
        let request = Sha256::digest(format!("{command:?}")).into();
        let idempotency_key =
            key.map(|key| IdempotencyKey { key: key.to_owned(), request, app: app.to_owned() });
        self.give(Input::Request(Request { caller, idempotency_key, command })).unwrap()
    }

    /// Asks as the owner's device.
    pub(crate) fn device_asks(&mut self, command: Command) -> Reply {
        self.ask(self.device.caller(), command)
    }

    /// The pod after a restart, and what it would do first.
    pub(crate) fn restored(&self) -> (Node, Vec<Effect>) {
        let rows = self.rows.iter().map(|(key, value)| Row::found(key.clone(), value.clone()));
        Node::restore(rows).unwrap()
    }

    pub(crate) fn restart(&mut self) {
        let (node, effects) = self.restored();
        self.node = node;
        self.watched = Watched::default();
        self.carry_out(effects);
        self.give(Input::Clock { is_right: true });
        self.give(Input::Chain(ChainEvent::Source(SourceState::Synced(self.height()))));
    }

    /// Fails if `command` is not refused, or leaves a trace.
    pub(crate) fn refused(&mut self, caller: Caller, command: Command) -> Refusal {
        let before = self.rows.clone();
        let refusal = self.ask(caller, command).expect_err("this should be refused");
        assert!(before == self.rows, "a refused command changed rows: {refusal}");
        refusal
    }

    /// Tells the source what is watched, and keeps the rest.
    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Watch(watch) => drop(self.watched.take(*watch)),
                other => self.effects.push(other),
            }
        }
        if !self.checked {
            return;
        }
        let all = self.node.watch();
        assert!(!self.watched.clone().take(all.clone()), "the pod watches something that it has not said");
        assert_eq!(self.watched.missing(|_| false), all.txids.into_iter().collect::<Vec<_>>());
    }

    fn commit(&mut self, rows: &[Row]) {
        for row in rows {
            match &row.value {
                Some(value) => drop(self.rows.insert(row.key.clone(), value.to_vec())),
                None => drop(self.rows.remove(&row.key)),
            }
        }
    }

    /// Events told since the last call.
    pub(crate) fn told(&mut self) -> Vec<EventKind> {
        let effects = std::mem::take(&mut self.effects);
        let event = |effect| match effect {
            Effect::Notify(Event { kind, .. }) => Some(kind),
            _ => None,
        };
        effects.into_iter().filter_map(event).collect()
    }

    /// Transactions sent since the last call.
    pub(crate) fn sent(&mut self) -> Vec<Transaction> {
        let effects = std::mem::take(&mut self.effects);
        let sent = |effect| match effect {
            Effect::Broadcast(_, transaction) => Some(*transaction),
            _ => None,
        };
        effects.into_iter().filter_map(sent).collect()
    }
}

// The chain.
impl World {
    pub(crate) fn height(&self) -> u32 {
        self.chain.last().map_or(0, |(height, _)| *height)
    }

    /// Mines a block of these transactions on the tip.
    pub(crate) fn mine(&mut self, transactions: Vec<Transaction>) {
        let (height, parent) = *self.chain.last().unwrap();
        self.mine_on(height, parent, transactions);
    }

    pub(crate) fn mine_empty(&mut self, count: u32) {
        (0..count).for_each(|_| self.mine(vec![]));
    }

    /// Drops the last `depth` blocks and mines one more empty ones in their place.
    pub(crate) fn reorganise(&mut self, depth: usize) {
        self.chain.truncate(self.chain.len() - depth);
        self.mine_empty(depth as u32 + 1);
    }

    /// The same, with these transactions in the first of the new blocks.
    pub(crate) fn reorganise_with(&mut self, depth: usize, transactions: Vec<Transaction>) {
        self.chain.truncate(self.chain.len() - depth);
        self.mine(transactions);
        self.mine_empty(depth as u32);
    }

    fn mine_on(&mut self, height: u32, parent: BlockHash, mut transactions: Vec<Transaction>) {
        self.salt += 1;
        transactions.insert(0, coinbase(height + 1, self.salt, vec![]));
        let time = (START + u64::from(height) * 600) as u32;
        let block = block_on(parent, time, self.salt, transactions);
        let hash = block.block_hash();
        self.chain.push((height + 1, hash));
        self.found(block, height + 1);
    }

    /// A block reaches the pod as its source gives it: whole, or its header. Either must come to the same.
    fn found(&mut self, block: Block, height: u32) {
        let block = Arc::new(block);
        let event = self.watched.event(&block, height);
        if !self.checked {
            self.give(Input::Chain(event));
            return;
        }
        let [(mut one, _), (mut other, _)] = [self.restored(), self.restored()];
        let whole = Input::Chain(ChainEvent::Block { block, height });
        let _ = one.handle(self.now, &mut self.rng.clone(), &self.rows, whole);
        let _ = other.handle(self.now, &mut self.rng.clone(), &self.rows, Input::Chain(event.clone()));
        assert!(one == other, "a pod that was given whole blocks only differs");
        self.give(Input::Chain(event));
    }

    /// Somebody pays `sat` to `address`; not in a block yet.
    pub(crate) fn paid_in(&mut self, address: &AnyAddress, sat: u64) -> Transaction {
        self.salt += 1;
        let script = address.assume_checked_ref().script_pubkey();
        let from = OutPoint { txid: Txid::from_byte_array([self.salt as u8; 32]), vout: self.salt };
        let transaction = spend(from, script, sat);
        self.seen(vec![transaction.clone()]);
        transaction
    }

    pub(crate) fn seen(&mut self, transactions: Vec<Transaction>) {
        let seen = transactions.into_iter().map(|transaction| (Arc::new(transaction), self.now)).collect();
        self.give(Input::Chain(ChainEvent::Mempool { seen, evicted: vec![] }));
    }
}

// The device's part.
impl World {
    /// An account of device, pod and recovery key.
    pub(crate) fn account(&mut self) -> Account {
        let offer = self.offer("main");
        let (body, _) = self.complete(&offer);
        let ceremony = offer.ceremony;
        match self.device_asks(Command::CompleteAccount(ceremony, Box::new(body))).unwrap() {
            Answer::Account(account) => account,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn offer(&mut self, name: &str) -> AccountOffer {
        let body = BeginAccount { name: read(name), kind: AccountKind::TwoOfThree };
        match self.device_asks(Command::BeginAccount(body)).unwrap() {
            Answer::Offer(offer) => offer,
            other => panic!("{other:?}"),
        }
    }

    /// What an honest device answers to an offer, and the map it keeps.
    pub(crate) fn complete(&self, offer: &AccountOffer) -> (CompleteAccount, AccountMap) {
        cosigner::complete(&self.device.payer, offer)
    }

    /// An account with one confirmed coin of `sat`.
    pub(crate) fn funded(&mut self, sat: u64) -> Account {
        let account = self.account();
        let address = self.receive(&account);
        let transaction = self.paid_in(&address, sat);
        self.mine(vec![transaction]);
        self.effects.clear();
        account
    }

    pub(crate) fn receive(&mut self, account: &Account) -> AnyAddress {
        match self.device_asks(Command::NewAddress(account.id)).unwrap() {
            Answer::Address(address) => address.address,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn draft(&mut self, account: &Account, sat: u64) -> Result<Payment, Refusal> {
        let recipients = vec![pays(OUTSIDE, sat)];
        let body = NewPayment { recipients, fee_rate: Some(RATE), note: Some(read("rent")) };
        match self.device_asks(Command::NewPayment(account.id, body))? {
            Answer::Payment(payment) => Ok(payment),
            other => panic!("{other:?}"),
        }
    }

    /// The draft with P's signatures, as an honest device makes it.
    pub(crate) fn sign(&self, account: &Account, payment: &Payment) -> PsbtBytes {
        cosigner::sign(&self.device.payer, account, payment)
    }

    pub(crate) fn approve(&mut self, payment: &Payment, psbt: PsbtBytes) -> Result<Payment, Refusal> {
        let body = ApprovePayment { psbt, state_epoch: 0 };
        match self.device_asks(Command::ApprovePayment(payment.id, body))? {
            Answer::Payment(payment) => Ok(payment),
            other => panic!("{other:?}"),
        }
    }

    /// A payment that device and pod have signed, and its transaction.
    pub(crate) fn signed(&mut self, account: &Account, sat: u64) -> (Payment, Transaction) {
        let payment = self.draft(account, sat).unwrap();
        let psbt = self.sign(account, &payment);
        let signed = self.approve(&payment, psbt).unwrap();
        let sent = self.sent().pop().unwrap();
        assert_eq!(sent.compute_txid(), signed.txid);
        (signed, sent)
    }

    /// The same, taken by a node.
    pub(crate) fn sent_payment(&mut self, account: &Account, sat: u64) -> (Payment, Transaction) {
        let (payment, transaction) = self.signed(account, sat);
        self.give(Input::Broadcast(payment.txid, BroadcastOutcome::Accepted));
        (payment, transaction)
    }

    /// One confirmed coin more for an account.
    pub(crate) fn coin(&mut self, account: &Account, sat: u64) -> Transaction {
        let address = self.receive(account);
        let coin = self.paid_in(&address, sat);
        self.mine(vec![coin.clone()]);
        coin
    }

    pub(crate) fn balance(&mut self, account: &Account) -> autonomy_api::Balance {
        match self.device_asks(Command::Account(account.id)).unwrap() {
            Answer::Account(account) => account.balance,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn payment(&mut self, payment: &Payment) -> Payment {
        match self.device_asks(Command::Payment(payment.id)).unwrap() {
            Answer::Payment(payment) => payment,
            other => panic!("{other:?}"),
        }
    }
}

/// An address of a network that is not checked yet.
pub(crate) type AnyAddress = Address<NetworkUnchecked>;

/// What these payments offer: 2 satoshi a virtual byte.
pub(crate) const RATE: FeeRate = rate::sat_per_vb(2);

/// A text that keeps the rule of its type.
pub(crate) fn read<T: Written>(text: &str) -> T {
    T::read(text).unwrap_or_else(|rule| panic!("{text}: {rule}"))
}

pub(crate) fn pays(to: &str, sat: u64) -> Recipient {
    Recipient { address: read(to), amount: Amount::from_sat(sat) }
}
