//! Money: owners make accounts, are paid and pay; pods follow the chain; and what must hold of it in the end.

use std::collections::{BTreeMap, BTreeSet};

use autonomy_node::{Watch, Watched};
use autonomy_wallet::bitcoin::{Address, Network, OutPoint, ScriptBuf, Transaction, Txid};
use rand::{Rng, RngCore};

use crate::chain::{BLOCK_SECONDS, MAX_REORGANISATION, Verdict};
use crate::command::{Answer, Command, PaymentSeen, PaymentStands, Refused};
use crate::config::{DAY, Fault, HOUR, SECOND};
use crate::heap::Millis;
use crate::pod::{ChainNews, Input, MAX_ANCHOR};
use crate::purse::Purse;
use crate::world::{Event, World};

/// One pod in so many has an account.
const PURSES: usize = 3;
/// Before one block in so many, the chain goes wrong.
const TROUBLES: u32 = 10;
/// How long news of the chain takes to a pod, at most.
const NEWS: Millis = 60 * SECOND;
/// What is paid in and out, satoshi.
const PAID_IN: std::ops::Range<u64> = 20_000..5_000_000;
const PAID_OUT: std::ops::Range<u64> = 5_000..400_000;

/// What a pod's owner and its shell know of money.
#[derive(Debug, Default)]
pub(super) struct Money {
    pub(super) purse: Option<Purse>,
    /// The highest state epoch that a device has seen.
    epoch: u64,
    /// Coins that the pod signed away, and by which transaction.
    signed: BTreeMap<OutPoint, Txid>,
    /// Ends with the process: what the pod has said that it watches, what it was told of the mempool, and the height up to
    /// which it is in step.
    watched: Watched,
    told: BTreeSet<Txid>,
    synced: Option<u32>,
    /// Whether news are on their way to it.
    coming: bool,
}

impl Money {
    /// The process ends.
    pub(super) fn fall(&mut self) {
        self.watched = Watched::default();
        self.told.clear();
        self.synced = None;
        self.coming = false;
    }

    /// The pod says that it watches these too.
    pub(super) fn watch(&mut self, watch: Watch) {
        self.watched.take(watch);
    }

    /// The disk is lost: what was signed since the backup is forgotten there.
    pub(super) fn roll_back(&mut self) {
        self.signed.clear();
    }
}

/// The chain goes on.
impl World {
    /// Whether there is money in this world.
    pub(super) fn has_money(&self) -> bool {
        self.config.payments > 0
    }

    pub(super) fn wants_purse(&self, pod: usize) -> bool {
        self.has_money() && pod.is_multiple_of(PURSES)
    }

    pub(super) fn next_block(&mut self) {
        let mean = BLOCK_SECONDS * SECOND;
        let after = self.rng.gen_range(mean / 10..2 * mean - mean / 10);
        self.heap.after(after, Event::Block);
    }

    /// A block is found; sometimes it leaves some transactions for later.
    pub(super) fn block_found(&mut self) {
        if self.mining {
            if self.troubled && self.config.faults.has(Fault::Chain) && self.rng.gen_ratio(1, TROUBLES) {
                self.trouble_the_chain();
            }
            let left = if self.troubled { self.rng.gen_range(0..3) } else { 0 };
            self.chain.mine(left);
            self.figures.blocks += 1;
            self.spread(|_| true);
        }
        self.next_block();
    }

    /// The chain goes wrong: blocks are thrown away, or the mempool lets go of something.
    fn trouble_the_chain(&mut self) {
        let waiting = self.chain.mempool().len();
        if waiting > 0 && self.rng.gen_bool(0.5) {
            let position = self.rng.gen_range(0..waiting);
            self.figures.evictions += u64::from(self.chain.evict(position));
        } else {
            let deep = self.rng.gen_ratio(1, 8);
            let depth = self.rng.gen_range(1..=if deep { MAX_REORGANISATION } else { 3 });
            let rng = &mut self.rng;
            self.chain.reorganise(depth, || rng.gen_bool(0.7));
            self.figures.reorganisations += 1;
        }
        self.spread(|_| true);
    }

