//! Money: owners make accounts, are paid and pay, pods follow the chain, and in the end both have to agree.
//!
//! One pod in three has an account. While faults happen its owner is paid from outside, and pays other accounts and
//! strangers; the device checks each draft against what was typed before it signs. Each pod's chain source looks
//! within a minute after a block or a payment: at blocks from the last one that both know, then at the mempool.
//!
//! What must hold: a coin that a pod signed away it never signs away by another transaction, until its disk is lost;
//! each address that it gives out is the account's; in the end its balance is what the chain has at its scripts, and
//! each payment stands as the pod reports it.

mod check;

use std::collections::{BTreeMap, BTreeSet};

use autonomy_node::{Watch, Watched};
use autonomy_wallet::bitcoin::{Address, Network, OutPoint, ScriptBuf, Transaction, Txid};
use rand::{Rng, RngCore};

use crate::chain::{BLOCK_SECONDS, MAX_REORGANISATION, Verdict};
use crate::command::{Answer, Command, PaymentSeen, Refused};
use crate::config::{DAY, Fault, HOUR, SECOND};
use crate::device_account::DeviceAccount;
use crate::heap::Millis;
use crate::pod::{ChainNews, Input, MAX_ANCHOR};
use crate::world::{Event, World};

/// One pod in so many has an account.
const PODS_PER_ACCOUNT: usize = 3;
/// Before one block in so many, the chain reorganises or the mempool evicts something.
const TROUBLES: u32 = 10;
/// How long a pod's chain source takes to look, at most.
const NEWS: Millis = 60 * SECOND;
/// Range of what is paid to an account at once, satoshi.
const PAID_IN: std::ops::Range<u64> = 20_000..5_000_000;
/// Range of what an account pays at once, satoshi.
const PAID_OUT: std::ops::Range<u64> = 5_000..400_000;

/// What a pod's owner and its process know of money.
#[derive(Debug, Default)]
pub(super) struct Money {
    /// The account, once it is made.
    pub(super) device_account: Option<DeviceAccount>,
    /// The highest state epoch that a device has seen.
    epoch: u64,
    /// Coins that the pod signed away, and by which transaction: none may be signed away by two.
    signed: BTreeMap<OutPoint, Txid>,
    /// What the pod told this process to watch: scripts, coins, and its transactions in the mempool.
    watched: Watched,
    /// Transactions of the mempool that were given to this process.
    told: BTreeSet<Txid>,
    /// The height up to which this process knows that it has everything.
    synced: Option<u32>,
    /// Whether the chain source is about to look.
    coming: bool,
}

impl Money {
    /// Ends with the process: the next one gets everything anew.
    pub(super) fn stop(&mut self) {
        self.watched = Watched::default();
        self.told.clear();
        self.synced = None;
        self.coming = false;
    }

    /// The pod watches these scripts and coins too.
    pub(super) fn watch(&mut self, watch: Watch) {
        self.watched.take(watch);
    }

    /// The disk is lost, and with it the memory of what was signed since the backup.
    pub(super) fn roll_back(&mut self) {
        self.signed.clear();
    }
}

/// The chain goes on.
impl World {
    /// Whether the world has a chain.
    pub(super) fn has_money(&self) -> bool {
        self.config.payments > 0
    }

    /// Whether the owner of a pod has an account or is going to make one.
    pub(super) fn plans_account(&self, pod: usize) -> bool {
        self.has_money() && pod.is_multiple_of(PODS_PER_ACCOUNT)
    }

    /// Adds the next block to the heap.
    pub(super) fn next_block(&mut self) {
        let mean = BLOCK_SECONDS * SECOND;
        let after = self.rng.gen_range(mean / 10..2 * mean - mean / 10);
        self.heap.after(after, Event::Block);
    }

    /// Mines a block and lets all pods look. While faults happen it leaves some transactions for later.
    pub(super) fn block_found(&mut self) {
        if self.mining {
            if self.faults_on && self.config.faults.has(Fault::Chain) && self.rng.gen_ratio(1, TROUBLES) {
                self.disturb_chain();
            }
            let left = if self.faults_on { self.rng.gen_range(0..3) } else { 0 };
            self.chain.mine(left);
            self.figures.blocks += 1;
            self.spread(|_| true);
        }
        self.next_block();
    }

