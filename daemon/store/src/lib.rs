//! The encrypted database of a pod, and of a device's profile.
//!
//! One [`redb`] file. A row is a name and a value; on disk the name is replaced by a keyed hash of it and the value
//! is sealed, so a stolen file shows how many rows there are, how long they are, and nothing else.
//!
//! ```text
//! passphrase ─ argon2id ┐
//! key file   ─ HKDF ────┴─► wrapping key ─ opens ─► data key ─ HKDF ─► row ids · row seals · tally
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`unlock`] | what opens a store, and where it is looked for |
//! | `header` | the 143 bytes that hold the wrapped data key |
//! | `keys` | ids and seals of rows |
//! | `tally` | how many rows there are and which, so that none can be removed or rolled back unseen |
//! | [`slots`] | which of the last two commits is opened, so that one flipped bit forgets none |
//! | `renewal` | the store written anew under a new data key: without free pages, or for another passphrase |
//! | `error` | what can go wrong, one enum for each question |
//!
//! What it promises: a [`commit`](Store::commit) is on disk whole or not at all; a row that was altered, swapped or
//! taken away is reported, never returned. What it cannot see is a whole file rolled back to an older day: that is the
//! business of the devices, which remember the pod's state epoch.
//!
//! A removed row's ciphertext stays in free pages of the file until they are used again, or until the store is
//! [written anew](Store::renew). Who has an old copy of the file and the passphrase of that day can still open that copy.

mod error;
mod exposed;
mod file;
mod header;
mod keys;
mod renewal;
mod rows;
pub mod slots;
pub mod small_file;
mod tally;
#[cfg(test)]
mod tests;
pub mod unlock;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};
use zeroize::Zeroizing;

use self::{
    error::Fault,
    file::{Choice, Found},
    header::{Header, Wrapping},
    keys::Keys,
    tally::Tally,
};
pub use self::{
    error::{BackupError, CommitError, CreateError, DiskError, OpenError, ReadError, RenewError},
    rows::Rows,
    unlock::{Unlock, UnlockError, UnlockSources},
};

/// Longest name of a row: names are a tag and one or two ids (32 bytes each) or a short text.
pub const MAX_KEY_LEN: usize = 1024;
/// Largest value of a row. The largest known is the ledger of a wallet with 10,000 transactions written as one
/// row, 4.5 MB; three times that, rounded up.
pub const MAX_VALUE_LEN: usize = 16 << 20;

/// The wrapped data key, and the tally.
const HEADER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("header");
const HEADER_WRAP: &str = "wrap";
const HEADER_TALLY: &str = "tally";
/// When the data key was drawn, seconds since 1970 in eight bytes; not there before anybody said.
const HEADER_RENEWED: &str = "renewed";
/// Sealed values by row id.
const ROWS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("rows");

/// An open store. Its methods may be called from any thread; commits happen one after the other.
pub struct Store {
    path: PathBuf,
    /// `None` after [`reopen`](Store::reopen) failed.
    database: Option<Database>,
    keys: Keys,
    wrapping: Wrapping,
    /// When the data key was drawn, seconds since 1970; 0 where nobody said.
    renewed_at: u64,
    /// Commits that this process knows to be on the disk.
    acknowledged: AtomicU64,
}

/// A row's new value, or its removal.
#[derive(Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The row's name, at most [`MAX_KEY_LEN`] bytes.
    pub key: Vec<u8>,
    /// Its value, at most [`MAX_VALUE_LEN`] bytes, wiped when it is dropped; `None` removes the row (and is no error
    /// if there is none).
    pub value: Option<Zeroizing<Vec<u8>>>,
}

impl Store {
    /// Makes a new, empty store, readable by this user only.
    ///
    /// # Errors
    /// Something lies at `path` already (it is never overwritten), or the disk cannot take it.
    pub fn create(path: impl AsRef<Path>, unlock: &Unlock) -> Result<Self, CreateError> {
        Self::create_with(path, unlock, &[])
    }

    /// Makes a new store that holds `rows` from its first moment: there is either no file or a whole one.
    ///
    /// # Errors
    /// As [`create`](Self::create); or a row is too large.
    pub fn create_with(
        path: impl AsRef<Path>,
        unlock: &Unlock,
        rows: &[RowChange],
    ) -> Result<Self, CreateError> {
        let path = path.as_ref();
        rows.iter().try_for_each(RowChange::check).map_err(CreateError::Row)?;
        let data_key = keys::fresh_data_key();
        let keys = Keys::derive(&data_key);
        let wrapping = Wrapping::new(unlock);
        let wrap = wrapping.wrap(&data_key);
        let mut commits = 0;
        let database = file::build(path, |transaction| {
            write_header(transaction, &wrap, &keys.seal_tally(&Tally::default()))?;
            commits = apply(&keys, transaction, rows)?;
            Ok(())
        })?;
        Ok(Self {
            path: path.to_owned(),
            database: Some(database),
            keys,
            wrapping,
            renewed_at: 0,
            acknowledged: commits.into(),
        })
    }

