//! Which files the next packet has receipts for.
//!
//! A packet names [`MAX_TRANSFERS`] files. Those of which something came since a packet last named them go first, the
//! one that waits longest before the others; then those of which something came last. So no file misses its receipt,
//! however many come at a time.

use std::collections::VecDeque;

use crate::{MAX_TRANSFERS, TransferId};

/// Learnt anew after a start: a chunk that comes again asks for its receipt again.
#[derive(Debug, Default)]
pub(super) struct OwedReceipts {
    /// Files of which something came since a packet named them, the one that waits longest first; each once.
    owed: VecDeque<TransferId>,
    /// Files that were named last, the newest last; each once, at most [`MAX_TRANSFERS`].
    told: VecDeque<TransferId>,
}

impl OwedReceipts {
    /// A chunk of this file is here.
    pub(super) fn owe(&mut self, transfer: TransferId) {
        if !self.owed.contains(&transfer) {
            self.owed.push_back(transfer);
        }
    }

    /// The files that the next packet names.
    pub(super) fn next(&self) -> impl Iterator<Item = TransferId> + '_ {
        let told = self.told.iter().rev().filter(|told| !self.owed.contains(told));
        self.owed.iter().chain(told).copied().take(MAX_TRANSFERS)
    }

    /// Whether no packet had room for some of them yet.
    pub(super) fn are_due(&self) -> bool {
        !self.owed.is_empty()
    }

    /// A packet with receipts for these files was made.
    pub(super) fn left(&mut self, named: impl Iterator<Item = TransferId>) {
        for transfer in named {
            self.owed.retain(|owed| *owed != transfer);
            self.told.retain(|told| *told != transfer);
            self.told.push_back(transfer);
        }
        self.told.drain(..self.told.len().saturating_sub(MAX_TRANSFERS));
    }

    /// The file is gone, or is not taken any more.
    pub(super) fn forget(&mut self, transfer: TransferId) {
        self.owed.retain(|owed| *owed != transfer);
        self.told.retain(|told| *told != transfer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_gets_its_receipt_however_many_come() {
        let mut owed = OwedReceipts::default();
        let all: Vec<TransferId> = (0..10).map(|n| TransferId([n; 16])).collect();
        all.iter().for_each(|transfer| owed.owe(*transfer));
        owed.owe(all[9]);
        let mut named = Vec::new();
        while owed.are_due() {
            let packet: Vec<TransferId> = owed.next().collect();
            named.extend(packet.iter().copied());
            owed.left(packet.into_iter());
        }
        assert_eq!(named[..10], all);
        // The rest of the last packet repeats what was told before.
        assert_eq!(named.len(), 12);
        assert_eq!(owed.next().collect::<Vec<_>>(), [all[6], all[7], all[9], all[8]]);
    }
}
