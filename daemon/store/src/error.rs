//! What can go wrong with a store, one enum for each question a caller asks.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{MAX_KEY_LEN, MAX_VALUE_LEN, keys::RowId};

/// What a disk said.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No room left, or a quota or file size limit was reached.
    #[error("the disk is full")]
    Full,
    /// A write failed before; the file takes no more until it is opened again.
    #[error("an earlier write failed, and the file must be opened again")]
    Stopped,
    /// Checksums do not fit.
    #[error("the file is damaged ({0})")]
    Damaged(String),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] io::Error),
}

/// Why there is no new store.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Something lies there.
    #[error("{} exists already, and is not overwritten: move it away, or choose another place", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A row it should hold is too large.
    #[error(transparent)]
    Row(CommitError),
    /// The disk did not take it.
    #[error("cannot create {}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the disk said.
        source: DiskError,
    },
}

/// Why a store does not open. Nothing was changed in any of these cases.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no file.
    #[error("there is no store at {}: create one first (`autonomy pod init` for a pod, `autonomy init` for a device)", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a store of this program", path.display())]
    NotAStore {
        /// Where it lies.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("{} was written by a newer version of this program (format {found}, this one reads up to {known}): update the program", path.display())]
    Newer {
        /// Where it lies.
        path: PathBuf,
        /// Its format version.
        found: u16,
        /// The newest format this program reads.
        known: u16,
    },
    /// Others on this machine may read or write it.
    #[error("{} can be opened by others on this machine: run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// Where it lies.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{} is in use by another process: stop that one first, or ask it (a running pod answers on its socket)", path.display())]
    InUse {
        /// Where it lies.
        path: PathBuf,
    },
    /// A passphrase opens it, and a key file was given.
    #[error("{} is locked with a passphrase, not with a key file", path.display())]
    NeedsPassphrase {
        /// Where it lies.
        path: PathBuf,
    },
    /// A key file opens it, and a passphrase was given.
    #[error("{} is locked with a key file, not with a passphrase", path.display())]
    NeedsKeyFile {
        /// Where it lies.
        path: PathBuf,
    },
    /// Not this passphrase.
    #[error("wrong passphrase for {}", path.display())]
    WrongPassphrase {
        /// Where it lies.
        path: PathBuf,
    },
    /// Not this key file.
    #[error("the key file does not open {}", path.display())]
    WrongKeyFile {
        /// Where it lies.
        path: PathBuf,
    },
    /// The file was altered or cut, by accident or on purpose.
    #[error("{} is damaged: {what}. Nothing was changed; restore it from a backup", path.display())]
    Damaged {
        /// Where it lies.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The operating system refuses.
    #[error("cannot open {}: {source}", path.display())]
    Disk {
        /// Where it lies.
        path: PathBuf,
        /// What the disk said.
        source: DiskError,
    },
}

impl OpenError {
    /// The same of the file that a person named, where a copy of it was opened.
    #[must_use]
    pub fn of(mut self, file: &Path) -> Self {
        match &mut self {
            Self::Missing { path }
            | Self::NotAStore { path }
            | Self::Newer { path, .. }
            | Self::Exposed { path }
            | Self::InUse { path }
            | Self::NeedsPassphrase { path }
            | Self::NeedsKeyFile { path }
            | Self::WrongPassphrase { path }
            | Self::WrongKeyFile { path }
            | Self::Damaged { path, .. }
            | Self::Disk { path, .. } => file.clone_into(path),
        }
        self
    }
}

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// One row is not what was written there.
    #[error("row {row} of {} was altered. Nothing was changed; restore the file from a backup", path.display())]
    Row {
        /// The store.
        path: PathBuf,
        /// First bytes of the row's id, in hex.
        row: String,
    },
    /// Each row is sound, but rows are missing or are of an older day.
    #[error("rows of {} were removed or rolled back to an older state. Nothing was changed; restore the file from a backup", path.display())]
    Rows {
        /// The store.
        path: PathBuf,
    },
    /// The disk cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Disk {
        /// The store.
        path: PathBuf,
        /// What the disk said.
        source: DiskError,
    },
}

/// Why nothing was written. The store is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A programming error: names are short.
    #[error(
        "the name of a row of kind {kind} has {len} bytes, more than {MAX_KEY_LEN}; nothing of this step was kept"
    )]
    LongKey {
        /// First byte of the row's name.
        kind: u8,
        /// Its length in bytes.
        len: usize,
    },
    /// More than fits in a row.
    #[error("a row of kind {kind} has {len} bytes, more than {MAX_VALUE_LEN}; nothing of this step was kept")]
    LargeValue {
        /// First byte of the row's name.
        kind: u8,
        /// The value's length in bytes.
        len: usize,
    },
    /// The tally of rows was altered while the store was open.
    #[error("the tally of {} was altered; nothing of this step was kept. Restore the file from a backup", path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
    },
    /// No room.
    #[error("no room left on the disk of {}: nothing of this step was kept. Free some space, then start again", path.display())]
    DiskFull {
        /// The store.
        path: PathBuf,
    },
    /// The disk fails.
    #[error("cannot write {}: {source}; nothing of this step was kept", path.display())]
    Disk {
        /// The store.
        path: PathBuf,
        /// What the disk said.
        source: DiskError,
    },
}

