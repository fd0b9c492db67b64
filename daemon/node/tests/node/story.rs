//! A pod with some of everything: at least one row of each kind, and of each the shapes that differ.

use std::{collections::BTreeMap, sync::OnceLock};

use autonomy_api::{
    AccountKind, BeginAccount, CardField, CardFields, CardNote, ContactId, ContactState, Email, OtherWay,
    Picture, SetProfile, ShareCard, UpdateContact,
};
use autonomy_messaging::{
    self as messaging, Access, AuthSeed, CHUNK_LEN, FileContent, Name, PublicKey, SigningKey,
    messenger::{self, Command as Mail, Reach},
    payload::{FileName, Text},
    place::{Capability, Place, QueueAddress, QueueId},
    vcard::{OtherProperties, VCard},
};
use autonomy_node::{
    Answer, BroadcastOutcome, Caller, ChainEvent, Command, Effect, Input, SessionCommand, Timestamp,
    sessions::card::CardCommand,
};
use sha2::{Digest as _, Sha256};

use crate::{
    mail::{accept, asks, contacts_of, deliver, id, invites, only_contact, person, settle, text_to},
    world::{START, World, read},
};

/// The contact with whom most is said.
pub(crate) const FRIEND: &str = "Bob";

/// When the story ends: before any draft or offer of it lapses.
pub(crate) const END: Timestamp = START + 1_800;

/// The rows of Alice's pod at the end of a long story. Each pod of it has its own seed, and time is counted from a fixed
/// day: two tellings differ in nothing but the keys that the ratchet draws by itself.
pub(crate) fn rows() -> &'static BTreeMap<Vec<u8>, Vec<u8>> {
    static ROWS: OnceLock<BTreeMap<Vec<u8>, Vec<u8>>> = OnceLock::new();
    ROWS.get_or_init(|| told().rows)
}

fn told() -> World {
    let mut alice = World::adopted();
    let (mut bob, mut carol) = (person(8, 42), person(9, 43));
    contacts_of(&mut alice, &mut bob);
    talk(&mut alice, &mut bob);
    cards(&mut alice, &mut bob);
    files(&mut alice, &mut bob);
    blocked(&mut alice, &mut person(10, 44));
    people(&mut alice, &mut carol);
    part_without_the_one_before(&mut alice, &mut bob);
    chunks_without_their_offer(&mut alice, &mut bob);
    money(&mut alice);
    // Last: from here on nobody answers.
    loose_ends(&mut alice);
    assert!(alice.now <= END, "the story took {} seconds", alice.now - START);
    alice
}

/// An account with a history, and a payment in each state.
fn money(alice: &mut World) {
    let newcomer = alice.newcomer(&SigningKey::from_bytes(&[20; 32]), Access::Limited);
    alice.device_asks(Command::AddDevice(newcomer)).unwrap();
    let account = alice.funded(5_000_000);
    for sat in [400_000, 300_000, 200_000] {
        let address = alice.receive(&account);
        let paid = alice.paid_in(&address, sat);
        alice.mine(vec![paid]);
    }
    // Confirmed, then seen, then given back by its owner.
    let confirmed = alice.draft(&account, 150_000).unwrap();
    let psbt = alice.sign(&account, &confirmed);
    alice.effects.clear();
    alice.approve(&confirmed, psbt).unwrap();
    let sent = alice.sent();
    alice.seen(sent.clone());
    alice.mine(sent);
    alice.mine_empty(2);
    let seen = alice.draft(&account, 120_000).unwrap();
    let psbt = alice.sign(&account, &seen);
    alice.approve(&seen, psbt).unwrap();
    let sent = alice.sent();
    alice.give(Input::Broadcast(sent[0].compute_txid(), BroadcastOutcome::Accepted));
    alice.seen(sent);
    let cancelled = alice.draft(&account, 50_000).unwrap();
    alice.device_asks(Command::CancelPayment(cancelled.id)).unwrap();
    let refused = alice.draft(&account, 60_000).unwrap();
    let psbt = alice.sign(&account, &refused);
    alice.approve(&refused, psbt).unwrap();
    alice.give(Input::Broadcast(refused.txid, BroadcastOutcome::Refused("dust".into())));
    alice.device_asks(Command::GiveUpPayment(refused.id)).unwrap();
    alice.draft(&account, 40_000).unwrap();
    // Paid in, and gone from the mempool again.
    let address = alice.receive(&account);
    let gone = alice.paid_in(&address, 77_000).compute_txid();
    alice.now += 60;
    alice.give(Input::Chain(ChainEvent::Mempool { seen: vec![], evicted: vec![gone] }));
    // A second account is offered, under a key whose answer is kept.
    let body = BeginAccount { name: read("second"), kind: AccountKind::TwoOfThreeOrRecovery };
    let caller = alice.device.caller();
    alice.ask_with_key(caller, Some("k"), Command::BeginAccount(body)).unwrap();
    alice.ask(Caller::Owner, Command::DrawKeys).unwrap();
    alice.effects.clear();
}

