//! The database file itself: made whole or not at all, opened with its checksums checked.
//!
//! What is found at a store's path is a whole store, whenever the machine stops: a new one is filled under another name in
//! the same folder, synced, and renamed; the folder is synced after that. A leftover `.unfinished-…redb` can be removed.

use std::{fs::File, io, path::Path};

use redb::{
    Builder, Database, ReadableDatabase as _, ReadableTableMetadata as _, WriteTransaction,
    backends::FileBackend,
};

use super::{
    CreateError, DiskError, HEADER, HEADER_TALLY, HEADER_WRAP, OpenError, ROWS, error::Fault,
    exposed::is_exposed,
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
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
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
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed_io)?;
    Ok(database)
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

/// Opens a file that is there, and checks every page: a plain open trusts the file, and may panic on a bad one. Costs one
/// read of the whole file.
///
/// # Errors
/// It is not there, open to others, empty, damaged, no database, or in use elsewhere.
pub(super) fn open(path: &Path) -> Result<Database, OpenError> {
    let len = path.metadata().map_err(|error| OpenError::disk(path, redb::Error::Io(error)))?.len();
    if is_exposed(path).map_err(|error| OpenError::disk(path, redb::Error::Io(error)))? {
        return Err(OpenError::Exposed { path: path.to_owned() });
    }
    if len == 0 {
        return Err(OpenError::damaged(path, "it is empty"));
    }
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .open(path)
        .map_err(|error| OpenError::disk(path, error))
}

/// The wrapped data key, the sealed tally, and the number of rows that are there. Nothing of it is checked yet.
///
/// # Errors
/// The file is a database of something else, or cannot be read.
pub(super) fn read_header(path: &Path, database: &Database) -> Result<(Vec<u8>, Vec<u8>, u64), OpenError> {
    let read = || -> Result<_, redb::Error> {
        let transaction = database.begin_read()?;
        let header = transaction.open_table(HEADER)?;
        let field = |name| -> Result<_, redb::Error> {
            Ok(header.get(name)?.map(|bytes| bytes.value().to_vec()).unwrap_or_default())
        };
        Ok((field(HEADER_WRAP)?, field(HEADER_TALLY)?, transaction.open_table(ROWS)?.len()?))
    };
    read().map_err(|error| match error {
        redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. } => {
            OpenError::NotAStore { path: path.to_owned() }
        }
        other => OpenError::disk(path, other),
    })
}
