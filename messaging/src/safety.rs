//! What two contacts compare, face to face or by voice, to know that nobody stands between them.
//!
//! The construction is that of Signal's safety numbers (libsignal, `fingerprint.rs`, version 0; "Safety number updates",
//! signal.org, 2016): each side's key is hashed with SHA-512 5,200 times, 30 digits of each are put together, the smaller
//! first. Whoever wants another key with the same 30 digits has to try 10^30 · 5,200, about 2^112 hashes.
//!
//! It depends on the two roots alone: it stays when a pod, its ratchet or its places are replaced.
//!
//! A number that was compared proves that each holds the other's root key. It proves nothing about who that person
//! is: that is what voice or face are for.

use std::{cell::OnceCell, fmt};

use autonomy_codec::{TextKind, armour};
use bip39::Language;
use sha2::{Digest as _, Sha512};

use crate::{RootPublic, TextError};

/// Digits of each side.
/// Digits of each side.
const HALF_DIGITS: usize = 30;
/// Digits of a group: five bytes of the hash, taken modulo 100,000.
const GROUP_DIGITS: usize = 5;
///
/// Slows a search for keys with the same digits by 2^12, as in Signal's.
const ITERATIONS: usize = 5_200;
/// Words of each side: 9 · 11 = 99 bits, as much as 30 digits say.
const HALF_WORDS: usize = 9;
/// Bytes of each side in the text that is scanned.
const HALF_LEN: usize = 32;
/// Version, and both sides: as text 128 characters, a QR code of version 5.
const LEN: usize = 1 + 2 * HALF_LEN;

/// Format of the scanned text.
const FORMAT: u8 = 1;
/// What is hashed before the root: other programs' numbers are others.
const DOMAIN: &[u8] = b"autonomy safety number v1\0";

/// The same for both; another for any other two persons.
///
/// To have one costs nothing; to show it takes 10,400 hashes, some milliseconds, in whatever ways it is shown: too long to
/// do it for a whole list of contacts.
#[derive(Clone)]
pub struct SafetyNumber {
    /// Both, the smaller first.
    roots: [RootPublic; 2],
    /// The hashes of both sides, the smaller first, once they were computed.
    halves: OnceCell<[[u8; HALF_LEN]; 2]>,
}

/// Of the same persons.
impl PartialEq for SafetyNumber {
    fn eq(&self, other: &Self) -> bool {
        self.roots == other.roots
    }
}

impl Eq for SafetyNumber {}

/// What comes of comparing a scanned text.
///
/// Only [`Same`](Self::Same) verifies a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Both see the same persons.
    Same,
    /// They do not: the contact is not who it seems, or another contact's number was scanned.
    Different,
}

impl SafetyNumber {
    /// The number of two persons; who asks does not matter.
    #[must_use]
    pub fn between(one: &RootPublic, other: &RootPublic) -> Self {
        let mut roots = [*one, *other];
        roots.sort_unstable_by_key(|root| *root.as_bytes());
        Self { roots, halves: OnceCell::new() }
    }

    /// The hashes of both sides, the smaller first.
    fn halves(&self) -> &[[u8; HALF_LEN]; 2] {
        self.halves.get_or_init(|| {
            let mut halves = self.roots.map(|root| half(&root));
            halves.sort_unstable();
            halves
        })
    }

    /// Sixty digits in twelve groups of five.
    ///
    /// Both sides see the same; they are read aloud or compared on two screens.
    #[must_use]
    #[expect(clippy::expect_used, reason = "two halves of six groups each are twelve")]
    pub fn groups(&self) -> [String; 12] {
        let halves = self.halves();
        let digits = halves.iter().flat_map(|half| {
            half.chunks_exact(GROUP_DIGITS).take(HALF_DIGITS / GROUP_DIGITS).map(|bytes| {
                let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                format!("{:05}", number % 100_000)
            })
        });
        let groups: Vec<String> = digits.collect();
        groups.try_into().expect("two halves of six groups")
    }

    /// Eighteen English words of the BIP-39 list, nine of each side, to be read aloud.
    ///
    /// As strong as the digits, and quicker to read: 99 bits of each side.
    #[must_use]
    #[expect(clippy::expect_used, reason = "two halves of nine words each are eighteen")]
    pub fn words(&self) -> [&'static str; 18] {
        let list = Language::English.word_list();
        let halves = self.halves();
        let nine = |half| (0..HALF_WORDS).map(move |number| list[eleven_bits(half, number)]);
        let words: Vec<&str> = halves.iter().flat_map(nine).collect();
        words.try_into().expect("two halves of nine words")
    }

    /// One line to be shown as a QR code and scanned by the other; in upper case it fits the alphanumeric mode.
    #[must_use]
    pub fn to_text(&self) -> String {
        armour::encode(TextKind::SafetyNumber, &[&[FORMAT], self.halves().as_flattened()].concat())
    }

    /// Compares with the line that the other shows. A text that is no safety number, or of another format, is an error:
    /// it says nothing about the contact.
    ///
    /// # Errors
    /// [`TextError`] says why the text is no safety number of this format.
    pub fn compare(&self, text: &str) -> Result<Comparison, TextError> {
        let scanned = armour::decode(TextKind::SafetyNumber, text, LEN)?;
        let Some(halves) = scanned.strip_prefix(&[FORMAT]).filter(|halves| halves.len() == LEN - 1) else {
            return Err(TextError::Unknown { expected: TextKind::SafetyNumber });
        };
        let same = halves == self.halves().as_flattened();
        Ok(if same { Comparison::Same } else { Comparison::Different })
    }
}

/// The iterated hash of one root, as Signal computes it.
fn half(root: &RootPublic) -> [u8; HALF_LEN] {
    let mut hash = Sha512::new().chain_update(DOMAIN).chain_update(root.as_bytes()).finalize();
    for _ in 0..ITERATIONS {
        hash = Sha512::new().chain_update(hash).chain_update(root.as_bytes()).finalize();
    }
    std::array::from_fn(|at| hash[at])
}

/// The `number`-th eleven bits, most significant first.
fn eleven_bits(bytes: &[u8; HALF_LEN], number: usize) -> usize {
    let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
    (number * 11..number * 11 + 11).fold(0, |word, at| word << 1 | bit(at))
}

impl fmt::Display for SafetyNumber {
    /// The groups, with blanks between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.groups().join(" "))
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SafetyNumber").field(&self.roots).finish()
    }
}
