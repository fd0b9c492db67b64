//! Bytes as one line of text that survives mail, chat, paper and QR codes, and says what it is.
//!
//! `autonomy-<kind>1` and base32 (RFC 4648, lower case, no padding) of the bytes and a checksum. Upper case is
//! read too: as upper case alone the line fits the alphanumeric mode of a QR code, half the size. Around the line
//! there may be others that start with `#` and explain it.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

mod kind;

pub use kind::TextKind;

/// Bytes of checksum: one wrong copy in 2^40 goes unnoticed here, and fails at the signature then.
pub(crate) const CHECKSUM_LEN: usize = 5;
/// Characters that suffice to tell what a text is: the longest head has 23, and `autonomy-` with a word of
/// [`MAX_WORD_LEN`] has 34 with its digit.
const HEAD_LEN: usize = 64;
/// Longest word of a kind that is repeated in an error; our own have 14 characters at most.
const MAX_WORD_LEN: usize = 24;
/// What the head of every kind begins with.
const FAMILY: &str = "autonomy-";
/// The version of the form, after the head and before the data. No kind has a digit in its head.
const VERSION: char = '1';

/// Why a text is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It is one of ours, but another one.
    #[error("this is a {found}, not a {expected}")]
    AnotherKind {
        /// What was asked for.
        expected: TextKind,
        /// What was given, in plain words.
        found: String,
    },
    /// What was asked for, in a form that this program does not know.
    #[error(
        "this {expected} has form {found}, which is not known here: a newer program wrote it, update this one"
    )]
    Version {
        /// What was asked for.
        expected: TextKind,
        /// The version of the form.
        found: u8,
    },
    /// Nothing of ours.
    #[error("this is not a {expected}: it would start with \"{}1\"", expected.head())]
    Unknown {
        /// What was asked for.
        expected: TextKind,
    },
    /// Longer than this kind can be.
    #[error("{found} characters are more than a {expected} can have ({most})")]
    TooLong {
        /// What was asked for.
        expected: TextKind,
        /// Characters given.
        found: usize,
        /// Most characters possible.
        most: usize,
    },
    /// A character that is not in the alphabet.
    #[error("the {expected} has a character that cannot be there: copy it again, whole")]
    Character {
        /// What was asked for.
        expected: TextKind,
    },
    /// The checksum does not fit.
    #[error("the {expected} was cut or changed on the way (checksum): copy it again, whole")]
    Checksum {
        /// What was asked for.
        expected: TextKind,
    },
}

/// Characters of the line for so many bytes.
#[must_use]
pub const fn text_len(kind: TextKind, bytes: usize) -> usize {
    kind.head().len() + 1 + ((bytes + kind.checksum_len()) * 8).div_ceil(5)
}

/// The bytes as a line of this kind, without a line break. No copy of it is left in memory.
#[must_use]
pub fn encode(kind: TextKind, bytes: &[u8]) -> String {
    let mut body = Zeroizing::new(Vec::with_capacity(bytes.len() + CHECKSUM_LEN));
    body.extend_from_slice(bytes);
    body.extend_from_slice(&checksum(kind, bytes)[..kind.checksum_len()]);
    let mut line = String::with_capacity(text_len(kind, bytes.len()));
    line.push_str(kind.head());
    line.push(VERSION);
    line.push_str(&Zeroizing::new(BASE32_NOPAD.encode(&body)));
    line.make_ascii_lowercase();
    line
}

/// Reads a line of this kind with about `most` bytes: the text may have twice the characters of those, since mail
/// programs break lines and people copy blanks; the type that is in it holds its exact bound. White space anywhere
/// and lines that start with `#` are passed over.
///
/// # Errors
/// [`TextError`] names what was found instead, where it is one of ours, and else what is wrong with the line.
pub fn decode(kind: TextKind, text: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, TextError> {
    // One blank for each character, and some around it.
    decode_within(kind, text, 2 * text_len(kind, most) + 64)
}

/// As [`decode`], for a text of `most` characters at most: of a kind that has lines of explanation around it.
///
/// # Errors
/// As those of [`decode`].
pub fn decode_within(kind: TextKind, text: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, TextError> {
    let expected = kind;
    if text.len() > most {
        let named = another_form(kind, &pack(text, HEAD_LEN));
        return Err(named.unwrap_or(TextError::TooLong { expected, found: text.len(), most }));
    }
    let packed = pack(text, text.len());
    let Some(line) = packed.strip_prefix(kind.head()).and_then(|rest| rest.strip_prefix(VERSION)) else {
        return Err(another_form(kind, &packed).unwrap_or(TextError::Unknown { expected }));
    };
    let line = Zeroizing::new(line.to_ascii_uppercase());
    if !line.bytes().all(|c| c.is_ascii_uppercase() || matches!(c, b'2'..=b'7')) {
        return Err(TextError::Character { expected });
    }
    // What fails now is a length that no bytes have: a piece is missing.
    let body = BASE32_NOPAD.decode(line.as_bytes()).map_err(|_| TextError::Checksum { expected })?;
    without_checksum(kind, Zeroizing::new(body)).ok_or(TextError::Checksum { expected })
}

/// The first `most` characters in lower case, without white space, byte order marks and lines that explain.
fn pack(text: &str, most: usize) -> Zeroizing<String> {
    let lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.starts_with('#'));
    let visible = lines.flat_map(str::chars).filter(|c| !c.is_whitespace() && *c != '\u{feff}');
    let mut packed = Zeroizing::new(String::with_capacity(text.len().min(most.saturating_mul(4))));
    packed.extend(visible.take(most));
    packed.make_ascii_lowercase();
    packed
}

/// What else of ours a packed text is, if anything: the most likely slips are to paste one's own request, and to
/// take a deck for a bundle.
fn another_form(expected: TextKind, packed: &str) -> Option<TextError> {
    let (head, found) = packed.split_at_checked(packed.find(|c: char| c.is_ascii_digit())?)?;
    if head == expected.head() {
        let found = found.bytes().next()? - b'0';
        return (found != 1).then_some(TextError::Version { expected, found });
    }
    let word = head.strip_prefix(FAMILY)?;
    if word.is_empty()
        || word.len() > MAX_WORD_LEN
        || !word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    {
        return None;
    }
    let known = TextKind::ALL.into_iter().find(|kind| kind.head() == head);
    let found = known.map_or_else(|| word.replace('-', " "), |kind| kind.to_string());
    Some(TextError::AnotherKind { expected, found })
}

/// The bytes without the checksum of their kind. None if it does not fit.
fn without_checksum(kind: TextKind, mut body: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
    let len = body.len().checked_sub(kind.checksum_len())?;
    let (bytes, sum) = body.split_at_checked(len)?;
    if !checksum(kind, bytes).starts_with(sum) {
        return None;
    }
    body.truncate(len);
    Some(body)
}

/// Covers the kind too: a line whose head was exchanged is none.
fn checksum(kind: TextKind, bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = Sha256::new().chain_update(kind.head()).chain_update([0]).chain_update(bytes).finalize();
    std::array::from_fn(|at| digest[at])
}
