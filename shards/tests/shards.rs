//! A secret is split, its shards go out into the world, and come back: whole, damaged, mixed, or false.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_shards::{
    CombineError, MAX_HOLDERS, MAX_SHARD_LEN, MalformedShard, Secret, Shard, ShardError, SplitError,
    VerifiedShard, combine, split,
};
use proptest::prelude::*;
use support::{rng, secret};

fn verified(shards: &[Shard], key: &[u8; 33]) -> Vec<VerifiedShard> {
    shards.iter().map(|shard| shard.verify(key).unwrap()).collect()
}

#[test]
fn any_two_of_three_make_the_secret_whole() {
    let secret = secret(7);
    let key = secret.public_key();
    let shards = verified(&split(&secret, 2, 3, &mut rng(1)).unwrap(), &key);
    for pair in [[0, 1], [1, 2], [0, 2], [2, 0]] {
        let chosen = pair.map(|which| shards[which].clone());
        assert_eq!(combine(&chosen, &key).unwrap().as_bytes(), secret.as_bytes());
    }
    assert_eq!(combine(&shards, &key).unwrap().as_bytes(), secret.as_bytes(), "all three do as well");
}

#[test]
fn the_first_commitment_is_the_key_in_the_xpub() {
    // BIP-32, test vector 1: the master private key and the public key in its xpub.
    let private = "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35";
    let public = "0339a36013301597daef41fbe593a02cc513d0b55527ec2df1050e2e8ff49c85c2";
    let private: [u8; 32] = data_encoding::HEXLOWER.decode(private.as_bytes()).unwrap().try_into().unwrap();
    let public: [u8; 33] = data_encoding::HEXLOWER.decode(public.as_bytes()).unwrap().try_into().unwrap();
    let secret = Secret::from_bytes(&private).unwrap();
    assert_eq!(secret.public_key(), public);
    for shard in split(&secret, 2, 3, &mut rng(1)).unwrap() {
        assert_eq!(shard.claimed_key(), public);
        shard.verify(&public).unwrap();
    }
}

#[test]
fn one_shard_is_not_enough_and_says_so() {
    let secret = secret(7);
    let key = secret.public_key();
    let shards = verified(&split(&secret, 2, 3, &mut rng(1)).unwrap(), &key);
    assert_eq!(combine(&shards[..1], &key).unwrap_err(), CombineError::TooFew { have: 1, need: 2 });
    assert_eq!(combine(&[], &key).unwrap_err(), CombineError::TooFew { have: 0, need: 2 });
}

#[test]
fn one_shard_twice_counts_once() {
    let secret = secret(7);
    let key = secret.public_key();
    let shards = verified(&split(&secret, 2, 3, &mut rng(1)).unwrap(), &key);
    let twice = [shards[2].clone(), shards[2].clone()];
    assert_eq!(combine(&twice, &key).unwrap_err(), CombineError::Duplicate { index: 3 });
}

#[test]
fn shards_of_two_splits_of_one_secret_do_not_mix() {
    let secret = secret(7);
    let key = secret.public_key();
    let old = verified(&split(&secret, 2, 3, &mut rng(1)).unwrap(), &key);
    let new = verified(&split(&secret, 2, 3, &mut rng(2)).unwrap(), &key);
    let mixed = [old[0].clone(), new[1].clone()];
    assert_eq!(combine(&mixed, &key).unwrap_err(), CombineError::Mixed { first: 1, other: 2 });
    // Even when enough of one split are there: which one is meant is not ours to guess.
    let more = [old[0].clone(), old[1].clone(), new[2].clone()];
    assert_eq!(combine(&more, &key).unwrap_err(), CombineError::Mixed { first: 1, other: 3 });
}

#[test]
fn a_shard_of_another_secret_is_named() {
    let (mine, theirs) = (secret(7), secret(8));
    let shards = split(&theirs, 2, 3, &mut rng(1)).unwrap();
    let key = mine.public_key();
    assert_eq!(shards[1].verify(&key).unwrap_err(), ShardError::OtherSecret { index: 2 });
    let shards = verified(&shards, &theirs.public_key());
    assert_eq!(combine(&shards, &key).unwrap_err(), CombineError::OtherSecret);
}

