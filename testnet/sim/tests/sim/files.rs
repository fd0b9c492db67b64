//! Files of every length, one and many at once, between two pods that are both on.

use autonomy_messaging::CHUNK_LEN;
use autonomy_sim::{SECOND, World};

use crate::{all_is_well, run, two_contacts};

/// Bytes of a chunk.
const CHUNK: u64 = CHUNK_LEN as u64;

/// Lets time pass until all files are read and known as delivered, and gives the seconds.
fn arrive(world: &mut World, within: u64) -> u64 {
    let begin = world.now();
    while world.look_after_files() > 0 {
        let seconds = (world.now() - begin) / SECOND;
        assert!(seconds <= within, "{} files are underway after {seconds} s", world.look_after_files());
        run(world, SECOND);
    }
    (world.now() - begin) / SECOND
}

#[test]
fn a_file_of_every_length_arrives_at_once_or_is_refused() {
    for seed in 1..=4 {
        let mut world = two_contacts(seed, 0);
        assert!(!world.send_file(0, 1, 0), "a file of no bytes");
        for len in [1, CHUNK - 1, CHUNK, CHUNK + 1, 9 * CHUNK, 21 * CHUNK, 80 * CHUNK + 7] {
            assert!(world.send_file(0, 1, len));
            let took = arrive(&mut world, 40);
            assert!(took <= 40, "{len} bytes took {took} s, seed {seed}");
        }
        all_is_well(&mut world);
    }
}

#[test]
fn many_files_at_once_arrive_within_a_minute() {
    for seed in 1..=4 {
        let mut world = two_contacts(seed, 2);
        for _ in 0..24 {
            assert!(world.send_file(0, 1, 100_000));
        }
        let took = arrive(&mut world, 60);
        assert!(took <= 60, "they took {took} s, seed {seed}");
        all_is_well(&mut world);
    }
}
