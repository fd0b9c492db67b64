//! Drawing secrets from more than one source of randomness.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The most contributions one draw takes. A ceremony has an owner, a device, a pod and a few contacts.
pub const MAX_CONTRIBUTIONS: usize = 16;

/// The longest contribution, in bytes: dice rolls and camera noise are hashed before they come here.
pub const MAX_CONTRIBUTION_LEN: usize = 4096;

/// Why a draw was stopped. Nothing is generated after any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntropyError {
    /// The operating system's generator gave the same byte over and over.
    #[error("the random generator is stuck (every byte alike); stop the ceremony and check the machine")]
    Stuck,
    /// The operating system's generator gave two halves that are alike.
    #[error("the random generator repeats itself; stop the ceremony and check the machine")]
    Repeats,
    /// More than [`MAX_CONTRIBUTIONS`].
    #[error("{0} contributions of randomness, at most {MAX_CONTRIBUTIONS} are taken")]
    TooManyContributions(usize),
    /// A contribution longer than [`MAX_CONTRIBUTION_LEN`].
    #[error("contribution {index} has {len} bytes, at most {MAX_CONTRIBUTION_LEN} are taken; hash it first")]
    ContributionTooLong {
        /// Which one, from 0.
        index: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// No usable key came out in 256 attempts: impossible unless the hash function is broken.
    #[error("no usable key in 256 attempts; stop the ceremony and check the machine")]
    NoKey,
}

/// Mixes the operating system's randomness with what users and peers contributed (HKDF-SHA256, RFC 5869)
/// into `LEN` fresh bytes bound to `purpose`.
///
/// The result is as unpredictable as the *best* source: a contribution can add, never take away. The
/// system's share is still required, and one that is visibly broken stops the draw.
///
/// # Errors
/// [`EntropyError`] when the system's generator is stuck or a contribution is out of bounds.
#[expect(
    clippy::expect_used,
    reason = "LEN is a small constant, far below the 8,160 bytes that HKDF-SHA256 gives"
)]
pub fn mix_entropy<const LEN: usize>(
    purpose: &str,
    system: &[u8; 32],
    contributed: &[&[u8]],
) -> Result<Zeroizing<[u8; LEN]>, EntropyError> {
    check_system(system)?;
    let material = input_material(system, contributed)?;
    let mut out = Zeroizing::new([0u8; LEN]);
    Hkdf::<Sha256>::new(Some(b"autonomy/entropy/v1"), &material)
        .expand(purpose.as_bytes(), out.as_mut_slice())
        .expect("LEN is a small constant, far below the 8,160 bytes HKDF can give");
    Ok(out)
}

/// Catches a generator that failed, not one that is weak: that cannot be seen in 32 bytes.
fn check_system(system: &[u8; 32]) -> Result<(), EntropyError> {
    if system.iter().all(|byte| *byte == system[0]) {
        return Err(EntropyError::Stuck);
    }
    if system[..16] == system[16..] {
        return Err(EntropyError::Repeats);
    }
    Ok(())
}

/// Length-prefixed, so that moving a byte from one contribution to the next changes the result.
///
/// The system's 32 bytes first, without a length: it is always the same.
fn input_material(system: &[u8; 32], contributed: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, EntropyError> {
    if contributed.len() > MAX_CONTRIBUTIONS {
        return Err(EntropyError::TooManyContributions(contributed.len()));
    }
    let total: usize = contributed.iter().map(|bytes| bytes.len() + 8).sum();
    // Reserved in full: a growing vector would leave copies of the secret behind.
    let mut material = Zeroizing::new(Vec::with_capacity(32 + total.min(MAX_CONTRIBUTIONS * 5000)));
    material.extend_from_slice(system);
    for (index, bytes) in contributed.iter().enumerate() {
        if bytes.len() > MAX_CONTRIBUTION_LEN {
            return Err(EntropyError::ContributionTooLong { index, len: bytes.len() });
        }
        material.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        material.extend_from_slice(bytes);
    }
    Ok(material)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> [u8; 32] {
        core::array::from_fn(|i| (i * 7 + 3) as u8)
    }

    #[test]
    fn stuck_or_repeating_generator_stops_the_draw() {
        for byte in [0u8, 0xff, 0x42] {
            assert_eq!(mix_entropy::<32>("t", &[byte; 32], &[b"dice"]), Err(EntropyError::Stuck));
        }
        let mut repeating = good();
        repeating.copy_within(..16, 16);
        assert_eq!(mix_entropy::<32>("t", &repeating, &[]), Err(EntropyError::Repeats));
    }

    #[test]
    fn contribution_or_purpose_changes_the_result() {
        let plain = mix_entropy::<32>("t", &good(), &[]).unwrap();
        let one = mix_entropy::<32>("t", &good(), &[b"ab", b"c"]).unwrap();
        let moved = mix_entropy::<32>("t", &good(), &[b"a", b"bc"]).unwrap();
        let other = mix_entropy::<32>("u", &good(), &[]).unwrap();
        assert!(plain != one && one != moved && plain != other);
    }

    #[test]
    fn too_many_or_too_long_contributions_are_refused() {
        let many = vec![&b"x"[..]; MAX_CONTRIBUTIONS + 1];
        assert_eq!(mix_entropy::<32>("t", &good(), &many), Err(EntropyError::TooManyContributions(17)));
        let long = vec![0u8; MAX_CONTRIBUTION_LEN + 1];
        assert_eq!(
            mix_entropy::<32>("t", &good(), &[b"ok", &long]),
            Err(EntropyError::ContributionTooLong { index: 1, len: 4097 })
        );
    }
}
