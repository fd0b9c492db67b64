//! What a device can want of the pod's messenger: every field is checked here, before the messenger hears of it.

use autonomy_messaging::{
    FileContent, Name, TransferId,
    carrier::Parcel,
    invite::Invite,
    messenger::{self, ContactId, InviteId, RefusedBecause},
    payload::{FileName, Text},
    place::{Capability, Place},
    vcard::VCard,
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Id, Refusal, Reply, mail_answer,
    mail_wish::{CarriedParcel, ChunksRead, LoadedChunks, MessagesPage},
    turn::Turn,
};
use autonomy_api::{
    AcceptInvite, Access, AddRelay, ImportCard, MarkRead, NewInvite, NewMessage, OfferFile, SetProfile,
    UpdateContact, place,
};

/// An invite holds for a week where nothing else is asked for, seconds.
const USUAL_VALIDITY: u64 = 7 * 24 * 60 * 60;
/// What can be asked of the messenger, as it came from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MailCommand {
    /// How do messages flow?
    Status,
    /// How is the owner called and reached?
    Profile,
    /// Be called and reached so.
    SetProfile(SetProfile),
    /// All invites.
    Invites,
    /// One invite.
    Invite(Id<8>),
    /// Make an invite.
    NewInvite(NewInvite),
    /// Let nobody redeem this invite any more.
    CancelInvite(Id<8>),
    /// Redeem somebody's invite.
    Accept(AcceptInvite),
    /// Whoever asks is who they say.
    Confirm(Id<16>),
    /// Everybody.
    Contacts,
    /// One of them.
    Contact(Id<16>),
    /// What to compare with a contact.
    Safety(Id<16>),
    /// Rename, verify, block.
    UpdateContact(Id<16>, UpdateContact),
    /// Forget a contact.
    RemoveContact(Id<16>),
    /// Say something.
    Send(Id<16>, NewMessage),
    /// What was said.
    Messages(Id<16>, MessagesPage),
    /// All up to a message was read.
    MarkRead(Id<16>, MarkRead),
    /// Files to and from a contact.
    Files(Id<16>),
    /// One of them.
    File(Id<16>, Id<16>),
    /// Begin to send a file.
    OfferFile(Id<16>, OfferFile),
    /// Its next bytes.
    LoadFile(Id<16>, Id<16>, LoadedChunks),
    /// Bytes of one that arrived.
    ReadFile(Id<16>, Id<16>, ChunksRead),
    /// Give one up and forget it.
    RemoveFile(Id<16>, Id<16>),
    /// Everything that a contact waits for, to be carried to them.
    ExportParcel(Id<16>),
    /// What waits at the place of an invite, to be carried to whoever redeems it.
    ExportInvite(Id<8>),
    /// Take in what was carried here.
    ImportParcel(CarriedParcel),
    /// A contact for an address book.
    ExportCard(Id<16>),
    /// Know somebody by what an address book says.
    ImportCard(ImportCard),
    /// All relays.
    Relays,
    /// Keep queues at a place too.
    AddRelay(AddRelay),
    /// Keep no queues there any more.
    RemoveRelay {
        /// The text of the place.
        place: String,
    },
}

impl MailCommand {
    /// How far a device must be allowed to go. Who becomes a contact, and where messages wait, is decided with full
    /// access; an invite is a right to ask, so its text is shown to nobody else.
    #[must_use]
    pub fn required_access(&self) -> Access {
        match self {
            Self::Status
            | Self::Profile
            | Self::Contacts
            | Self::Contact(_)
            | Self::Safety(_)
            | Self::Send(..)
            | Self::Messages(..)
            | Self::MarkRead(..)
            | Self::Files(_)
            | Self::File(..)
            | Self::OfferFile(..)
            | Self::LoadFile(..)
            | Self::ReadFile(..)
            | Self::RemoveFile(..)
            | Self::ExportParcel(_)
            | Self::ImportParcel(_)
            | Self::ExportCard(_)
            | Self::Relays => Access::Limited,
            Self::SetProfile(_)
            | Self::Invites
            | Self::Invite(_)
            | Self::NewInvite(_)
            | Self::CancelInvite(_)
            | Self::Accept(_)
            | Self::Confirm(_)
            | Self::UpdateContact(..)
            | Self::RemoveContact(_)
            | Self::ExportInvite(_)
            | Self::ImportCard(_)
            | Self::AddRelay(_)
            | Self::RemoveRelay { .. } => Access::Full,
        }
    }

