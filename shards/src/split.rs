//! Splitting a secret, and making it whole again.

use frost_secp256k1::keys::{self, IdentifierList, KeyPackage};
use rand_core::CryptoRngCore;

use crate::shard::identifier;
use crate::{MAX_HOLDERS, MIN_THRESHOLD, PublicKey, Secret, Shard, VerifiedShard};

/// Why a secret could not be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Threshold or number of holders are outside of their bounds.
    #[error(
        "cannot split {threshold} of {holders}: at least {MIN_THRESHOLD} must be needed, no more than there \
         are holders, and there may be {MAX_HOLDERS} holders at most"
    )]
    Shape {
        /// Shards that would be needed.
        threshold: u8,
        /// Shards that would be made.
        holders: u8,
    },
    /// A shard that was just made does not pass its own check. Nothing may be given away.
    #[error("the random generator gave numbers that make no good shards: stop, and do not use this machine")]
    BadRandomness,
}

/// Why shards do not make a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CombineError {
    /// Not enough shards.
    #[error("{have} good shards, {need} are needed: ask further holders")]
    TooFew {
        /// Shards given.
        have: usize,
        /// Shards needed.
        need: u8,
    },
    /// One shard twice counts once.
    #[error("shard {index} was given twice")]
    Duplicate {
        /// Number of the shard.
        index: u8,
    },
    /// Two splits of the same secret were mixed.
    #[error("shards {first} and {other} come from different splits of the secret: use those of one split")]
    Mixed {
        /// Number of the first shard given.
        first: u8,
        /// Number of the one that does not go with it.
        other: u8,
    },
    /// The shards make a secret, but not the one asked for.
    #[error("these shards belong to another secret")]
    OtherSecret,
}

/// Splits `secret` into `holders` shards of which any `threshold` make it whole, and fewer tell nothing.
///
/// Each shard is checked before it is returned. `rng` must be a good one: with the polynomial known, one
/// shard gives the secret away.
///
/// # Errors
/// [`SplitError::Shape`] where the numbers are out of bounds, [`SplitError::BadRandomness`] where a shard does not
/// pass its own check: the generator is broken, and nothing may be given away.
pub fn split(
    secret: &Secret,
    threshold: u8,
    holders: u8,
    rng: &mut dyn CryptoRngCore,
) -> Result<Vec<Shard>, SplitError> {
    if threshold < MIN_THRESHOLD || threshold > holders || holders > MAX_HOLDERS {
        return Err(SplitError::Shape { threshold, holders });
    }
    let mut rng = rng;
    let (mut shares, _) = keys::split(
        &secret.signing_key(),
        holders.into(),
        threshold.into(),
        IdentifierList::Default,
        &mut rng,
    )
    .map_err(|_| SplitError::BadRandomness)?;
    let key = secret.public_key();
    (1..=holders)
        .map(|index| {
            let share = identifier(index).and_then(|identifier| shares.remove(&identifier));
            let share = share.ok_or(SplitError::BadRandomness)?;
            // A coefficient of zero has no encoding, and would make the shard the secret itself.
            share.commitment().serialize().map_err(|_| SplitError::BadRandomness)?;
            let shard = Shard::new(index, share);
            shard.verify(&key).map_err(|_| SplitError::BadRandomness)?;
            Ok(shard)
        })
        .collect()
}

/// Makes the secret whole whose public key is `expected`.
///
/// # Errors
/// The first rule that the shards break; see [`CombineError`]. A changed shard never comes this far:
/// [`Shard::verify`] names it.
pub fn combine(shards: &[VerifiedShard], expected: &PublicKey) -> Result<Secret, CombineError> {
    let first = shards.first().ok_or(CombineError::TooFew { have: 0, need: MIN_THRESHOLD })?;
    let need = first.threshold();
    for (position, shard) in shards.iter().enumerate() {
        let index = shard.index();
        if !shard.same_split(first) {
            return Err(CombineError::Mixed { first: first.index(), other: index });
        }
        if shards[..position].iter().any(|earlier| earlier.index() == index) {
            return Err(CombineError::Duplicate { index });
        }
    }
    if shards.len() < usize::from(need) {
        return Err(CombineError::TooFew { have: shards.len(), need });
    }
    let packages: Vec<KeyPackage> =
        shards.iter().take(usize::from(need)).map(|shard| shard.package().clone()).collect();
    let key = keys::reconstruct(&packages).map_err(|_| CombineError::OtherSecret)?;
    let secret = Secret::from_signing_key(&key).map_err(|_| CombineError::OtherSecret)?;
    if secret.public_key() != *expected {
        return Err(CombineError::OtherSecret);
    }
    Ok(secret)
}
