//! Random histories of a chain, and a small model that says what an account has and how its payments stand.
//!
//! The model knows blocks, a mempool and what was signed, and counts by the rules of Bitcoin Core's wallet, but for one: a
//! transaction that is signed here keeps its coins when the mempool loses it, and its change goes on to count.
//!
//! * What is in the best chain counts. What spends a coin that a block spends otherwise is dead, with all that spend its
//!   outputs.
//! * Of the others, what is in the mempool counts, and what was signed here and not given up, unless the mempool spends a coin
//!   of it otherwise; with all that they spend.
//! * A payment is confirmed in a block, seen in the mempool, failed once it is dead by a block that is buried, and signed
//!   else.
//!
//! `HISTORIES=10000 cargo test --release -p autonomy-node --test node -- model` takes as many as one likes; `HISTORY=7` one.

mod state;

use std::{collections::BTreeSet, sync::Arc};

use autonomy_api::{Account, ApprovePayment, Payment};
use autonomy_blocks::spend;
use autonomy_node::{Answer, BroadcastOutcome, ChainEvent, Command, Input};
use autonomy_wallet::bitcoin::{OutPoint, ScriptBuf, Transaction, Txid, hashes::Hash as _};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use self::state::State;
use crate::world::World;

/// Histories that a plain test run takes.
const HISTORIES: u64 = 60;
/// Things that happen in one of them.
const EVENTS: usize = 40;
/// Deepest reorganisation: one block less than what counts as buried.
const DEEPEST: usize = 5;

#[test]
fn balances_and_payments_are_those_of_the_model() {
    let wanted = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match wanted("HISTORY") {
        Some(seed) => seed..seed + 1,
        None => 0..wanted("HISTORIES").unwrap_or(HISTORIES),
    };
    let mut world = World::adopted();
    let account = world.account();
    for seed in seeds {
        let mut history = History::new(&world, &account, seed);
        for event in 0..EVENTS {
            history.happen();
            history.compare(event);
        }
    }
}

/// A pod, and what really happened.
struct History {
    seed: u64,
    world: World,
    account: Account,
    rng: StdRng,
    state: State,
    payments: Vec<Payment>,
    /// Transactions of the mempool that the pod was told.
    told: BTreeSet<Txid>,
    log: Vec<String>,
}

impl History {
    fn new(world: &World, account: &Account, seed: u64) -> Self {
        let state = State::new(world.node.watch().scripts);
        let (rng, log) = (StdRng::seed_from_u64(seed), Vec::new());
        let (world, account, told) = (world.twin(seed), account.clone(), BTreeSet::new());
        Self { seed, world, account, rng, state, payments: Vec::new(), told, log }
    }

    fn happen(&mut self) {
        self.world.now += 61;
        match self.rng.gen_range(0..23) {
            0..4 => self.receive(),
            4..8 => self.pay(),
            8..13 => self.mine(),
            13 => self.spend_otherwise(false),
            14 => self.spend_otherwise(true),
            15..17 => self.evict(),
            17..19 => self.reorganise(),
            19..22 => self.give_up(),
            _ => self.restart(),
        }
        self.look();
    }

    fn note(&mut self, what: &str, about: impl std::fmt::Debug) {
        self.log.push(format!("{what} {about:?}"));
    }

