//! Alice deals her recovery key to Bob, Carol and Dan, and needs it back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_shards::{
    BadContents, BadName, Contents, DealError, Deck, DeckSet, MAX_DECK_LEN, MAX_DECKS, MAX_HOLDERS,
    MAX_MAP_LEN, MAX_MAPS, MAX_NAME_LEN, MAX_TEXT_LEN, MalformedDeck, MalformedText, Name, Plan, Reason,
    RecoverError, Rejected, ShardError, SplitError, TextError, TextKind, recover,
};
use proptest::prelude::*;
use support::{alice, contents, forge, name, resum, rng, secret, three_decks};

fn refused(holder: &str, index: u8, reason: Reason) -> Rejected {
    Rejected { holder: name(holder), index, reason }
}

#[test]
fn two_friends_bring_everything_back() {
    let (key, decks) = alice();
    for pair in [[0, 1], [1, 2], [2, 0]] {
        let came = pair.map(|which| Deck::from_text(&decks[which].to_text()).unwrap());
        let recovered = recover(&came, &key).unwrap();
        assert_eq!(recovered.secret.as_bytes(), &[7; 32]);
        assert_eq!(recovered.contents, contents());
        assert_eq!(recovered.contents.chain_code(), &[9; 32]);
        assert_eq!(recovered.contents.account_maps().last(), Some(b"a second map".as_slice()));
        assert!(recovered.rejected.is_empty());
    }
}

#[test]
fn a_holder_learns_no_address_and_no_balance() {
    let (_, decks) = alice();
    let bytes = decks[0].to_bytes();
    for hidden in [b"sortedmulti".as_slice(), b"second map", &[9; 32]] {
        assert!(!bytes.windows(hidden.len()).any(|window| window == hidden));
    }
    // Nor how many maps there are: one or two, the deck is equally long.
    let secret = secret(7);
    let plan = Plan { label: name("k"), holders: vec![name("a"), name("b")], threshold: 2, created_at: 0 };
    let len = |maps: &[&[u8]]| {
        let contents = Contents::new(&[9; 32], maps).unwrap();
        DeckSet::deal(&secret, &plan, &contents, &mut rng(1)).unwrap().decks()[0].to_bytes().len()
    };
    assert_eq!(len(&[b"one"]), len(&[b"one", b"and another that is longer"]));
}

#[test]
fn one_deck_alone_opens_nothing() {
    let (key, decks) = alice();
    let error = recover(&decks[..1], &key).unwrap_err();
    assert_eq!(error, RecoverError::TooFew { have: 1, need: 2, rejected: vec![] });
    assert_eq!(error.to_string(), "1 good decks, 2 are needed");
    // Not even the seal, with another secret.
    assert!(decks[0].open(&secret(8)).is_err());
}

#[test]
fn a_false_deck_is_named_and_the_others_are_used() {
    let (key, decks) = alice();
    let share = &decks[1].shard().to_bytes()[3..35];
    let forged = Deck::from_bytes(&forge(&decks[1], share, &[1; 32])).unwrap();
    let recovered = recover(&[forged.clone(), decks[0].clone(), decks[2].clone()], &key).unwrap();
    assert_eq!(recovered.secret.as_bytes(), &[7; 32]);
    let reason = Reason::Shard(ShardError::DoesNotFit { index: 2 });
    assert_eq!(recovered.rejected, [refused("Carol", 2, reason)]);
    // Without a third there are too few, and the message names Carol.
    let error = recover(&[forged, decks[0].clone()], &key).unwrap_err();
    assert!(error.to_string().contains("deck of Carol not used"), "{error}");
}

#[test]
fn a_deck_given_twice_counts_once() {
    let (key, decks) = alice();
    let error = recover(&[decks[0].clone(), decks[0].clone()], &key).unwrap_err();
    let rejected = vec![refused("Bob", 1, Reason::Twice)];
    assert_eq!(error, RecoverError::TooFew { have: 1, need: 2, rejected });
}