/// Words that arrived, that were read, and that wait.
fn talk(alice: &mut World, bob: &mut World) {
    let (to_bob, to_alice) = (id(&only_contact(alice)), id(&only_contact(bob)));
    let name = Some(Name::new(FRIEND).unwrap());
    let update =
        UpdateContact { name, verified: Some(true), file_limit: Some(1 << 20), ..UpdateContact::default() };
    alice.device_asks(Command::UpdateContact(to_bob, update)).unwrap();
    for turn in 0..3 {
        asks(alice, text_to(to_bob, &format!("from Alice, {turn}\nsecond line")));
        asks(bob, text_to(to_alice, &format!("from Bob, {turn}: äöü €")));
        settle(alice, bob);
    }
    asks(alice, Mail::MarkRead { contact: to_bob, up_to: 3 });
}

fn content(bytes: &[u8]) -> FileContent {
    FileContent { size: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
}

fn offers(world: &mut World, to: ContactId, name: &str, bytes: &[u8], loaded: usize) {
    let name = FileName::new(name).unwrap();
    let offer = Mail::OfferFile { contact: to, name, content: content(bytes) };
    let Answer::File(file) = asks(world, offer) else { panic!("no file") };
    let transfer = file.id;
    let (contact, bytes) = (to, bytes[..loaded].to_vec().into());
    asks(world, Mail::LoadFile { contact, transfer, first: 0, bytes });
}

/// One file that arrived, one that is half loaded.
fn files(alice: &mut World, bob: &mut World) {
    let (to_bob, to_alice) = (id(&only_contact(alice)), id(&only_contact(bob)));
    let photo: Vec<u8> = (0..2 * CHUNK_LEN + 77).map(|number| (number % 251) as u8).collect();
    offers(bob, to_alice, "photo.jpg", &photo, photo.len());
    settle(alice, bob);
    let letter = vec![b'x'; 3 * CHUNK_LEN as usize];
    offers(alice, to_bob, "letter.txt", &letter, 2 * CHUNK_LEN as usize);
}

fn elsewhere(seed: u8) -> Place {
    let key = |seed| PublicKey::from(&SigningKey::from_bytes(&[seed; 32]));
    Place::new(*key(seed).as_bytes(), key(seed + 1))
}

/// Somebody who was a contact and is blocked, and an invite that was taken back.
fn blocked(alice: &mut World, hugh: &mut World) {
    let invite = invites(alice);
    asks(hugh, accept(&invite));
    settle(alice, hugh);
    let Answer::Contacts(all) = asks(alice, Mail::Contacts) else { panic!("no contacts") };
    let asking = all.contacts.iter().find(|contact| contact.state == ContactState::Asking).unwrap();
    asks(alice, Mail::Confirm(id(asking)));
    settle(alice, hugh);
    asks(alice, Mail::SetBlocked(id(asking), true));
    let invite = invites(alice);
    asks(alice, Mail::CancelInvite(invite.id));
    settle(alice, hugh);
}

/// Contacts in the stages before and beside talking: who asks, whom Alice asks, who is only known.
fn people(alice: &mut World, carol: &mut World) {
    let invite = invites(alice);
    asks(carol, accept(&invite));
    settle(alice, carol);
    let root = |seed| AuthSeed::from_bytes(&[seed; 32]).root_key().public();
    let address = QueueAddress {
        place: elsewhere(30),
        queue: QueueId::from_bytes([4; 32]),
        deposit: Capability::from_bytes([5; 32]),
    };
    let anothers = messaging::invite::Invite::new(alice.now + 3_600, root(77), [6; 32], [7; 32], address);
    asks(
        alice,
        Mail::Accept { invite: Box::new(anothers), name: Some(Name::new("Dan").unwrap()), again: false },
    );
    for (seed, name) in [(78, "Erin"), (79, "Frank")] {
        let card = VCard {
            name: Name::new(name).unwrap(),
            note: None,
            root: root(seed),
            others: OtherProperties::default(),
        };
        asks(alice, Mail::ImportCard(Box::new(card)));
    }
    let gina = "FN:Gina\r\nEMAIL:gina@example.org\r\n";
    let gina = format!("BEGIN:VCARD\r\nVERSION:4.0\r\n{gina}X-AUTONOMY-ROOT:{}\r\nEND:VCARD\r\n", root(80));
    asks(alice, Mail::ImportCard(Box::new(VCard::from_text(&gina).unwrap())));
    alice.effects.clear();
}

/// What is on the cards of both, and what each lets the other see.
fn cards(alice: &mut World, bob: &mut World) {
    let (to_bob, to_alice) = (id(&only_contact(alice)), id(&only_contact(bob)));
    shares(alice, "Alice", to_bob, vec![CardField::Note, CardField::Picture]);
    shares(bob, "Bob", to_alice, vec![CardField::Email, CardField::Way]);
    settle(alice, bob);
}

/// Sets all fields of a card, and shares some.
fn shares(world: &mut World, name: &str, to: ContactId, fields: Vec<CardField>) {
    let all = CardFields {
        note: Some(CardNote::new(&format!("{name} at the fair")).unwrap()),
        email: Some(Email::new(&format!("{name}@example.org")).unwrap()),
        way: Some(OtherWay::new(&format!("xmpp:{name}@example.org")).unwrap()),
        picture: Some(Picture::new(b"\x89PNG\r\n\x1a\n and a face".to_vec()).unwrap()),
    };
    for command in [CardCommand::SetOwn(Box::new(all)), CardCommand::Share(to, ShareCard { fields })] {
        world.device_asks(Command::Session(SessionCommand::Card(command))).unwrap();
    }
}

/// A file whose offer is lost on the way: its chunks wait for it.
fn chunks_without_their_offer(alice: &mut World, bob: &mut World) {
    let to_alice = id(&only_contact(bob));
    bob.effects.clear();
    let early = vec![b'y'; 2 * CHUNK_LEN as usize];
    offers(bob, to_alice, "early.txt", &early, early.len());
    let is_call = |effect: &Effect| matches!(effect, Effect::Mail(messenger::Effect::Call { .. }));
    let first = bob.effects.iter().position(is_call).unwrap();
    bob.effects.remove(first);
    assert!(deliver(bob, alice) > 0, "offer and chunks went in one frame");
    alice.effects.clear();
}

/// A message of several parts, of which the first is lost on the way: the others wait for it.
fn part_without_the_one_before(alice: &mut World, bob: &mut World) {
    let to_alice = id(&only_contact(bob));
    bob.effects.clear();
    asks(bob, Mail::Send { contact: to_alice, text: Text::new(&"a".repeat(16_000)).unwrap() });
    let is_call = |effect: &Effect| matches!(effect, Effect::Mail(messenger::Effect::Call { .. }));
    let first = bob.effects.iter().position(is_call).unwrap();
    bob.effects.remove(first);
    assert!(deliver(bob, alice) > 0, "the whole message went in one frame");
    alice.effects.clear();
}

/// What waits for an answer that never comes.
fn loose_ends(alice: &mut World) {
    invites(alice);
    let token = Some(Capability::from_bytes([6; 32]));
    asks(alice, Mail::AddRelay { place: elsewhere(40), name: Name::new("kept").unwrap(), token });
    let profile = SetProfile { name: Some(Name::new("Alice").unwrap()), reach: Some(Reach::Direct) };
    alice.device_asks(Command::SetProfile(profile)).unwrap();
    let Answer::Contacts(all) = asks(alice, Mail::Contacts) else { panic!("no contacts") };
    let friend = all.contacts.iter().find(|contact| contact.name.as_str() == FRIEND).unwrap();
    asks(alice, text_to(id(friend), "still on its way"));
}
