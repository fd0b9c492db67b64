//! The deck: what one holder keeps, as bytes.
//!
//! ```text
//! "adck" · version 1 · set id 16 · time 8 · total 1 · label 1 + n · holder 1 + n · shard 2 + n · nonce 24 · sealed 2
//! + n · checksum 8
//! ```

use std::fmt;

use autonomy_codec::{Reader, put_bytes_u8, put_bytes_u16};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::seal::{MAX_SEALED_LEN, NONCE_LEN, Sealed};
use crate::{
    BadName, Contents, DoesNotOpen, MAX_NAME_LEN, MAX_SHARD_LEN, MalformedShard, Name, PublicKey, Secret,
    Shard, ShardError, VerifiedShard,
};

/// Random number of a set of decks that were dealt together. It means nothing to anybody else.
pub type SetId = [u8; 16];

/// Longest deck in bytes: magic, version, set id, time and total (30), two names behind their lengths
/// (130), shard (2 + 1,091), nonce (24), sealed part (2 + 33,808), checksum (8) = 35,065.
pub const MAX_DECK_LEN: usize =
    HEAD_LEN + 2 * (1 + MAX_NAME_LEN) + 2 + MAX_SHARD_LEN + NONCE_LEN + 2 + MAX_SEALED_LEN + CHECKSUM_LEN;

/// What every deck begins with.
const MAGIC: &[u8; 4] = b"adck";
const VERSION: u8 = 1;
/// Magic, version, set id, time and total.
const HEAD_LEN: usize = MAGIC.len() + 1 + size_of::<SetId>() + 8 + 1;
/// Of SHA-256: one damaged copy in 2^64 goes unnoticed here, and fails at the shard then.
const CHECKSUM_LEN: usize = 8;

/// What one holder keeps: a shard, and the sealed contents that every deck of the set carries.
///
/// In clear are the names of secret and holder, how many are needed of how many, and when it was made.
/// Chain code and account maps are sealed: the holder learns neither addresses nor balance.
#[derive(Clone, PartialEq, Eq)]
pub struct Deck {
    /// Which dealing it is of.
    pub(crate) set: SetId,
    /// Seconds since 1970, UTC.
    pub(crate) created_at: u64,
    /// Decks in the set.
    pub(crate) total: u8,
    /// What the owner calls the secret.
    pub(crate) label: Name,
    /// Who is to keep it.
    pub(crate) holder: Name,
    /// As it came: verified only against a key that is known from elsewhere.
    pub(crate) shard: Shard,
    /// The same in every deck of the set.
    pub(crate) sealed: Sealed,
}

/// Why bytes are no deck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedDeck {
    /// Longer than [`MAX_DECK_LEN`].
    #[error("{0} bytes are more than a deck can have ({MAX_DECK_LEN})")]
    TooLong(usize),
    /// Something else than a deck.
    #[error("this is not a deck")]
    NotADeck,
    /// A format this program does not know.
    #[error("deck format {0} is not known here: a newer program wrote it, update this one")]
    Version(u8),
    /// The bytes end early, or go on after the end.
    #[error("the deck is cut off, or something was glued to it: copy it again, whole")]
    Cut,
    /// The checksum does not fit.
    #[error("the deck was damaged on the way (checksum): copy it again")]
    Checksum,
    /// The shard in it is none.
    #[error("the shard in the deck is damaged: {0}")]
    Shard(MalformedShard),
    /// A name in it is none.
    #[error("a name in the deck is not allowed: {0}")]
    Name(BadName),
    /// More decks needed than were made, or a number beyond their count.
    #[error("the deck says to be number {index} of {total} of which {threshold} are needed: impossible")]
    Shape {
        /// Number of the deck.
        index: u8,
        /// Decks in the set.
        total: u8,
        /// Decks needed.
        threshold: u8,
    },
}

impl Deck {
    /// Number of the set that this deck was dealt in.
    #[must_use]
    pub fn set_id(&self) -> &SetId {
        &self.set
    }

    /// When it was made: seconds since 1970, UTC.
    #[must_use]
    pub fn created_at(&self) -> u64 {
        self.created_at
    }

    /// What the owner calls the secret.
    #[must_use]
    pub fn label(&self) -> &Name {
        &self.label
    }

    /// Who is to keep it.
    #[must_use]
    pub fn holder(&self) -> &Name {
        &self.holder
    }

