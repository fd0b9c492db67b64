//! One pod as its follower knows it: its position, what was delivered to it, and whether it can take more.

use std::{collections::BTreeSet, time::Instant};

use bdk_wallet::bitcoin::{BlockHash, Network, Transaction, Txid};

use super::{
    Deliver, Delivered, Delivery, PodCursor,
    cursor::{Cursor, Found, Need},
    mempool::{Mempool, Seen},
    orders::Orders,
};
use autonomy_node::{ChainEvent, ChainPoint, FeeFloor, Input, SourceState};

/// Transactions given at most in one event. The inbox of a pod holds 64 events: at 400 kB, the largest transaction that is
/// relayed, these are 80 MB an event at the very worst, and 40 kB for payments of 200 bytes. Pods that are given the same
/// event share them.
pub(super) const MEMPOOL_BATCH: usize = 200;

/// A pod that is served.
pub(super) struct Served {
    /// The network of its accounts.
    pub(super) network: Network,
    /// Where it stands, and what it watches.
    pub(super) cursor: Cursor,
    /// The way to its driver.
    deliver: Deliver,
    /// The last state that was delivered, so that only changes are.
    told: Option<SourceState>,
    /// Transactions of the mempool it was given, as long as they are there: one that leaves and comes back is given again.
    heard: BTreeSet<Txid>,
    /// The mempool may hold something for it that passed by: it joined, watches more, or could not listen.
    search_due: bool,
    /// It does not have the latest fee estimates.
    fees_due: bool,
    /// It was told estimates that it may still go by.
    has_fees: bool,
    /// The fee floor that it was told last.
    floor: Option<FeeFloor>,
    /// It is left alone until then: it has no room, or the source lacks something it needs.
    held_until: Option<Instant>,
    /// It has ended, or its link is dropped.
    pub(super) gone: bool,
}

impl Served {
    /// A pod that has just joined: everything is still to be told to it.
    pub(super) fn new(pod: PodCursor) -> Self {
        let PodCursor { network, points, deliver } = pod;
        Self {
            network,
            cursor: Cursor::new(&points),
            deliver,
            told: None,
            heard: BTreeSet::new(),
            search_due: true,
            fees_due: true,
            has_fees: false,
            floor: None,
            held_until: None,
            gone: false,
        }
    }

    /// Takes in what the pod wants. Gives the transactions to send for it.
    ///
    /// What it watches is taken in before what it has committed: a number is confirmed only after everything it added was
    /// said, and both may lie in the same orders.
    pub(super) fn obey(&mut self, orders: Orders) -> Vec<(Txid, Box<Transaction>)> {
        for watch in orders.watch {
            self.search_due |= self.cursor.watch(watch);
        }
        if let Some(number) = orders.committed {
            self.cursor.commit(number);
        }
        self.gone |= orders.left;
        orders.broadcasts
    }

    /// Why nothing may be sent for this pod now; none where it is followed: on the right chain, and at its last block.
    pub(super) fn unfollowed(&self) -> Option<String> {
        match &self.told {
            Some(SourceState::Synced(_)) => None,
            Some(SourceState::Away(why)) => Some(why.clone()),
            Some(SourceState::Syncing(height)) => Some(format!("bitcoind is reading blocks up to {height}")),
            None => Some("bitcoind was not asked yet".into()),
        }
    }

    /// Leaves the pod alone until then.
    pub(super) fn hold(&mut self, until: Instant) {
        self.held_until = Some(until);
    }

    /// Ends [`Served::hold`].
    pub(super) fn release(&mut self) {
        self.held_until = None;
    }

    /// Until when the pod is left alone, if it is.
    pub(super) fn held(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| *until > now)
    }

    /// Delivers the state of the source, unless it is the one delivered last. Tried again the next time where there was no room.
    pub(super) fn tell(&mut self, state: SourceState) -> Delivered {
        if self.told.as_ref() == Some(&state) {
            return Delivered::Taken;
        }
        let delivered = self.give(Input::Chain(ChainEvent::Source(state.clone())));
        if delivered == Delivered::Taken {
            self.told = Some(state);
        }
        delivered
    }

    /// Gives the blocks to begin with: the pod knows them from now on, and blocks that follow them can be given at once,
    /// since it works on deliveries in their order.
    pub(super) fn give_anchor(&mut self, points: Vec<ChainPoint>) -> Delivered {
        let delivered = self.give(Input::Chain(ChainEvent::Anchor(points.clone())));
        if delivered == Delivered::Taken {
            self.cursor.anchored(&points);
        }
        delivered
    }

    /// Gives a block that was compared. The pod stands there only if it has taken it.
    pub(super) fn give_block(&mut self, found: Found) -> Delivered {
        let delivered = self.hand(Input::Chain(found.event));
        if delivered == Delivered::Taken {
            self.cursor.took(found.place);
        }
        delivered
    }

    /// Gives something that cannot add to what is watched.
    pub(super) fn give(&mut self, input: Input) -> Delivered {
        let delivered = self.hand(input);
        if delivered == Delivered::Taken {
            self.cursor.gave();
        }
        delivered
    }

    /// The number counts only if the delivery is taken.
    fn hand(&mut self, input: Input) -> Delivered {
        let delivered = (self.deliver)(Delivery { number: self.cursor.next_number(), input });
        self.gone |= delivered == Delivered::Gone;
        delivered
    }
}