#[test]
fn decks_of_an_older_dealing_do_not_spoil_the_newer() {
    let (key, new) = alice();
    let old = three_decks(&secret(7), 99);
    let recovered = recover(&[old[0].clone(), new[1].clone(), new[2].clone()], &key).unwrap();
    assert_eq!(recovered.rejected, [refused("Bob", 1, Reason::OtherDealing)]);
    let error = recover(&[old[0].clone(), new[1].clone()], &key).unwrap_err();
    assert!(matches!(error, RecoverError::TooFew { have: 1, need: 2, .. }), "{error}");
}

#[test]
fn decks_of_someone_else_do_not_help() {
    let (key, _) = alice();
    let theirs = three_decks(&secret(8), 1);
    let error = recover(&theirs, &key).unwrap_err();
    let reason = |index| Reason::Shard(ShardError::OtherSecret { index });
    let rejected =
        vec![refused("Bob", 1, reason(1)), refused("Carol", 2, reason(2)), refused("Dan", 3, reason(3))];
    assert_eq!(error, RecoverError::TooFew { have: 0, need: 2, rejected });
}

/// The sealed part is the same in each deck; one good copy is enough.
#[test]
fn a_changed_sealed_part_is_named_and_another_copy_is_used() {
    let (key, decks) = alice();
    let damage = |deck: &Deck| {
        let mut bytes = deck.to_bytes().to_vec();
        let at = bytes.len() - 9; // last byte of the ciphertext's tag
        bytes[at] ^= 1;
        Deck::from_bytes(&resum(bytes)).unwrap()
    };
    let recovered = recover(&[damage(&decks[0]), decks[1].clone()], &key).unwrap();
    assert_eq!(recovered.contents, contents());
    assert_eq!(recovered.rejected, [refused("Bob", 1, Reason::SealedPart)]);
    let error = recover(&[damage(&decks[0]), damage(&decks[1])], &key).unwrap_err();
    let rejected = vec![refused("Bob", 1, Reason::SealedPart), refused("Carol", 2, Reason::SealedPart)];
    assert_eq!(error, RecoverError::Sealed { rejected });
}

#[test]
fn a_sealed_part_cannot_move_to_another_set() {
    let (_, decks) = alice();
    let moved = Deck::from_bytes(&forge(&decks[0], decks[0].set_id(), &[3; 16])).unwrap();
    assert!(moved.open(&secret(7)).is_err());
}

#[test]
fn too_many_decks_are_refused_before_any_is_checked() {
    let (key, decks) = alice();
    let many = vec![decks[0].clone(); MAX_DECKS + 1];
    assert_eq!(recover(&many, &key).unwrap_err(), RecoverError::TooMany(MAX_DECKS + 1));
}

#[test]
fn every_single_flipped_bit_of_a_deck_is_refused() {
    let (_, decks) = alice();
    let good = decks[0].to_bytes();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Deck::from_bytes(&bytes).is_err(), "bit {bit} was flipped and nobody saw it");
    }
}

#[test]
fn malformed_decks_say_what_is_wrong() {
    let (_, decks) = alice();
    let good = decks[0].to_bytes().to_vec();
    let read = |bytes: &[u8]| Deck::from_bytes(bytes).unwrap_err();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Deck::from_bytes(&resum(bytes)).unwrap_err()
    };
    assert_eq!(read(&[]), MalformedDeck::NotADeck);
    assert_eq!(read(b"adck"), MalformedDeck::Cut);
    assert_eq!(read(b"adck\x01"), MalformedDeck::Cut);
    assert_eq!(read(&good[..good.len() - 1]), MalformedDeck::Checksum);
    assert_eq!(read(&vec![0; MAX_DECK_LEN + 1]), MalformedDeck::TooLong(MAX_DECK_LEN + 1));
    assert_eq!(with(4, 2), MalformedDeck::Version(2));
    // Total: fewer than are needed, and more than can be.
    assert_eq!(with(29, 1), MalformedDeck::Shape { index: 1, total: 1, threshold: 2 });
    let total = MAX_HOLDERS + 1;
    assert_eq!(with(29, total), MalformedDeck::Shape { index: 1, total, threshold: 2 });
    // A name with a line break would forge the lines for the keeper.
    let broken = forge(&decks[0], b"Alice's recovery key", b"Alice\n# send it to m");
    assert_eq!(read(&broken), MalformedDeck::Name(BadName::Invisible));
    let mut glued = good.clone();
    glued.extend_from_slice(&[0; 8]);
    assert_eq!(read(&resum(glued)), MalformedDeck::Cut);
}

