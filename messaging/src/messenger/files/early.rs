//! Chunks that came before the offer of their file: kept until the offer is here.
//!
//! An offer is a message, and its chunks travel in frames of their own, over other connections and other places: so
//! either may come first. Were such chunks dropped, their sender would take them for safe, since a place accepted
//! their frames, and send them again only after a minute. They are no receipt's business before the offer is here: a
//! file that is not taken after all leaves nothing behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FileOutcome, Files};
use crate::{
    ChunkVerdict, Incoming, MAX_EARLY_CHUNKS, TransferId,
    messenger::{
        context::Context,
        ids::ContactId,
        refusals::RefusalReason,
        row::{Kept, Key},
        states::Timestamp,
    },
    packet::Chunk,
};

/// Files of one contact of which chunks are kept without an offer: each has a row.
const MAX_EARLY_FILES: usize = 16;
/// An offer that is not here a day after a chunk of its file does not come: every place had it again meanwhile. The
/// sender gets a cancellation.
const EARLY_FOR: Timestamp = 24 * 60 * 60;

/// Chunks of one file that came before its offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::messenger) struct EarlyChunks {
    /// When the first came.
    since: Timestamp,
    /// Their numbers, and how many bytes each has.
    lengths: BTreeMap<u32, u32>,
}

impl Kept for EarlyChunks {}

impl Files {
    /// Chunks that wait for an offer, from their row.
    pub(in crate::messenger) fn restore_early(&mut self, transfer: TransferId, early: EarlyChunks) {
        self.early.insert(transfer, early);
    }

    /// Keeps a chunk whose file was not offered yet. One beyond the bound is not kept, and comes again: only a sender
    /// that ignores [`MAX_EARLY_CHUNKS`] sends it.
    pub(super) fn keep_early(&mut self, cx: &mut Context<'_>, id: ContactId, chunk: &Chunk) {
        let Chunk { transfer, index, bytes } = chunk;
        let kept: usize = self.early.values().map(|early| early.lengths.len()).sum();
        let known = self.early.get(transfer);
        if known.is_some_and(|early| early.lengths.contains_key(index)) {
            return cx.refuse(RefusalReason::Repeat);
        }
        if kept >= MAX_EARLY_CHUNKS || known.is_none() && self.early.len() >= MAX_EARLY_FILES {
            return cx.refuse(RefusalReason::Unoffered);
        }
        let new = || EarlyChunks { since: cx.now, lengths: BTreeMap::new() };
        let early = self.early.entry(*transfer).or_insert_with(new);
        early.lengths.insert(*index, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        cx.put(Key::Chunk(id, *transfer, *index), bytes);
        cx.put(Key::Early(id, *transfer), early);
    }

    /// The offer of a file is here: chunks of it that were kept are taken. Says whether there were any.
    pub(super) fn take_early(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        transfer: TransferId,
        incoming: &mut Incoming,
    ) -> bool {
        let Some(early) = self.early.remove(&transfer) else { return false };
        cx.remove(Key::Early(id, transfer));
        for (index, len) in early.lengths {
            if !matches!(incoming.accept(index, len as usize), ChunkVerdict::New { .. }) {
                cx.refuse(RefusalReason::Malformed);
                cx.remove(Key::Chunk(id, transfer, index));
            }
        }
        true
    }

    /// The file is not taken: what was kept of it goes.
    pub(super) fn drop_early(&mut self, cx: &mut Context<'_>, id: ContactId, transfer: TransferId) {
        let Some(early) = self.early.remove(&transfer) else { return };
        early.lengths.into_keys().for_each(|index| cx.remove(Key::Chunk(id, transfer, index)));
        cx.remove(Key::Early(id, transfer));
    }

    /// Gives up one file whose offer did not come, if there is one.
    pub(super) fn expire_early(&mut self, cx: &mut Context<'_>, id: ContactId) -> FileOutcome {
        if !cx.clock_is_right {
            return FileOutcome::default();
        }
        let over = self.early.iter().find(|(_, early)| cx.now >= early.since.saturating_add(EARLY_FOR));
        let Some(transfer) = over.map(|(transfer, _)| *transfer) else { return FileOutcome::default() };
        self.drop_early(cx, id, transfer);
        FileOutcome::decline(transfer)
    }

    /// When the next file is given up whose offer does not come.
    pub(super) fn next_early(&self) -> Option<Timestamp> {
        self.early.values().map(|early| early.since.saturating_add(EARLY_FOR)).min()
    }

    /// Removes the rows of all that is kept without an offer.
    pub(super) fn remove_all_early(&self, cx: &mut Context<'_>, id: ContactId) {
        for (transfer, early) in &self.early {
            early.lengths.keys().for_each(|index| cx.remove(Key::Chunk(id, *transfer, *index)));
            cx.remove(Key::Early(id, *transfer));
        }
    }
}