// The mempool and fees.
impl Served {
    /// Whether it may hear of the mempool: it has all blocks, and has committed what may add to what it watches.
    pub(super) fn listens(&self, best: &BlockHash) -> bool {
        !self.gone && self.cursor.needs(best) == Need::Nothing
    }

    /// Whether the whole mempool is to be searched for it.
    pub(super) fn is_search_due(&self) -> bool {
        self.search_due
    }

    /// Transactions have passed by while it could not hear of them.
    pub(super) fn missed(&mut self) {
        self.search_due = true;
    }

    /// Transactions of the mempool that may concern the pod and were not given to it: at most a batch. The rest is due
    /// another time.
    pub(super) fn search(&self, mempool: &Mempool) -> Vec<Txid> {
        let Some(watched) = self.cursor.watched() else { return Vec::new() };
        let mut found = mempool.search(watched, |txid| self.heard.contains(txid));
        found.truncate(MEMPOOL_BATCH);
        found
    }

    /// Gives those of these transactions that concern the pod. `all` says that there is no other in the mempool.
    pub(super) fn hear(&mut self, transactions: &[Seen], all: bool) -> Delivered {
        let Some(watched) = self.cursor.watched() else { return Delivered::Taken };
        let concerns =
            |seen: &&Seen| watched.concerns(&seen.0) && !self.heard.contains(&seen.0.compute_txid());
        let seen: Vec<Seen> = transactions.iter().filter(concerns).cloned().collect();
        if seen.is_empty() {
            self.search_due &= !all;
            return Delivered::Taken;
        }
        let txids: Vec<Txid> = seen.iter().map(|(transaction, _)| transaction.compute_txid()).collect();
        let delivered = self.hand(Input::Chain(ChainEvent::Mempool { seen, evicted: Vec::new() }));
        if delivered == Delivered::Taken {
            self.cursor.gave_unsettling();
            self.heard.extend(txids);
            self.search_due &= !all;
        } else {
            self.search_due = true;
        }
        delivered
    }

    /// Tells which of its own transactions have left the mempool, now that it was listed. Only a pod that has committed
    /// the very best block is delivered: for any other a transaction that was mined would look like one that was dropped.
    pub(super) fn tell_evicted(&mut self, mempool: &Mempool) {
        self.heard.retain(|txid| mempool.has(txid));
        if !mempool.listed_at().is_some_and(|best| self.cursor.is_settled_at(&best)) {
            return;
        }
        let evicted = self.cursor.watched().map(|watched| watched.missing(|txid| mempool.has(txid)));
        if let Some(evicted) = evicted.filter(|evicted| !evicted.is_empty()) {
            // Sent again with the next list if there is no room now.
            self.give(Input::Chain(ChainEvent::Mempool { seen: Vec::new(), evicted }));
        }
    }

    /// There are other fee estimates than before.
    pub(super) fn fees_changed(&mut self) {
        self.fees_due = true;
    }

    /// Tells the fee estimates, if the pod does not have them; also that there are none any more.
    pub(super) fn tell_fees(&mut self, fees: &[(u16, f64)]) {
        if self.fees_due && (self.has_fees || !fees.is_empty()) {
            let delivered = self.give(Input::Chain(ChainEvent::Fees(fees.to_vec())));
            self.fees_due = delivered == Delivered::Full;
            self.has_fees |= !self.fees_due && !fees.is_empty();
        }
    }

    /// Tells the least rate that is taken, if the pod was told another one.
    pub(super) fn tell_floor(&mut self, floor: Option<FeeFloor>) {
        if let Some(floor) = floor.filter(|floor| self.floor != Some(*floor)) {
            let delivered = self.give(Input::Chain(ChainEvent::FeeFloor(floor)));
            if delivered == Delivered::Taken {
                self.floor = Some(floor);
            }
        }
    }
}