#[test]
fn a_changed_share_is_named() {
    let secret = secret(7);
    let shards = split(&secret, 2, 3, &mut rng(1)).unwrap();
    let mut bytes = shards[1].to_bytes().to_vec();
    bytes[34] ^= 1; // last byte of the share
    let changed = Shard::from_bytes(&bytes).unwrap();
    assert_eq!(changed.verify(&secret.public_key()).unwrap_err(), ShardError::DoesNotFit { index: 2 });
}

#[test]
fn a_shard_cannot_take_the_number_of_another() {
    let secret = secret(7);
    let shards = split(&secret, 2, 3, &mut rng(1)).unwrap();
    let mut bytes = shards[1].to_bytes().to_vec();
    bytes[1] = 3;
    let renamed = Shard::from_bytes(&bytes).unwrap();
    assert_eq!(renamed.verify(&secret.public_key()).unwrap_err(), ShardError::DoesNotFit { index: 3 });
}

#[test]
fn every_single_flipped_bit_is_refused() {
    let secret = secret(7);
    let key = secret.public_key();
    let shard = &split(&secret, 2, 3, &mut rng(1)).unwrap()[0];
    let good = shard.to_bytes();
    assert_eq!(good.len(), 3 + 32 + 2 * 33);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let taken = Shard::from_bytes(&bytes).is_ok_and(|shard| shard.verify(&key).is_ok());
        assert!(!taken, "bit {bit} was flipped and nobody saw it");
    }
}

#[test]
fn malformed_bytes_say_what_is_wrong() {
    let good = split(&secret(7), 2, 3, &mut rng(1)).unwrap()[0].to_bytes().to_vec();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Shard::from_bytes(&bytes).unwrap_err()
    };
    assert_eq!(with(0, 2), MalformedShard::Version(2));
    assert_eq!(with(1, 0), MalformedShard::Index(0));
    assert_eq!(with(1, MAX_HOLDERS + 1), MalformedShard::Index(MAX_HOLDERS + 1));
    assert_eq!(with(2, 1), MalformedShard::Threshold(1));
    assert_eq!(with(2, 255), MalformedShard::Threshold(255));
    assert_eq!(with(2, 3), MalformedShard::Length { expected: 134, found: 101 });
    assert_eq!(with(35, 4), MalformedShard::Point);
    assert_eq!(with(35, 5), MalformedShard::Point, "the compact form of SEC 1 is not ours");
    let mut huge = good.clone();
    huge[3..35].fill(0xff);
    assert_eq!(Shard::from_bytes(&huge).unwrap_err(), MalformedShard::Scalar);
    let mut long = good.clone();
    long.push(0);
    assert_eq!(Shard::from_bytes(&long).unwrap_err(), MalformedShard::Length { expected: 101, found: 102 });
    assert_eq!(Shard::from_bytes(&[]).unwrap_err(), MalformedShard::Length { expected: 3, found: 0 });
}

#[test]
fn impossible_splits_are_refused() {
    let secret = secret(7);
    for (threshold, holders) in [(0, 3), (1, 3), (4, 3), (2, 1), (0, 0), (2, MAX_HOLDERS + 1)] {
        let error = split(&secret, threshold, holders, &mut rng(1)).unwrap_err();
        assert_eq!(error, SplitError::Shape { threshold, holders });
    }
}

#[test]
fn the_largest_split_fits_its_limit() {
    let secret = secret(7);
    let shards = split(&secret, MAX_HOLDERS, MAX_HOLDERS, &mut rng(1)).unwrap();
    assert!(shards.iter().all(|shard| shard.to_bytes().len() == MAX_SHARD_LEN));
}

#[test]
fn broken_random_generator_makes_no_shards() {
    struct Dead;
    impl rand::RngCore for Dead {
        fn next_u32(&mut self) -> u32 {
            0
        }
        fn next_u64(&mut self) -> u64 {
            0
        }
        fn fill_bytes(&mut self, dest: &mut [u8]) {
            dest.fill(0);
        }
        fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand::Error> {
            dest.fill(0);
            Ok(())
        }
    }
    impl rand::CryptoRng for Dead {}
    assert_eq!(split(&secret(7), 2, 3, &mut Dead).unwrap_err(), SplitError::BadRandomness);
}

