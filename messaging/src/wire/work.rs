//! Proof of work for a queue: cheap for one pod that opens a few, dear for a flood of them.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::place::QueueId;

/// Most work a pod does for a place: 2^22 hashes of 72 bytes are about two seconds of one core. A place that asks for
/// more is not worth it, or means ill.
pub const MAX_WORK_BITS: u8 = 22;

/// Whether SHA-256(`challenge`, `queue`, `nonce` in big-endian) begins with `bits` zero bits.
#[must_use]
pub fn is_worked(challenge: &[u8; 32], queue: &QueueId, nonce: u64, bits: u8) -> bool {
    zero_bits(&hash_of(challenge, queue), nonce) >= u32::from(bits)
}

/// Does the work. `None` when more than [`MAX_WORK_BITS`] are asked for.
#[must_use]
pub fn work(challenge: &[u8; 32], queue: &QueueId, bits: u8) -> Option<u64> {
    work_within(challenge, queue, bits, 0..u64::MAX)
}

/// Does a piece of the work, so that the caller can do other things between pieces: looks at these nonces only.
/// `None` when none of them is one, or more than [`MAX_WORK_BITS`] are asked for.
#[must_use]
pub fn work_within(challenge: &[u8; 32], queue: &QueueId, bits: u8, mut nonces: Range<u64>) -> Option<u64> {
    if bits > MAX_WORK_BITS {
        return None;
    }
    let start = hash_of(challenge, queue);
    nonces.find(|nonce| zero_bits(&start, *nonce) >= u32::from(bits))
}

fn hash_of(challenge: &[u8; 32], queue: &QueueId) -> Sha256 {
    Sha256::new().chain_update(challenge).chain_update(queue.as_bytes())
}

/// Zero bits that the hash of this nonce begins with; 128 stand for all beyond.
fn zero_bits(start: &Sha256, nonce: u64) -> u32 {
    let hash = start.clone().chain_update(nonce.to_be_bytes()).finalize();
    let first = hash.first_chunk().expect("SHA-256 has 32 bytes");
    u128::from_be_bytes(*first).leading_zeros()
}
