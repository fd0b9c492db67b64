//! The database file itself: made whole or not at all, opened with its checksums checked.
//!
//! What is found at a store's path is a whole store, whenever the machine stops: a new one is filled under another name in
//! the same folder, synced, and renamed; the folder is synced after that. A leftover `.unfinished-…redb` can be removed; a
//! leftover `….anew` is removed when the store is next opened.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, ReadableDatabase as _, ReadableTableMetadata as _, WriteTransaction,
    backends::FileBackend,
};

use super::{
    CreateError, DiskError, HEADER, HEADER_RENEWED, HEADER_TALLY, HEADER_WRAP, OpenError, ROWS, error::Fault,
    exposed::is_exposed, slots::NewestCommit,
};

/// Pages kept in memory. A pod holds its rows itself and reads only cold ones again.
const CACHE_BYTES: usize = 4 << 20;

/// Makes a database at `path` and fills it: under another name first, so that whatever is found at `path` is
/// complete, even after a power cut.
///
/// # Errors
/// Something lies at `path`, or the disk does not take it; nothing is left there then.
pub(super) fn build(
    path: &Path,
    fill: impl FnOnce(&WriteTransaction) -> Result<(), Fault>,
) -> Result<Database, CreateError> {
    let folder = folder_of(path);
    let failed = |source| CreateError::disk(path, source);
    let failed_io = |error: io::Error| failed(DiskError::io(error));
    if path.symlink_metadata().is_ok() {
        return Err(CreateError::Exists { path: path.to_owned() });
    }
    let unfinished = tempfile::Builder::new()
        .prefix(".unfinished-")
        .suffix(".redb")
        .tempfile_in(folder)
        .map_err(failed_io)?;
    let (file, unfinished) = unfinished.into_parts();
    let database = filled(file, fill).map_err(|fault| match fault {
        Fault::Disk(source) => failed(source),
        Fault::Row(_) | Fault::Tally => failed(DiskError::Damaged("the rows to be written".into())),
    })?;
    unfinished.persist_noclobber(path).map_err(|error| failed_io(error.error))?;
    sync_folder(path).map_err(failed_io)?;
    Ok(database)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the names in a file's folder durable: in that of the file itself, where the path is a link.
///
/// # Errors
/// The file is not there, or the disk does not take it.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(&path.canonicalize()?)).and_then(|folder| folder.sync_all())
}

/// Where a store is written anew before it takes the place of the file at `path`. Only who has that file open, and locked,
/// writes there.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".anew");
    path.with_file_name(name)
}

/// A database that lies whole beside the file whose place it takes.
pub(super) struct Beside {
    database: Database,
    at: PathBuf,
    /// The file itself: where the path is a link, what it leads to.
    target: PathBuf,
}

impl Beside {
    /// Fills a database beside the one at `path`, which is open, and syncs it. It belongs to whom that file belongs: the
    /// machine's administrator may do this for the user of a service.
    ///
    /// # Errors
    /// The disk does not take it, or it cannot be given to the owner of the file; nothing is left of it then.
    pub(super) fn build(
        path: &Path,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), Fault>,
    ) -> Result<Self, Fault> {
        let target = path.canonicalize()?;
        let at = beside(&target);
        drop(fs::remove_file(&at));
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&at)?;
        let owner = target.metadata()?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (owner.uid(), owner.gid()) {
            fchown(&file, Some(owner.uid()), Some(owner.gid()))
                .inspect_err(|_| drop(fs::remove_file(&at)))?;
        }
        let database = filled(file, fill).inspect_err(|_| drop(fs::remove_file(&at)))?;
        Ok(Self { database, at, target })
    }

    /// Puts it in the place of the file, and gives that file, which has no name any more. From here the new one counts; that
    /// it does after a power cut too is known after [`sync_folder`].
    ///
    /// # Errors
    /// The name cannot be taken, and the old one counts.
    pub(super) fn place(self) -> Result<(Database, File), Fault> {
        let old = File::options().write(true).open(&self.target);
        let placed = old.and_then(|old| fs::rename(&self.at, &self.target).map(|()| old));
        let old = placed.inspect_err(|_| drop(fs::remove_file(&self.at)))?;
        Ok((self.database, old))
    }
}

