//! One share of a secret: its form, and the check that makes it usable.

use std::fmt;

use frost_secp256k1::Identifier;
use frost_secp256k1::keys::{KeyPackage, SecretShare, SigningShare, VerifiableSecretSharingCommitment};
use zeroize::Zeroizing;

use crate::PublicKey;

/// Fewest shards a secret may be restored from. With one, the shard would be the secret.
pub const MIN_THRESHOLD: u8 = 2;

/// Most holders of one secret. People, keepers and own stores: nobody looks after more, and a shard stays
/// small (see [`MAX_SHARD_LEN`]).
pub const MAX_HOLDERS: u8 = 32;

/// Longest encoding of a shard: version, index and threshold (3) + scalar (32) + one point (33) for each of
/// at most [`MAX_HOLDERS`] needed = 1,091 bytes. A shard of a 2-of-3 has 101.
pub const MAX_SHARD_LEN: usize = 3 + 32 + POINT_LEN * MAX_HOLDERS as usize;

/// Version of the encoding.
const SHARD_VERSION: u8 = 1;
/// Bytes of a compressed point.
const POINT_LEN: usize = 33;

/// One share of a secret as somebody handed it to us: well formed, not yet checked against anything.
///
/// A share is a point of a polynomial whose value at zero is the secret; with it go the commitments to the
/// polynomial (Feldman 1987; RFC 9591, appendix C.2). Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Shard {
    /// Number of the shard within its set; the x-coordinate of its point.
    index: u8,
    /// The point with the commitments, as the library has them.
    share: SecretShare,
}

/// A [`Shard`] that belongs to the secret behind a known public key. Only such shards can be combined.
#[derive(Clone)]
pub struct VerifiedShard {
    index: u8,
    /// Names the split: shards of one split have the same.
    commitment: VerifiableSecretSharingCommitment,
    /// What the library combines.
    package: KeyPackage,
}

/// Why bytes are no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedShard {
    /// The length is not the one that the threshold asks for.
    #[error("a shard of this threshold has {expected} bytes, this has {found}: it was cut or glued")]
    Length {
        /// Bytes that were due.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// A format this program does not know.
    #[error("shard format {0} is not known here: a newer program wrote it, or it is damaged")]
    Version(u8),
    /// The index is zero or beyond [`MAX_HOLDERS`]. A share at zero would be the secret itself.
    #[error("shard index {0} is not between 1 and {MAX_HOLDERS}")]
    Index(u8),
    /// The threshold is outside of its bounds.
    #[error("a threshold of {0} is not between {MIN_THRESHOLD} and {MAX_HOLDERS}")]
    Threshold(u8),
    /// The share is not below the order of the curve.
    #[error("the share is not a number of secp256k1")]
    Scalar,
    /// A commitment is not a point of the curve in its one canonical form.
    #[error("a commitment is not a point of secp256k1")]
    Point,
}

/// Why a well-formed shard is not one of the secret that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// It was dealt from another secret.
    #[error("shard {index} belongs to another secret")]
    OtherSecret {
        /// Number of the shard within its set.
        index: u8,
    },
    /// The share does not lie on the committed polynomial: someone changed it.
    #[error("shard {index} does not fit its commitment: it was changed, do not use it")]
    DoesNotFit {
        /// Number of the shard within its set.
        index: u8,
    },
}

impl Shard {
    pub(crate) fn new(index: u8, share: SecretShare) -> Self {
        Self { index, share }
    }

