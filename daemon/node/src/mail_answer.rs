//! What the messenger answers and tells, in the words of the API.

use autonomy_messaging::{
    messenger::{self, ContactView, EntryView, FileView, InviteView, MessengerStatus, Notice, RelayView},
    payload::{Payload, Text},
};

use super::{Answer, Timestamp};
use autonomy_api::{
    Contact, Contacts, EventKind, File, Files, Hex, Invite, Invites, MailStatus, Message, MessageKind,
    MessageState, Messages, OfferedFile, Profile, QueuedMessage, Relay, Relays, Safety, SafetyDigits,
};

/// An answer of the messenger at `now`.
pub(super) fn answer(answer: messenger::MailAnswer, now: Timestamp) -> Answer {
    match answer {
        messenger::MailAnswer::Done => Answer::Done,
        messenger::MailAnswer::Status(told) => Answer::MailStatus(status(&told)),
        messenger::MailAnswer::Invite(view) => Answer::Invite(invite(&view)),
        messenger::MailAnswer::Invites(views) => {
            let mut invites: Vec<Invite> = views.iter().map(invite).collect();
            invites.sort_by_key(|invite| invite.created_at);
            Answer::Invites(Invites { invites })
        }
        messenger::MailAnswer::Contact(view) => {
            let safety_number = Some(SafetyDigits::from(&view.safety_number()));
            Answer::Contact(Contact { safety_number, ..contact(&view) })
        }
        messenger::MailAnswer::Contacts(views) => {
            Answer::Contacts(Contacts { contacts: views.iter().map(contact).collect() })
        }
        messenger::MailAnswer::Queued(number) => Answer::Queued(QueuedMessage { number, at: now }),
        messenger::MailAnswer::Messages { entries, first } => {
            Answer::Messages(Messages { messages: entries.iter().map(message).collect(), first })
        }
        messenger::MailAnswer::Relays(views) => {
            Answer::Relays(Relays { relays: views.iter().map(relay).collect() })
        }
        messenger::MailAnswer::File(view) => Answer::File(file(&view)),
        messenger::MailAnswer::Files(views) => {
            let mut files: Vec<File> = views.iter().map(file).collect();
            files.sort_by_key(|file| file.at);
            Answer::Files(Files { files })
        }
        messenger::MailAnswer::Bytes(bytes) | messenger::MailAnswer::Parcel(bytes) => {
            Answer::Bytes(bytes.into())
        }
        messenger::MailAnswer::Imported(counted) => Answer::Imported(counted),
        messenger::MailAnswer::Card(text) => Answer::Card(text),
    }
}

/// How the owner is called and reached.
pub(super) fn profile(status: &MessengerStatus) -> Profile {
    Profile { name: status.name.clone(), reach: status.reach }
}

/// What to compare with a contact.
pub(super) fn safety(view: &ContactView) -> Safety {
    let number = view.safety_number();
    Safety {
        digits: (&number).into(),
        words: (&number).into(),
        qr: (&number).into(),
        verified: view.verified,
    }
}

/// What a listener hears of a notice.
pub(super) fn event(notice: &Notice) -> EventKind {
    match notice {
        Notice::InviteReady(id) => EventKind::InviteReady { invite: *id },
        Notice::InviteFailed(id, why) => EventKind::InviteFailed { invite: *id, detail: why.clone() },
        Notice::Asked(id) => EventKind::ContactAsked { contact: *id },
        Notice::Connected(id) => EventKind::ContactConnected { contact: *id },
        Notice::JoinFailed(id, why) => EventKind::JoinFailed { contact: *id, detail: why.clone() },
        Notice::CardChanged(id) => EventKind::ContactChanged { contact: *id },
        Notice::Received(id, number) => EventKind::MessageReceived { contact: *id, number: *number },
        Notice::Delivered(id, number) => EventKind::MessageDelivered { contact: *id, number: *number },
        Notice::Expired(id, number) => EventKind::MessageExpired { contact: *id, number: *number },
        Notice::Rekeyed(id) => EventKind::ContactRekeyed { contact: *id },
        Notice::FileOffered(id, file) => EventKind::FileOffered { contact: *id, file: *file },
        Notice::FileReceived(id, file) => EventKind::FileReceived { contact: *id, file: *file },
        Notice::FileDelivered(id, file) => EventKind::FileDelivered { contact: *id, file: *file },
        Notice::FileCancelled(id, file) => EventKind::FileCancelled { contact: *id, file: *file },
        Notice::RelayTrouble(place, why) => EventKind::RelayTrouble { place: *place, detail: why.clone() },
        Notice::RelayReplaced(place, by) => EventKind::RelayReplaced { place: *place, by: *by },
    }
}

