//! Files: read here and handed to the pod piece by piece, fetched from it piece by piece, compared with their hash.

use std::{
    fs::{self, File as LocalFile},
    io::{self, Read, Seek as _},
    path::{Path, PathBuf},
};

use autonomy_messaging::{CHUNK_LEN, messenger::MAX_LOADED, payload::FileName};
use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};

use super::{Mailbox, Wait, check};
use crate::{
    DeviceError,
    call::Call,
    files::{FileError as WriteError, GrowingFile},
};
use autonomy_api::{ContactId, Direction, File, FileState, Files, Hex, OfferFile, TransferId};

/// One file takes 600 bytes, a contact has 64.
const MAX_FILES: usize = 128 * 1024;
/// Bytes of one piece: 40 chunks of 11,500 are 460,000.
const PIECE: usize = MAX_LOADED as usize * CHUNK_LEN as usize;

/// Why a file did not go, or did not come.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The pod did not answer, said no, or is not believed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The file here cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What lies there is no file: a folder, a pipe, a device.
    #[error("{path} is no file: give the path of a file")]
    NoFile {
        /// Which one.
        path: PathBuf,
    },
    /// A file of no bytes.
    #[error("{path} is empty: a file has one byte at least")]
    Empty {
        /// Which one.
        path: PathBuf,
    },
    /// The file here cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The file here changed while it was sent.
    #[error("{path} changed while it was sent; what the pod has of it is thrown away")]
    Changed {
        /// Which one.
        path: PathBuf,
    },
    /// Not what its sender sent.
    #[error(
        "the file is not what its sender says: its SHA-256 is {found}, it should be {expected}; nothing was kept"
    )]
    Hash {
        /// What came.
        found: Hex<32>,
        /// What its sender told.
        expected: Hex<32>,
    },
    /// It is not here yet, or no longer.
    #[error("the file is not here: {0}")]
    NotHere(&'static str),
}

