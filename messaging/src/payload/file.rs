//! The offer of a file, and the rules for its name: it is chosen by somebody else and becomes a file on the
//! receiver's disk.

use std::fmt;

use autonomy_codec::{Reader, is_invisible, put_bytes_u8};

use crate::packet::{CHUNK_LEN, TransferId};

/// Longest file name in bytes, as on most file systems.
pub const MAX_FILE_NAME_LEN: usize = 255;
/// Longest file that can be offered. What a contact may send is bounded elsewhere, far below.
pub const MAX_FILE_LEN: u64 = crate::transfer::MAX_FILE;

const _: () = assert!(MAX_FILE_LEN.div_ceil(CHUNK_LEN as u64) <= u32::MAX as u64);

/// The name of a file and nothing else: no path, nothing that hides, 1 to 255 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct FileName(String);

/// The text cannot be a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFileName {
    /// Empty, or longer than [`MAX_FILE_NAME_LEN`].
    #[error("a file name has 1 to {MAX_FILE_NAME_LEN} bytes, this has {0}")]
    Length(usize),
    /// It leads to another folder.
    ///
    /// Both separators are refused, whatever system this runs on: the file may be carried to another.
    #[error("a file name is no path: / and \\ cannot be in it, and . and .. are none")]
    Path,
    /// A character that could not be seen, or hides others.
    #[error("a file name has visible characters only")]
    Invisible,
}

/// A file that can be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileOffer {
    /// Names this sending.
    pub transfer: TransferId,
    /// What it is called.
    pub name: FileName,
    /// Its bytes, at most [`MAX_FILE_LEN`].
    pub size: u64,
    /// What its content must hash to.
    pub sha256: [u8; 32],
}

impl FileName {
    /// Takes a name as it came.
    ///
    /// # Errors
    /// [`BadFileName`] says which rule the text breaks; it is never changed to fit.
    pub fn new(text: &str) -> Result<Self, BadFileName> {
        if text.is_empty() || text.len() > MAX_FILE_NAME_LEN {
            return Err(BadFileName::Length(text.len()));
        }
        if text == "." || text == ".." || text.contains(['/', '\\']) {
            return Err(BadFileName::Path);
        }
        if text.chars().any(is_invisible) {
            return Err(BadFileName::Invisible);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FileOffer {
    /// Transfer (16), size (8), SHA-256 (32), name behind its length (1).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.transfer.0);
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.sha256);
        put_bytes_u8(out, self.name.0.as_bytes());
    }

    /// None if the size is beyond any, or the name breaks a rule.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let transfer = TransferId(reader.array()?);
        let size = reader.u64().filter(|size| *size <= MAX_FILE_LEN)?;
        let sha256 = reader.array()?;
        let name = FileName::new(std::str::from_utf8(reader.bytes_u8()?).ok()?).ok()?;
        Some(Self { transfer, name, size, sha256 })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileName {
    /// The name itself may say too much for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileName({} bytes)", self.0.len())
    }
}