    /// Reorganises the chain, or evicts a transaction from the mempool.
    fn disturb_chain(&mut self) {
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

    /// The chain sources of these pods are about to look.
    fn spread(&mut self, wants: impl Fn(usize) -> bool) {
        for pod in 0..self.shells.len() {
            if wants(pod) {
                self.send_news(pod);
            }
        }
    }

    /// The chain source of a pod is about to look, unless it is already.
    pub(super) fn send_news(&mut self, pod: usize) {
        let has_money = self.has_money();
        let shell = &mut self.shells[pod];
        if has_money && shell.pod.is_running() && !shell.money.coming {
            shell.money.coming = true;
            let launch = shell.launch;
            let after = self.rng.gen_range(SECOND..NEWS);
            self.heap.after(after, Event::News { pod, launch });
        }
    }

    /// A pod's chain source looks: at blocks first, then at the mempool, as the daemon's does.
    pub(super) fn follow(&mut self, pod: usize) {
        self.shells[pod].money.coming = false;
        let Some(mut height) = self.fork(pod) else { return };
        while height < self.chain.height() {
            height += 1;
            let Some((block, _)) = self.chain.block(height) else { return };
            // By all that the pod watches: each step before was committed and carried out.
            let event = self.shells[pod].money.watched.event(block, height);
            self.give(pod, ChainNews::Block(event));
            if !self.shells[pod].pod.is_running() {
                return;
            }
        }
        if self.shells[pod].money.synced != Some(height) {
            self.shells[pod].money.synced = Some(height);
            self.give(pod, ChainNews::Synced(height));
        }
        self.look_at_mempool(pod);
    }

    /// The highest block of the best chain that the pod knows: its chain source resumes behind it. A pod that knows
    /// no block at all is given the last ones. One that knows blocks and none of the best chain has lost its way:
    /// reorganisations here are shorter than what it remembers.
    fn fork(&mut self, pod: usize) -> Option<u32> {
        let known = self.shells[pod].pod.chain_points();
        if known.is_empty() {
            let tip = self.chain.height();
            let heights = tip.saturating_sub(MAX_ANCHOR - 1)..=tip;
            let point = |height| {
                let (block, hash) = self.chain.block(height)?;
                Some((height, hash, u64::from(block.header.time)))
            };
            let points = heights.filter_map(point).collect();
            self.give(pod, ChainNews::Anchor(points));
            return self.shells[pod].pod.is_running().then_some(tip);
        }
        let common =
            |(height, hash): &&(u32, _)| self.chain.block(*height).is_some_and(|(_, other)| other == *hash);
        let found = known.iter().rev().find(common).map(|(height, _)| *height);
        if found.is_none() {
            self.breach(Some(pod), "it knows no block of the best chain".into());
        }
        found
    }

    /// Tells a pod which transactions are new, and which of its own are gone. Only pods with accounts look.
    fn look_at_mempool(&mut self, pod: usize) {
        let money = &self.shells[pod].money;
        if money.device_account.is_none() || !self.shells[pod].pod.is_running() {
            return;
        }
        let present: BTreeSet<Txid> = self.chain.mempool().iter().map(Transaction::compute_txid).collect();
        let new = |transaction: &&Transaction| {
            money.watched.concerns(transaction) && !money.told.contains(&transaction.compute_txid())
        };
        let seen: Vec<Transaction> = self.chain.mempool().iter().filter(new).cloned().collect();
        let evicted = money.watched.missing(|txid| present.contains(txid));
        let money = &mut self.shells[pod].money;
        money.told.retain(|txid| present.contains(txid));
        money.told.extend(seen.iter().map(Transaction::compute_txid));
        if !seen.is_empty() || !evicted.is_empty() {
            self.give(pod, ChainNews::Mempool { seen, evicted });
        }
    }

    /// A pod broadcasts a transaction. A coin that it signs away once it must not sign away by another transaction:
    /// whoever has both could choose between them. Its chain source takes some seconds.
    pub(super) fn broadcast(&mut self, pod: usize, txid: Txid, transaction: Box<Transaction>) {
        for input in &transaction.input {
            let coin = input.previous_output;
            let before = *self.shells[pod].money.signed.entry(coin).or_insert(txid);
            if before != txid {
                self.breach(Some(pod), "it signed a coin away twice".into());
            }
        }
        let launch = self.shells[pod].launch;
        let after = self.rng.gen_range(SECOND..10 * SECOND);
        self.heap.after(after, Event::Sent { pod, launch, transaction });
    }

    /// A transaction arrives at the chain source, which says what becomes of it.
    pub(super) fn sent(&mut self, pod: usize, transaction: &Transaction) {
        let verdict = self.chain.submit(transaction);
        let accepted = verdict == Verdict::Accepted;
        self.give(pod, Input::Broadcast(transaction.compute_txid(), verdict));
        if accepted {
            self.spread_to_accounts();
        }
    }

    /// The chain sources of all pods with accounts are about to look.
    fn spread_to_accounts(&mut self) {
        for pod in 0..self.shells.len() {
            if self.plans_account(pod) {
                self.send_news(pod);
            }
        }
    }
}

/// What owners do with money.
impl World {
    /// Everything of this module that an owner may do at one time.
    pub(super) fn act_on_money(&mut self, pod: usize) {
        if !self.plans_account(pod) || self.shells[pod].money.synced.is_none() {
            return;
        }
        if self.shells[pod].money.device_account.is_none() {
            return self.make_account(pod);
        }
        if !self.faults_on || self.payments_left == 0 || !self.reconcile(pod) {
            return;
        }
        // As often as keeps pace with the number of payments that are to be made in all.
        let end = self.config.days * DAY;
        let looks = end.saturating_sub(self.heap.now()) / (HOUR / 2)
            * (self.shells.len() / PODS_PER_ACCOUNT + 1) as u64;
        if self.rng.gen_bool((2.0 * self.payments_left as f64 / (looks + 1) as f64).min(1.0)) {
            self.be_paid(pod);
            self.pay(pod);
        }
    }

