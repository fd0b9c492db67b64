//! What a pod tells of people and their words, held against the rules.

use std::fmt::Display;

use autonomy_messaging::{
    MAX_FILE, Name, RootPublic,
    carrier::Parcel,
    invite::Invite as ParsedInvite,
    messenger::ContactId,
    payload::{FileName, Text},
    place::Place,
    safety::SafetyNumber,
    vcard::VCard,
};
use data_encoding::HEXLOWER;

use crate::{DeviceError, Distrust, printable};
use autonomy_api::{
    BrokenRule, Contact, Direction, File, Imported, Invite, Message, MessageKind, MessageState, Profile,
    Relay, Safety, place,
};

/// Most places of one contact, as many as a card has.
const MAX_PLACES: usize = 8;

fn broken(what: &'static str, field: &'static str, rule: impl Display) -> DeviceError {
    Distrust::Mail { what, field, rule: printable(&rule.to_string()) }.into()
}

/// The same for what a session's request says of its answer.
pub(super) fn broken_rule(BrokenRule { what, field, rule }: BrokenRule) -> DeviceError {
    broken(what, field, rule)
}

/// The pod answers about what it was asked for.
pub(super) fn same(what: &'static str, asked: &str, told: &str) -> Result<(), DeviceError> {
    if asked == told {
        return Ok(());
    }
    Err(broken(what, "id", format!("is {told} where {asked} was asked for")))
}

fn name(what: &'static str, field: &'static str, text: &str) -> Result<(), DeviceError> {
    Name::new(text).map(drop).map_err(|error| broken(what, field, format!("is no name: {error}")))
}

pub(super) fn optional_name(
    what: &'static str,
    field: &'static str,
    text: Option<&str>,
) -> Result<(), DeviceError> {
    text.map_or(Ok(()), |text| name(what, field, text))
}

pub(super) fn place(what: &'static str, text: &str) -> Result<Place, DeviceError> {
    place::parse(text).map_err(|error| broken(what, "place", format!("is none: {error}")))
}

fn hexadecimal(what: &'static str, field: &'static str, text: &str, bytes: usize) -> Result<(), DeviceError> {
    let fits = HEXLOWER.decode(text.as_bytes()).is_ok_and(|decoded| decoded.len() == bytes);
    if fits { Ok(()) } else { Err(broken(what, field, format!("is not {} hex digits", 2 * bytes))) }
}

pub(super) fn profile(told: Profile) -> Result<Profile, DeviceError> {
    optional_name("profile", "name", told.name.as_deref())?;
    Ok(told)
}

/// An invite is the owner's own: handed over, another's would make a stranger of the pod's choice the contact.
pub(super) fn invite(own: Option<&RootPublic>, told: Invite) -> Result<Invite, DeviceError> {
    let broken = |field, rule: &str| broken("invite", field, rule);
    hexadecimal("invite", "id", &told.id, 8)?;
    optional_name("invite", "note", told.note.as_deref())?;
    let parsed = ParsedInvite::from_text(&told.text)
        .map_err(|error| broken("text", &format!("cannot be read: {error}")))?;
    if own.is_some_and(|own| *own != parsed.root()) {
        return Err(broken("text", "invites to somebody else than the owner"));
    }
    if told.expires_at != parsed.expires() {
        return Err(broken("end", "is not the one in its text"));
    }
    if place("invite", &told.place)? != parsed.address().place {
        return Err(broken("place", "is not the one in its text"));
    }
    Ok(told)
}

/// A contact's id follows from the identity, and so does the safety number where one is told and `own` is known.
pub(super) fn contact(own: Option<&RootPublic>, told: Contact) -> Result<Contact, DeviceError> {
    let broken = |field, rule: &str| broken("contact", field, rule);
    let root = identity(&told)?;
    if told.id != HEXLOWER.encode(&ContactId::of(&root).0) {
        return Err(broken("id", "does not follow from the identity"));
    }
    name("contact", "name", &told.name)?;
    optional_name("contact", "card name", told.card_name.as_deref())?;
    if told.places.len() > MAX_PLACES {
        return Err(broken("places", &format!("are more than {MAX_PLACES}")));
    }
    told.places.iter().try_for_each(|text| place("contact", text).map(drop))?;
    if let (Some(own), Some(digits)) = (own, &told.safety_number)
        && *digits != SafetyNumber::between(own, &root).to_string()
    {
        return Err(broken("safety number", "does not follow from the identities"));
    }
    Ok(told)
}