#[test]
fn zero_and_numbers_beyond_the_curve_are_no_secrets() {
    Secret::from_bytes(&[0; 32]).unwrap_err();
    Secret::from_bytes(&[0xff; 32]).unwrap_err();
}

#[test]
fn nothing_secret_is_printed() {
    let secret = secret(7);
    let shard = split(&secret, 2, 3, &mut rng(1)).unwrap().remove(0);
    let verified = shard.verify(&secret.public_key()).unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(..)");
    assert_eq!(format!("{shard:?}"), "Shard { index: 1, threshold: 2, .. }");
    assert_eq!(format!("{verified:?}"), "VerifiedShard { index: 1, threshold: 2, .. }");
}

/// A secret, a shape, and an order in which the holders come back.
fn shape() -> impl Strategy<Value = ([u8; 32], u8, u8, Vec<u8>, u64)> {
    (2u8..=7).prop_flat_map(|holders| {
        let order: Vec<u8> = (0..holders).collect();
        (any::<[u8; 32]>(), 2..=holders, Just(holders), Just(order).prop_shuffle(), any::<u64>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn enough_make_it_whole_and_fewer_do_not((bytes, threshold, holders, order, seed) in shape()) {
        let Ok(secret) = Secret::from_bytes(&bytes) else { return Ok(()) };
        let key = secret.public_key();
        let shards = verified(&split(&secret, threshold, holders, &mut rng(seed)).unwrap(), &key);
        let came: Vec<_> = order.iter().map(|which| shards[usize::from(*which)].clone()).collect();
        let need = usize::from(threshold);
        let whole = combine(&came[..need], &key).unwrap();
        prop_assert_eq!(whole.as_bytes(), secret.as_bytes());
        let error = combine(&came[..need - 1], &key).unwrap_err();
        prop_assert_eq!(error, CombineError::TooFew { have: need - 1, need: threshold });
    }

    #[test]
    fn whoever_tampers_is_named((bytes, threshold, holders, order, seed) in shape(), at in 3usize..35, flip in 1u8..) {
        let Ok(secret) = Secret::from_bytes(&bytes) else { return Ok(()) };
        let key = secret.public_key();
        let shards = split(&secret, threshold, holders, &mut rng(seed)).unwrap();
        let culprit = usize::from(order[0]);
        let mut changed = shards[culprit].to_bytes().to_vec();
        changed[at] ^= flip;
        match Shard::from_bytes(&changed) {
            Ok(shard) => {
                let index = u8::try_from(culprit + 1).unwrap();
                prop_assert_eq!(shard.verify(&key).unwrap_err(), ShardError::DoesNotFit { index });
            }
            Err(error) => prop_assert_eq!(error, MalformedShard::Scalar),
        }
        for shard in shards.iter().filter(|shard| usize::from(shard.index()) != culprit + 1) {
            shard.verify(&key).unwrap();
        }
    }

    #[test]
    fn overwritten_shard_is_read_canonically_or_refused(
        at in 0usize..100, new in proptest::collection::vec(any::<u8>(), 1..8),
    ) {
        let secret = secret(7);
        let mut bytes = split(&secret, 2, 3, &mut rng(1)).unwrap()[0].to_bytes().to_vec();
        let good = bytes.clone();
        let at = at.min(bytes.len() - new.len());
        bytes[at..at + new.len()].copy_from_slice(&new);
        if let Ok(shard) = Shard::from_bytes(&bytes) {
            prop_assert_eq!(shard.to_bytes().to_vec(), bytes.clone());
            prop_assert_eq!(shard.verify(&secret.public_key()).is_ok(), bytes == good);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_and_read_one_way_only(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(shard) = Shard::from_bytes(&bytes) {
            prop_assert_eq!(shard.to_bytes().to_vec(), bytes);
        }
    }
}