    /// Opens a store, and checks the whole file against its checksums. Where most of the file is free pages, it is written
    /// anew without them; where that fails, it stays as it is.
    ///
    /// # Errors
    /// Each thing that can be wrong with the file, with the key, or with who else has it open.
    pub fn open(path: impl AsRef<Path>, unlock: &Unlock) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let database = file::open(path, Choice::Newest)?;
        let found = file::read_header(path, &database)?;
        let (data_key, wrapping) = Header::parse(&found.wrap)
            .and_then(|header| header.unwrap(unlock))
            .map_err(|why| why.at(path))?;
        let keys = Keys::derive(&data_key);
        let commits = check_tally(path, &keys, &found)?;
        file::remove_leftover(path);
        let mut store = Self {
            path: path.to_owned(),
            database: Some(database),
            keys,
            wrapping,
            renewed_at: found.renewed_at,
            acknowledged: commits.into(),
        };
        store.drop_free_pages()?;
        Ok(store)
    }

    /// Opens the file again, which takes no more after a write failed: then it is as it was after the last commit.
    ///
    /// # Errors
    /// As [`open`](Self::open), and where the file is another store's by now, or lacks a commit that this one had made.
    /// The store then takes and gives nothing until this succeeds.
    pub fn reopen(&mut self) -> Result<(), OpenError> {
        // The lock on the file goes with it.
        self.database = None;
        // Who waits for the commit that failed was told so: a whole one that is not the file's word does not count.
        let database = file::open(&self.path, Choice::AsWritten)?;
        let found = file::read_header(&self.path, &database)?;
        let commits = check_tally(&self.path, &self.keys, &found)?;
        let lacks = self.acknowledged.load(Ordering::Relaxed).saturating_sub(commits);
        if lacks > 0 {
            return Err(OpenError::damaged(&self.path, &format!("its last {lacks} commits are missing")));
        }
        // Where a renewal could not say that its file lasts, this does.
        file::sync_folder(&self.path).map_err(|error| Fault::from(error).opening(&self.path))?;
        self.acknowledged.store(commits, Ordering::Relaxed);
        self.database = Some(database);
        Ok(())
    }

    /// The open database.
    fn database(&self) -> Result<&Database, Fault> {
        self.database.as_ref().ok_or(Fault::Disk(DiskError::Stopped))
    }

    /// Where the store lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All rows, in no order that means anything.
    ///
    /// Every row is checked, and at the end all of them against the tally: only when the iterator has ended without
    /// an error is it known that none is missing and none is of an older day. Collect before acting on them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rows(&self) -> Result<Rows<'_>, ReadError> {
        Rows::start(self).map_err(|fault| fault.reading(&self.path))
    }

    /// One row's value.
    ///
    /// # Errors
    /// The file cannot be read, or the row was altered.
    pub fn read(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, ReadError> {
        let read = || -> Result<_, Fault> {
            let rows = self.database()?.begin_read()?.open_table(ROWS)?;
            let id = self.keys.row_id(key);
            let Some(sealed) = rows.get(id)? else { return Ok(None) };
            let (name, value) = self.keys.open_row(&id, sealed.value()).ok_or(Fault::Row(id))?;
            if name == key { Ok(Some(value)) } else { Err(Fault::Row(id)) }
        };
        read().map_err(|fault| fault.reading(&self.path))
    }

    /// Commits since the store was made. Of two copies of a store the one with more is the later.
    ///
    /// # Errors
    /// The file cannot be read, or its tally was altered.
    pub fn commits(&self) -> Result<u64, ReadError> {
        let read = || -> Result<_, Fault> {
            let header = self.database()?.begin_read()?.open_table(HEADER)?;
            let sealed = header.get(HEADER_TALLY)?;
            let tally = sealed.and_then(|sealed| self.keys.open_tally(sealed.value()));
            Ok(tally.ok_or(Fault::Tally)?.commits)
        };
        read().map_err(|fault| fault.reading(&self.path))
    }

    /// Writes all `changes` or none, in order; returns when they are on disk.
    ///
    /// # Errors
    /// A row is too large, or the disk does not take it; then nothing has changed.
    pub fn commit(&self, changes: &[RowChange]) -> Result<(), CommitError> {
        changes.iter().try_for_each(RowChange::check)?;
        if changes.is_empty() {
            return Ok(());
        }
        let write = || -> Result<(), Fault> {
            let transaction = file::begin_write(self.database()?)?;
            let commits = apply(&self.keys, &transaction, changes)?;
            transaction.commit()?;
            self.acknowledged.fetch_max(commits, Ordering::Relaxed);
            Ok(())
        };
        write().map_err(|fault| fault.committing(&self.path))
    }

    /// Writes a copy of the store as it is now to `path`, which opens with the same passphrase or key file. It holds
    /// the rows whose names `keep` takes, and a tally of them. The store may be in use meanwhile. Every row is
    /// checked on the way, left out or not: a damaged store gives no backup.
    ///
    /// # Errors
    /// Something lies at `path` already, this store is damaged, or the disk cannot take the copy. Then nothing is
    /// left at `path`.
    pub fn backup(&self, path: impl AsRef<Path>, keep: impl Fn(&[u8]) -> bool) -> Result<(), BackupError> {
        let path = path.as_ref();
        let mut rows = self.rows()?;
        let wrap = rows.wrap();
        let mut kept = rows.empty_tally();
        let mut reading = Ok(());
        let built = file::build(path, |transaction| {
            let mut copy = transaction.open_table(ROWS)?;
            while let Some(row) = rows.next_sealed() {
                match row {
                    Ok(row) if keep(&row.name) => {
                        kept.add(&self.keys.mark(&row.id, &row.sealed));
                        copy.insert(row.id, row.sealed.as_slice())?;
                    }
                    Ok(_) => {}
                    Err(error) => {
                        reading = Err(error);
                        return Err(Fault::Tally);
                    }
                }
            }
            write_header(transaction, &wrap, &self.keys.seal_tally(&kept))
        });
        reading?;
        drop(built?);
        Ok(())
    }
}