    /// News are on their way to these pods.
    fn spread(&mut self, wants: impl Fn(usize) -> bool) {
        for pod in 0..self.bodies.len() {
            if wants(pod) {
                self.send_news(pod);
            }
        }
    }

    pub(super) fn send_news(&mut self, pod: usize) {
        let has_money = self.has_money();
        let body = &mut self.bodies[pod];
        if has_money && body.pod.is_running() && !body.money.coming {
            body.money.coming = true;
            let life = body.life;
            let after = self.rng.gen_range(SECOND..NEWS);
            self.heap.after(after, Event::News { pod, life });
        }
    }

    /// A pod's chain source looks: blocks first, then the mempool.
    pub(super) fn follow(&mut self, pod: usize) {
        self.bodies[pod].money.coming = false;
        let Some(mut height) = self.fork(pod) else { return };
        while height < self.chain.height() {
            height += 1;
            let Some((block, _)) = self.chain.block(height) else { return };
            // By all that the pod has said: each step before was committed and carried out.
            let event = self.bodies[pod].money.watched.event(block, height);
            self.give(pod, ChainNews::Block(event));
            if !self.bodies[pod].pod.is_running() {
                return;
            }
        }
        if self.bodies[pod].money.synced != Some(height) {
            self.bodies[pod].money.synced = Some(height);
            self.give(pod, ChainNews::Synced(height));
        }
        self.look_at_mempool(pod);
    }

    /// The highest block of the best chain that the pod knows; it is told of the last ones where it knows none.
    fn fork(&mut self, pod: usize) -> Option<u32> {
        let known = self.bodies[pod].pod.chain_points();
        if known.is_empty() {
            let tip = self.chain.height();
            let heights = tip.saturating_sub(MAX_ANCHOR - 1)..=tip;
            let point = |height| {
                let (block, hash) = self.chain.block(height)?;
                Some((height, hash, u64::from(block.header.time)))
            };
            let points = heights.filter_map(point).collect();
            self.give(pod, ChainNews::Anchor(points));
            return self.bodies[pod].pod.is_running().then_some(tip);
        }
        let common =
            |(height, hash): &&(u32, _)| self.chain.block(*height).is_some_and(|(_, other)| other == *hash);
        let found = known.iter().rev().find(common).map(|(height, _)| *height);
        if found.is_none() {
            self.breach(Some(pod), "it knows no block of the best chain".into());
        }
        found
    }

    fn look_at_mempool(&mut self, pod: usize) {
        let money = &self.bodies[pod].money;
        if money.purse.is_none() || !self.bodies[pod].pod.is_running() {
            return;
        }
        let present: BTreeSet<Txid> = self.chain.mempool().iter().map(Transaction::compute_txid).collect();
        let new = |transaction: &&Transaction| {
            money.watched.concerns(transaction) && !money.told.contains(&transaction.compute_txid())
        };
        let seen: Vec<Transaction> = self.chain.mempool().iter().filter(new).cloned().collect();
        let evicted = money.watched.missing(|txid| present.contains(txid));
        let money = &mut self.bodies[pod].money;
        money.told.retain(|txid| present.contains(txid));
        money.told.extend(seen.iter().map(Transaction::compute_txid));
        if !seen.is_empty() || !evicted.is_empty() {
            self.give(pod, ChainNews::Mempool { seen, evicted });
        }
    }

    /// A pod sends a transaction: what it signs away once it does not sign away again.
    pub(super) fn broadcast(&mut self, pod: usize, txid: Txid, transaction: Box<Transaction>) {
        for input in &transaction.input {
            let coin = input.previous_output;
            let before = *self.bodies[pod].money.signed.entry(coin).or_insert(txid);
            if before != txid {
                self.breach(Some(pod), "it signed a coin away twice".into());
            }
        }
        let life = self.bodies[pod].life;
        let after = self.rng.gen_range(SECOND..10 * SECOND);
        self.heap.after(after, Event::Sent { pod, life, transaction });
    }