/// Why there is no backup. Nothing is left at its path.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store itself cannot be read whole.
    #[error("no backup was made: {0}")]
    Read(#[from] ReadError),
    /// The copy cannot be written.
    #[error("no backup was made: {0}")]
    Write(#[from] CreateError),
}

/// Why a store was not written anew. It is as it was, and what opened it opens it still.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// It cannot be read whole.
    #[error("nothing was changed: {0}")]
    Read(#[from] ReadError),
    /// No room for a second copy of it.
    #[error("nothing was changed: no room left on the disk of {} for a second copy of it, which takes its place. Free some space, then try again", path.display())]
    DiskFull {
        /// The store.
        path: PathBuf,
    },
    /// The second copy cannot be written, or cannot take its place.
    #[error("nothing was changed: cannot write {} anew: {source}", path.display())]
    Write {
        /// The store.
        path: PathBuf,
        /// What the disk said.
        source: DiskError,
    },
    /// The new copy has taken its place, and the disk does not say that it stays there.
    #[error("{} was written anew, and the disk does not say that this lasts: {source}. Look which passphrase or key file opens it before you do anything else", path.display())]
    InDoubt {
        /// The store.
        path: PathBuf,
        /// What the disk said.
        source: DiskError,
    },
}

/// What goes wrong inside, before it is known what the caller was doing.
#[derive(Debug)]
pub(super) enum Fault {
    Row(RowId),
    /// The tally does not open, or does not fit the rows.
    Tally,
    Disk(DiskError),
}

impl Fault {
    pub(super) fn reading(self, path: &Path) -> ReadError {
        let path = path.to_owned();
        match self {
            Self::Row(id) => ReadError::Row { path, row: data_encoding::HEXLOWER.encode(&id[..6]) },
            Self::Tally => ReadError::Rows { path },
            Self::Disk(source) => ReadError::Disk { path, source },
        }
    }

    pub(super) fn opening(self, path: &Path) -> OpenError {
        match self {
            Self::Row(_) | Self::Tally => OpenError::damaged(path, "its rows"),
            Self::Disk(source) => OpenError::Disk { path: path.to_owned(), source },
        }
    }

    pub(super) fn renewing(self, path: &Path) -> RenewError {
        let path = path.to_owned();
        match self {
            Self::Row(_) | Self::Tally => RenewError::Read(self.reading(&path)),
            Self::Disk(DiskError::Full) => RenewError::DiskFull { path },
            Self::Disk(source) => RenewError::Write { path, source },
        }
    }

    pub(super) fn committing(self, path: &Path) -> CommitError {
        let path = path.to_owned();
        match self {
            Self::Row(_) | Self::Tally => CommitError::Damaged { path },
            Self::Disk(DiskError::Full) => CommitError::DiskFull { path },
            Self::Disk(source) => CommitError::Disk { path, source },
        }
    }
}

impl OpenError {
    pub(super) fn damaged(path: &Path, what: &str) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_owned() }
    }

    pub(super) fn disk(path: &Path, error: impl Into<redb::Error>) -> Self {
        let path = path.to_owned();
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse { path },
            redb::Error::UpgradeRequired(_) => Self::NotAStore { path },
            other => match DiskError::from(other) {
                DiskError::Damaged(what) => Self::Damaged { path, what },
                DiskError::Other(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing { path },
                // The first bytes are not a database's.
                DiskError::Other(error) if error.kind() == io::ErrorKind::InvalidData => {
                    Self::NotAStore { path }
                }
                source => Self::Disk { path, source },
            },
        }
    }
}

impl CreateError {
    pub(super) fn disk(path: &Path, source: DiskError) -> Self {
        match source {
            DiskError::Other(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::Exists { path: path.to_owned() }
            }
            source => Self::Disk { path: path.to_owned(), source },
        }
    }
}

impl DiskError {
    /// Sorts out a full disk: three error kinds mean that there is no room.
    pub(super) fn io(error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full,
            _ => Self::Other(error),
        }
    }
}

impl From<redb::Error> for DiskError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::io(error),
            redb::Error::PreviousIo => Self::Stopped,
            redb::Error::Corrupted(what) => Self::Damaged(what),
            other => Self::Other(io::Error::other(other.to_string())),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Disk(DiskError::io(error))
    }
}

/// Every error of the database goes the same way.
macro_rules! faults {
    ($($error:ty),+) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Disk(redb::Error::from(error).into())
            }
        }
    )+};
}
faults!(redb::DatabaseError, redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);
faults!(redb::SetDurabilityError);