/// Writes the wrapped data key and the sealed tally.
fn write_header(transaction: &WriteTransaction, wrap: &[u8], tally: &[u8]) -> Result<(), Fault> {
    let mut header = transaction.open_table(HEADER)?;
    header.insert(HEADER_WRAP, wrap)?;
    header.insert(HEADER_TALLY, tally)?;
    Ok(())
}

/// Holds the sealed tally against the number of rows that are there. Gives the number of commits.
///
/// # Errors
/// It is of another store, was altered, or counts other rows.
fn check_tally(path: &Path, keys: &Keys, found: &Found) -> Result<u64, OpenError> {
    let tally = keys.open_tally(&found.tally).ok_or_else(|| OpenError::damaged(path, "its tally of rows"))?;
    if tally.rows != found.rows {
        return Err(OpenError::damaged(path, &format!("{} rows in place of {}", found.rows, tally.rows)));
    }
    Ok(tally.commits)
}

/// Makes `changes` to the rows, and to the tally with them. Gives the number of commits with this one.
fn apply(keys: &Keys, transaction: &WriteTransaction, changes: &[RowChange]) -> Result<u64, Fault> {
    let mut header = transaction.open_table(HEADER)?;
    let mut rows = transaction.open_table(ROWS)?;
    let tally = header.get(HEADER_TALLY)?.and_then(|sealed| keys.open_tally(sealed.value()));
    let mut tally = tally.ok_or(Fault::Tally)?;
    for RowChange { key, value } in changes {
        let id = keys.row_id(key);
        let old = match value {
            Some(value) => {
                let sealed = keys.seal_row(&id, key, value);
                tally.add(&keys.mark(&id, &sealed));
                rows.insert(id, sealed.as_slice())?
            }
            None => rows.remove(id)?,
        };
        if let Some(old) = old {
            tally.remove(&keys.mark(&id, old.value()));
        }
    }
    tally.commits += 1;
    header.insert(HEADER_TALLY, keys.seal_tally(&tally).as_slice())?;
    Ok(tally.commits)
}

impl RowChange {
    /// A row's new value.
    #[must_use]
    pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), value: Some(Zeroizing::new(value.into())) }
    }

    /// A row's removal.
    #[must_use]
    pub fn remove(key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), value: None }
    }

    fn check(&self) -> Result<(), CommitError> {
        let kind = self.key.first().copied().unwrap_or_default();
        let len = self.value.as_ref().map_or(0, |value| value.len());
        if self.key.len() > MAX_KEY_LEN {
            return Err(CommitError::LongKey { kind, len: self.key.len() });
        }
        if len > MAX_VALUE_LEN {
            return Err(CommitError::LargeValue { kind, len });
        }
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for RowChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.key.first();
        let len = self.value.as_ref().map(|value| value.len());
        f.debug_struct("RowChange").field("kind", &kind).field("value_len", &len).finish_non_exhaustive()
    }
}