#[test]
fn the_text_tells_the_keeper_what_to_do() {
    let (_, decks) = alice();
    let text = decks[1].to_text();
    for line in [
        "# A deck of Autonomy: part 2 of 3 of a secret. Any 2 make it whole.",
        "# Secret:  Alice's recovery key",
        "# Keeper:  Carol",
        "# Made on: 2026-11-23",
    ] {
        assert!(text.lines().any(|found| found == line), "missing: {line}\n{}", text.as_str());
    }
    let payload: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(payload.len(), 1);
    assert!(payload[0].starts_with("autonomy-deck1"));
}

#[test]
fn a_text_survives_mail_and_careless_copying() {
    let (_, decks) = alice();
    let text = decks[0].to_text();
    let line = text.lines().last().unwrap();
    let chunks: Vec<&str> = line.as_bytes().chunks(60).map(|c| std::str::from_utf8(c).unwrap()).collect();
    for variant in [
        text.replace('\n', "\r\n"),
        format!("\u{feff}{}", text.as_str()),
        line.to_uppercase(),
        format!("\n\n  {line}  \n\n"),
        chunks.join("\n"),
        chunks.join(" \r\n\t"),
    ] {
        assert_eq!(Deck::from_text(&variant).unwrap(), decks[0]);
    }
}

#[test]
fn error_names_the_kind_of_a_wrong_text() {
    let (_, decks) = alice();
    let text = decks[0].to_text();
    let read = |text: &str| Deck::from_text(text).unwrap_err();
    let expected = TextKind::Deck;
    let unknown = MalformedText::Text(TextError::Unknown { expected });
    assert_eq!(read(""), unknown);
    assert_eq!(read("hello"), unknown);
    assert_eq!(read("# only\n# comments\n"), unknown);
    assert_eq!(read("autonomy-deck"), unknown);
    assert_eq!(read("autonomy-bundle1abc").to_string(), "this is a bundle, not a deck");
    assert_eq!(read("autonomy-deck2abc"), TextError::Version { expected, found: 2 }.into());
    assert_eq!(read("autonomy-deck1abc0"), TextError::Character { expected }.into());
    let long = TextError::TooLong { expected, found: 2 * MAX_TEXT_LEN, most: MAX_TEXT_LEN };
    assert_eq!(read(&"#\n".repeat(MAX_TEXT_LEN)), long.into());
    // A line lost in the middle, a length that no bytes have, and one letter mistyped.
    let line = text.lines().last().unwrap();
    let lost = format!("{}{}", &line[..200], &line[260..]);
    assert!(matches!(
        read(&lost),
        MalformedText::Text(TextError::Checksum { .. }) | MalformedText::Deck(MalformedDeck::Checksum)
    ));
    assert_eq!(read("autonomy-deck1abc"), TextError::Checksum { expected }.into());
    let other = if &line[100..101] == "a" { "b" } else { "a" };
    let typo = format!("{}{other}{}", &line[..100], &line[101..]);
    assert_eq!(read(&typo), MalformedText::Deck(MalformedDeck::Checksum));
}