fn identity(told: &Contact) -> Result<RootPublic, DeviceError> {
    told.identity.parse().map_err(|error| broken("contact", "identity", format!("is none: {error}")))
}

/// The safety number as it follows from both identities; the pod's only where the owner's is not known here.
pub(super) fn safety(
    own: Option<&RootPublic>,
    contact: &Contact,
    told: Safety,
) -> Result<Safety, DeviceError> {
    let Some(own) = own else {
        let shown = [&told.digits, &told.words, &told.qr];
        let plain =
            |text: &&String| text.len() <= 400 && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        return match shown.iter().all(plain) {
            true => Ok(told),
            false => Err(broken("safety number", "text", "is none")),
        };
    };
    let number = SafetyNumber::between(own, &identity(contact)?);
    let ours = Safety {
        digits: number.to_string(),
        words: number.words().join(" "),
        qr: number.to_text(),
        verified: told.verified,
    };
    if told != ours {
        return Err(broken("safety number", "text", "does not follow from the identities"));
    }
    Ok(ours)
}

/// At most so many, in order, before the number asked for, each of a kind with what belongs to it.
pub(super) fn messages(
    told: Vec<Message>,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Message>, DeviceError> {
    if told.len() > limit as usize {
        return Err(broken("conversation", "length", format!("is more than the {limit} asked for")));
    }
    let late = |message: &Message| before.is_some_and(|before| message.number >= before);
    let ordered = told.windows(2).all(|pair| pair[0].number < pair[1].number);
    if !ordered || told.last().is_some_and(late) {
        return Err(broken("conversation", "order", "is not that of its numbers"));
    }
    told.iter().try_for_each(message)?;
    Ok(told)
}

fn message(told: &Message) -> Result<(), DeviceError> {
    let broken = |field, rule: String| Err(broken("message", field, rule));
    if (told.direction == Direction::Incoming) != (told.state == MessageState::Received) {
        return broken("state", "does not go with its direction".into());
    }
    if told.text.is_some() != (told.kind == MessageKind::Text)
        || told.file.is_some() != (told.kind == MessageKind::File)
    {
        return broken("content", "does not go with its kind".into());
    }
    if let Some(Err(error)) = told.text.as_deref().map(Text::new) {
        return broken("text", format!("is none: {error}"));
    }
    let Some(file) = &told.file else { return Ok(()) };
    hexadecimal("file", "transfer", &file.transfer, 16)?;
    hexadecimal("file", "hash", &file.sha256, 32)?;
    match FileName::new(&file.name) {
        Ok(_) => Ok(()),
        Err(error) => broken("file name", format!("is none: {error}")),
    }
}

/// Files that a directory can hold: names without paths, and no more bytes done than there are.
pub(super) fn file(told: File) -> Result<File, DeviceError> {
    hexadecimal("file", "id", &told.id, 16)?;
    hexadecimal("file", "hash", &told.sha256, 32)?;
    FileName::new(&told.name).map_err(|error| broken("file", "name", format!("is none: {error}")))?;
    if told.done > told.size || told.size > MAX_FILE {
        return Err(broken("file", "size", "is less than what is done of it, or more than any file has"));
    }
    Ok(told)
}

pub(super) fn relays(told: Vec<Relay>) -> Result<Vec<Relay>, DeviceError> {
    for relay in &told {
        place("relay", &relay.place)?;
        name("relay", "name", &relay.name)?;
    }
    Ok(told)
}

/// Something that another pod can take in; for whom it is, is sealed.
pub(super) fn parcel(bytes: &[u8]) -> Result<Parcel, DeviceError> {
    Parcel::parse(bytes).map_err(|error| broken("parcel", "bytes", error))
}

/// Each message of a parcel came to one end.
pub(super) fn imported(parcel: &Parcel, told: Imported) -> Result<Imported, DeviceError> {
    let counts = [told.opened, told.repeats, told.refused];
    let sum: u64 = counts.into_iter().map(u64::from).sum();
    let carried = parcel.entries().len();
    if sum != carried as u64 {
        return Err(broken("parcel", "count", format!("is {sum} where {carried} were carried")));
    }
    Ok(told)
}

/// The card of this contact and of nobody else.
pub(super) fn card(contact: &Contact, bytes: &[u8]) -> Result<VCard, DeviceError> {
    let text = str::from_utf8(bytes).map_err(|_| broken("card", "text", "is not UTF-8"))?;
    let card = VCard::from_text(text).map_err(|error| broken("card", "text", format!("is none: {error}")))?;
    if card.root != identity(contact)? {
        return Err(broken("card", "identity", "is another person's"));
    }
    Ok(card)
}
