//! A store written anew: all rows sealed by a new data key in a new file, which takes the place of the old one.
//!
//! Three things come of it: the file has no free pages; what was removed is gone, because the key that opened its remains in
//! the old file exists nowhere any more; and another passphrase or key file can lock it.
//!
//! | step | on the disk after a power cut | opens it |
//! |---|---|---|
//! | `.pod.redb.anew` is written and synced | the old file; the new one beside it, removed when the store is next opened | the old secret |
//! | it is renamed over `pod.redb` | the old file or the new one, whole | the secret of that file |
//! | the folder is synced | the new file | the new secret |
//! | the old file, which has no name any more, is overwritten with zeros | the new file | the new secret |
//!
//! Both hold the same rows, so it does not matter which of them is found, and exactly one secret opens it.
//!
//! See `docs/decisions/0032-ratchets-on-disk.md`.

use redb::{ReadableDatabase as _, ReadableTableMetadata as _};

use super::{
    HEADER, HEADER_RENEWED, OpenError, ROWS, RenewError, Store, Unlock,
    error::{DiskError, Fault},
    file::{self, Beside},
    header::Wrapping,
    keys::{self, Keys},
    write_header,
};

/// A store is written anew once a day at most, seconds.
const DAY: u64 = 24 * 60 * 60;
/// Bytes that are written anew in a day, so that a large store waits for as many days as it has such parts. Written and
/// erased they are 47 GiB a year, a thousandth of what a small SSD takes in its life.
const BYTES_A_DAY: u64 = 64 << 20;
/// Largest file that is written anew without being asked, bytes. The pod answers nothing meanwhile: with 100 MB/s each to
/// seal, to write and to erase, a gibibyte takes half a minute, every sixteen days.
const MAX_UNASKED: u64 = 1 << 30;
/// Smallest file whose free pages are worth a look, bytes: an empty database has 1.5 MB.
const MIN_LOOKED_AT: u64 = 4 << 20;
/// A file is written anew when it is opened if only one of so many parts is in use. A file that is full is doubled, and the
/// pages of the commit before stay: half in use is usual, and a quarter happens.
const MIN_FREE_PARTS: u64 = 5;

impl Store {
    /// Whether it is time to write the store anew: its data key is a day old for each `BYTES_A_DAY` of the file. A clock
    /// that went back counts as time.
    #[must_use]
    pub fn is_renewal_due(&self, now: u64) -> bool {
        let age = now.abs_diff(self.renewed_at);
        let is_due = |len: u64| len <= MAX_UNASKED && age >= DAY * len.div_ceil(BYTES_A_DAY);
        // A pod asks at each step: the file is looked at only when it may be time.
        age >= DAY && self.path.metadata().is_ok_and(|file| is_due(file.len()))
    }

    /// Writes the store anew under a new data key. The passphrase or key file stays. It needs room for a second copy.
    ///
    /// # Errors
    /// The store cannot be read whole, or the disk does not take it; then it is as it was.
    pub fn renew(&mut self, now: u64) -> Result<(), RenewError> {
        let wrapping = self.wrapping.clone();
        self.write_anew(wrapping, now, MAX_UNASKED)
    }

    /// Locks the store with `new` in place of what opened it: it is written anew, and no copy of the key that the old
    /// secret opens is left in it. Copies that were made before open as before.
    ///
    /// # Errors
    /// As [`renew`](Self::renew).
    pub fn relock(&mut self, new: &Unlock, now: u64) -> Result<(), RenewError> {
        self.write_anew(Wrapping::new(new), now, u64::MAX)
    }

    /// Writes the store anew if most of its file is free pages. That it cannot be done changes nothing.
    ///
    /// # Errors
    /// It was done, and the disk does not say that it lasts.
    pub(super) fn drop_free_pages(&mut self) -> Result<(), OpenError> {
        if !self.is_mostly_free().unwrap_or(false) {
            return Ok(());
        }
        match self.write_anew(self.wrapping.clone(), self.renewed_at, MAX_UNASKED) {
            Err(RenewError::InDoubt { path, source }) => Err(OpenError::Disk { path, source }),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether the file has many times the pages that its rows need. Costs a read of the rows, where it is large.
    fn is_mostly_free(&self) -> Result<bool, Fault> {
        let len = self.path.metadata()?.len();
        if len < MIN_LOOKED_AT {
            return Ok(false);
        }
        let rows = self.database()?.begin_read()?.open_table(ROWS)?.stats()?;
        let used = rows.stored_bytes() + rows.metadata_bytes() + rows.fragmented_bytes();
        Ok(used <= MAX_UNASKED && used < len / MIN_FREE_PARTS)
    }

    /// Puts a new file in the place of the old one, which is erased if it is not larger than `most_erased`.
    fn write_anew(&mut self, wrapping: Wrapping, now: u64, most_erased: u64) -> Result<(), RenewError> {
        let data_key = keys::fresh_data_key();
        let keys = Keys::derive(&data_key);
        let beside = self.build_beside(&keys, &wrapping.wrap(&data_key), now)?;
        let (database, old) = beside.place().map_err(|fault| fault.renewing(&self.path))?;
        // From here the new file counts.
        self.database = Some(database);
        self.keys = keys;
        self.wrapping = wrapping;
        self.renewed_at = now;
        if let Err(error) = file::sync_folder(&self.path) {
            // A commit that a power cut takes back must not be acknowledged.
            self.database = None;
            return Err(RenewError::InDoubt { path: self.path.clone(), source: DiskError::io(error) });
        }
        // Only now: before, a power cut may bring the old file back.
        drop(file::erase(old, most_erased));
        Ok(())
    }

    /// Writes all rows under `keys` beside the store.
    pub(super) fn build_beside(&self, keys: &Keys, wrap: &[u8], now: u64) -> Result<Beside, RenewError> {
        let mut rows = self.rows()?;
        let mut tally = rows.empty_tally();
        let mut reading = Ok(());
        let built = Beside::build(&self.path, |transaction| {
            let mut copy = transaction.open_table(ROWS)?;
            for row in rows.by_ref() {
                let (name, value) = match row {
                    Ok(row) => row,
                    Err(error) => {
                        reading = Err(error);
                        return Err(Fault::Tally);
                    }
                };
                let id = keys.row_id(&name);
                let sealed = keys.seal_row(&id, &name, &value);
                tally.add(&keys.mark(&id, &sealed));
                copy.insert(id, sealed.as_slice())?;
            }
            transaction.open_table(HEADER)?.insert(HEADER_RENEWED, now.to_be_bytes().as_slice())?;
            write_header(transaction, wrap, &keys.seal_tally(&tally))
        });
        reading?;
        built.map_err(|fault| fault.renewing(&self.path))
    }
}
