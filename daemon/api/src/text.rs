//! Texts that obey a rule: the names of accounts, notes, what two people compare, and the bytes of a draft.

use std::{
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
};

use autonomy_messaging::{BadName, SafetyNumber, is_invisible};
use autonomy_wallet::{account::MAX_NAME_LEN, check::MAX_PSBT_BYTES};
use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::written::{self, Written};

/// Longest note of a payment, in characters.
pub const MAX_NOTE: usize = 256;
/// Longest text that is scanned in place of a safety number, bytes: it has 65 bytes in base32, and its kind before them.
const MAX_SCANNED: usize = 160;

/// A text breaks the rule of its field; the rule is the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BrokenRule(&'static str);

/// Reads and writes a type as its text, in every format of serde.
macro_rules! as_written {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                written::serialize(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                written::deserialize(deserializer)
            }
        }
    };
}

as_written!(PsbtBytes);
as_written!(AbsolutePath);

/// Declares texts that keep a rule.
macro_rules! ruled_texts {
    ($($(#[$doc:meta])+ $name:ident: $fits:expr, $rule:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes a text; it is never changed to fit.
            ///
            /// # Errors
            /// The rule that it breaks.
            pub fn new(text: &str) -> Result<Self, BrokenRule> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) { Ok(Self(text.to_owned())) } else { Err(BrokenRule($rule)) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Written for $name {
            type Error = BrokenRule;

            fn read(text: &str) -> Result<Self, BrokenRule> {
                Self::new(text)
            }

            fn write(&self) -> Zeroizing<String> {
                Zeroizing::new(self.0.clone())
            }
        }

        as_written!($name);
    )+};
}

ruled_texts! {
    /// What an account is called: the rule of an account map.
    AccountName: |text| is_line(text, MAX_NAME_LEN), "1 to 64 characters of text without control characters";
    /// A word for the owner's own memory.
    Note: |text| is_line(text, MAX_NOTE), "1 to 256 characters of text without control characters";
    /// The digits of a safety number, see [`SafetyNumber`].
    SafetyDigits: |text| is_groups(text, 12, |group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit())),
        "twelve groups of five digits, with blanks between them";
    /// The words of a safety number, see [`SafetyNumber::words`].
    SafetyWords: |text| is_groups(text, 18, |word| (3..=8).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase())),
        "eighteen words, with blanks between them";
    /// The text of a safety number that the other side scans, see [`SafetyNumber::to_text`].
    SafetyCode: |text| (1..=MAX_SCANNED).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()),
        "1 to 160 visible characters without blanks";
}

impl AccountName {
    /// A name for a new account. As any other [name](autonomy_messaging::Name) it shows what it is, and nothing else.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn visible(text: &str) -> Result<Self, BadName> {
        let name = Self::new(text).map_err(|_| BadName::Length(text.chars().count()))?;
        if text.trim() != text || text.chars().any(is_invisible) {
            return Err(BadName::Invisible);
        }
        Ok(name)
    }

    /// Whether people could take the names for each other: they differ in nothing but the encoding of their letters,
    /// capitals, and blanks.
    #[must_use]
    pub fn is_like(&self, other: &str) -> bool {
        folded(&self.0).eq(folded(other))
    }
}

/// One form of all texts that look alike: compatibility decomposition (NFKD) in small letters, without blanks.
fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.nfkd().flat_map(char::to_lowercase).nfkd().filter(|c| !c.is_whitespace())
}

/// Text that a terminal shows on one line and does not obey.
fn is_line(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_groups(text: &str, count: usize, fits: impl Fn(&str) -> bool) -> bool {
    text.split(' ').count() == count && text.split(' ').all(fits)
}

impl From<&SafetyNumber> for SafetyDigits {
    fn from(number: &SafetyNumber) -> Self {
        Self(number.to_string())
    }
}

impl From<&SafetyNumber> for SafetyWords {
    fn from(number: &SafetyNumber) -> Self {
        Self(number.words().join(" "))
    }
}

impl From<&SafetyNumber> for SafetyCode {
    fn from(number: &SafetyNumber) -> Self {
        Self(number.to_text())
    }
}

/// The bytes of a PSBT (BIP-174), at most [`MAX_PSBT_BYTES`], as JSON carries them: in base64. Nothing in them is checked:
/// that needs an account map and a view of the chain.
#[derive(Clone, PartialEq, Eq)]
pub struct PsbtBytes(Vec<u8>);

/// Why a text is no PSBT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPsbt {
    /// Longer than any that is taken.
    #[error("at most {MAX_PSBT_BYTES} bytes in base64")]
    TooLarge,
    /// Not base64.
    #[error("a PSBT in base64")]
    Base64,
}

impl PsbtBytes {
    /// Takes the bytes of a PSBT.
    ///
    /// # Errors
    /// [`NotAPsbt::TooLarge`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, NotAPsbt> {
        if bytes.len() > MAX_PSBT_BYTES { Err(NotAPsbt::TooLarge) } else { Ok(Self(bytes)) }
    }
}

impl Deref for PsbtBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PsbtBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PsbtBytes({} bytes)", self.0.len())
    }
}

impl Written for PsbtBytes {
    type Error = NotAPsbt;

    /// The length is looked at before the text is decoded.
    fn read(text: &str) -> Result<Self, NotAPsbt> {
        if text.len() > BASE64.encode_len(MAX_PSBT_BYTES) {
            return Err(NotAPsbt::TooLarge);
        }
        Self::new(BASE64.decode(text.as_bytes()).map_err(|_| NotAPsbt::Base64)?)
    }

    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(&self.0))
    }
}

/// A path that means the same whatever the working folder of a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsolutePath(PathBuf);

impl AbsolutePath {
    /// Takes an absolute path.
    ///
    /// # Errors
    /// The path is relative, or not UTF-8.
    pub fn new(path: PathBuf) -> Result<Self, BrokenRule> {
        let rule = BrokenRule("an absolute path in UTF-8; the pod's working folder is not the caller's");
        if path.is_absolute() && path.to_str().is_some() { Ok(Self(path)) } else { Err(rule) }
    }
}

impl Deref for AbsolutePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Written for AbsolutePath {
    type Error = BrokenRule;

    fn read(text: &str) -> Result<Self, BrokenRule> {
        Self::new(PathBuf::from(text))
    }

    #[expect(clippy::expect_used, reason = "`new` takes UTF-8 only")]
    fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_str().expect("`new` takes UTF-8 only").to_owned())
    }
}
