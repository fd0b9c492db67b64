//! A pod that works only when a test lets it: a whole node with its rows in memory, behind a real chain source.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc::{Receiver, TrySendError, sync_channel},
    time::Duration,
};

use autonomy_api::{Account, AccountKind, AccountName, BeginAccount, ChainState, Event, EventKind};
use autonomy_daemon::{
    chain::{ChainLink, ChainSource, Delivered, Delivery, PodCursor},
    driver,
};
use autonomy_node::{Answer, Caller, ChainEvent, Command, Effect, Identity, Input, Node, Request, Row, Step};
use autonomy_testnet::clock;
use autonomy_wallet::{account::AccountMap, bitcoin::Network, keys::Seed};
use rand_core::OsRng;

use crate::{bundle, cosigner};

/// The longest that anything here may take on a loaded machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Deliveries that wait for the pod: as many as the driver's inbox takes.
const INBOX: usize = 64;

/// What a pod was given of the chain.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// Heights of blocks that came as headers.
    pub(crate) headers: BTreeSet<u32>,
    /// Heights of blocks that came whole.
    pub(crate) whole: BTreeSet<u32>,
    /// Transactions of the mempool.
    pub(crate) unconfirmed: BTreeSet<String>,
}

pub(crate) struct ManualPod {
    node: Node,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    payer: Seed,
    following: Option<(Box<dyn ChainLink>, Receiver<Delivery>)>,
    pub(crate) given: Given,
    pub(crate) events: Vec<EventKind>,
    pub(crate) account: Option<(Account, AccountMap)>,
}

impl ManualPod {
    /// The pod of the person of this number. It follows no source yet.
    pub(crate) fn adopted(number: u8) -> Self {
        let (node, rows) = Node::create(Identity::draw(Network::Regtest, &mut OsRng, driver::now()));
        let mut pod = Self {
            node,
            rows: BTreeMap::new(),
            payer: Seed::from_entropy(&[number; 32]).unwrap(),
            following: None,
            given: Given::default(),
            events: Vec::new(),
            account: None,
        };
        pod.commit(rows);
        let bundle = bundle(&pod.node.pod_request(), number);
        assert_eq!(pod.ask(Command::Adopt(bundle)), Answer::Adopted);
        pod
    }

    /// One that follows a source and has an account.
    pub(crate) fn with_account(number: u8, source: &dyn ChainSource) -> Self {
        let mut pod = Self::adopted(number);
        pod.follow(source);
        pod.until("it is at the tip", |pod| pod.is_synced());
        let begin = BeginAccount { name: AccountName::new("main").unwrap(), kind: AccountKind::TwoOfThree };
        let Answer::Offer(offer) = pod.ask(Command::BeginAccount(begin)) else { panic!("no offer") };
        let (body, map) = cosigner::complete(&pod.payer, &offer);
        let ceremony = offer.ceremony;
        let Answer::Account(account) = pod.ask(Command::CompleteAccount(ceremony, Box::new(body))) else {
            panic!("no account")
        };
        pod.account = Some((account, map));
        pod
    }

    /// Starts anew from its rows, and follows the source from where it was.
    pub(crate) fn follow(&mut self, source: &dyn ChainSource) {
        let rows = self.rows.iter().map(|(key, value)| Row::found(key.clone(), value.clone()));
        let (node, effects) = Node::restore(rows.collect::<Vec<_>>()).unwrap();
        self.node = node;
        let (sender, inbox) = sync_channel(INBOX);
        let deliver = Box::new(move |delivery| match sender.try_send(delivery) {
            Ok(()) => Delivered::Taken,
            Err(TrySendError::Full(_)) => Delivered::Full,
            Err(TrySendError::Disconnected(_)) => Delivered::Gone,
        });
        let cursor = PodCursor { network: self.node.network(), points: self.node.chain_points(), deliver };
        self.following = Some((source.follow(cursor), inbox));
        self.carry_out(effects);
    }

    /// Stops following.
    pub(crate) fn leave(&mut self) {
        self.following = None;
    }

    /// Works on what it is given until this holds of it.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let begun = clock::now();
        while !holds(self) {
            assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}. {:?}", self.given);
            self.work();
        }
    }

    /// Works on one delivery, if one comes soon.
    fn work(&mut self) {
        let Some((_, inbox)) = &self.following else { panic!("it follows nothing") };
        let Ok(Delivery { number, input }) = inbox.recv_timeout(Duration::from_millis(50)) else { return };
        self.note(&input);
        let _nobody_asked = self.take(input);
        if let Some((link, _)) = &self.following {
            link.committed(number);
        }
    }

    fn note(&mut self, input: &Input) {
        let Input::Chain(event) = input else { return };
        match event {
            ChainEvent::Header { height, .. } => drop(self.given.headers.insert(*height)),
            ChainEvent::Block { height, .. } => drop(self.given.whole.insert(*height)),
            ChainEvent::Mempool { seen, .. } => {
                let txids = seen.iter().map(|(transaction, _)| transaction.compute_txid().to_string());
                self.given.unconfirmed.extend(txids);
            }
            _ => {}
        }
    }

    fn take(&mut self, input: Input) -> Step {
        let mut step = self.node.handle(driver::now(), &mut OsRng, &self.rows, input);
        self.commit(std::mem::take(&mut step.rows));
        self.carry_out(std::mem::take(&mut step.effects));
        step
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match (effect, &self.following) {
                (Effect::Watch(watch), Some((link, _))) => link.watch(*watch),
                (Effect::Broadcast(txid, transaction), Some((link, _))) => link.broadcast(txid, transaction),
                (Effect::Notify(Event { kind, .. }), _) => self.events.push(kind),
                _ => {}
            }
        }
    }

    fn commit(&mut self, rows: Vec<Row>) {
        for Row { key, value } in rows {
            match value {
                Some(value) => drop(self.rows.insert(key, value.to_vec())),
                None => drop(self.rows.remove(&key)),
            }
        }
    }
}

// What its owner asks.
impl ManualPod {
    fn ask(&mut self, command: Command) -> Answer {
        let request = Request { caller: Caller::Owner, idempotency_key: None, command };
        self.take(Input::Request(request)).reply.unwrap().unwrap()
    }

    /// State of the source and height, as the pod tells them.
    pub(crate) fn status(&mut self) -> (ChainState, u32) {
        let Answer::Status(status) = self.ask(Command::Status) else { panic!("no status") };
        (status.chain.state, status.chain.height)
    }

    pub(crate) fn is_synced(&mut self) -> bool {
        self.status().0 == ChainState::Synced
    }

    /// The address of this number, as the owner's own device derives it: the pod may not have given it out.
    pub(crate) fn address(&self, index: u32) -> String {
        let (_, map) = self.account.as_ref().unwrap();
        map.address(autonomy_wallet::account::Keychain::External, index).unwrap().to_string()
    }

    /// Confirmed and unconfirmed satoshi.
    pub(crate) fn balance(&mut self) -> (u64, u64) {
        let id = self.account.as_ref().unwrap().0.id;
        let Answer::Account(account) = self.ask(Command::Account(id)) else { panic!("no account") };
        (account.balance.confirmed.to_sat(), account.balance.unconfirmed.to_sat())
    }

    /// Transactions that the pod told of, and the depths that it told of each.
    pub(crate) fn confirmations(&self) -> BTreeMap<String, Vec<u32>> {
        let mut told: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for event in &self.events {
            if let EventKind::TransactionConfirmed { txid, confirmations, .. } = event {
                told.entry(txid.to_string()).or_default().push(*confirmations);
            }
        }
        told
    }
}
