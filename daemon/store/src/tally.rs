//! How many rows a store holds and which, in 48 bytes that each commit renews.
//!
//! Each row as it is sealed has a mark, a keyed hash that nobody without the key can compute; the tally holds the
//! XOR of the marks of all rows. A row taken away, put back from an older day or added from elsewhere changes the
//! XOR, and the tally is sealed. (Marks are secret and each row id occurs once, so rows cannot be chosen to cancel
//! out: the XOR of a keyed hash over a set is a set hash.)

use super::keys::Mark;

/// The sum over all rows, as of the last commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Commits since the store was made.
    pub(super) commits: u64,
    /// Number of rows.
    pub(super) rows: u64,
    marks: Mark,
}

impl Tally {
    /// As many commits, no row yet: for a copy of the store.
    pub(super) fn emptied(&self) -> Self {
        Self { commits: self.commits, ..Self::default() }
    }

    pub(super) fn add(&mut self, mark: &Mark) {
        self.rows += 1;
        self.toggle(mark);
    }

    /// Takes a row out. The count cannot fall below zero: a row that was not counted shows in the marks.
    pub(super) fn remove(&mut self, mark: &Mark) {
        self.rows = self.rows.saturating_sub(1);
        self.toggle(mark);
    }

    fn toggle(&mut self, mark: &Mark) {
        self.marks.iter_mut().zip(mark).for_each(|(sum, byte)| *sum ^= byte);
    }

    /// Whether both count the same rows, whatever the number of commits.
    pub(super) fn same_rows(&self, other: &Self) -> bool {
        self.rows == other.rows && self.marks == other.marks
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&self.commits.to_be_bytes()[..], &self.rows.to_be_bytes(), &self.marks].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (commits, rest) = bytes.split_first_chunk()?;
        let (rows, marks) = rest.split_first_chunk()?;
        Some(Self {
            commits: u64::from_be_bytes(*commits),
            rows: u64::from_be_bytes(*rows),
            marks: marks.try_into().ok()?,
        })
    }
}
