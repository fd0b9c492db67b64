//! Contacts who hold all the keys and do not keep to the protocol.

use autonomy_messaging::{
    CertificateRole, MAX_EARLY_CHUNKS, MAX_PART, Name, Validity, Window,
    messenger::{Command, EntryState, MailAnswer, RefusalReason},
    packet::{Chunk, Item, Numbering, Origin, Part, TransferId},
    payload::{Application, ApplicationKind, MAX_TEXT_LEN, Payload, Unknown},
};

use super::super::{
    ALICE,
    insider::{Insider, Papers, card, long},
    world::{START, World},
};

#[test]
fn receipt_for_an_unsent_part_is_refused() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    let id = mallory.id();
    // Nothing of it has left: the pod has sent two parts at most.
    let mut acks = mallory.acks();
    for seq in 0..200 {
        acks.messages.insert(seq);
    }
    mallory.say_with(&mut world, acks.clone(), &[]);
    assert_eq!(world.refused(ALICE).of(RefusalReason::ForgedReceipt), 1);
    // It may be true of a pod whose disk went back: Alice makes a new group, and no other for a while.
    world.pass(5);
    mallory.collect();
    mallory.say(&mut world, &[]);
    world.send(ALICE, id, "is this read?");
    let mut acks = mallory.acks();
    acks.messages = Window::below(1 << 60);
    mallory.say_with(&mut world, acks.clone(), &[]);
    // Of a run of numbers that is to come.
    acks.numbering = Numbering { since: u64::MAX, id: [9; 16] };
    mallory.say_with(&mut world, acks, &[]);
    assert_eq!(world.refused(ALICE).of(RefusalReason::ForgedReceipt), 3);
    assert_eq!(world.status(ALICE).queued, 1);
    let MailAnswer::Messages { entries, .. } =
        world.command(ALICE, Command::Messages { contact: id, before: None, limit: 10 })
    else {
        panic!()
    };
    assert_eq!(entries.last().unwrap().state, EntryState::Queued);
    world.pass(60);
    assert_eq!(mallory.collect(), ["is this read?"]);
    mallory.assert_talks(&mut world);
}

/// There is no deniability: decision 0038.
#[test]
fn messages_are_signed_by_a_key_that_leads_to_the_root() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    world.send(ALICE, mallory.id(), "signed");
    world.pass(60);
    assert_eq!(mallory.collect(), ["signed"]);
    let card = mallory.alice.as_ref().unwrap();
    assert_eq!(card.leaf_key(), mallory.session.peer_leaf_key());
    assert_eq!(card.root(), world.pods[ALICE].own.root);
}

#[test]
fn number_of_a_card_that_no_clock_gives_is_refused() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    let mut acks = mallory.acks();
    acks.card = u32::MAX;
    mallory.say_with(&mut world, acks, &[]);
    assert_eq!(world.refused(ALICE).of(RefusalReason::ForgedReceipt), 1);
    // Our next card is one of today, and may have many after it.
    world.command(ALICE, Command::SetName(Name::new("Alice").unwrap()));
    world.pass(60);
    mallory.collect();
    let card = mallory.alice.unwrap();
    assert_eq!((card.name().as_str(), u64::from(card.version()) <= world.now), ("Alice", true));
}

#[test]
fn unknown_payload_kinds_are_kept_and_listed() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    let id = mallory.id();
    let unknown = [
        Payload::Application(
            Application::new(ApplicationKind::new(0x0100).unwrap(), b"pay me".to_vec()).unwrap(),
        ),
        Payload::Unknown(Unknown::new(0x0001, 9, b"a text of another kind".to_vec()).unwrap()),
    ];
    for payload in unknown.clone() {
        let item = mallory.part(payload.to_bytes().to_vec());
        mallory.say(&mut world, &[item]);
    }
    let MailAnswer::Messages { entries, .. } =
        world.command(ALICE, Command::Messages { contact: id, before: None, limit: 10 })
    else {
        panic!()
    };
    let listed: Vec<Payload> = entries.into_iter().map(|entry| entry.payload).collect();
    assert_eq!(listed, unknown);
    mallory.assert_talks(&mut world);
}

