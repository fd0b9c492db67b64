//! How many rows a store holds and which, in 48 bytes that each commit renews.
//!
//! Each row as it is sealed has a mark, a keyed hash that nobody without the key can compute; the tally holds the
//! XOR of the marks of all rows, and their number. A row taken away, rolled back to an older day or added from elsewhere
//! changes one of them, and the tally is sealed.
//!
//! # Construction
//!
//! MSet-XOR-Hash of D. Clarke, S. Devadas, M. van Dijk, B. Gassend and G. E. Suh, *Incremental multiset hash functions
//! and their application to memory integrity checking* (ASIACRYPT 2003), used as that paper uses it: to check memory that
//! somebody else can write to. The paper's hash of a multiset is
//!
//! ```text
//! ( H(0, r) ⊕ H(1, b₁) ⊕ … ⊕ H(1, bₙ),  n,  r )      H keyed and pseudorandom, r a fresh nonce
//! ```
//!
//! and its theorem (*set-collision resistance*): who sees such hashes and does not have the key finds no set S and multiset
//! M ≠ S of one hash. What
//! the theorem asks for, and where it is here:
//!
//! | condition | here |
//! |---|---|
//! | `H` is pseudorandom, its key secret | HMAC-SHA-256 under a key of its own, from the data key by HKDF (`Keys::mark`) |
//! | each element has one encoding | row id (32 bytes), nonce and tag of its seal (24 + 16), lengths fixed |
//! | sums are hidden by a fresh nonce, `H(0, r)` | the tally is sealed by XChaCha20-Poly1305 with a random 24-byte nonce, under another key: of sums and marks nothing is seen at all |
//! | the number of elements is part of the hash | `rows` |
//! | what is hashed honestly is a set | ids are the keys of one table, and the program puts one row under an id |
//!
//! An element names nonce and tag in place of the whole ciphertext. A row counts only after its seal was opened, so
//! another ciphertext with the same nonce and tag would be a forgery of Poly1305: at most 2⁻¹⁰⁶ for each 16 bytes of its
//! length and each try (RFC 8439, section 4). Two sets of rows with one sum have a chance of 2⁻²⁵⁶. That a row that occurs
//! twice cancels itself out, which XOR is known for, does not help: it changes `rows`, and to make up for that two other
//! rows must go, whose marks are secret and differ.
//!
//! A commit adds and takes out marks without reading all rows. What is taken out is the row that lies on the disk: where
//! somebody has changed that row before, its old mark stays in the sum, and no later commit makes the sum right again.
//!
//! # Bounds
//!
//! * The sum is compared when **all** rows are walked ([`Rows`](super::Rows)): at each start of a pod, and for a backup.
//!   [`Store::read`](super::Store::read) checks the seal of one row; that this row is the latest is known since the last
//!   walk, as long as nobody else writes to the file meanwhile (`redb` locks it).
//! * A whole file of an older day is sound in itself. Devices remember the pod's state epoch.
//! * Who has the data key can write any rows with a tally that fits.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(marks: &[Mark]) -> Tally {
        let mut tally = Tally::default();
        marks.iter().for_each(|mark| tally.add(mark));
        tally
    }

    #[test]
    fn a_row_that_stands_twice_cancels_its_mark_and_not_its_count() {
        let (a, b, c) = ([1; 32], [2; 32], [4; 32]);
        assert!(!of(&[a, b, b]).same_rows(&of(&[a])));
        assert!(!of(&[b, b]).same_rows(&of(&[a, c])), "the count alone is not enough");
        assert!(of(&[c, a]).same_rows(&of(&[a, c])), "rows have no order");
    }

    #[test]
    fn a_row_that_was_changed_on_disk_stays_in_the_sum_for_good() {
        let (honest, forged, next) = ([1; 32], [2; 32], [4; 32]);
        let mut tally = of(&[honest]);
        // The program writes the row anew, and takes out the one that it finds there.
        tally.add(&next);
        tally.remove(&forged);
        assert!(!tally.same_rows(&of(&[next])));
    }

    proptest! {
        #[test]
        fn the_order_of_additions_and_removals_does_not_matter(
            kept in prop::collection::vec(any::<Mark>(), 0..20),
            gone in prop::collection::vec(any::<Mark>(), 0..20),
        ) {
            let mut tally = of(&gone);
            kept.iter().for_each(|mark| tally.add(mark));
            gone.iter().for_each(|mark| tally.remove(mark));
            prop_assert!(tally.same_rows(&of(&kept)));
        }

        #[test]
        fn a_tally_reads_back_and_no_other_length_does(commits: u64, rows: u64, marks: Mark, cut in 0_usize..48) {
            let tally = Tally { commits, rows, marks };
            let bytes = tally.to_bytes();
            prop_assert_eq!(Tally::from_bytes(&bytes), Some(tally));
            prop_assert_eq!(Tally::from_bytes(&bytes[..cut]), None);
            prop_assert_eq!(Tally::from_bytes(&[&bytes[..], &[0]].concat()), None);
        }
    }
}