    /// The name of the thing of this kind that it is about, for a refusal.
    fn subject(&self, what: &str) -> String {
        match self {
            Self::Invite(id) | Self::CancelInvite(id) | Self::ExportInvite(id) => id.to_string(),
            Self::File(_, file)
            | Self::LoadFile(_, file, _)
            | Self::ReadFile(_, file, _)
            | Self::RemoveFile(_, file)
                if what == "file" =>
            {
                file.to_string()
            }
            Self::Confirm(id)
            | Self::Contact(id)
            | Self::Safety(id)
            | Self::UpdateContact(id, _)
            | Self::RemoveContact(id)
            | Self::Send(id, _)
            | Self::Messages(id, _)
            | Self::MarkRead(id, _)
            | Self::Files(id)
            | Self::ExportParcel(id)
            | Self::ExportCard(id)
            | Self::OfferFile(id, _)
            | Self::File(id, _)
            | Self::LoadFile(id, ..)
            | Self::ReadFile(id, ..)
            | Self::RemoveFile(id, _) => id.to_string(),
            Self::RemoveRelay { place } => place.chars().take(place::MAX_PLACE_TEXT).collect(),
            _ => String::new(),
        }
    }

    /// What the messenger is told, in this order. Only the first can be refused by it.
    fn steps(&self) -> Result<Vec<messenger::Command>, Refusal> {
        use messenger::Command as To;
        let one = match self {
            Self::Status | Self::Profile => To::Status,
            Self::SetProfile(body) => return profile_steps(body),
            Self::Invites => To::Invites,
            Self::Invite(id) => To::InviteById(InviteId(id.0)),
            Self::NewInvite(body) => To::Invite {
                note: optional_name("note", body.note.as_deref())?,
                valid_for: body.valid_for.unwrap_or(USUAL_VALIDITY),
            },
            Self::CancelInvite(id) => To::CancelInvite(InviteId(id.0)),
            Self::Accept(body) => To::Accept {
                invite: Box::new(parsed("invite", Invite::from_text(body.invite.trim()))?),
                name: optional_name("name", body.name.as_deref())?,
            },
            Self::Confirm(id) => To::Confirm(contact(id)),
            Self::Contacts => To::Contacts,
            Self::Contact(id) | Self::Safety(id) => To::Contact(contact(id)),
            Self::UpdateContact(id, body) => return update(contact(id), body),
            Self::RemoveContact(id) => To::Remove(contact(id)),
            Self::Send(id, body) => {
                To::Send { contact: contact(id), text: parsed("text", Text::new(&body.text))? }
            }
            Self::Messages(id, page) => page.command(contact(id))?,
            Self::MarkRead(id, body) => To::MarkRead { contact: contact(id), up_to: body.up_to },
            Self::Files(id) => To::Files(contact(id)),
            Self::File(id, file) => To::File(contact(id), TransferId(file.0)),
            Self::OfferFile(id, body) => To::OfferFile {
                contact: contact(id),
                name: parsed("name", FileName::new(&body.name))?,
                content: FileContent { size: body.size, sha256: bytes32("sha256", &body.sha256)? },
            },
            Self::LoadFile(id, file, LoadedChunks { first, bytes }) => To::LoadFile {
                contact: contact(id),
                transfer: TransferId(file.0),
                first: *first,
                bytes: bytes.clone(),
            },
            Self::ReadFile(id, file, wish) => To::ReadFile {
                contact: contact(id),
                transfer: TransferId(file.0),
                first: wish.first,
                count: wish.count()?,
            },
            Self::RemoveFile(id, file) => To::RemoveFile(contact(id), TransferId(file.0)),
            Self::ExportParcel(id) => To::ExportParcel(contact(id)),
            Self::ExportInvite(id) => To::ExportInvite(InviteId(id.0)),
            Self::ImportParcel(carried) => To::ImportParcel(parsed("parcel", Parcel::parse(&carried.bytes))?),
            Self::ExportCard(id) => To::ExportCard(contact(id)),
            Self::ImportCard(body) => {
                To::ImportCard(Box::new(parsed("vcard", VCard::from_text(&body.vcard))?))
            }
            Self::Relays => To::Relays,
            Self::AddRelay(body) => add_relay(body)?,
            Self::RemoveRelay { place } => To::RemoveRelay(parsed("place", place::parse(place))?),
        };
        Ok(vec![one])
    }
}

