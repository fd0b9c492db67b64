//! The relay's file: its tables, its reads, and how its errors are told apart.
//!
//! The file is trusted when it is opened, since checking it would read all of it. Its pages have
//! checksums, and whatever does not fit later ends the relay: see [`Fault::Damaged`]. Users lose
//! nothing by that, because senders keep what was not acknowledged.

use std::{
    fs::OpenOptions,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use autonomy_messaging::{
    frame::{BLOB_LEN, Blob},
    place::QueueId,
    queue::{QUEUE_RECORD_LEN, QueueRecord},
    wire::QueueNotice,
};
use rand_core::{OsRng, RngCore as _};
use redb::{
    Builder, Database, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition, WriteTransaction,
};

/// Pages kept in memory. The upper pages of a million queues' tables (some 300 MB on disk) are a
/// few megabytes; the rest holds what is written and read at the moment.
const CACHE_BYTES: usize = 96 << 20;
/// Bytes of a queue's value: its record, and when it is looked at next (8).
pub(super) const VALUE_LEN: usize = QUEUE_RECORD_LEN + 8;
/// Bytes of a frame's key: queue (32) and number (8).
pub(super) const FRAME_KEY_LEN: usize = 40;
/// The format of the file, in its table `meta`.
const VERSION: &[u8] = b"autonomy relay 1";

/// The format, and the secret for challenges.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Records by queue.
pub(super) const QUEUES: TableDefinition<'_, [u8; 32], &[u8; VALUE_LEN]> = TableDefinition::new("queues");
/// Frames by queue and number. With its key and the page's header a blob just fits four pages.
pub(super) const FRAMES: TableDefinition<'_, [u8; FRAME_KEY_LEN], &[u8; BLOB_LEN]> =
    TableDefinition::new("frames");
/// Notices by queue.
pub(super) const NOTICES: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("notices");
/// When each queue is looked at next: time and queue. Exactly one entry for each queue.
pub(super) const DUE: TableDefinition<'_, [u8; FRAME_KEY_LEN], ()> = TableDefinition::new("due");

/// Why a relay's file does not open.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Another process has it open.
    #[error("{} is in use by another process: stop that one first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else, or of another format.
    #[error("{} is not a relay's file of this version of the program", path.display())]
    NotARelay {
        /// The file.
        path: PathBuf,
    },
    /// The file was truncated or altered.
    #[error(
        "{} is damaged: {what}. What lay in it is lost to this relay, not to its users, who send again what was not \
         collected: move the file away and start the relay again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The operating system refuses.
    #[error("cannot open {}: {why}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// What went wrong while the relay runs.
#[derive(Debug)]
pub(super) enum Fault {
    /// The disk has no room. The file must be opened again.
    Full,
    /// The content breaks the format. The relay ends.
    Damaged(String),
    /// The disk failed otherwise. The file must be opened again.
    Disk(String),
}

/// The open file.
pub(super) struct RelayDb {
    /// Where it lies.
    path: PathBuf,
    /// `None` while the file is reopened, and after that failed.
    database: RwLock<Option<Arc<Database>>>,
}

impl RelayDb {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// [`RelayError`].
    pub(super) fn open(path: &Path) -> Result<Self, RelayError> {
        let database = open(path)?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(Arc::new(database))) })
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the file and opens it again, which redb demands after a failed write. Waits for reads
    /// under way.
    ///
    /// # Errors
    /// The file does not open; it then stays closed and every read fails.
    pub(super) fn reopen(&self) -> Result<(), RelayError> {
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let mut old = place.take();
        // Readers hold it for the length of one read.
        while let Some(database) = old.take() {
            if let Err(in_use) = Arc::try_unwrap(database) {
                old = Some(in_use);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        *place = Some(Arc::new(open(&self.path)?));
        Ok(())
    }

    /// A transaction that is durable when it is committed, and after which the file opens quickly
    /// even after a crash.
    ///
    /// # Errors
    /// The file is closed or the disk fails.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, Fault> {
        let mut transaction = self.database()?.begin_write()?;
        transaction.set_durability(redb::Durability::Immediate)?;
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    /// The secret from which challenges for proof of work are made. It is drawn with the file.
    ///
    /// # Errors
    /// It cannot be read or is missing.
    pub(super) fn secret(&self) -> Result<[u8; 32], RelayError> {
        let read = || -> Result<Option<[u8; 32]>, Fault> {
            let meta = self.database()?.begin_read()?.open_table(META)?;
            Ok(meta.get("secret")?.and_then(|secret| secret.value().try_into().ok()))
        };
        let damaged = |what: String| RelayError::Damaged { path: self.path.clone(), what };
        read()
            .map_err(|fault| damaged(format!("{fault:?}")))?
            .ok_or_else(|| damaged("its secret is missing".into()))
    }

    /// A queue's record.
    pub(super) fn record(&self, queue: &QueueId) -> Result<Option<QueueRecord>, Fault> {
        let queues = self.database()?.begin_read()?.open_table(QUEUES)?;
        let value = queues.get(*queue.as_bytes())?;
        value.map(|value| parse(value.value()).map(|(record, _)| record)).transpose()
    }

    /// A queue's notice.
    pub(super) fn notice(&self, queue: &QueueId) -> Result<Option<QueueNotice>, Fault> {
        let notices = self.database()?.begin_read()?.open_table(NOTICES)?;
        let value = notices.get(*queue.as_bytes())?;
        Ok(value.and_then(|value| QueueNotice::new(value.value().to_vec())))
    }

    /// At most `most` frames of a queue, from the number `from` on.
    pub(super) fn frames(&self, queue: &QueueId, from: u64, most: usize) -> Result<Vec<(u64, Blob)>, Fault> {
        let frames = self.database()?.begin_read()?.open_table(FRAMES)?;
        let mut found = Vec::new();
        for frame in frames.range(frame_key(queue, from)..=frame_key(queue, u64::MAX))?.take(most) {
            let (key, blob) = frame?;
            let blob = Blob::from_slice(blob.value()).ok_or_else(|| Fault::Damaged("a frame".into()))?;
            found.push((number_of(&key.value()), blob));
        }
        Ok(found)
    }

    /// Numbers of queues and frames.
    pub(super) fn counts(&self) -> Result<(u64, u64), Fault> {
        let transaction = self.database()?.begin_read()?;
        Ok((transaction.open_table(QUEUES)?.len()?, transaction.open_table(FRAMES)?.len()?))
    }

    /// The database, unless it is closed.
    fn database(&self) -> Result<Arc<Database>, Fault> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.clone().ok_or_else(|| Fault::Disk("the file is closed".into()))
    }
}

