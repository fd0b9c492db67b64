//! Files that must be whole or absent, and that nobody else may read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rand_core::{OsRng, RngCore};
use rustix::fs::{CWD, OFlags, RenameFlags};

/// Makes a folder for its owner alone, parents included. One that exists is left as it is.
///
/// # Errors
/// [`FileError`] with the folder's path.
pub fn private_dir(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| failed(path, source))
}

/// Writes a file that its owner alone may read, and returns when it lies on the disk. It is there whole or not
/// at all, also after a power cut: written beside, synced, then renamed.
///
/// # Errors
/// [`FileError`] with the file's path. Nothing is left behind but, after a crash, a file ending in `.part`.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let part = part_of(path);
    let mut file = new_file(&part).map_err(|source| failed(path, source))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let there = written.and_then(|()| fs::rename(&part, path)).and_then(|()| sync_dir_of(path));
    there.map_err(|source| {
        // The first error is the one to tell; a leftover is harmless. The file is ours: we made it.
        let _ = fs::remove_file(&part);
        failed(path, source)
    })
}

/// A file that grows piece by piece beside its place, and is there whole or not at all. What stood there before is never
/// written over. Dropped before its end, it leaves nothing behind.
#[derive(Debug)]
pub struct GrowingFile {
    path: PathBuf,
    part: PathBuf,
    file: File,
}

impl GrowingFile {
    /// Begins a file that will lie at `path`.
    ///
    /// # Errors
    /// [`FileError`] where something lies there already, or nothing can be written.
    pub fn begin(path: &Path) -> Result<Self, FileError> {
        if path.symlink_metadata().is_ok() {
            return Err(failed(path, ErrorKind::AlreadyExists.into()));
        }
        let part = part_of(path);
        let file = new_file(&part).map_err(|source| failed(path, source))?;
        Ok(Self { path: path.to_owned(), part, file })
    }

    /// Writes what comes next.
    ///
    /// # Errors
    /// [`FileError`] with the file's path.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|source| failed(&self.path, source))
    }

    /// All was written: puts it in its place, and returns when it lies on the disk.
    ///
    /// # Errors
    /// [`FileError`] with the file's path, where something came there in the meantime too.
    pub fn finish(self) -> Result<(), FileError> {
        let put = self.file.sync_all().and_then(|()| put_in_place(&self.part, &self.path));
        put.and_then(|()| sync_dir_of(&self.path)).map_err(|source| failed(&self.path, source))
    }
}

impl Drop for GrowingFile {
    fn drop(&mut self) {
        // Finished, it has its own name; broken off, nobody wants it.
        let _ = fs::remove_file(&self.part);
    }
}

/// Opens a file that was not there. In a folder that others may write to, somebody could have put a file or a link
/// in its place, to read along or to have another file overwritten: neither is followed.
fn new_file(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags).open(path)
}

/// A rename is durable once its folder is synced.
fn sync_dir_of(path: &Path) -> io::Result<()> {
    match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => File::open(dir)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Gives a file a second name where nothing lies. A file system that knows no second names (FAT) has it renamed.
fn put_in_place(part: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(part, path) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            Ok(rustix::fs::renameat_with(CWD, part, CWD, path, RenameFlags::NOREPLACE)?)
        }
        put => put,
    }
}

/// A name beside `path` that nobody can guess: 64 random bits. It has nothing of the file's own name, which may be as long
/// as the system allows.
fn part_of(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{:016x}.part", OsRng.next_u64()))
}

fn failed(path: &Path, source: io::Error) -> FileError {
    FileError { path: path.to_owned(), source }
}

/// A file or folder could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}")]
pub struct FileError {
    /// Which one.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn private_file_is_complete_with_mode_0600() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        private_dir(&folder).unwrap();
        private_dir(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        let file = folder.join("deck");
        write_private(&file, b"one").unwrap();
        write_private(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn existing_file_or_link_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "theirs").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(new_file(&target).is_err() && new_file(&link).is_err());
        write_private(&link, b"ours").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"theirs", "the link is replaced, not followed");
        assert_eq!(fs::read(&link).unwrap(), b"ours");
        assert_ne!(part_of(&target), part_of(&target));
    }

    #[test]
    fn growing_file_appears_at_its_end_and_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("photo");
        let mut file = GrowingFile::begin(&path).unwrap();
        file.write(b"one ").unwrap();
        assert!(!path.exists());
        drop(GrowingFile::begin(&path).unwrap());
        file.write(b"two").unwrap();
        let rival = GrowingFile::begin(&path).unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one two");
        assert!(rival.finish().is_err() && GrowingFile::begin(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no part stays");
    }

    #[test]
    fn growing_file_may_have_the_longest_name() {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("{}x", "é".repeat(127));
        assert_eq!(name.len(), 255, "the longest that common file systems know");
        let path = dir.path().join(name);
        let mut file = GrowingFile::begin(&path).unwrap();
        file.write(b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn error_names_the_file() {
        let error = write_private(Path::new("/nowhere/at/all"), b"x").unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
