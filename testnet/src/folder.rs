//! Where a world lives: one folder, one owner, known by a lock.
//!
//! The kernel drops the lock when its owner ends, however it ends. Whoever can take the lock of a folder
//! thereby knows that its owner is gone, ends what still runs of that world, and may remove or reuse the
//! folder.
//!
//! ```text
//! FOLDER/lock     held by the owner while it lives
//! FOLDER/owner    the owner's process (PID:TICKS), for a second start in the same folder
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::{self, NotYet};
use crate::process::{Identity, Reaper};

/// How long the owner of a folder that is taken over may take to stop its processes and go: it kills them,
/// so a moment is enough.
const TAKE_OVER_GRACE: Duration = Duration::from_secs(5);

/// Names a fresh folder may find taken before giving up: leftovers of processes that had our number.
const NAME_TRIES: u32 = 1000;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system refused.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder holds things that are not a test network's; it would be emptied.
    #[error("{0} is not empty and was not made by testnet: name another folder")]
    NotOurs(PathBuf),
    /// The folder that holds all worlds belongs to someone else.
    #[error("{0} does not belong to this user: set TMPDIR to a folder of your own")]
    ForeignBase(PathBuf),
    /// This very process works in the folder already.
    #[error("{0} is in use by this process")]
    HeldByUs(PathBuf),
    /// The previous owner did not let go.
    #[error("another testnet holds {path} and does not end ({cause})")]
    Held {
        /// The folder.
        path: PathBuf,
        /// Why the wait ended.
        cause: NotYet,
    },
}

/// An error of the operating system with what was tried, for `map_err`.
fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { what, path, source }
}

/// A folder that this process owns. Dropping it ends every process of its world.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    remove_at_end: bool,
    // Empty only while the folder is being dropped.
    reaper: Option<Reaper>,
    _lock: File,
}

impl Folder {
    /// A fresh folder under [`base`], removed when dropped. Folders whose owners are gone are cleaned first.
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn fresh() -> Result<Self, FolderError> {
        let base = base()?;
        sweep(&base);
        for number in 0..NAME_TRIES {
            let path = base.join(format!("{}-{number}", std::process::id()));
            match private_dir().create(&path) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(io_error("make", &path)(e)),
            }
            // Someone who sweeps at this very moment may have taken the new folder for a leftover.
            if let Ok(Some(lock)) = try_lock(&path) {
                return Self::owned(path, lock, true);
            }
        }
        Err(io_error("find a free name in", &base)(io::ErrorKind::AlreadyExists.into()))
    }

    /// The folder `path`, made if missing, **emptied** if it was a testnet's. If another testnet works in it,
    /// that one is asked to stop, then made to. Kept when dropped.
    ///
    /// # Errors
    /// When the folder holds anything that is not a testnet's, cannot be written, or its owner does not end.
    pub fn named(path: &Path) -> Result<Self, FolderError> {
        private_dir().recursive(true).create(path).map_err(io_error("make", path))?;
        let path = path.canonicalize().map_err(io_error("find", path))?;
        let mut entries = fs::read_dir(&path).map_err(io_error("read", &path))?;
        if entries.next().is_some() && !path.join("lock").exists() {
            return Err(FolderError::NotOurs(path));
        }
        let lock = match try_lock(&path)? {
            Some(lock) => lock,
            None => take_over(&path)?,
        };
        end_world(&path)?;
        empty(&path)?;
        Self::owned(path, lock, false)
    }

    /// Notes this process as the owner and starts the reaper.
    fn owned(path: PathBuf, lock: File, remove_at_end: bool) -> Result<Self, FolderError> {
        let owner = path.join("owner");
        fs::write(&owner, Identity::own().to_string()).map_err(io_error("write", &owner))?;
        let reaper = Reaper::for_world(&path).map_err(io_error("run sh for", &path))?;
        Ok(Self { path, remove_at_end, reaper: Some(reaper), _lock: lock })
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder inside, readable by its owner only, made if missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn sub(&self, name: &str) -> Result<PathBuf, FolderError> {
        let path = self.path.join(name);
        private_dir().recursive(true).create(&path).map_err(io_error("make", &path))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.reaper.take());
        if self.remove_at_end {
            // What cannot be removed now is swept at the next start.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A builder of folders with mode 0700.
fn private_dir() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// The folder that holds all worlds of this user: `$TMPDIR/autonomy-testnet-UID`. As its name can be
/// guessed, it must be a real folder of ours.
///
/// # Errors
/// When it cannot be made, or someone else made it.
pub fn base() -> Result<PathBuf, FolderError> {
    let uid = rustix::process::getuid().as_raw();
    let path = std::env::temp_dir().join(format!("autonomy-testnet-{uid}"));
    private_dir().recursive(true).create(&path).map_err(io_error("make", &path))?;
    let found = fs::symlink_metadata(&path).map_err(io_error("look at", &path))?;
    if !found.is_dir() || found.uid() != uid {
        return Err(FolderError::ForeignBase(path));
    }
    Ok(path)
}

/// Takes the lock of a folder. `None` where its owner still runs.
fn try_lock(folder: &Path) -> Result<Option<File>, FolderError> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(io_error("lock", &path)(e)),
    }
}

/// Ends the running owner of a folder and takes its lock.
///
/// # Errors
/// The owner is this process, or does not end.
fn take_over(folder: &Path) -> Result<File, FolderError> {
    let owner = fs::read_to_string(folder.join("owner")).ok().and_then(|text| text.parse::<Identity>().ok());
    match owner {
        Some(owner) if owner == Identity::own() => return Err(FolderError::HeldByUs(folder.to_owned())),
        Some(owner) => owner.end(TAKE_OVER_GRACE),
        None => {}
    }
    clock::wait_for(TAKE_OVER_GRACE, || try_lock(folder))?
        .map_err(|cause| FolderError::Held { path: folder.to_owned(), cause })
}

/// Ends the processes that a former owner of a folder started and that still run.
fn end_world(folder: &Path) -> Result<(), FolderError> {
    Reaper::for_world(folder).map(drop).map_err(io_error("run sh for", folder))
}

/// Removes everything in a folder but its lock, which this process holds.
fn empty(folder: &Path) -> Result<(), FolderError> {
    let entries = fs::read_dir(folder).map_err(io_error("read", folder))?;
    for entry in entries {
        let path = entry.map_err(io_error("read", folder))?.path();
        if path.file_name().is_some_and(|name| name == "lock") {
            continue;
        }
        let is_dir = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(io_error("remove", &path))?;
    }
    Ok(())
}

/// Removes the folders under `base` whose owners are gone. What cannot be removed is left for next time.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for folder in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if !folder.join("lock").exists() {
            continue;
        }
        if let Ok(Some(_lock)) = try_lock(&folder)
            && end_world(&folder).is_ok()
        {
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_folders_differ_and_are_removed() {
        let one = Folder::fresh().unwrap();
        let two = Folder::fresh().unwrap();
        assert_ne!(one.path(), two.path());
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists());
        assert!(two.path().exists());
    }

    #[test]
    fn folder_with_foreign_files_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(Folder::named(dir.path()), Err(FolderError::NotOurs(_))));
        assert!(dir.path().join("thesis.txt").exists());
    }

    #[test]
    fn named_folder_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::named(dir.path()).unwrap();
        fs::write(first.sub("tor").unwrap().join("old"), "").unwrap();
        drop(first);
        let second = Folder::named(dir.path()).unwrap();
        assert!(!second.path().join("tor").exists());
        assert!(matches!(Folder::named(dir.path()), Err(FolderError::HeldByUs(_))));
    }
}