impl Turn<'_> {
    /// Checks a command, hands it to the messenger, and says what came of it in the words of the API.
    pub(super) fn mail_command(&mut self, command: &MailCommand) -> Reply {
        let mut answer = messenger::MailAnswer::Done;
        for step in command.steps()? {
            if let Some(answered) = self.mail(messenger::Input::Command(step)) {
                answer = answered.map_err(|because| refusal(because, command))?;
            }
        }
        Ok(match (command, answer) {
            (MailCommand::Profile | MailCommand::SetProfile(_), messenger::MailAnswer::Status(status)) => {
                Answer::Profile(mail_answer::profile(&status))
            }
            (MailCommand::Safety(_), messenger::MailAnswer::Contact(view)) => {
                Answer::Safety(mail_answer::safety(&view))
            }
            (_, answer) => mail_answer::answer(answer, self.now),
        })
    }
}

fn refusal(because: RefusedBecause, command: &MailCommand) -> Refusal {
    match because {
        RefusedBecause::NotAdopted => Refusal::NotAdopted,
        RefusedBecause::Unknown(what) => Refusal::Unknown { what, id: command.subject(what) },
        RefusedBecause::Conflict(why) => Refusal::Conflict(why),
        RefusedBecause::Full { what, limit, remedy } => Refusal::Full { what, limit, remedy },
        RefusedBecause::Invalid { field, rule } => Refusal::Invalid { field, rule },
    }
}

fn contact(id: &Id<16>) -> ContactId {
    ContactId(id.0)
}

/// A field that was read, or the refusal that names it.
fn parsed<T, E: std::fmt::Display>(field: &'static str, read: Result<T, E>) -> Result<T, Refusal> {
    read.map_err(|error| Refusal::invalid(field, error.to_string()))
}

fn name(field: &'static str, text: &str) -> Result<Name, Refusal> {
    parsed(field, Name::new(text))
}

fn optional_name(field: &'static str, text: Option<&str>) -> Result<Option<Name>, Refusal> {
    text.map(|text| name(field, text)).transpose()
}

/// The way comes first: it is the one that the messenger may refuse.
fn profile_steps(body: &SetProfile) -> Result<Vec<messenger::Command>, Refusal> {
    let reach = body.reach.map(messenger::Command::SetReach);
    let named = optional_name("name", body.name.as_deref())?.map(messenger::Command::SetName);
    let steps: Vec<_> = [reach, named].into_iter().flatten().collect();
    if steps.is_empty() {
        return Err(Refusal::invalid("name", "give at least one of `name`, `reach`"));
    }
    Ok([steps, vec![messenger::Command::Status]].concat())
}

/// Blocking comes first: it is the one that the messenger may refuse where the contact exists.
fn update(contact: ContactId, body: &UpdateContact) -> Result<Vec<messenger::Command>, Refusal> {
    let blocked = body.blocked.map(|blocked| messenger::Command::SetBlocked(contact, blocked));
    let verified = body.verified.map(|verified| messenger::Command::SetVerified(contact, verified));
    let renamed = optional_name("name", body.name.as_deref())?;
    let renamed = renamed.map(|name| messenger::Command::Rename(contact, name));
    let limited = body.file_limit.map(|limit| messenger::Command::SetFileLimit(contact, limit));
    let steps: Vec<_> = [blocked, verified, renamed, limited].into_iter().flatten().collect();
    if steps.is_empty() {
        return Err(Refusal::invalid(
            "name",
            "give at least one of `name`, `verified`, `blocked`, `file_limit`",
        ));
    }
    Ok(steps)
}

fn add_relay(body: &AddRelay) -> Result<messenger::Command, Refusal> {
    let place = parsed("place", place::parse(&body.place))?;
    let name = match &body.name {
        Some(text) => name("name", text)?,
        None => short_name(&place)?,
    };
    let token = body.token.as_deref().map(token).transpose()?;
    Ok(messenger::Command::AddRelay { place, name, token })
}

/// The first eight characters of the onion address: enough to tell sixteen relays apart.
fn short_name(place: &Place) -> Result<Name, Refusal> {
    let text: String = place::text(place).chars().skip("/onion3/".len()).take(8).collect();
    name("name", &text)
}

fn token(text: &str) -> Result<Capability, Refusal> {
    bytes32("token", text).map(Capability::from_bytes)
}

fn bytes32(field: &'static str, text: &str) -> Result<[u8; 32], Refusal> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Refusal::invalid(field, "64 lower-case hexadecimal characters"))
}
