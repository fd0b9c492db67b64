//! Proof of work for a queue: cheap for one pod that opens a few, dear for a flood of them.
//!
//! As in hashcash: the place draws a challenge, whoever wants a queue searches a number for which a hash begins with
//! enough zero bits, and the place checks it with one hash. The queue's name is part of it, so work for one queue
//! opens no other.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::place::QueueId;

/// Most work a pod does for a place: 2^22 hashes of 72 bytes are about two seconds of one core. A place that asks for
/// more is not worth it, or is hostile.
pub const MAX_WORK_BITS: u8 = 22;

/// Whether SHA-256(`challenge`, `queue`, `nonce` in big-endian) begins with `bits` zero bits.
///
/// One hash. More than 128 bits are never there.
#[must_use]
pub fn is_worked(challenge: &[u8; 32], queue: &QueueId, nonce: u64, bits: u8) -> bool {
    zero_bits(&hash_of(challenge, queue), nonce) >= u32::from(bits)
}

/// Does the work. `None` when more than [`MAX_WORK_BITS`] are asked for.
///
/// On average 2^`bits` hashes: a place may ask for up to two seconds of one core.
#[must_use]
pub fn work(challenge: &[u8; 32], queue: &QueueId, bits: u8) -> Option<u64> {
    work_within(challenge, queue, bits, 0..u64::MAX)
}

/// Does a piece of the work, so that the caller can do other things between pieces: looks at these nonces only.
/// `None` when none of them is one, or more than [`MAX_WORK_BITS`] are asked for.
///
/// A caller with other things to do goes on with the next range while this one gives `None`; to tell that from too
/// much work, compare `bits` with the bound first.
#[must_use]
pub fn work_within(challenge: &[u8; 32], queue: &QueueId, bits: u8, mut nonces: Range<u64>) -> Option<u64> {
    if bits > MAX_WORK_BITS {
        return None;
    }
    let start = hash_of(challenge, queue);
    nonces.find(|nonce| zero_bits(&start, *nonce) >= u32::from(bits))
}

/// The hash after challenge and queue: what all nonces have in common is hashed once.
fn hash_of(challenge: &[u8; 32], queue: &QueueId) -> Sha256 {
    Sha256::new().chain_update(challenge).chain_update(queue.as_bytes())
}

/// Zero bits that the hash of this nonce begins with; 128 stand for all beyond.
fn zero_bits(start: &Sha256, nonce: u64) -> u32 {
    let hash = start.clone().chain_update(nonce.to_be_bytes()).finalize();
    u128::from_be_bytes(std::array::from_fn(|at| hash[at])).leading_zeros()
}
