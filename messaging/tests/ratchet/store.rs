//! The session in a store.

use super::pair;

#[test]
fn sizes() {
    let (mut creator, mut joiner) = pair(1);
    for round in 0..12 {
        let mut written = vec![];
        let hello = joiner.seal(&[1; 1000]);
        written.push(joiner.store());
        creator.open(&hello).unwrap();
        written.push(creator.store());
        for _ in 0..3 {
            let more = joiner.seal(&[1; 1000]);
            written.push(joiner.store());
            creator.open(&more).unwrap();
            written.push(creator.store());
        }
        let back = creator.seal(&[1; 1000]);
        written.push(creator.store());
        joiner.open(&back).unwrap();
        written.push(joiner.store());
        println!(
            "{round}: {written:?}, total {}, pages {}",
            creator.rows.values().map(Vec::len).sum::<usize>(),
            creator.rows.len()
        );
        creator.restart();
        joiner.restart();
    }
}