    /// Number of this deck within its set, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.shard.index()
    }

    /// How many decks of the set make the secret whole.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.shard.threshold()
    }

    /// How many decks the set has.
    #[must_use]
    pub fn total(&self) -> u8 {
        self.total
    }

    /// The shard, as somebody handed it to us.
    #[must_use]
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// The public key this deck says to belong to. A claim, for those who lost even the account map: as many
    /// decks as are needed, from different people, agree on it only if it is true.
    #[must_use]
    pub fn claimed_key(&self) -> PublicKey {
        self.shard.claimed_key()
    }

    /// Checks the shard against the key in the account map; see [`Shard::verify`].
    ///
    /// # Errors
    /// As [`Shard::verify`].
    pub fn verify(&self, expected: &PublicKey) -> Result<VerifiedShard, ShardError> {
        self.shard.verify(expected)
    }

    /// Opens the sealed part with the secret made whole.
    ///
    /// # Errors
    /// [`DoesNotOpen`] with another secret, or where it was changed: another holder's copy may be good.
    pub fn open(&self, secret: &Secret) -> Result<Contents, DoesNotOpen> {
        self.sealed.open(secret, &self.set)
    }

    /// The canonical bytes, checksum at the end.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_DECK_LEN));
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.set);
        out.extend_from_slice(&self.created_at.to_be_bytes());
        out.push(self.total);
        put_bytes_u8(&mut out, self.label.as_str().as_bytes());
        put_bytes_u8(&mut out, self.holder.as_str().as_bytes());
        put_bytes_u16(&mut out, &self.shard.to_bytes());
        out.extend_from_slice(&self.sealed.nonce);
        put_bytes_u16(&mut out, &self.sealed.ciphertext);
        let sum = checksum(&out);
        out.extend_from_slice(&sum);
        out
    }

    /// Reads what [`Deck::to_bytes`] wrote, and nothing else: each deck has exactly one encoding.
    ///
    /// # Errors
    /// [`MalformedDeck`] says whether it is the length, the format, the checksum, or a field. Nothing is verified.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedDeck> {
        if bytes.len() > MAX_DECK_LEN {
            return Err(MalformedDeck::TooLong(bytes.len()));
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(MalformedDeck::NotADeck)?;
        match rest.first() {
            None => return Err(MalformedDeck::Cut),
            Some(&VERSION) => {}
            Some(&other) => return Err(MalformedDeck::Version(other)),
        }
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(MalformedDeck::Cut)?;
        if checksum(body) != *sum {
            return Err(MalformedDeck::Checksum);
        }
        let fields = body.get(MAGIC.len() + 1..).ok_or(MalformedDeck::Cut)?;
        read_fields(fields)?.shaped()
    }

    /// Whether its numbers can be those of a deck.
    fn shaped(self) -> Result<Self, MalformedDeck> {
        let (index, threshold, total) = (self.index(), self.threshold(), self.total);
        if index > total || threshold > total || total > crate::MAX_HOLDERS {
            return Err(MalformedDeck::Shape { index, total, threshold });
        }
        Ok(self)
    }
}

/// The fields between version and checksum.
fn read_fields(bytes: &[u8]) -> Result<Deck, MalformedDeck> {
    let cut = MalformedDeck::Cut;
    let mut reader = Reader::new(bytes);
    let set = reader.array().ok_or(cut)?;
    let created_at = reader.u64().ok_or(cut)?;
    let total = reader.u8().ok_or(cut)?;
    let label = read_name(reader.bytes_u8().ok_or(cut)?)?;
    let holder = read_name(reader.bytes_u8().ok_or(cut)?)?;
    let shard = Shard::from_bytes(reader.bytes_u16().ok_or(cut)?).map_err(MalformedDeck::Shard)?;
    let nonce = reader.array().ok_or(cut)?;
    let ciphertext = reader.bytes_u16().ok_or(cut)?.to_vec();
    if !reader.is_empty() || ciphertext.len() > MAX_SEALED_LEN {
        return Err(cut);
    }
    Ok(Deck { set, created_at, total, label, holder, shard, sealed: Sealed { nonce, ciphertext } })
}

/// A name from bytes; those that are no UTF-8 count as invisible.
fn read_name(bytes: &[u8]) -> Result<Name, MalformedDeck> {
    let text = std::str::from_utf8(bytes).map_err(|_| MalformedDeck::Name(BadName::Invisible))?;
    Name::new(text).map_err(MalformedDeck::Name)
}

/// Against slips of copying, not against malice: the shard is verified, the contents are sealed.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = Sha256::digest(body);
    std::array::from_fn(|at| digest[at])
}

impl fmt::Debug for Deck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deck")
            .field("label", &self.label)
            .field("holder", &self.holder)
            .field("created_at", &self.created_at)
            .field("total", &self.total)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}
