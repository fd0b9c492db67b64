//! The folder of Arti's state: private to its owner, used by one process at a time.
//!
//! Two clients on one state folder corrupt it without an error: Arti's own lock only makes the
//! second one run without some of its state. So this crate takes a lock of its own before Arti
//! opens the folder.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::bootstrap::BootstrapError;

/// This crate's lock file, beside Arti's files.
const LOCK_FILE: &str = "autonomy.lock";
/// How often the lock is tried. A dropped client releases it when its last background task has
/// ended, some milliseconds later.
const LOCK_TRIES: u32 = 10;
/// Pause between two tries: a second in all.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The locked state folder. The lock is the operating system's: it is released when this value is
/// dropped and also when the process is killed.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    /// Held open for its lock.
    _lock: File,
}

impl StateDir {
    /// Locks the folder; waits a second for a client that is just ending.
    ///
    /// # Errors
    /// Another process holds the lock, or the folder cannot be made private.
    pub(crate) async fn lock_soon(path: &Path) -> Result<Self, BootstrapError> {
        for _ in 0..LOCK_TRIES {
            match Self::lock(path) {
                Err(BootstrapError::Locked { .. }) => tokio::time::sleep(LOCK_PAUSE).await,
                other => return other,
            }
        }
        Self::lock(path)
    }

    /// Takes the lock, or fails at once.
    fn lock(path: &Path) -> Result<Self, BootstrapError> {
        private_dir(path)?;
        let at = |source| BootstrapError::Folder { path: path.to_owned(), source };
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(path.join(LOCK_FILE)).map_err(at)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(BootstrapError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(at(source)),
        }
    }

    /// Removes the introduction points that an earlier process left for a service. Their keys
    /// existed in that process only, and Arti would report a bug for each.
    ///
    /// # Errors
    /// The folder exists and cannot be removed.
    pub(crate) fn forget_introduction_points(&self, nickname: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.path.join("hss").join(nickname)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Creates a folder with mode 0700, or gives an existing one that mode.
///
/// # Errors
/// The operating system refuses; the error names the folder.
pub(crate) fn private_dir(path: &Path) -> Result<(), BootstrapError> {
    let at = |source| BootstrapError::Folder { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at)?;
    let mode = fs::metadata(path).map_err(at)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_exclusive_and_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let held = StateDir::lock(&path).unwrap();
        assert!(matches!(StateDir::lock(&path), Err(BootstrapError::Locked { .. })));
        drop(held);
        assert!(StateDir::lock(&path).is_ok());
    }

    #[test]
    fn existing_folder_is_made_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let _held = StateDir::lock(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StateDir::lock(&file.join("state")).unwrap_err();
        assert!(error.to_string().contains("file/state"), "{error}");
    }

    #[test]
    fn introduction_points_of_an_earlier_run_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::lock(&dir.path().join("state")).unwrap();
        fs::create_dir_all(state.path.join("hss/app")).unwrap();
        fs::write(state.path.join("hss/app/ipts.json"), "{}").unwrap();
        state.forget_introduction_points("app").unwrap();
        state.forget_introduction_points("app").unwrap();
        assert!(!state.path.join("hss/app").exists());
    }
}