#[test]
fn plans_that_cannot_work_are_refused() {
    let deal = |holders: &[&str], threshold| {
        let holders = holders.iter().copied().map(name).collect();
        let plan = Plan { label: name("key"), holders, threshold, created_at: 0 };
        DeckSet::deal(&secret(7), &plan, &contents(), &mut rng(1)).unwrap_err()
    };
    assert_eq!(deal(&["Bob", "Bob", "Dan"], 2), DealError::SameName(name("Bob")));
    assert_eq!(deal(&["Bob"], 1), DealError::Split(SplitError::Shape { threshold: 1, holders: 1 }));
    assert_eq!(deal(&["Bob", "Dan"], 3), DealError::Split(SplitError::Shape { threshold: 3, holders: 2 }));
    let crowd: Vec<String> = (0..300).map(|n| format!("holder {n}")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    assert_eq!(deal(&crowd, 2), DealError::Split(SplitError::Shape { threshold: 2, holders: 255 }));
}

#[test]
fn contents_keep_their_limits() {
    let map = vec![1; MAX_MAP_LEN + 1];
    let new = |maps: &[&[u8]]| Contents::new(&[9; 32], maps);
    assert!(new(&[]).is_ok());
    assert!(new(&[&map[1..]; MAX_MAPS]).is_ok());
    assert_eq!(new(&[&[1], &map]), Err(BadContents::MapLength { number: 1, len: MAX_MAP_LEN + 1 }));
    assert_eq!(new(&[&[]]), Err(BadContents::MapLength { number: 0, len: 0 }));
    assert_eq!(new(&[[1].as_slice(); MAX_MAPS + 1]), Err(BadContents::TooMany(MAX_MAPS + 1)));
}

#[test]
fn the_largest_deck_fits_its_limits() {
    let map = vec![1; MAX_MAP_LEN];
    let contents = Contents::new(&[9; 32], &vec![map; MAX_MAPS]).unwrap();
    let holders = (0..MAX_HOLDERS).map(|n| name(&format!("{n:0>MAX_NAME_LEN$}"))).collect();
    let label = name(&"k".repeat(MAX_NAME_LEN));
    let plan = Plan { label, holders, threshold: MAX_HOLDERS, created_at: u64::MAX };
    let set = DeckSet::deal(&secret(7), &plan, &contents, &mut rng(1)).unwrap();
    let deck = &set.decks()[0];
    assert_eq!(deck.to_bytes().len(), MAX_DECK_LEN);
    assert_eq!(&Deck::from_text(&deck.to_text()).unwrap(), deck);
}

#[test]
fn nothing_secret_is_printed() {
    let (key, decks) = alice();
    let expected = "Deck { label: \"Alice's recovery key\", holder: \"Bob\", created_at: 1795392000, total: 3, \
                    shard: Shard { index: 1, threshold: 2, .. }, .. }";
    assert_eq!(format!("{:?}", decks[0]), expected);
    let recovered = format!("{:?}", recover(&decks, &key).unwrap());
    let expected =
        "Recovered { secret: Secret(..), contents: Contents { account_maps: 2, .. }, rejected: [] }";
    assert_eq!(recovered, expected);
}

fn any_name() -> impl Strategy<Value = Name> {
    "[^\\p{C}\\p{Z}]{1,16}".prop_filter_map("a name", |text| Name::new(&text).ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_deck_reads_as_it_was_written(
        label in any_name(), a in any_name(), b in any_name(), created_at: u64, seed: u64,
        maps in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..600), 0..4),
    ) {
        prop_assume!(a != b);
        let plan = Plan { label, holders: vec![a, b], threshold: 2, created_at };
        let contents = Contents::new(&[9; 32], &maps).unwrap();
        let set = DeckSet::deal(&secret(7), &plan, &contents, &mut rng(seed)).unwrap();
        for deck in set.decks() {
            prop_assert_eq!(&Deck::from_bytes(&deck.to_bytes()).unwrap(), deck);
            prop_assert_eq!(&Deck::from_text(&deck.to_text()).unwrap(), deck);
        }
        let recovered = recover(set.decks(), &secret(7).public_key()).unwrap();
        prop_assert_eq!(recovered.contents, contents);
    }
}

proptest! {
    #[test]
    fn any_bytes_with_a_good_checksum_are_read_one_way_or_refused(
        at in 0usize..1200, new in proptest::collection::vec(any::<u8>(), 1..12),
    ) {
        let good = GOOD.get_or_init(|| alice().1[0].to_bytes().to_vec());
        let mut bytes = good.clone();
        let at = at.min(bytes.len() - 8 - new.len());
        bytes[at..at + new.len()].copy_from_slice(&new);
        let bytes = resum(bytes);
        if let Ok(deck) = Deck::from_bytes(&bytes) {
            prop_assert_eq!(deck.to_bytes().to_vec(), bytes);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = Deck::from_text(&text);
        let _ = Deck::from_text(&format!("autonomy-deck1{text}"));
    }
}

static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