#[test]
fn malformed_payload_counts_as_arrived_and_blocks_nothing() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    let id = mallory.id();
    let before = world.refused(ALICE).of(RefusalReason::Malformed);
    for packet in [&b""[..], &[9; 200], &[1; 11_900]] {
        mallory.say_raw(&mut world, packet);
    }
    // No UTF-8; too long a text; no kind at all.
    let bodies = [vec![0, 1, 1, 0xff], [vec![0, 1, 1], vec![b'a'; MAX_PART as usize - 3]].concat(), vec![0]];
    assert!((MAX_PART as usize) < MAX_TEXT_LEN, "the second is fine, and shown");
    for body in bodies {
        let item = mallory.part(body);
        mallory.say(&mut world, &[item]);
    }
    // A message that never ends, one of too many parts, and one without a beginning.
    let full = vec![b'a'; MAX_PART as usize];
    for n in 0..12 {
        let seq = mallory.next;
        mallory.next += 1;
        let part = Part { seq, first: n == 0, last: n > 6, origin: None, bytes: full.clone() };
        mallory.say(&mut world, &[Item::Part(part)]);
    }
    // Far ahead, and an origin that cannot be.
    let far = Part { seq: 1 << 40, first: true, last: true, origin: None, bytes: vec![1] };
    mallory.say(&mut world, &[Item::Part(far)]);
    let seq = mallory.next;
    mallory.next += 1;
    let origin = Some(Origin { incarnation: mallory.session.incarnation().0, last: 3 });
    let odd = Part { seq, first: true, last: true, origin, bytes: vec![0, 1, 1, b'x'] };
    mallory.say(&mut world, &[Item::Part(odd)]);
    let chunk = Chunk { transfer: TransferId([7; 16]), index: u32::MAX, bytes: vec![1; 100] };
    mallory.say(&mut world, &[Item::Chunk(chunk)]);
    assert!(world.refused(ALICE).of(RefusalReason::Malformed) >= before + 6);
    assert_eq!(world.texts(ALICE, id).len(), 1);
    let parts = world.pods[ALICE].disk.keys().filter(|key| key[0] == b'p').count();
    assert_eq!(parts, 0, "nothing of it is kept");
    mallory.assert_talks(&mut world);
}

#[test]
fn parts_chunks_and_cancellations_without_effect_are_counted() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    let transfer = TransferId([7; 16]);
    let before = world.refused(ALICE);
    let far = Part { seq: 1 << 40, first: true, last: true, origin: None, bytes: vec![1] };
    mallory.say(&mut world, &[Item::Part(far)]);
    // Chunks wait for their offer, up to a bound.
    let chunks = |world: &World| world.pods[ALICE].disk.keys().filter(|key| key[0] == b'f').count();
    for index in 0..=MAX_EARLY_CHUNKS as u32 {
        mallory.say(&mut world, &[Item::Chunk(Chunk { transfer, index, bytes: vec![1; 100] })]);
    }
    assert_eq!(chunks(&world), MAX_EARLY_CHUNKS);
    let cancel = mallory.part(Payload::FileCancel(transfer).to_bytes().to_vec());
    mallory.say(&mut world, &[cancel]);
    let after = world.refused(ALICE);
    for reason in [RefusalReason::TooFar, RefusalReason::Unoffered, RefusalReason::Superseded] {
        assert_eq!(after.of(reason), before.of(reason) + 1, "{}", reason.name());
    }
    assert_eq!(chunks(&world), 0, "they go with the cancellation");
    mallory.assert_talks(&mut world);
}

#[test]
fn a_card_that_does_not_hold_leaves_the_one_before_in_force() {
    let mut world = World::new(1, 0);
    let mut mallory = Insider::new(&mut world, 100);
    let id = mallory.id();
    let other = Papers::new(101, &mut world.rng);
    let good = mallory.certificate(CertificateRole::Pod, 5, long());
    let over = mallory.certificate(CertificateRole::Pod, 6, Validity::lasting(START - 1_000, 500));
    let older = mallory.certificate(CertificateRole::Pod, 4, long());
    let make = |version, certificate, leaf| {
        card(version, certificate, leaf, &other.address, &mallory.own, &mallory.pod_key)
    };
    let leaf = mallory.own.leaf_key();
    let cards = [
        make(1, good, leaf),
        make(2, older, leaf),
        make(2, over, leaf),
        make(2, good, other.own.leaf_key()),
        other.card(2, other.certificate(CertificateRole::Pod, 6, long())),
        vec![1; 300],
    ];
    let before = world.refused(ALICE).of(RefusalReason::Malformed);
    let count = cards.len() as u64;
    for card in cards {
        let item = mallory.part(Payload::Card(card).to_bytes().to_vec());
        mallory.say(&mut world, &[item]);
    }
    assert_eq!(world.refused(ALICE).of(RefusalReason::Malformed), before + count);
    let MailAnswer::Contact(view) = world.command(ALICE, Command::Contact(id)) else { panic!() };
    assert_eq!(view.places, [mallory.address.place]);
    mallory.assert_talks(&mut world);
}
