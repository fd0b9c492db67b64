//! The relay's file.

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

/// Pages kept in memory: the upper pages of a million queues' tables (some 300 MB on disk) are a few megabytes, and
/// what is written and read at the moment lies in the rest.
const CACHE_BYTES: usize = 96 << 20;
/// A queue's value: its record, and when it is looked at next (8).
pub(super) const VALUE_LEN: usize = QUEUE_RECORD_LEN + 8;
/// A frame's key: queue and number.
pub(super) const FRAME_KEY_LEN: usize = 40;
/// Format of the file.
const VERSION: &[u8] = b"autonomy relay 1";

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Records by queue.
pub(super) const QUEUES: TableDefinition<'_, [u8; 32], &[u8; VALUE_LEN]> = TableDefinition::new("queues");
/// Frames by queue and number. With its key and the page's header a blob just fits four pages.
pub(super) const FRAMES: TableDefinition<'_, [u8; FRAME_KEY_LEN], &[u8; BLOB_LEN]> =
    TableDefinition::new("frames");
/// Notices by queue.
pub(super) const NOTICES: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("notices");
/// When each queue is looked at next: time and queue. Exactly one entry a queue.
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
    /// The file is something else, or of another version.
    #[error("{} is not a relay's file of this version of the program", path.display())]
    NotARelay {
        /// The file.
        path: PathBuf,
    },
    /// The file was cut or altered.
    #[error(
        "{} is damaged: {what}. What lay in it is lost to this relay, not to its users, who send again what was not \
         collected: move the file away and start anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The disk does not take it.
    #[error("cannot open {}: {why}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// What went wrong inside.
#[derive(Debug)]
pub(super) enum Fault {
    /// No room.
    Full,
    /// The content is not what it should be.
    Damaged(String),
    /// Anything else of the disk. The file has to be opened again.
    Disk(String),
}

/// The open file.
pub(super) struct Shelf {
    path: PathBuf,
    /// Gone while it is opened again, and when that failed.
    database: RwLock<Option<Arc<Database>>>,
}

impl Shelf {
    pub(super) fn open(path: &Path) -> Result<Self, RelayError> {
        let database = open(path)?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(Arc::new(database))) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the file and opens it again, which is what a failed write asks for.
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

    /// A transaction that is durable when it is committed, and after which the file opens at once whatever happens.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, Fault> {
        let mut transaction = self.database()?.begin_write()?;
        transaction.set_durability(redb::Durability::Immediate)?;
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    /// What makes challenges.
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

    pub(super) fn record(&self, queue: &QueueId) -> Result<Option<QueueRecord>, Fault> {
        let queues = self.database()?.begin_read()?.open_table(QUEUES)?;
        let value = queues.get(*queue.as_bytes())?;
        value.map(|value| parse(value.value()).map(|(record, _)| record)).transpose()
    }

    pub(super) fn notice(&self, queue: &QueueId) -> Result<Option<QueueNotice>, Fault> {
        let notices = self.database()?.begin_read()?.open_table(NOTICES)?;
        let value = notices.get(*queue.as_bytes())?;
        Ok(value.and_then(|value| QueueNotice::new(value.value().to_vec())))
    }

    /// Frames of a queue from this number on, at most so many.
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

    /// Queues and frames there are.
    pub(super) fn counts(&self) -> Result<(u64, u64), Fault> {
        let transaction = self.database()?.begin_read()?;
        Ok((transaction.open_table(QUEUES)?.len()?, transaction.open_table(FRAMES)?.len()?))
    }

    fn database(&self) -> Result<Arc<Database>, Fault> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.clone().ok_or_else(|| Fault::Disk("the file is closed".into()))
    }
}

/// Opens the file, or makes it. A plain open trusts the file and may panic on a bad one.
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

/// Makes the tables of a new file, and checks that an old one is a relay's.
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

/// A queue's record, and when it is looked at next.
pub(super) fn parse(value: &[u8; VALUE_LEN]) -> Result<(QueueRecord, u64), Fault> {
    let (record, due) = value.split_at(QUEUE_RECORD_LEN);
    let due = due.try_into().map(u64::from_be_bytes).map_err(|_| Fault::Damaged("a queue".into()))?;
    QueueRecord::from_bytes(record)
        .map(|record| (record, due))
        .ok_or_else(|| Fault::Damaged("a queue".into()))
}

pub(super) fn value(record: &QueueRecord, due: u64) -> [u8; VALUE_LEN] {
    let mut value = [0; VALUE_LEN];
    value[..QUEUE_RECORD_LEN].copy_from_slice(&record.to_bytes());
    value[QUEUE_RECORD_LEN..].copy_from_slice(&due.to_be_bytes());
    value
}

pub(super) fn frame_key(queue: &QueueId, number: u64) -> [u8; FRAME_KEY_LEN] {
    let mut key = [0; FRAME_KEY_LEN];
    key[..32].copy_from_slice(queue.as_bytes());
    key[32..].copy_from_slice(&number.to_be_bytes());
    key
}

pub(super) fn due_key(at: u64, queue: &QueueId) -> [u8; FRAME_KEY_LEN] {
    let mut key = [0; FRAME_KEY_LEN];
    key[..8].copy_from_slice(&at.to_be_bytes());
    key[8..].copy_from_slice(queue.as_bytes());
    key
}

fn number_of(key: &[u8; FRAME_KEY_LEN]) -> u64 {
    key.last_chunk().copied().map_or(0, u64::from_be_bytes)
}

impl RelayError {
    pub(super) fn system(path: &Path, error: &io::Error) -> Self {
        Self::Disk { path: path.to_owned(), why: error.to_string() }
    }

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