/// Writes zeros over a file that nothing names any more, so that its pages are not found on the disk by who looks for
/// removed files; not over one of more than `most` bytes. Where the disk copies on write, old pages stay below, and nothing
/// here reaches them.
///
/// # Errors
/// The disk has no room for it, or fails: nothing is wrong with the store.
pub(super) fn erase(mut file: File, most: u64) -> io::Result<()> {
    let found = file.metadata()?;
    // Another name is somebody's copy.
    if found.nlink() > 0 || found.len() > most {
        return Ok(());
    }
    io::copy(&mut io::repeat(0).take(found.len()), &mut file)?;
    file.sync_data()
}

fn filled(file: File, fill: impl FnOnce(&WriteTransaction) -> Result<(), Fault>) -> Result<Database, Fault> {
    let database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)?;
    let transaction = begin_write(&database)?;
    fill(&transaction)?;
    transaction.commit()?;
    Ok(database)
}

/// A write that is durable when it is committed.
///
/// Two phases: with one, a damaged last page would make the database fall back to the commit before, in silence.
/// A forgotten debit must be an error instead.
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(redb::Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// Which of the last two commits is opened where they leave a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The newest that is whole, as [`NewestCommit`] says.
    Newest,
    /// The one that the file says: for who was told that the newer one failed.
    AsWritten,
}

/// Opens a file that is there, and checks every page: a plain open trusts the file, and may panic on a bad one. Costs one
/// read of the whole file.
///
/// # Errors
/// It is not there, open to others, empty, damaged, no database, or in use elsewhere.
pub(super) fn open(path: &Path, choice: Choice) -> Result<Database, OpenError> {
    let failed = |error| OpenError::disk(path, redb::Error::Io(error));
    path.metadata().map_err(failed)?;
    if is_exposed(path).map_err(failed)? {
        return Err(OpenError::Exposed { path: path.to_owned() });
    }
    let file = File::options().read(true).write(true).open(path).map_err(failed)?;
    let opened = file.metadata().map_err(failed)?;
    if opened.len() == 0 {
        return Err(OpenError::damaged(path, "it is empty"));
    }
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    let database = match choice {
        Choice::Newest => NewestCommit::new(file).and_then(|file| builder.create_with_backend(file)),
        Choice::AsWritten => FileBackend::new(file).and_then(|file| builder.create_with_backend(file)),
    };
    let database = database.map_err(|error| OpenError::disk(path, error))?;
    // Between the opening and the lock another process may have written the store anew.
    let there = path.metadata().map_err(failed)?;
    if (there.dev(), there.ino()) != (opened.dev(), opened.ino()) {
        return Err(OpenError::InUse { path: path.to_owned() });
    }
    Ok(database)
}

/// Removes what a renewal left that was cut short. The store at `path` must be open, and locked.
pub(super) fn remove_leftover(path: &Path) {
    if let Ok(target) = path.canonicalize() {
        // Where it cannot be removed, the next renewal writes over it.
        drop(fs::remove_file(beside(&target)));
    }
}

/// What a store says of itself. Nothing of it is checked yet.
pub(super) struct Found {
    /// The data key, wrapped.
    pub(super) wrap: Vec<u8>,
    /// The tally, sealed.
    pub(super) tally: Vec<u8>,
    /// The number of rows that are there.
    pub(super) rows: u64,
    /// When the data key was drawn, seconds since 1970; 0 where nobody said.
    pub(super) renewed_at: u64,
}

/// What the store says of itself.
///
/// # Errors
/// The file is a database of something else, or cannot be read.
pub(super) fn read_header(path: &Path, database: &Database) -> Result<Found, OpenError> {
    let read = || -> Result<_, redb::Error> {
        let transaction = database.begin_read()?;
        let header = transaction.open_table(HEADER)?;
        let field = |name| -> Result<_, redb::Error> {
            Ok(header.get(name)?.map(|bytes| bytes.value().to_vec()).unwrap_or_default())
        };
        let renewed_at = field(HEADER_RENEWED)?.try_into().map_or(0, u64::from_be_bytes);
        let rows = transaction.open_table(ROWS)?.len()?;
        Ok(Found { wrap: field(HEADER_WRAP)?, tally: field(HEADER_TALLY)?, rows, renewed_at })
    };
    read().map_err(|error| match error {
        redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. } => {
            OpenError::NotAStore { path: path.to_owned() }
        }
        other => OpenError::disk(path, other),
    })
}
