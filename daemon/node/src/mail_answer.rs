//! What the messenger answers and tells, in the words of the API.

use autonomy_messaging::{
    TransferId,
    messenger::{
        self, ContactId, ContactView, EntryView, FileView, InviteId, InviteView, MessengerStatus, Notice,
        RelayView,
    },
    payload::Payload,
};
use data_encoding::HEXLOWER;

use super::{Answer, Id, Timestamp};
use autonomy_api::{
    Contact, Contacts, EventKind, File, Files, Invite, InviteState, Invites, MailStatus, Message,
    MessageKind, MessageState, Messages, OfferedFile, Profile, QueuedMessage, RefusedFrames, Relay, Relays,
    Safety, place,
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
            let safety_number = Some(view.safety_number().to_string());
            Answer::Contact(Contact { safety_number, ..contact(&view) })
        }
        messenger::MailAnswer::Contacts(views) => {
            Answer::Contacts(Contacts { contacts: views.iter().map(contact).collect() })
        }
        messenger::MailAnswer::Queued(number) => Answer::Queued(QueuedMessage { number, at: now }),
        messenger::MailAnswer::Messages(views) => {
            Answer::Messages(Messages { messages: views.iter().map(message).collect() })
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
    Profile { name: status.name.as_ref().map(ToString::to_string), reach: status.reach }
}

/// What to compare with a contact.
pub(super) fn safety(view: &ContactView) -> Safety {
    let number = view.safety_number();
    Safety {
        digits: number.to_string(),
        words: number.words().join(" "),
        qr: number.to_text(),
        verified: view.verified,
    }
}

/// What a listener hears of a notice.
pub(super) fn event(notice: &Notice) -> EventKind {
    match notice {
        Notice::InviteReady(id) => EventKind::InviteReady { invite: invite_id(id) },
        Notice::InviteFailed(id, why) => {
            EventKind::InviteFailed { invite: invite_id(id), detail: why.clone() }
        }
        Notice::Asked(id) => EventKind::ContactAsked { contact: contact_id(id) },
        Notice::Connected(id) => EventKind::ContactConnected { contact: contact_id(id) },
        Notice::JoinFailed(id, why) => EventKind::JoinFailed { contact: contact_id(id), detail: why.clone() },
        Notice::CardChanged(id) => EventKind::ContactChanged { contact: contact_id(id) },
        Notice::Received(id, number) => {
            EventKind::MessageReceived { contact: contact_id(id), number: *number }
        }
        Notice::Delivered(id, number) => {
            EventKind::MessageDelivered { contact: contact_id(id), number: *number }
        }
        Notice::Expired(id, number) => EventKind::MessageExpired { contact: contact_id(id), number: *number },
        Notice::Rekeyed(id) => EventKind::ContactRekeyed { contact: contact_id(id) },
        Notice::FileOffered(id, file) => {
            EventKind::FileOffered { contact: contact_id(id), file: file_id(file) }
        }
        Notice::FileReceived(id, file) => {
            EventKind::FileReceived { contact: contact_id(id), file: file_id(file) }
        }
        Notice::FileDelivered(id, file) => {
            EventKind::FileDelivered { contact: contact_id(id), file: file_id(file) }
        }
        Notice::FileCancelled(id, file) => {
            EventKind::FileCancelled { contact: contact_id(id), file: file_id(file) }
        }
        Notice::RelayTrouble(place, why) => {
            EventKind::RelayTrouble { place: place::text(place), detail: why.clone() }
        }
        Notice::RelayReplaced(place, by) => {
            EventKind::RelayReplaced { place: place::text(place), by: place::text(by) }
        }
    }
}

/// A contact as the API names one.
fn contact_id(id: &ContactId) -> String {
    Id(id.0).to_string()
}

/// A file as the API names one.
fn file_id(id: &TransferId) -> String {
    Id(id.0).to_string()
}

/// An invite as the API names one.
fn invite_id(id: &InviteId) -> String {
    Id(id.0).to_string()
}

/// Of the messenger's counters those that an owner is shown; what else it counts is for operators' logs.
fn status(told: &MessengerStatus) -> MailStatus {
    let refused = told.refused;
    MailStatus {
        name: profile(told).name,
        contacts: told.contacts,
        asking: told.asking,
        queued: told.queued,
        unread: told.unread,
        refused: RefusedFrames {
            unknown_queue: refused.of(messenger::RefusalReason::UnknownQueue),
            foreign: refused.of(messenger::RefusalReason::Foreign),
            malformed: refused.of(messenger::RefusalReason::Malformed),
            repeats: refused.of(messenger::RefusalReason::Repeat),
            unreadable: refused.of(messenger::RefusalReason::Unreadable),
            forged_receipts: refused.of(messenger::RefusalReason::ForgedReceipt),
        },
    }
}

/// An invite with its text. Whether a redeemer who was confirmed has been heard from is the messenger's concern: both
/// states are `used`.
fn invite(view: &InviteView) -> Invite {
    Invite {
        id: invite_id(&view.id),
        text: view.invite.to_text().into(),
        state: match view.state {
            messenger::InviteState::Publishing => InviteState::Publishing,
            messenger::InviteState::Ready => InviteState::Ready,
            messenger::InviteState::Used | messenger::InviteState::Confirmed => InviteState::Used,
            messenger::InviteState::Expired => InviteState::Expired,
            messenger::InviteState::Cancelled => InviteState::Cancelled,
            messenger::InviteState::Failed => InviteState::Failed,
        },
        note: view.note.as_ref().map(ToString::to_string),
        created_at: view.created_at,
        expires_at: view.invite.expires(),
        place: place::text(&view.invite.address().place),
    }
}

/// Without the safety number, which costs milliseconds.
fn contact(view: &ContactView) -> Contact {
    Contact {
        id: contact_id(&view.id),
        identity: view.root.to_string(),
        name: view.name.to_string(),
        card_name: view.card_name.as_ref().map(ToString::to_string),
        state: view.state,
        verified: view.verified,
        safety_number: None,
        places: view.places.iter().map(place::text).collect(),
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
        text: text.map(Into::into),
        file,
    }
}

/// What an entry says: text and file go with their kinds and with no other, which devices check.
fn content(payload: &Payload) -> (MessageKind, Option<&str>, Option<OfferedFile>) {
    match payload {
        Payload::Text(text) => (MessageKind::Text, Some(text.as_str()), None),
        Payload::Card(_) => (MessageKind::Card, None, None),
        Payload::FileOffer(offer) => {
            let file = OfferedFile {
                transfer: file_id(&offer.transfer),
                name: offer.name.to_string(),
                size: offer.size,
                sha256: HEXLOWER.encode(&offer.sha256),
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
        id: file_id(&view.transfer),
        direction: view.direction,
        name: view.name.to_string(),
        size: view.content.size,
        sha256: HEXLOWER.encode(&view.content.sha256),
        state: view.state,
        done: view.done,
        at: view.at,
    }
}

/// A relay and how it stands.
fn relay(view: &RelayView) -> Relay {
    Relay {
        place: place::text(&view.place),
        name: view.name.to_string(),
        state: view.state,
        connected: view.connected,
        queues: view.queues,
        detail: view.detail.clone(),
    }
}
