//! Cards with fields: owners set them, share and withdraw them; in the end each contact has exactly what is shared.

use autonomy_api::{
    CardDelivery, CardField, CardFields, CardNote, ContactCard, Email, OtherWay, Picture, ShareCard,
};
use autonomy_messaging::messenger::ContactId;
use autonomy_node::{
    SessionAnswer, SessionCommand,
    sessions::card::{CardAnswer, CardCommand},
};
use rand::Rng;
use rand::rngs::StdRng;

use crate::command::{Answer, Command};
use crate::world::World;

/// One time in so many, an owner sets new fields.
const SETS: u32 = 40;
/// One time in so many, an owner shares other fields with a contact.
const SHARES: u32 = 20;

/// All fields of a card.
const ALL: [CardField; 4] = [CardField::Note, CardField::Email, CardField::Way, CardField::Picture];

/// An owner sets the fields of their card, or shares some with one of their pairs, also before the two are contacts.
pub(super) fn act(world: &mut World, pod: usize) {
    if !world.faults_on || !world.config.autonomous {
        return;
    }
    if world.rng.gen_ratio(1, SETS) {
        let fields = Box::new(some_fields(&mut world.rng));
        ask(world, pod, CardCommand::SetOwn(fields));
    }
    if world.rng.gen_ratio(1, SHARES) && !world.pairs_of[pod].is_empty() {
        let pair = world.pairs_of[pod][world.rng.gen_range(0..world.pairs_of[pod].len())];
        let other = world.pairs[pair].other(pod);
        let fields = some_of(&mut world.rng);
        let contact = world.shells[other].pod.contact_id();
        ask(world, pod, CardCommand::Share(contact, ShareCard { fields }));
    }
}

/// Whether each contact has what is shared with them.
pub(super) fn is_settled(world: &mut World) -> bool {
    ways(world).into_iter().all(|(from, to)| {
        let contact = world.shells[to].pod.contact_id();
        of(world, from, contact).is_none_or(|card| card.delivery == CardDelivery::Delivered)
    })
}

/// Each contact has exactly the fields last shared with them, as the sharer's pod knows them: a command may be cut off with
/// its pod, or be lost with its disk.
pub(super) fn check(world: &mut World) {
    for (from, to) in ways(world) {
        let (sharer, receiver) = (world.shells[from].pod.contact_id(), world.shells[to].pod.contact_id());
        let Some(CardAnswer::Own(own)) = ask(world, from, CardCommand::Own) else { continue };
        let (Some(shares), Some(has)) = (of(world, from, receiver), of(world, to, sharer)) else { continue };
        if shares.delivery != CardDelivery::Delivered {
            let how = shares.delivery;
            world.breach(Some(from), format!("what it shares with pod {to} is not delivered: {how:?}"));
        }
        if has.theirs != own.only(&shares.shared) {
            let what =
                format!("pod {to} has {:?} of its card, and is to have {:?}", has.theirs, shares.shared);
            world.breach(Some(from), what);
        }
    }
}

/// All who are contacts, in both directions.
fn ways(world: &World) -> Vec<(usize, usize)> {
    let connected = world.pairs.iter().filter(|pair| pair.is_connected());
    connected.flat_map(|pair| [(pair.inviter, pair.invitee), (pair.invitee, pair.inviter)]).collect()
}

fn ask(world: &mut World, pod: usize, command: CardCommand) -> Option<CardAnswer> {
    match world.ask(pod, Command::Session(SessionCommand::Card(command)))? {
        Ok(Answer::Session(SessionAnswer::Card(answer))) => Some(answer),
        _ => None,
    }
}

fn of(world: &mut World, pod: usize, contact: ContactId) -> Option<ContactCard> {
    match ask(world, pod, CardCommand::Of(contact))? {
        CardAnswer::Of(card) => Some(*card),
        CardAnswer::Own(_) => None,
    }
}

#[expect(clippy::expect_used, reason = "short and visible, and by the rules of each field")]
fn some_fields(rng: &mut StdRng) -> CardFields {
    let number: u32 = rng.r#gen();
    let note = CardNote::new(&format!("note {number}")).expect("short and visible");
    let email = Email::new(&format!("{number}@example.org")).expect("an address");
    let way = OtherWay::new(&format!("xmpp:{number}@example.org")).expect("a URI");
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(rng.gen_range(8..=8_192), number as u8);
    let picture = Picture::new(picture).expect("it begins as one");
    let all = CardFields { note: Some(note), email: Some(email), way: Some(way), picture: Some(picture) };
    all.only(&some_of(rng))
}

fn some_of(rng: &mut StdRng) -> Vec<CardField> {
    ALL.into_iter().filter(|_| rng.gen_bool(0.5)).collect()
}
