//! Which of a database's last two commits is opened: the newer one that is whole.
//!
//! The first page of a [`redb`] file has the roots of the last two commits in two slots, and one bit of its tenth byte says
//! which slot counts. A commit in two phases writes
//!
//! ```text
//! pages, slot of the new commit ─ flush ─ the bit ─ flush ─ done
//! ```
//!
//! and redb believes the bit. Where that bit is flipped, by a bad cell or cable, the commit before is opened and the last one
//! forgotten without a word: all checksums are right. The slots tell: the one that counts is then the older of the two. A
//! power cut between the two flushes looks the same, and there the newer commit is on the disk as well, whole, or not.
//! [`NewestCommit`] has redb open the newer one wherever all of its pages fit their checksums, else the older:
//!
//! | what happened | slots | opened |
//! |---|---|---|
//! | all is well, or cut after the bit | the newer counts | the newer; a damaged page is an error |
//! | the bit flipped | the older counts | the newer |
//! | power cut between the flushes | the older counts | the newer: whole, and nobody was told that it failed |
//! | power cut in the first flush, pages missing | the older counts | the older: nobody was told of the newer |
//!
//! Nothing is written for it: what is read of the first page is changed on its way, so that redb takes the slots for those of
//! commits in one phase, and chooses between them. Its next commit, which ends the opening, is in two phases again.
//!
//! See `docs/decisions/0035-which-commit-is-opened.md`.

use std::{fs::File, io, ops::Bound};

use redb::{BackendError, DatabaseError, StorageBackend, backends::FileBackend};

/// First bytes of a database.
const MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];
/// The byte of flags: which slot counts, and whether commits are in two phases.
const FLAGS: usize = MAGIC.len();
const SECOND_SLOT_COUNTS: u8 = 1;
const TWO_PHASES: u8 = 4;
/// Where the numbers of the two commits stand: 104 bytes into each slot.
const NUMBERS: [usize; 2] = [64 + 104, 64 + 128 + 104];

/// A database's file, of which redb opens the newest commit that is whole.
#[derive(Debug)]
pub struct NewestCommit(FileBackend);

impl NewestCommit {
    /// The database in `file`.
    ///
    /// # Errors
    /// As the backend for files.
    pub fn new(file: File) -> Result<Self, DatabaseError> {
        FileBackend::new(file).map(Self)
    }
}

/// Lets redb choose between the slots, where the one that counts is the older.
fn let_choose(first_page: &mut [u8]) {
    let number = |at: usize| {
        let bytes = first_page.get(at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    };
    let (Some(first), Some(second)) = (number(NUMBERS[0]), number(NUMBERS[1])) else { return };
    if !first_page.starts_with(&MAGIC) {
        return;
    }
    let second_counts = first_page[FLAGS] & SECOND_SLOT_COUNTS != 0;
    let older_counts = if second_counts { second < first } else { first < second };
    if older_counts {
        first_page[FLAGS] &= !TWO_PHASES;
    }
}

impl StorageBackend for NewestCommit {
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)?;
        if offset == 0 {
            let_choose(out);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
