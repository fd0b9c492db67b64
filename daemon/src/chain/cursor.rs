//! Where one pod stands on the chain, and what it may be given next. It knows no source: headers may come from bitcoind,
//! from a peer, or from a test.
//!
//! ```text
//!            look: holds nothing of ours            look: holds something of ours
//!          ┌───────────── Header ─────────────┐   ┌──────────────── Block ─────────────┐
//!          ▼                                  │   │                                    ▼
//!      Need::Next ────────────────────────────┴───┴── commit(number), watch ◄── Need::Commit
//!          │ at the best block
//!          ▼
//!      Need::Nothing
//! ```
//!
//! What makes it safe: a block is compared only once the pod has said what it watches, and while nothing is under way
//! that may add to it.

use std::{collections::VecDeque, sync::Arc};

use bdk_wallet::{
    bitcoin::{Block, BlockHash},
    chain::BlockId,
};

use autonomy_node::{ChainEvent, ChainPoint, KEPT_POINTS, Watch, Watched};

/// One pod's place on the chain.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The last blocks that were given to the pod, oldest first: as many as the pod itself keeps.
    trail: VecDeque<BlockId>,
    /// What the pod watches; none until it has said so for the first time.
    watched: Option<Watched>,
    /// Deliveries so far.
    delivered: u64,
    /// The last of them that the pod has committed.
    committed: u64,
    /// The last of them that may add to what is watched.
    unsettled: u64,
}

/// What a pod needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It has to say first what it watches: everything, once.
    Watch,
    /// It knows no block: the last ones of the best chain.
    Anchor,
    /// It has to commit first what it was given.
    Commit,
    /// A block that follows one it knows.
    Next,
    /// It is at the best block.
    Nothing,
}

/// Where a block is, by the source's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// In the best chain, with the block that follows it, if one does.
    Best(Option<BlockHash>),
    /// In none, or beside the best chain.
    Stale,
}

/// The highest block that a pod and the best chain share, and the one that comes after it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fork {
    /// Both have it.
    pub(super) base: BlockId,
    /// The next to give; `None` where the base is the best block.
    pub(super) next: Option<BlockHash>,
}

/// A block that was compared with what the pod watches, and is to be given to it.
#[derive(Debug)]
pub(super) struct Found {
    /// To be told to [`Cursor::took`] once the pod has taken it.
    pub(super) place: Place,
    /// For the node.
    pub(super) event: ChainEvent,
}

/// Where a block stands that a pod was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    base: BlockId,
    id: BlockId,
    /// Given whole, since it concerns the pod.
    whole: bool,
}

impl Cursor {
    /// A pod that knows these blocks, oldest first.
    pub(super) fn new(points: &[ChainPoint]) -> Self {
        let mut cursor = Self::default();
        cursor.anchored(points);
        cursor
    }

    /// The pod was given these blocks to begin with.
    pub(super) fn anchored(&mut self, points: &[ChainPoint]) {
        self.trail = points.iter().map(|point| BlockId { height: point.height, hash: point.hash }).collect();
        self.shorten();
    }

    /// The last block that was given to the pod.
    pub(super) fn tip(&self) -> Option<BlockId> {
        self.trail.back().copied()
    }

    /// The height of the oldest block by which a chain can be told from another; none where the pod knows no block but the
    /// first of its network.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.trail.iter().map(|block| block.height).find(|height| *height > 0)
    }

    /// What it needs where the best block is `best`.
    pub(super) fn needs(&self, best: &BlockHash) -> Need {
        match self.tip() {
            _ if self.watched.is_none() => Need::Watch,
            _ if self.committed < self.unsettled => Need::Commit,
            None => Need::Anchor,
            Some(tip) if tip.hash == *best => Need::Nothing,
            Some(_) => Need::Next,
        }
    }

    /// Whether the pod has committed all that it was given, and stands at `best`: only then a transaction that is
    /// missing in the mempool is not merely mined.
    pub(super) fn is_settled_at(&self, best: &BlockHash) -> bool {
        self.needs(best) == Need::Nothing && self.committed == self.delivered
    }

    /// Everything up to this delivery is committed. One that is out of range counts as far as it can be true.
    pub(super) fn commit(&mut self, number: u64) {
        self.committed = number.min(self.delivered).max(self.committed);
    }

    /// The pod watches these too. Gives whether there is anything new among them.
    pub(super) fn watch(&mut self, watch: Watch) -> bool {
        self.watched.get_or_insert_default().take(watch)
    }

    /// What the pod watches; none where it has not said so yet.
    pub(super) fn watched(&self) -> Option<&Watched> {
        self.watched.as_ref()
    }

    /// The number of the next delivery.
    pub(super) fn next_number(&self) -> u64 {
        self.delivered + 1
    }

    /// Something was given that cannot add to what is watched.
    pub(super) fn gave(&mut self) {
        self.delivered += 1;
    }

    /// Something was given that may add to what is watched: nothing is compared before it is committed.
    pub(super) fn gave_unsettling(&mut self) {
        self.gave();
        self.unsettled = self.delivered;
    }

    /// Finds where the best chain leaves the blocks that the pod knows, asking for the newest first. Gives none if they
    /// have no block in common: a source that is on another chain, or reorganised deeper than pods remember.
    ///
    /// All chains of a network share their first block, so that one counts only where the pod knows no other.
    ///
    /// # Errors
    /// As `standing`, when the source cannot tell.
    pub(super) fn fork<E>(
        &self,
        mut standing: impl FnMut(&BlockId) -> Result<Standing, E>,
    ) -> Result<Option<Fork>, E> {
        let tells_nothing = |block: &BlockId| block.height == 0 && self.trail.len() > 1;
        for base in self.trail.iter().rev().filter(|block| !tells_nothing(block)) {
            if let Standing::Best(next) = standing(base)? {
                return Ok(Some(Fork { base: *base, next }));
            }
        }
        Ok(None)
    }

    /// Compares the block that follows `base` with what the pod watches. None where it does not follow it, and while the
    /// pod has to say what it watches or to commit what it was given.
    ///
    /// **Call it with a block that was read before the pod's last orders were**: an address that was given out before
    /// the block was mined is watched then.
    pub(super) fn look(&self, base: BlockId, block: &Arc<Block>) -> Option<Found> {
        let settled = self.committed >= self.unsettled;
        if !settled || block.header.prev_blockhash != base.hash {
            return None;
        }
        let height = base.height.checked_add(1)?;
        let id = BlockId { height, hash: block.block_hash() };
        let event = self.watched.as_ref()?.event(block, height);
        let whole = matches!(event, ChainEvent::Block { .. });
        Some(Found { place: Place { base, id, whole }, event })
    }

    /// The pod was given the block: it stands there now. Those above its parent are gone.
    pub(super) fn took(&mut self, place: Place) {
        if place.whole {
            self.gave_unsettling();
        } else {
            self.gave();
        }
        self.trail.retain(|block| block.height <= place.base.height);
        self.trail.push_back(place.id);
        self.shorten();
    }

    fn shorten(&mut self) {
        let surplus = self.trail.len().saturating_sub(KEPT_POINTS);
        self.trail.drain(..surplus);
    }
}

#[cfg(test)]
mod tests;