    /// Number of this shard within its set, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// How many shards of the set are needed. It is the number of commitments, so it cannot be lied about
    /// without making the shard useless.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the number of commitments was bounded when this was made or parsed"
    )]
    pub fn threshold(&self) -> u8 {
        u8::try_from(self.points().len()).expect("bounded when made or parsed")
    }

    /// The key that the shard says it belongs to. A claim: [`Shard::verify`] holds it against a known key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a compressed point has 33 bytes")]
    pub fn claimed_key(&self) -> PublicKey {
        let points = self.points();
        points[0].as_slice().try_into().expect("a compressed point has 33 bytes")
    }

    /// Checks that this is a shard of the secret whose public key is `expected` (for R: the key in its xpub).
    ///
    /// The first commitment must *be* that key, and the share must lie on the committed polynomial.
    ///
    /// # Errors
    /// [`ShardError::OtherSecret`] where the first commitment is another key, [`ShardError::DoesNotFit`] where the
    /// share does not lie on the committed polynomial.
    pub fn verify(&self, expected: &PublicKey) -> Result<VerifiedShard, ShardError> {
        let index = self.index;
        if self.claimed_key() != *expected {
            return Err(ShardError::OtherSecret { index });
        }
        let package =
            KeyPackage::try_from(self.share.clone()).map_err(|_| ShardError::DoesNotFit { index })?;
        Ok(VerifiedShard { index, commitment: self.share.commitment().clone(), package })
    }

    /// The canonical bytes: version, index, threshold (one byte each), the share (32), the commitments
    /// (33 each, as many as the threshold).
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let points = self.points();
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_SHARD_LEN));
        out.extend_from_slice(&[SHARD_VERSION, self.index, self.threshold()]);
        out.extend_from_slice(&Zeroizing::new(self.share.signing_share().serialize()));
        points.iter().for_each(|point| out.extend_from_slice(point));
        out
    }

    /// Reads what [`Shard::to_bytes`] wrote, and nothing else: each shard has exactly one encoding.
    ///
    /// # Errors
    /// [`MalformedShard`] says whether it is the length, the version, a number, the share or a commitment. Nothing is
    /// verified.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedShard> {
        let found = bytes.len();
        let [version, index, threshold] =
            *bytes.first_chunk().ok_or(MalformedShard::Length { expected: 3, found })?;
        check_header(version, index, threshold)?;
        let expected = 3 + 32 + POINT_LEN * usize::from(threshold);
        if found != expected {
            return Err(MalformedShard::Length { expected, found });
        }
        let (scalar, points) = bytes[3..].split_at(32);
        let share = SigningShare::deserialize(scalar).map_err(|_| MalformedShard::Scalar)?;
        let commitment = read_commitment(points)?;
        let identifier = identifier(index).ok_or(MalformedShard::Index(index))?;
        Ok(Self { index, share: SecretShare::new(identifier, share, commitment) })
    }

    /// The commitments as compressed points.
    #[expect(clippy::expect_used, reason = "made or parsed from points that have an encoding")]
    fn points(&self) -> Vec<Vec<u8>> {
        self.share.commitment().serialize().expect("made or parsed from points that have an encoding")
    }
}

/// Version, index and threshold within their bounds.
fn check_header(version: u8, index: u8, threshold: u8) -> Result<(), MalformedShard> {
    if version != SHARD_VERSION {
        return Err(MalformedShard::Version(version));
    }
    if !(1..=MAX_HOLDERS).contains(&index) {
        return Err(MalformedShard::Index(index));
    }
    if !(MIN_THRESHOLD..=MAX_HOLDERS).contains(&threshold) {
        return Err(MalformedShard::Threshold(threshold));
    }
    Ok(())
}

/// Points in their one canonical form.
fn read_commitment(bytes: &[u8]) -> Result<VerifiableSecretSharingCommitment, MalformedShard> {
    let commitment = VerifiableSecretSharingCommitment::deserialize(bytes.chunks(POINT_LEN))
        .map_err(|_| MalformedShard::Point)?;
    // Whatever other forms the curve library may read: ours is the compressed one only.
    match commitment.serialize_whole() {
        Ok(canonical) if canonical == bytes => Ok(commitment),
        _ => Err(MalformedShard::Point),
    }
}

/// The x-coordinate of a shard; `None` for zero.
pub(crate) fn identifier(index: u8) -> Option<Identifier> {
    Identifier::try_from(u16::from(index)).ok()
}

impl VerifiedShard {
    /// Number of this shard within its set, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// How many shards of the set are needed.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the threshold was bounded when this was made or parsed")]
    pub fn threshold(&self) -> u8 {
        u8::try_from(*self.package.min_signers()).expect("bounded when made or parsed")
    }

    /// Whether both come from the same split. Shards of two splits of one secret do not combine.
    #[must_use]
    pub fn same_split(&self, other: &Self) -> bool {
        self.commitment == other.commitment
    }

    /// What the library combines.
    pub(crate) fn package(&self) -> &KeyPackage {
        &self.package
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("index", &self.index)
            .field("threshold", &self.threshold())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifiedShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedShard")
            .field("index", &self.index)
            .field("threshold", &self.threshold())
            .finish_non_exhaustive()
    }
}
