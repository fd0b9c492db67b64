//! Large rows that are read when they are needed, in place of being held in memory.
//!
//! Entries of conversations, parts, chunks and the ratchet's pages are megabytes for a busy pod, and each input needs
//! a few of them. The messenger asks for them by key while it works on an input, and never writes through this view:
//! what changes leaves as rows of the step.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// A view of rows as they are now: those of the steps before this one, whether or not they are on disk yet.
///
/// A pure reader: the same key gives the same value for as long as one input is worked on. A row that cannot be read
/// for a fault of the disk is given as none; whoever owns the disk notices the fault and commits nothing of the step.
pub trait Rows {
    /// The value under an encoded row key; `None` if there is none. It may hold a secret, and is wiped when dropped.
    fn get(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>>;
}

/// Where there is nothing to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRows;

impl Rows for NoRows {
    fn get(&self, _: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        None
    }
}

/// Rows in memory, as tests and the simulator keep them.
impl Rows for BTreeMap<Vec<u8>, Vec<u8>> {
    fn get(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        Self::get(self, key).cloned().map(Zeroizing::new)
    }
}
