//! Cards with fields: owners set them, share and withdraw them; in the end each contact has exactly what the owner chose last.
//! What a contact may have until then is compared in [`choices`](crate::choices).

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

use crate::choices::CARD_FIELDS;
use crate::command::{Answer, Command};
use crate::oracle::Way;
use crate::world::World;

/// One time in so many, an owner sets new fields.
const SETS: u32 = 40;
/// One time in so many, an owner shares other fields with a contact.
const SHARES: u32 = 20;

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

/// Each pod has its owner's card as the owner set it, and each contact has exactly the fields of it that the owner chose for
/// them: a command that was cut off with its pod, or a backup in place of a disk, may have made it the choice before.
pub(super) fn check(world: &mut World) {
    for (from, to) in ways(world) {
        let (sharer, receiver) = (world.shells[from].pod.contact_id(), world.shells[to].pod.contact_id());
        let own = ask(world, from, CardCommand::Own);
        let (shares, has) = (of(world, from, receiver), of(world, to, sharer));
        match (own, shares, has) {
            (Some(CardAnswer::Own(own)), Some(shares), Some(has)) => {
                check_way(world, (from, to), &own, &shares, &has)
            }
            missing => {
                world.breach(Some(from), format!("no word of the card that pod {to} has of it: {missing:?}"))
            }
        }
    }
}

/// The same in one direction, by what the two pods say.
fn check_way(world: &mut World, (from, to): Way, own: &CardFields, shares: &ContactCard, has: &ContactCard) {
    let choices = &world.shells[from].choices;
    let (card, chosen) = (&choices.own, choices.shared_with(to));
    let (shared, theirs) = (&shares.shared, &has.theirs);
    let what = if !card.may_be(own) {
        format!("its card is {own:?}, and was set to {card:?}")
    } else if !chosen.may_be(shared) {
        format!("it shares {shared:?} with pod {to}, and its owner chose {chosen:?}")
    } else if shares.delivery != CardDelivery::Delivered {
        format!("what it shares with pod {to} is not delivered: {:?}", shares.delivery)
    } else if *theirs != own.only(shared) {
        format!("pod {to} has {theirs:?} of its card, and is to have {shared:?}")
    } else {
        return;
    };
    world.breach(Some(from), what);
}

/// All who are contacts, in both directions.
fn ways(world: &World) -> Vec<Way> {
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
    CARD_FIELDS.into_iter().filter(|_| rng.gen_bool(0.5)).collect()
}
