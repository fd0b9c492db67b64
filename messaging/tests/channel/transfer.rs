//! Files in chunks.

use autonomy_messaging::{
    CHUNK_LEN, ChunkVerdict, FileContent, FileTooLong, Forged, Incoming, MAX_CHUNKS_UNDERWAY, MAX_FILE,
    Outgoing, Window,
};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

fn file(size: u64) -> FileContent {
    FileContent { size, sha256: [7; 32] }
}

fn chunk_len(file: &FileContent, index: u32) -> usize {
    let bytes = file.chunk(index).unwrap();
    usize::try_from(bytes.end - bytes.start).unwrap()
}

#[test]
fn a_file_arrives_over_a_bad_link_and_through_restarts() {
    let content = file(20_000_000);
    let mut rng = StdRng::seed_from_u64(3);
    let (mut out, mut inn) =
        (Outgoing::new(content, MAX_FILE).unwrap(), Incoming::new(content, MAX_FILE).unwrap());
    let (mut written, mut sent) = (vec![false; 1_740], 0);
    while !out.is_complete() {
        let mut chunks: Vec<u32> = out.unacknowledged().collect();
        assert!(chunks.len() <= MAX_CHUNKS_UNDERWAY && !chunks.is_empty());
        chunks.shuffle(&mut rng);
        for index in chunks {
            out.mark_sent(index);
            sent += 1;
            if rng.gen_bool(0.3) {
                continue;
            }
            match inn.accept(index, chunk_len(&content, index)) {
                ChunkVerdict::New { offset } => {
                    let at = usize::try_from(offset / u64::from(CHUNK_LEN)).unwrap();
                    assert!(!std::mem::replace(&mut written[at], true));
                }
                verdict => assert_eq!(verdict, ChunkVerdict::Repeat),
            }
        }
        if rng.gen_bool(0.8) {
            out.acknowledge(inn.receipt()).unwrap();
        }
        out = Outgoing::restore(&out.record()).unwrap();
        inn = Incoming::restore(&inn.record()).unwrap();
    }
    assert!(inn.is_complete() && written.iter().all(|chunk| *chunk));
    assert_eq!((out.delivered(), inn.received()), (content.size, content.size));
    assert!(sent < 3_500, "{sent} chunks were sent for 1,740");
}

#[test]
fn chunks_that_are_not_of_this_file_are_refused() {
    let mut inn = Incoming::new(file(2 * 11_500 + 5), MAX_FILE).unwrap();
    for (index, len) in [(3, 11_500), (u32::MAX, 11_500), (2, 6), (2, 4), (0, 0), (0, 11_501), (1, 5)] {
        assert_eq!(inn.accept(index, len), ChunkVerdict::Malformed);
    }
    assert_eq!(inn.accept(2, 5), ChunkVerdict::New { offset: 23_000 });
    assert_eq!(inn.received(), 5);
    assert_eq!(inn.accept(2, 5), ChunkVerdict::Repeat);
    let mut long = Incoming::new(file(MAX_FILE), MAX_FILE).unwrap();
    assert_eq!(long.accept(256, 11_500), ChunkVerdict::TooFar);
    assert_eq!(long.accept(255, 11_500), ChunkVerdict::New { offset: 255 * 11_500 });
}

#[test]
fn empty_file_needs_no_chunks() {
    assert!(Outgoing::new(file(0), MAX_FILE).unwrap().is_complete());
    let mut inn = Incoming::new(file(0), MAX_FILE).unwrap();
    assert!(inn.is_complete());
    assert_eq!(inn.accept(0, 0), ChunkVerdict::Malformed);
}

#[test]
fn forged_receipt_completes_no_file() {
    let mut out = Outgoing::new(file(50_000), MAX_FILE).unwrap();
    out.mark_sent(0);
    assert_eq!(out.acknowledge(&Window::below(5)), Err(Forged { claimed: 4, sent: 1 }));
    assert_eq!((out.delivered(), out.acknowledge(&Window::below(1))), (0, Ok(true)));
    assert_eq!((out.delivered(), out.acknowledge(&Window::below(1))), (11_500, Ok(false)));
}

#[test]
fn file_longer_than_allowed_is_refused() {
    assert_eq!(Incoming::new(file(101), 100), Err(FileTooLong { size: 101, limit: 100 }));
    let most = FileTooLong { size: MAX_FILE + 1, limit: MAX_FILE };
    assert_eq!(Outgoing::new(file(MAX_FILE + 1), u64::MAX), Err(most));
}

proptest! {
    #[test]
    fn chunks_cover_a_file_exactly(size in 0..5_000_000_u64) {
        let content = file(size);
        let chunks = u32::try_from(content.chunks()).unwrap();
        let mut end = 0;
        for bytes in (0..chunks).map(|index| content.chunk(index).unwrap()) {
            prop_assert!(bytes.start == end && bytes.end > end);
            end = bytes.end;
        }
        prop_assert_eq!(end, size);
        prop_assert_eq!(content.chunk(chunks), None);
    }

    #[test]
    fn records_of_any_bytes_never_panic(record in proptest::collection::vec(any::<u8>(), 78..90)) {
        let _ = (Outgoing::restore(&record), Incoming::restore(&record));
    }
}