impl Mailbox<'_> {
    /// Files to and from a contact, oldest first.
    ///
    /// # Errors
    /// The call's own, or [`Distrust::Mail`](crate::Distrust::Mail).
    pub async fn files(&self, contact: &ContactId) -> Result<Vec<File>, DeviceError> {
        let reported: Files =
            self.send(Call::get(format!("/v1/contacts/{contact}/files"), MAX_FILES)).await?;
        reported.files.into_iter().map(check::file).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// See [`Mailbox::files`].
    pub async fn file(&self, contact: &ContactId, file: &TransferId) -> Result<File, DeviceError> {
        let path = format!("/v1/contacts/{contact}/files/{file}");
        let reported: File = self.send(Call::get(path, MAX_FILES)).await?;
        check::same("file", file, &reported.id)?;
        check::file(reported)
    }

    /// Gives a file up, and forgets it.
    ///
    /// # Errors
    /// See [`Mailbox::files`].
    pub async fn remove_file(&self, contact: &ContactId, file: &TransferId) -> Result<(), DeviceError> {
        self.act(Call::delete(format!("/v1/contacts/{contact}/files/{file}"), MAX_FILES)).await
    }

    /// Hands a file to the pod, which sends it. What an earlier attempt has handed over is not handed over again.
    /// `progress` hears how many bytes the pod has.
    ///
    /// # Errors
    /// [`FileError`]. What was handed over stays at the pod, for the next attempt.
    pub async fn send_file(
        &self,
        contact: &ContactId,
        path: &Path,
        name: FileName,
        progress: impl Fn(&File),
    ) -> Result<File, FileError> {
        let unreadable = |source| FileError::Read { path: path.to_owned(), source };
        let mut local = open_regular(path)?;
        let (size, sha256) = digest(&mut local).map_err(unreadable)?;
        if size == 0 {
            return Err(FileError::Empty { path: path.to_owned() });
        }
        let mut file = self.begun(contact, OfferFile { name, size, sha256 }).await?;
        let chunks = u32::try_from(file.done / u64::from(CHUNK_LEN)).unwrap_or(u32::MAX);
        let mut first = chunks;
        local.seek(io::SeekFrom::Start(u64::from(first) * u64::from(CHUNK_LEN))).map_err(unreadable)?;
        while file.state == FileState::Loading {
            progress(&file);
            let piece = read_piece(&mut local).map_err(unreadable)?;
            let rest = size.saturating_sub(u64::from(first) * u64::from(CHUNK_LEN));
            // Shorter or longer than it was when it was offered.
            if piece.len() as u64 != rest.min(PIECE as u64) || piece.is_empty() {
                self.remove_file(contact, &file.id).await?;
                return Err(FileError::Changed { path: path.to_owned() });
            }
            let count = u32::try_from(piece.len().div_ceil(CHUNK_LEN as usize)).unwrap_or(MAX_LOADED);
            file = self.load(contact, &file.id, first, piece).await?;
            first += count;
        }
        Ok(file)
    }

    /// The file of this content that was begun before, or a new one.
    async fn begun(&self, contact: &ContactId, offer: OfferFile) -> Result<File, DeviceError> {
        let same = |file: &File| {
            let OfferFile { name, size, sha256 } = &offer;
            file.state == FileState::Loading
                && file.direction == Direction::Outgoing
                && (&file.name, file.size, file.sha256) == (name, *size, *sha256)
        };
        if let Some(begun) = self.files(contact).await?.into_iter().find(same) {
            return Ok(begun);
        }
        let call = Call::post(format!("/v1/contacts/{contact}/files"), &offer, MAX_FILES);
        check::file(self.send(call).await?)
    }

    async fn load(
        &self,
        contact: &ContactId,
        file: &TransferId,
        first: u32,
        piece: Vec<u8>,
    ) -> Result<File, DeviceError> {
        let path = format!("/v1/contacts/{contact}/files/{file}/chunks?first={first}");
        let reported: File = self.send(Call::put_bytes(path, Bytes::from(piece), MAX_FILES)).await?;
        check::same("file", file, &reported.id)?;
        check::file(reported)
    }

    /// Fetches a file that has arrived, compares it with its hash, and puts it at `path`, where nothing may lie.
    /// `progress` hears how many bytes are here.
    ///
    /// # Errors
    /// [`FileError`]. Nothing lies at `path` then.
    pub async fn fetch_file(
        &self,
        contact: &ContactId,
        file: &File,
        path: &Path,
        progress: impl Fn(u64),
    ) -> Result<(), FileError> {
        match (file.direction, file.state) {
            (Direction::Incoming, FileState::Complete) => {}
            (Direction::Outgoing, _) => return Err(FileError::NotHere("it is one that you sent")),
            (_, FileState::Cancelled) => return Err(FileError::NotHere("it was given up")),
            _ => return Err(FileError::NotHere("it is still on its way")),
        }
        let mut growing = GrowingFile::begin(path)?;
        let (mut hash, mut done, mut first) = (Sha256::new(), 0_u64, 0_u32);
        while done < file.size {
            let piece = self.piece(contact, &file.id, first).await?;
            if piece.is_empty() || piece.len() as u64 > file.size - done {
                break;
            }
            growing.write(&piece)?;
            hash.update(&piece);
            done += piece.len() as u64;
            first += MAX_LOADED;
            progress(done);
        }
        let found = Hex(hash.finalize().into());
        if done != file.size || found != file.sha256 {
            return Err(FileError::Hash { found, expected: file.sha256 });
        }
        Ok(growing.finish()?)
    }

    async fn piece(&self, contact: &ContactId, file: &TransferId, first: u32) -> Result<Bytes, DeviceError> {
        let path = format!("/v1/contacts/{contact}/files/{file}/chunks?first={first}&count={MAX_LOADED}");
        Ok(Call::get(path, PIECE).send_for_bytes(self.pod.transport()).await?)
    }

    /// Waits until a file is where it should be, or given up; gives it as it is when the time is over.
    ///
    /// # Errors
    /// See [`Mailbox::files`].
    pub async fn follow_file(
        &self,
        contact: &ContactId,
        file: &File,
        wait: Wait,
        progress: impl Fn(&File),
    ) -> Result<File, DeviceError> {
        let over = |file: &File| matches!(file.state, FileState::Complete | FileState::Cancelled);
        let look = async || {
            let file = self.file(contact, &file.id).await?;
            progress(&file);
            Ok(file)
        };
        wait.until(file.clone(), over, look).await
    }
}

/// Opens a file to read it. What is none is not opened: to open a pipe would wait for whoever writes to it.
///
/// # Errors
/// [`FileError::NoFile`], or it cannot be read.
fn open_regular(path: &Path) -> Result<LocalFile, FileError> {
    let unreadable = |source| FileError::Read { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(FileError::NoFile { path: path.to_owned() });
    }
    LocalFile::open(path).map_err(unreadable)
}

/// Size and SHA-256 of a file, read once from its beginning. It is read a second time as it is sent: whether it changed in
/// between, the one who takes it finds out by the hash.
fn digest(file: &mut LocalFile) -> io::Result<(u64, Hex<32>)> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    loop {
        let piece = read_piece(file)?;
        if piece.is_empty() {
            return Ok((size, Hex(hash.finalize().into())));
        }
        size += piece.len() as u64;
        hash.update(&piece);
    }
}

/// The next [`PIECE`] bytes, fewer at the end only.
fn read_piece(file: &mut LocalFile) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    file.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_devices_are_not_opened_as_files() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
            assert!(matches!(open_regular(path), Err(FileError::NoFile { .. })), "{path:?}");
        }
        assert!(matches!(open_regular(&folder.path().join("none")), Err(FileError::Read { .. })));
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(open_regular(&file).is_ok());
    }
}