/// Opens the file, or creates it with mode 0600. redb may panic on a file that is damaged; that
/// becomes an error too.
fn open(path: &Path) -> Result<Database, RelayError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = OpenOptions::new().create_new(true).read(true).write(true).mode(0o600).open(path);
    match made {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(RelayError::system(path, &error)),
    }
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(path)?;
        prepare(&database)?;
        Ok::<_, redb::Error>(database)
    }));
    match opened {
        Ok(opened) => opened.map_err(|error| RelayError::of(path, error)),
        Err(_) => {
            Err(RelayError::Damaged { path: path.to_owned(), what: "its pages do not fit together".into() })
        }
    }
}

/// Creates the tables of a new file, and checks that an existing one is a relay's.
fn prepare(database: &Database) -> Result<(), redb::Error> {
    let read = database.begin_read()?;
    if read.list_tables()?.next().is_some() {
        let meta = read.open_table(META)?;
        let version = meta.get("version")?;
        if version.is_none_or(|version| version.value() != VERSION) {
            return Err(redb::Error::TableDoesNotExist("version".into()));
        }
        read.open_table(QUEUES)?;
        read.open_table(FRAMES)?;
        read.open_table(NOTICES)?;
        read.open_table(DUE)?;
        return Ok(());
    }
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    let mut secret = [0; 32];
    OsRng.fill_bytes(&mut secret);
    let mut meta = write.open_table(META)?;
    meta.insert("version", VERSION)?;
    meta.insert("secret", secret.as_slice())?;
    drop(meta);
    write.open_table(QUEUES)?;
    write.open_table(FRAMES)?;
    write.open_table(NOTICES)?;
    write.open_table(DUE)?;
    write.commit()?;
    Ok(())
}

/// A queue's record, and when it is looked at next, from the bytes of its value.
///
/// # Errors
/// The bytes break the format.
pub(super) fn parse(value: &[u8; VALUE_LEN]) -> Result<(QueueRecord, u64), Fault> {
    let (record, due) = value.split_at(QUEUE_RECORD_LEN);
    let due = due.try_into().map(u64::from_be_bytes).map_err(|_| Fault::Damaged("a queue".into()))?;
    QueueRecord::from_bytes(record)
        .map(|record| (record, due))
        .ok_or_else(|| Fault::Damaged("a queue".into()))
}

/// The bytes that [`parse`] reads.
pub(super) fn value(record: &QueueRecord, due: u64) -> [u8; VALUE_LEN] {
    let mut value = [0; VALUE_LEN];
    value[..QUEUE_RECORD_LEN].copy_from_slice(&record.to_bytes());
    value[QUEUE_RECORD_LEN..].copy_from_slice(&due.to_be_bytes());
    value
}

/// The key of a frame. Frames of a queue are sorted by number.
pub(super) fn frame_key(queue: &QueueId, number: u64) -> [u8; FRAME_KEY_LEN] {
    let mut key = [0; FRAME_KEY_LEN];
    key[..32].copy_from_slice(queue.as_bytes());
    key[32..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The key of an entry in [`DUE`]. Entries are sorted by time.
pub(super) fn due_key(at: u64, queue: &QueueId) -> [u8; FRAME_KEY_LEN] {
    let mut key = [0; FRAME_KEY_LEN];
    key[..8].copy_from_slice(&at.to_be_bytes());
    key[8..].copy_from_slice(queue.as_bytes());
    key
}

/// The number in a frame's key.
fn number_of(key: &[u8; FRAME_KEY_LEN]) -> u64 {
    key.last_chunk().copied().map_or(0, u64::from_be_bytes)
}

impl RelayError {
    /// An error of the operating system.
    pub(super) fn system(path: &Path, error: &io::Error) -> Self {
        Self::Disk { path: path.to_owned(), why: error.to_string() }
    }

    /// The meaning of redb's error when the file is opened.
    fn of(path: &Path, error: redb::Error) -> Self {
        let path = path.to_owned();
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse { path },
            redb::Error::UpgradeRequired(_)
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. } => Self::NotARelay { path },
            redb::Error::Corrupted(what) => Self::Damaged { path, what },
            redb::Error::Io(error) => match error.kind() {
                io::ErrorKind::InvalidData => Self::NotARelay { path },
                io::ErrorKind::UnexpectedEof => Self::Damaged { path, what: "it was cut".into() },
                _ => Self::Disk { path, why: error.to_string() },
            },
            other => Self::Disk { path, why: other.to_string() },
        }
    }
}

/// redb has an error type for each call; each becomes a [`Fault`] in the same way.
macro_rules! faults {
    ($($error:ty),+) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
                match redb::Error::from(error) {
                    redb::Error::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) => Self::Full,
                    redb::Error::Corrupted(what) => Self::Damaged(what),
                    other => Self::Disk(other.to_string()),
                }
            }
        }
    )+};
}
faults!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::SetDurabilityError
);
