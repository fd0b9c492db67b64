//! Bytes as a row of QR codes: numbered parts that may be scanned in any order and more than once.
//!
//! Each part is a line of [armour] with its own checksum, so what a camera misreads is not taken. The
//! screen shows them round and round until the other side has all.
//!
//! A row is named by the digest of the whole, so parts of two rows never mix, and the whole is compared with that
//! digest at the end.

use std::fmt;

use autonomy_codec::{Reader, TextKind, armour};
use sha2::{Digest as _, Sha256};

use crate::TextError;

/// Bytes in each part but the last: as text 824 characters, a QR code of version 16 (medium quality), which a phone still
/// reads from a screen.
pub const PART_LEN: usize = 480;
/// Most parts: 4,096 of 480 bytes are 1.9 MB, 120 messages; with four codes a second it takes 17 minutes. More is for a
/// file.
pub const MAX_PARTS: u16 = 4_096;

/// Version (1), digest of the whole (8), number and count (2 each), and the bytes.
const HEAD_LEN: usize = 1 + 8 + 2 + 2;
const VERSION: u8 = 1;

const _: () = assert!(armour::text_len(TextKind::Parcel, HEAD_LEN + PART_LEN) <= 970);

/// Puts parts together again. Holds one set of parts, and never more than [`MAX_PARTS`].
///
/// At most 4,096 parts of 480 bytes: 1.9 MB, whatever a camera is shown.
#[derive(Default)]
pub struct Assembler {
    /// Which row of codes is being scanned.
    digest: [u8; 8],
    /// What is here, by number; empty until the first part came.
    parts: Vec<Option<Vec<u8>>>,
}

/// How far an [`Assembler`] has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assembly {
    /// Parts are missing.
    Missing {
        /// Parts that are here.
        have: usize,
        /// Parts in all.
        of: usize,
    },
    /// The bytes, whole.
    ///
    /// Compared with the digest; not parsed.
    Whole(Vec<u8>),
}

/// Why a part is not taken. What was taken before stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPart {
    /// The text is not one line of this kind.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A format this program does not know.
    #[error("format {0} of the code is not known here: a newer program shows it, update this one")]
    Version(u8),
    /// Its number, count or length cannot be.
    #[error("the code is malformed: its number, count or length is wrong")]
    Field,
    /// It belongs to another row of codes.
    /// Nothing that was scanned is lost.
    #[error("this code belongs to another row than those before: begin again to take that one")]
    AnotherRow,
    /// All parts are here, and they are not what was cut.
    /// Some part was misread in a way that its own checksum did not find, or was made up.
    #[error("the codes do not add up: begin again")]
    Damaged,
}

/// Cuts bytes into the lines of a row of QR codes. None if they are empty or would be more than [`MAX_PARTS`].
#[must_use]
pub fn parts(bytes: &[u8]) -> Option<Vec<String>> {
    let count =
        u16::try_from(bytes.len().div_ceil(PART_LEN)).ok().filter(|count| (1..=MAX_PARTS).contains(count))?;
    let digest = digest(bytes);
    let line = |(number, piece): (u16, &[u8])| {
        let head = [&[VERSION], digest.as_slice(), &number.to_be_bytes(), &count.to_be_bytes()].concat();
        armour::encode(TextKind::Parcel, &[&head, piece].concat())
    };
    Some((0..count).zip(bytes.chunks(PART_LEN)).map(line).collect())
}

impl Assembler {
    /// Has nothing yet; the first part says which row it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a part, in any order; a repeat changes nothing. Gives the bytes once all are here.
    ///
    /// # Errors
    /// [`BadPart`] says why the part is not taken; what was taken before stays, except that a damaged whole never
    /// becomes good.
    pub fn add(&mut self, text: &str) -> Result<Assembly, BadPart> {
        let bytes = armour::decode(TextKind::Parcel, text, HEAD_LEN + PART_LEN)?;
        let mut reader = Reader::new(&bytes);
        let version = reader.u8().ok_or(BadPart::Field)?;
        if version != VERSION {
            return Err(BadPart::Version(version));
        }
        let part = Part::read(&mut reader).ok_or(BadPart::Field)?;
        if self.parts.is_empty() {
            self.digest = part.digest;
            self.parts.resize(usize::from(part.count), None);
        }
        if self.digest != part.digest || self.parts.len() != usize::from(part.count) {
            return Err(BadPart::AnotherRow);
        }
        self.parts[usize::from(part.number)].get_or_insert_with(|| part.bytes.to_vec());
        self.assembly()
    }

    /// How far the row is, or the whole if it is complete.
    fn assembly(&self) -> Result<Assembly, BadPart> {
        let have = self.parts.iter().flatten().count();
        if have < self.parts.len() {
            return Ok(Assembly::Missing { have, of: self.parts.len() });
        }
        let bytes: Vec<u8> = self.parts.iter().flatten().flatten().copied().collect();
        (digest(&bytes) == self.digest).then_some(Assembly::Whole(bytes)).ok_or(BadPart::Damaged)
    }
}

/// The fields of one code.
struct Part<'a> {
    digest: [u8; 8],
    /// From 0.
    number: u16,
    /// Codes in the row, 1 to [`MAX_PARTS`].
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Part<'a> {
    /// None if the number is beyond the count, or the length is not that of its place in the row.
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let digest = reader.array()?;
        let number = reader.u16()?;
        let count = reader.u16().filter(|count| (1..=MAX_PARTS).contains(count))?;
        let bytes = reader.rest();
        let last = number.checked_add(1)? == count;
        let fits = if last { (1..=PART_LEN).contains(&bytes.len()) } else { bytes.len() == PART_LEN };
        (number < count && fits).then_some(Self { digest, number, count, bytes })
    }
}

/// The first bytes of SHA-256 under a label of this format.
fn digest(bytes: &[u8]) -> [u8; 8] {
    let digest = Sha256::new().chain_update(b"autonomy parts v1\0").chain_update(bytes).finalize();
    std::array::from_fn(|at| digest[at])
}

impl fmt::Debug for Assembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let have = self.parts.iter().flatten().count();
        write!(f, "Assembler({have} of {})", self.parts.len())
    }
}