    /// Makes an account with the pod. The device has to accept the pod's offer.
    fn make_account(&mut self, pod: usize) {
        let Some(Ok(Answer::Offer(offer))) = self.ask(pod, Command::BeginAccount) else { return };
        let mut entropy = [[0; 32]; 2];
        entropy.iter_mut().for_each(|bytes| self.rng.fill_bytes(bytes));
        match DeviceAccount::agree(entropy, &offer) {
            Ok((completion, device_account)) => {
                if let Some(Ok(_)) = self.ask(pod, Command::CompleteAccount(completion)) {
                    self.shells[pod].money.device_account = Some(device_account);
                    self.figures.accounts += 1;
                }
            }
            Err(why) => self.breach(Some(pod), format!("its offer of an account is refused: {why}")),
        }
    }

    /// Whether the pod is as far as its devices have seen it. One that was restored from a backup is behind, and must
    /// not sign before its owner has said so.
    fn reconcile(&mut self, pod: usize) -> bool {
        let Some(Ok(Answer::Status { epoch })) = self.ask(pod, Command::Status) else { return false };
        let seen = self.shells[pod].money.epoch;
        if epoch >= seen {
            self.shells[pod].money.epoch = epoch;
            return true;
        }
        self.figures.reconciled += 1;
        let _ = self.ask(pod, Command::Reconcile { seen });
        false
    }

    /// A new address of an account. The device derives it itself and compares.
    fn address(&mut self, pod: usize) -> Option<String> {
        let account = self.shells[pod].money.device_account.as_ref()?.id();
        let Some(Ok(Answer::Address { index, address })) = self.ask(pod, Command::NewAddress(account)) else {
            return None;
        };
        let device_account = self.shells[pod].money.device_account.as_mut()?;
        if !device_account.is_own(index, &address) {
            self.breach(Some(pod), format!("address {address} is not the account's number {index}"));
            return None;
        }
        Some(address)
    }

    /// Somebody outside pays the account.
    fn be_paid(&mut self, pod: usize) {
        let Some(script) = self.address(pod).and_then(|address| script_of(&address)) else { return };
        let sat = self.rng.gen_range(PAID_IN);
        if self.chain.pay_from_outside(script, sat).is_some() {
            self.figures.paid_in += 1;
            self.spread_to_accounts();
        }
    }

    /// The account pays another one, or somebody outside.
    fn pay(&mut self, pod: usize) {
        let other = self.rng.gen_range(0..self.shells.len()) / PODS_PER_ACCOUNT * PODS_PER_ACCOUNT;
        let to = if other == pod { None } else { self.address(other) };
        let to = to.unwrap_or_else(|| OUTSIDE.to_owned());
        let sat = self.rng.gen_range(PAID_OUT);
        let Some(account) = self.shells[pod].money.device_account.as_ref().map(DeviceAccount::id) else {
            return;
        };
        let draft = self.ask(pod, Command::NewPayment { account, address: to.clone(), sat });
        let Some(Ok(Answer::Payment(payment))) = draft else { return };
        self.approve(pod, &payment, &to, sat);
    }

    /// The device checks the draft and signs it, and the pod completes the payment.
    fn approve(&mut self, pod: usize, payment: &PaymentSeen, to: &str, sat: u64) {
        let (Some(psbt), Some(device_account)) =
            (&payment.psbt, self.shells[pod].money.device_account.as_mut())
        else {
            return;
        };
        let psbt = match device_account.sign(psbt, to, sat) {
            Ok(psbt) => psbt,
            Err(why) => return self.breach(Some(pod), format!("its draft is refused by the device: {why}")),
        };
        let epoch = self.shells[pod].money.epoch;
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

/// An address of nobody here.
const OUTSIDE: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// The script of an address on regtest.
fn script_of(address: &str) -> Option<ScriptBuf> {
    let address: Address<_> = address.parse().ok()?;
    Some(address.require_network(Network::Regtest).ok()?.script_pubkey())
}