    pub(super) fn sent(&mut self, pod: usize, transaction: &Transaction) {
        let verdict = self.chain.submit(transaction);
        let accepted = verdict == Verdict::Accepted;
        self.give(pod, Input::Broadcast(transaction.compute_txid(), verdict));
        if accepted {
            self.spread_to_purses();
        }
    }

    fn spread_to_purses(&mut self) {
        for pod in 0..self.bodies.len() {
            if self.wants_purse(pod) {
                self.send_news(pod);
            }
        }
    }
}

/// What owners do with money.
impl World {
    pub(super) fn mind_money(&mut self, pod: usize) {
        if !self.wants_purse(pod) || self.bodies[pod].money.synced.is_none() {
            return;
        }
        if self.bodies[pod].money.purse.is_none() {
            return self.make_account(pod);
        }
        if !self.troubled || self.payments_left == 0 || !self.reconcile(pod) {
            return;
        }
        // As often as keeps pace with what is to be paid in all.
        let end = self.config.days * DAY;
        let looks =
            end.saturating_sub(self.heap.now()) / (HOUR / 2) * (self.bodies.len() / PURSES + 1) as u64;
        if self.rng.gen_bool((2.0 * self.payments_left as f64 / (looks + 1) as f64).min(1.0)) {
            self.be_paid(pod);
            self.pay(pod);
        }
    }

    fn make_account(&mut self, pod: usize) {
        let Some(Ok(Answer::Offer(offer))) = self.ask(pod, Command::BeginAccount) else { return };
        let mut entropy = [[0; 32]; 2];
        entropy.iter_mut().for_each(|bytes| self.rng.fill_bytes(bytes));
        match Purse::agree(entropy, &offer) {
            Ok((completion, purse)) => {
                if let Some(Ok(_)) = self.ask(pod, Command::CompleteAccount(completion)) {
                    self.bodies[pod].money.purse = Some(purse);
                    self.figures.accounts += 1;
                }
            }
            Err(why) => self.breach(Some(pod), format!("its offer of an account is refused: {why}")),
        }
    }

    /// A pod that is behind what its devices have seen must not sign before its owner says so. Whether it is in step.
    fn reconcile(&mut self, pod: usize) -> bool {
        let Some(Ok(Answer::Status { epoch })) = self.ask(pod, Command::Status) else { return false };
        let seen = self.bodies[pod].money.epoch;
        if epoch >= seen {
            self.bodies[pod].money.epoch = epoch;
            return true;
        }
        self.figures.reconciled += 1;
        let _ = self.ask(pod, Command::Reconcile { seen });
        false
    }

    /// A fresh address of an account, as its owner has compared it.
    fn address(&mut self, pod: usize) -> Option<String> {
        let account = self.bodies[pod].money.purse.as_ref()?.id();
        let Some(Ok(Answer::Address { index, address })) = self.ask(pod, Command::NewAddress(account)) else {
            return None;
        };
        let purse = self.bodies[pod].money.purse.as_mut()?;
        if !purse.is_own(index, &address) {
            self.breach(Some(pod), format!("address {address} is not the account's number {index}"));
            return None;
        }
        Some(address)
    }

    fn be_paid(&mut self, pod: usize) {
        let Some(script) = self.address(pod).and_then(|address| script_of(&address)) else { return };
        let sat = self.rng.gen_range(PAID_IN);
        if self.chain.pay_from_outside(script, sat).is_some() {
            self.figures.paid_in += 1;
            self.spread_to_purses();
        }
    }