    /// Somebody outside pays the account.
    fn receive(&mut self) {
        let number: [u8; 32] = std::array::from_fn(|_| self.rng.r#gen());
        let coin = OutPoint { txid: Txid::from_byte_array(number), vout: 0 };
        let paid = spend(coin, self.own_script(), self.rng.gen_range(20_000..500_000));
        self.note("receives", paid.compute_txid());
        self.state.enter(paid);
    }

    fn own_script(&self) -> ScriptBuf {
        self.account.first_address.assume_checked_ref().script_pubkey()
    }

    fn pay(&mut self) {
        let sat = self.rng.gen_range(10_000..400_000);
        let Ok(payment) = self.world.draft(&self.account, sat) else { return };
        if let Some(twice) = self.state.spent_by_living(&payment_coins(&payment)) {
            self.fail(&format!("a draft takes a coin of {twice}, which may still be mined"));
        }
        let psbt = self.world.sign(&self.account, &payment);
        let body = ApprovePayment { psbt, state_epoch: 0 };
        let signed = self.world.device_asks(Command::ApprovePayment(payment.id, body));
        let Ok(Answer::Payment(payment)) = signed else { self.fail(&format!("not signed: {signed:?}")) };
        self.note("pays by", payment.txid);
        // One that was given up may have been the same transaction: it is of this payment now.
        self.payments.retain(|earlier| earlier.txid != payment.txid);
        self.payments.push(payment);
    }

    /// The owner gives up a payment, if the pod knows that no mempool has it.
    fn give_up(&mut self) {
        let Some(payment) = self.payments.choose(&mut self.rng).cloned() else { return };
        if self.world.device_asks(Command::GiveUpPayment(payment.id)).is_ok() {
            self.note("gives up", payment.txid);
            if self.state.mempool.contains(&payment.txid) {
                self.fail("a payment of the mempool is given up");
            }
            self.state.give_up(payment.txid);
        }
    }

    /// A block with some of the mempool.
    fn mine(&mut self) {
        let count = self.rng.gen_range(0..=self.state.mempool.len());
        let mined = self.state.mine(count);
        self.note("mines", mined.iter().map(Transaction::compute_txid).collect::<Vec<_>>());
        self.world.mine(mined);
    }

    /// A coin that a waiting transaction spends is spent by another one: in the mempool, or by a block.
    fn spend_otherwise(&mut self, in_block: bool) {
        let open = self.state.open();
        let Some(one) = open.choose(&mut self.rng) else { return };
        let coin = one.input[0].previous_output;
        let ours = self.state.is_own_coin(&coin) || self.state.is_spent_by_signed(&one.compute_txid());
        if !self.state.exists(&coin) {
            return;
        }
        let to =
            if ours || self.rng.gen_bool(0.5) { ScriptBuf::new_op_return([9; 4]) } else { self.own_script() };
        let other = spend(coin, to, self.rng.gen_range(1_000..15_000));
        self.note(if in_block { "spends in a block" } else { "replaces" }, (coin, other.compute_txid()));
        self.state.leave_conflicts(&coin);
        self.state.enter(other);
        if in_block {
            let mined = self.state.mine_last();
            self.world.mine(mined);
        }
    }

    fn evict(&mut self) {
        let Some(txid) = self.state.mempool.choose(&mut self.rng).copied() else { return };
        self.note("evicts", txid);
        self.state.leave(&txid);
    }

    fn reorganise(&mut self) {
        let deepest = DEEPEST.min(self.state.blocks.len());
        if deepest == 0 {
            return;
        }
        let depth = self.rng.gen_range(1..=deepest);
        let keeps = self.rng.gen_bool(0.7);
        self.note("reorganises", (depth, keeps));
        self.state.disconnect(depth, keeps);
        let count = self.rng.gen_range(0..=self.state.mempool.len());
        let mined = self.state.mine(count);
        self.state.blocks.extend(std::iter::repeat_n(Vec::new(), depth));
        self.world.reorganise_with(depth, mined);
    }

    fn restart(&mut self) {
        self.note("restarts", ());
        self.told.clear();
        self.world.restart();
    }

    /// The pod's source tells what left and what is new in the mempool, and answers what the pod sends.
    fn look(&mut self) {
        // What left may have stood in the place of something else that is gone. What counts because a payment spends it
        // stays watched.
        let mut left = self.tell_mempool();
        while !left.is_empty() {
            let then = self.tell_mempool();
            left = if then == left { Vec::new() } else { then };
        }
        for transaction in self.world.sent() {
            self.answer(transaction);
        }
    }

    /// Gives what is watched and is not there.
    fn tell_mempool(&mut self) -> Vec<Txid> {
        let present: BTreeSet<Txid> = self.state.mempool.iter().copied().collect();
        let watched = self.world.node.watch().txids;
        let evicted: Vec<Txid> = watched.difference(&present).copied().collect();
        self.told.retain(|txid| present.contains(txid));
        let new = self.state.mempool.iter().filter(|txid| !self.told.contains(*txid));
        let new: Vec<_> = new.map(|txid| (Arc::new(self.state.transaction(txid).clone()), 0)).collect();
        self.told.extend(present);
        if !(evicted.is_empty() && new.is_empty()) {
            self.world.give(Input::Chain(ChainEvent::Mempool { seen: new, evicted: evicted.clone() }));
        }
        evicted
    }

    /// A node takes what is valid, or refuses it by its policy.
    fn answer(&mut self, transaction: Transaction) {
        let txid = transaction.compute_txid();
        let refuses = self.rng.gen_bool(0.3);
        self.state.signed(transaction.clone());
        let outcome = match self.state.is_in(&txid) {
            true => BroadcastOutcome::Accepted,
            false if !self.state.is_acceptable(&transaction) => {
                BroadcastOutcome::Refused("bad-txns-inputs-missingorspent".into())
            }
            false if refuses => BroadcastOutcome::Refused("dust".into()),
            false => {
                self.state.enter(transaction);
                self.told.insert(txid);
                BroadcastOutcome::Accepted
            }
        };
        self.note("is answered", (txid, &outcome));
        self.world.give(Input::Broadcast(txid, outcome));
    }

    fn compare(&mut self, event: usize) {
        let account = self.account.clone();
        let balance = self.world.balance(&account);
        let found = (balance.confirmed.to_sat(), balance.unconfirmed.to_sat());
        if found != self.state.balance() {
            let counted = self.state.counted();
            self.fail(&format!(
                "event {event}: has {found:?}, not {:?} of {counted:#?}",
                self.state.balance()
            ));
        }
        for payment in self.payments.clone() {
            let found = self.world.payment(&payment);
            let (state, confirmations) = self.state.standing(&payment.txid);
            if (found.state, found.confirmations) != (state, confirmations) {
                self.fail(&format!(
                    "event {event}: {} is {found:?}, not {state:?} {confirmations}",
                    payment.txid
                ));
            }
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("history {}: {what}\n{}", self.seed, self.log.join("\n"))
    }
}

/// The coins of a draft.
fn payment_coins(payment: &Payment) -> Vec<OutPoint> {
    let psbt = payment.psbt.as_ref().unwrap();
    let psbt = autonomy_wallet::bitcoin::Psbt::deserialize(psbt).unwrap();
    psbt.unsigned_tx.input.iter().map(|input| input.previous_output).collect()
}
