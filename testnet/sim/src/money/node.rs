//! The bitcoind of a pod, and the pod's chain source: what it tells of the chain and its mempool, takes and refuses.
//!
//! All of them are on one chain and share its mempool. One may have lost blocks, and one may have dropped transactions that
//! miners still have, and refuse them from now on.

use std::collections::BTreeSet;

use autonomy_node::BURIED;
use autonomy_wallet::bitcoin::{Transaction, Txid};
use rand::Rng;

use crate::chain::Verdict;
use crate::config::SECOND;
use crate::heap::Millis;
use crate::pod::{ChainNews, Input, MAX_ANCHOR};
use crate::world::{Event, World};

/// How long a pod's chain source takes to look, at most.
const NEWS: Millis = 60 * SECOND;
/// What a bitcoind says of a transaction that its own policy does not take: other nodes may.
const POLICY: [&str; 6] = [
    "mempool min fee not met, 226 < 1234",
    "min relay fee not met, 226 < 452",
    "dust",
    "scriptpubkey",
    "tx-size",
    "too-long-mempool-chain, too many unconfirmed ancestors",
];

/// The bitcoind of a pod, where it differs from others.
#[derive(Debug, Default)]
pub(super) struct OwnNode {
    /// Transactions of the mempool that this one has dropped.
    pub(super) hidden: BTreeSet<Txid>,
    /// It refuses what is handed in, up to this moment.
    pub(super) refuses_until: Millis,
    /// It lacks so many of the last blocks, up to this moment.
    pub(super) lost: (u32, Millis),
}

impl World {
    /// The chain sources of these pods are about to look.
    pub(super) fn spread(&mut self, wants: impl Fn(usize) -> bool) {
        for pod in 0..self.shells.len() {
            if wants(pod) {
                self.send_news(pod);
            }
        }
    }

    /// The chain source of a pod is about to look, unless it is already.
    pub(crate) fn send_news(&mut self, pod: usize) {
        let has_money = self.has_money();
        let shell = &mut self.shells[pod];
        if has_money && shell.pod.is_running() && !shell.money.coming {
            shell.money.coming = true;
            let launch = shell.launch;
            let after = self.rng.gen_range(SECOND..NEWS);
            self.heap.after(after, Event::News { pod, launch });
        }
    }

    /// The height of a pod's bitcoind.
    fn node_height(&self, pod: usize) -> u32 {
        let (blocks, until) = self.shells[pod].money.node.lost;
        let lost = if self.heap.now() < until { blocks } else { 0 };
        self.chain.height().saturating_sub(lost)
    }

    /// A pod's chain source looks: at blocks first, then at the mempool, as the daemon's does. Of a bitcoind that has fewer
    /// blocks than the pod it tells nothing.
    pub(crate) fn follow(&mut self, pod: usize) {
        self.shells[pod].money.coming = false;
        let tip = self.node_height(pod);
        let Some(mut height) = self.fork(pod).filter(|known| *known <= tip) else { return };
        while height < tip {
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
        if height == self.chain.height() {
            self.check_payments(pod);
        }
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
        let visible = |transaction: &&Transaction| !money.node.hidden.contains(&transaction.compute_txid());
        let mempool = || self.chain.mempool().iter().filter(visible);
        let present: BTreeSet<Txid> = mempool().map(Transaction::compute_txid).collect();
        let new = |transaction: &&Transaction| {
            money.watched.concerns(transaction) && !money.told.contains(&transaction.compute_txid())
        };
        let seen: Vec<Transaction> = mempool().filter(new).cloned().collect();
        let evicted = money.watched.missing(|txid| present.contains(txid));
        let money = &mut self.shells[pod].money;
        money.told.retain(|txid| present.contains(txid));
        money.told.extend(seen.iter().map(Transaction::compute_txid));
        money.accepted.extend(seen.iter().map(Transaction::compute_txid));
        if !seen.is_empty() || !evicted.is_empty() {
            self.give(pod, ChainNews::Mempool { seen, evicted });
        }
    }

    /// A pod broadcasts a transaction. A coin that it signs away once it must not sign away by another transaction, as long
    /// as the first may be mined: whoever has both could choose between them. Nor may it spend the change of a payment that no
    /// node ever took. Its chain source takes some seconds.
    pub(crate) fn broadcast(&mut self, pod: usize, txid: Txid, transaction: Box<Transaction>) {
        self.chain.remember(&transaction);
        for coin in transaction.input.iter().map(|input| input.previous_output) {
            let money = &mut self.shells[pod].money;
            let before = money.signed.insert(coin, txid).unwrap_or(txid);
            let own = money.signed.values().any(|signed| *signed == coin.txid);
            let taken = money.accepted.contains(&coin.txid) || self.chain.height_of(&coin.txid).is_some();
            if before != txid && !self.chain.is_dead(&before, BURIED) && !money.ended.contains(&before) {
                self.breach(Some(pod), format!("it signed a coin away twice, first by {before}"));
            }
            if own && !taken {
                self.breach(Some(pod), "it spends the change of a payment that no node took".into());
            }
        }
        let launch = self.shells[pod].launch;
        let after = self.rng.gen_range(SECOND..10 * SECOND);
        self.heap.after(after, Event::Sent { pod, launch, transaction });
    }

    /// A transaction arrives at a pod's bitcoind, which says what becomes of it.
    pub(crate) fn sent(&mut self, pod: usize, transaction: &Transaction) {
        let txid = transaction.compute_txid();
        let verdict = self.hand_in(pod, transaction);
        let accepted = verdict == Verdict::Accepted;
        if accepted {
            self.shells[pod].money.accepted.insert(txid);
        }
        self.give(pod, Input::Broadcast(txid, verdict));
        if accepted {
            self.spread_to_accounts();
        }
    }

    /// A pod's bitcoind has what it has, whatever it refuses now.
    fn hand_in(&mut self, pod: usize, transaction: &Transaction) -> Verdict {
        let txid = transaction.compute_txid();
        let node = &mut self.shells[pod].money.node;
        let has = self.chain.height_of(&txid).is_some()
            || (self.chain.is_waiting(&txid) && !node.hidden.contains(&txid));
        if has {
            return Verdict::Accepted;
        }
        if self.heap.now() < node.refuses_until {
            return Verdict::Refused(POLICY[self.rng.gen_range(0..POLICY.len())]);
        }
        node.hidden.remove(&txid);
        self.chain.submit(transaction)
    }

    /// The chain sources of all pods with accounts are about to look.
    pub(super) fn spread_to_accounts(&mut self) {
        for pod in 0..self.shells.len() {
            if self.plans_account(pod) {
                self.send_news(pod);
            }
        }
    }
}
