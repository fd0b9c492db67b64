//! Bytes as one line of text that survives mail, chat, paper and QR codes, and says what it is.
//!
//! `autonomy-<kind>1` and base32 (RFC 4648, lower case, no padding) of the bytes and a checksum. Upper case is
//! read too: as upper case alone the line fits the alphanumeric mode of a QR code, half the size.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of checksum: one wrong copy in 2^40 goes unnoticed here, and fails at the signature then.
pub(crate) const CHECKSUM_LEN: usize = 5;

const FAMILY: &str = "autonomy-";

/// What a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A pod asks for its owner.
    PodRequest,
    /// The owner's answer to a pod.
    Bundle,
    /// A further device asks to be let in.
    DeviceRequest,
    /// The owner's answer to a further device.
    Grant,
    /// Somebody may become a contact.
    Invite,
    /// What two contacts compare.
    SafetyNumber,
    /// Sealed messages that travel without a network.
    Parcel,
}

/// Why a text is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It is one of ours, but another one.
    #[error("this is a {found}, not a {expected}")]
    AnotherKind {
        /// What was asked for.
        expected: Kind,
        /// What was given, in plain words.
        found: String,
    },
    /// Nothing of ours.
    #[error("this is not a {expected}: it would start with \"{}1\"", expected.prefix())]
    Unknown {
        /// What was asked for.
        expected: Kind,
    },
    /// Longer than this kind can be.
    #[error("{found} characters are more than a {expected} can have ({most})")]
    TooLong {
        /// What was asked for.
        expected: Kind,
        /// Characters given.
        found: usize,
        /// Most characters possible.
        most: usize,
    },
    /// A character that is not in the alphabet.
    #[error("the {expected} has a character that cannot be there: copy it again, whole")]
    Character {
        /// What was asked for.
        expected: Kind,
    },
    /// The checksum does not fit.
    #[error("the {expected} was cut or changed on the way (checksum): copy it again, whole")]
    Checksum {
        /// What was asked for.
        expected: Kind,
    },
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::PodRequest,
        Self::Bundle,
        Self::DeviceRequest,
        Self::Grant,
        Self::Invite,
        Self::SafetyNumber,
        Self::Parcel,
    ];

    fn prefix(self) -> &'static str {
        match self {
            Self::PodRequest => "autonomy-pod-request",
            Self::Bundle => "autonomy-bundle",
            Self::DeviceRequest => "autonomy-device-request",
            Self::Grant => "autonomy-grant",
            Self::Invite => "autonomy-invite",
            Self::SafetyNumber => "autonomy-safety",
            Self::Parcel => "autonomy-parcel",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PodRequest => "pod request",
            Self::Bundle => "bundle",
            Self::DeviceRequest => "device request",
            Self::Grant => "grant",
            Self::Invite => "contact invite",
            Self::SafetyNumber => "safety number",
            Self::Parcel => "parcel",
        })
    }
}

/// Characters of the line for so many bytes.
pub(crate) const fn text_len(prefix_len: usize, bytes: usize) -> usize {
    prefix_len + 1 + ((bytes + CHECKSUM_LEN) * 8).div_ceil(5)
}

pub(crate) fn encode(kind: Kind, bytes: &[u8]) -> String {
    let mut body = Zeroizing::new(Vec::with_capacity(bytes.len() + CHECKSUM_LEN));
    body.extend_from_slice(bytes);
    body.extend_from_slice(&checksum(kind, bytes));
    let mut line = Zeroizing::new(BASE32_NOPAD.encode(&body));
    line.make_ascii_lowercase();
    format!("{}1{}", kind.prefix(), line.as_str())
}

/// Reads a line of this kind with `most` bytes at most. White space anywhere is passed over: mail programs
/// break lines, and people copy blanks.
pub(crate) fn decode(kind: Kind, text: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, TextError> {
    let expected = kind;
    // One blank for each character, and some around it.
    let most = 2 * text_len(kind.prefix().len(), most) + 64;
    if text.len() > most {
        let named = another_kind(kind, &text.chars().take(64).collect::<String>());
        return Err(named.unwrap_or(TextError::TooLong { expected, found: text.len(), most }));
    }
    let mut packed = Zeroizing::new(String::with_capacity(text.len()));
    packed.extend(text.chars().filter(|c| !c.is_whitespace() && *c != '\u{feff}'));
    packed.make_ascii_uppercase();
    let prefix = kind.prefix().to_ascii_uppercase();
    let Some(line) = packed.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('1')) else {
        return Err(another_kind(kind, &packed).unwrap_or(TextError::Unknown { expected }));
    };
    if !line.bytes().all(|c| c.is_ascii_uppercase() || matches!(c, b'2'..=b'7')) {
        return Err(TextError::Character { expected });
    }
    // What fails now is a length that no bytes have: a piece is missing.
    let bytes = BASE32_NOPAD.decode(line.as_bytes()).map_err(|_| TextError::Checksum { expected })?;
    let bytes = Zeroizing::new(bytes);
    match bytes.split_last_chunk::<CHECKSUM_LEN>() {
        Some((body, sum)) if checksum(kind, body) == *sum => Ok(Zeroizing::new(body.to_vec())),
        _ => Err(TextError::Checksum { expected }),
    }
}

/// What else of ours the text is, if anything: the two most likely slips are to paste one's own request, and
/// to take a deck for a bundle.
fn another_kind(expected: Kind, text: &str) -> Option<TextError> {
    let text = text.trim().to_ascii_lowercase();
    let start = text.get(..text.find('1')?)?;
    let word = start.strip_prefix(FAMILY)?;
    if word.is_empty() || word.len() > 24 || !word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
        return None;
    }
    let known = Kind::ALL.into_iter().find(|kind| kind.prefix() == start);
    let found = known.map_or_else(|| word.replace('-', " "), |kind| kind.to_string());
    Some(TextError::AnotherKind { expected, found })
}

/// Covers the kind too: a line whose head was exchanged is none.
fn checksum(kind: Kind, bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = Sha256::new().chain_update(kind.prefix()).chain_update([0]).chain_update(bytes).finalize();
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}