    /// Pays another account, or somebody outside.
    fn pay(&mut self, pod: usize) {
        let other = self.rng.gen_range(0..self.bodies.len()) / PURSES * PURSES;
        let to = if other == pod { None } else { self.address(other) };
        let to = to.unwrap_or_else(|| OUTSIDE.to_owned());
        let sat = self.rng.gen_range(PAID_OUT);
        let Some(account) = self.bodies[pod].money.purse.as_ref().map(Purse::id) else { return };
        let draft = self.ask(pod, Command::NewPayment { account, address: to.clone(), sat });
        let Some(Ok(Answer::Payment(payment))) = draft else { return };
        self.approve(pod, &payment, &to, sat);
    }

    fn approve(&mut self, pod: usize, payment: &PaymentSeen, to: &str, sat: u64) {
        let (Some(psbt), Some(purse)) = (&payment.psbt, self.bodies[pod].money.purse.as_mut()) else {
            return;
        };
        let psbt = match purse.sign(psbt, to, sat) {
            Ok(psbt) => psbt,
            Err(why) => return self.breach(Some(pod), format!("its draft is refused by the device: {why}")),
        };
        let epoch = self.bodies[pod].money.epoch;
        match self.ask(pod, Command::Approve { payment: payment.id, psbt, epoch }) {
            Some(Ok(_)) => {
                self.payments_left = self.payments_left.saturating_sub(1);
                self.figures.payments += 1;
            }
            Some(Err(Refused(_))) => self.figures.refused_payments += 1,
            None => {}
        }
    }
}

/// What must hold in the end, when no block is found any more and everybody knows the last one.
impl World {
    pub(super) fn check_money(&mut self) {
        for pod in 0..self.bodies.len() {
            if self.bodies[pod].money.purse.is_some() {
                self.check_balance(pod);
                self.check_payments(pod);
            }
        }
    }

    fn check_balance(&mut self, pod: usize) {
        let Some(purse) = &self.bodies[pod].money.purse else { return };
        let (account, scripts) = (purse.id(), purse.scripts());
        let true_sat = self.chain.worth(&scripts);
        match self.ask(pod, Command::Account(account)) {
            Some(Ok(Answer::Account { confirmed_sat })) if confirmed_sat == true_sat => {}
            other => self.breach(Some(pod), format!("its account has {true_sat} sat, and it says {other:?}")),
        }
    }

    fn check_payments(&mut self, pod: usize) {
        let Some(account) = self.bodies[pod].money.purse.as_ref().map(Purse::id) else { return };
        let Some(Ok(Answer::Payments(payments))) = self.ask(pod, Command::Payments(account)) else {
            return self.breach(Some(pod), "it lists no payments".into());
        };
        for payment in payments {
            if let Some(wrong) = self.wrong_with(pod, &payment) {
                self.breach(Some(pod), format!("payment {}: {wrong}", payment.txid));
            }
        }
    }

    /// What does not fit between what a pod says of a payment and the chain.
    fn wrong_with(&self, pod: usize, payment: &PaymentSeen) -> Option<String> {
        let mined = self.chain.height_of(&payment.txid);
        let coins = || self.bodies[pod].money.signed.iter().filter(|(_, txid)| **txid == payment.txid);
        let could_be_mined = coins().next().is_some() && coins().all(|(coin, _)| self.chain.has_coin(coin));
        match (payment.state, mined) {
            (PaymentStands::Confirmed, None) => Some("it is told as confirmed and in no block".into()),
            (PaymentStands::Confirmed, Some(_)) | (_, None) if !could_be_mined => None,
            (PaymentStands::Open, None) => Some("it waits, though all its coins are there".into()),
            (PaymentStands::Failed | PaymentStands::GivenUp, None) => None,
            (state, Some(height)) if state != PaymentStands::Confirmed => {
                Some(format!("it is in block {height} and told as {state:?}"))
            }
            _ => None,
        }
    }
}

/// Somebody outside who is paid.
const OUTSIDE: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

fn script_of(address: &str) -> Option<ScriptBuf> {
    let address: Address<_> = address.parse().ok()?;
    Some(address.require_network(Network::Regtest).ok()?.script_pubkey())
}