fn status(told: &MessengerStatus) -> MailStatus {
    MailStatus {
        name: profile(told).name,
        contacts: told.contacts,
        asking: told.asking,
        queued: told.queued,
        unread: told.unread,
        refused: told.refused.iter().collect(),
    }
}

/// An invite with its text. Whether a redeemer who was confirmed has been heard from is the messenger's concern: both
/// states are `used`.
fn invite(view: &InviteView) -> Invite {
    Invite {
        id: view.id,
        text: view.invite.clone(),
        state: view.state,
        note: view.note.clone(),
        created_at: view.created_at,
        expires_at: view.invite.expires(),
        place: view.invite.address().place,
    }
}

/// Without the safety number, which costs milliseconds.
fn contact(view: &ContactView) -> Contact {
    Contact {
        id: view.id,
        identity: view.root,
        name: view.name.clone(),
        card_name: view.card_name.clone(),
        state: view.state,
        returns: view.returns,
        verified: view.verified,
        safety_number: None,
        places: view.places.clone(),
        created_at: view.created_at,
        heard_at: view.heard_at,
        queued: view.queued,
        unread: view.unread,
        file_limit: view.file_limit,
    }
}

/// An entry of a conversation; `settled_at` is the time that its state carries.
fn message(view: &EntryView) -> Message {
    let (state, settled_at) = match view.state {
        messenger::EntryState::Queued => (MessageState::Queued, None),
        messenger::EntryState::Delivered(at) => (MessageState::Delivered, Some(at)),
        messenger::EntryState::Expired(at) => (MessageState::Expired, Some(at)),
        messenger::EntryState::Received => (MessageState::Received, None),
    };
    let (kind, text, file) = content(&view.payload);
    Message {
        number: view.number,
        direction: view.direction,
        at: view.at,
        state,
        settled_at,
        kind,
        text,
        file,
    }
}

fn content(payload: &Payload) -> (MessageKind, Option<Text>, Option<OfferedFile>) {
    match payload {
        Payload::Text(text) => (MessageKind::Text, Some(text.clone()), None),
        Payload::Card(_) => (MessageKind::Card, None, None),
        Payload::FileOffer(offer) => {
            let file = OfferedFile {
                transfer: offer.transfer,
                name: offer.name.clone(),
                size: offer.size,
                sha256: Hex(offer.sha256),
            };
            (MessageKind::File, None, Some(file))
        }
        Payload::FileCancel(_) => (MessageKind::FileCancelled, None, None),
        Payload::Application(_) | Payload::ApplicationOffer(_) | Payload::Unknown(_) => {
            (MessageKind::Unknown, None, None)
        }
    }
}

/// A file and how much of it is done, in bytes.
fn file(view: &FileView) -> File {
    File {
        id: view.transfer,
        direction: view.direction,
        name: view.name.clone(),
        size: view.content.size,
        sha256: Hex(view.content.sha256),
        state: view.state,
        done: view.done,
        at: view.at,
    }
}

/// A relay and how it stands.
fn relay(view: &RelayView) -> Relay {
    Relay {
        place: view.place,
        name: view.name.clone(),
        state: view.state,
        connected: view.connected,
        queues: view.queues,
        detail: view.detail.clone(),
    }
}
