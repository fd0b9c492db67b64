//! Payloads of sessions that the messenger does not know: sent by a command, delivered as events of the step.
//!
//! A payload of up to [`MAX_INLINE_LEN`] bytes is one message. A longer one travels as a file of the same contact, hidden
//! from the list of files, and is put together and compared with its hash before it is delivered. A session sees no
//! difference.

use sha2::{Digest as _, Sha256};

use super::{
    ApplicationEvent, Direction, EntryState, MailAnswer, RefusalReason, RefusedBecause,
    contact_turn::ContactTurn, context::CommandResult, conversation::Entry, files::FileRecord, row::Key,
};
use crate::{
    FileContent, Incoming, TransferId,
    payload::{
        Application, ApplicationKind, ApplicationOffer, FIRST_APPLICATION_KIND, MAX_APPLICATION_LEN,
        MAX_INLINE_LEN, Payload,
    },
};

/// Long application payloads on their way from one contact at a time, and as many to it. Beside the files of people, so
/// that neither waits for the other: two of 4 MiB each way are 16 MiB on disk a contact at most.
pub const MAX_APPLICATION_TRANSFERS: usize = 2;

/// Kinds that have a session in the embedding node. Other application kinds are shown to the owner as unknown.
#[derive(Debug, Default)]
pub(super) struct ServedKinds(Vec<std::ops::RangeInclusive<u16>>);

impl ServedKinds {
    pub(super) fn contains(&self, kind: ApplicationKind) -> bool {
        self.0.iter().any(|range| range.contains(&kind.number()))
    }
}

impl super::Messenger {
    /// Names the kinds that have a session: they are delivered, and not shown. To be called again after a restore.
    pub fn serve_kinds(&mut self, ranges: impl IntoIterator<Item = std::ops::RangeInclusive<u16>>) {
        let application = |range: &std::ops::RangeInclusive<u16>| *range.start() >= FIRST_APPLICATION_KIND;
        self.served_kinds = ServedKinds(ranges.into_iter().filter(application).collect());
    }
}

impl ContactTurn<'_, '_> {
    pub(super) fn send_application(&mut self, kind: ApplicationKind, bytes: Vec<u8>) -> CommandResult {
        self.check_can_send()?;
        if bytes.is_empty() || bytes.len() > MAX_APPLICATION_LEN {
            let rule = format!("an application payload has 1 to {MAX_APPLICATION_LEN} bytes");
            return Err(RefusedBecause::Invalid { field: "bytes", rule });
        }
        if bytes.len() > MAX_INLINE_LEN {
            return self.send_long_payload(kind, &bytes);
        }
        let payload = Application::new(kind, bytes).map(Payload::Application);
        let number = payload.and_then(|payload| self.queue_payload(&payload));
        number.map(MailAnswer::Queued).ok_or_else(cannot_queue)
    }

    fn send_long_payload(&mut self, kind: ApplicationKind, bytes: &[u8]) -> CommandResult {
        self.check_room_for_transfer(Direction::Outgoing)?;
        let content = FileContent { size: bytes.len() as u64, sha256: Sha256::digest(bytes).into() };
        let mut transfer = TransferId([0; 16]);
        self.cx.rng.fill_bytes(&mut transfer.0);
        let offer = Payload::ApplicationOffer(ApplicationOffer { transfer, kind, content });
        let number = self.queue_payload(&offer).ok_or_else(cannot_queue)?;
        for (index, chunk) in (0..).zip(bytes.chunks(crate::CHUNK_LEN as usize)) {
            self.cx.put(Key::Chunk(self.id, transfer, index), &chunk);
        }
        let record = FileRecord::outgoing_payload(kind, number, content, self.cx.now)
            .map_err(|error| RefusedBecause::Conflict(error.to_string()))?;
        self.keep_file(transfer, record);
        Ok(MailAnswer::Queued(number))
    }

    /// Room for one more long payload in this direction.
    fn check_room_for_transfer(&mut self, direction: Direction) -> Result<(), RefusedBecause> {
        if self.contact.payloads_underway(direction) >= MAX_APPLICATION_TRANSFERS {
            return Err(RefusedBecause::Full {
                what: "long application payloads on their way to a contact",
                limit: MAX_APPLICATION_TRANSFERS,
                remedy: "wait until one of them is settled",
            });
        }
        self.make_room_for_file()
    }

    /// A payload of a session arrived: delivered, or shown as unknown where no session takes it.
    pub(super) fn application_arrived(&mut self, application: Application, bytes: Vec<u8>) {
        let kind = application.kind();
        if self.served_kinds.contains(kind) {
            let bytes = application.into_bytes();
            self.cx.application_event(ApplicationEvent::Deliver { contact: self.id, kind, bytes });
        } else {
            self.receive_entry(bytes);
        }
    }

    /// A long payload is announced. One that no session takes, or that finds no room, is declined.
    pub(super) fn application_offered(&mut self, offer: &ApplicationOffer) {
        let ApplicationOffer { transfer, kind, content } = *offer;
        if self.file_is_known(transfer) {
            return;
        }
        let served = self.served_kinds.contains(kind);
        let room = served && self.check_room_for_transfer(Direction::Incoming).is_ok();
        let incoming = Incoming::new(content, MAX_APPLICATION_LEN as u64).ok().filter(|_| room);
        match incoming {
            Some(incoming) => {
                let record = FileRecord::incoming_payload(kind, &incoming, self.cx.now);
                self.keep_file(transfer, record);
            }
            None => {
                self.cx.refuse(RefusalReason::DeclinedPayload);
                self.queue_payload(&Payload::FileCancel(transfer));
            }
        }
    }

    /// All chunks of a long payload are here. It is delivered if its hash is right.
    pub(super) fn deliver_long_payload(
        &mut self,
        transfer: TransferId,
        kind: ApplicationKind,
        content: &FileContent,
    ) {
        let bytes = self.chunks_of(transfer, content);
        match bytes.filter(|bytes| <[u8; 32]>::from(Sha256::digest(bytes)) == content.sha256) {
            Some(bytes) => {
                self.cx.application_event(ApplicationEvent::Deliver { contact: self.id, kind, bytes })
            }
            None => self.cx.refuse(RefusalReason::Malformed),
        }
    }

    /// A message of a session left the outbox. Its row goes: it is no entry that people see.
    pub(super) fn settle_application(&mut self, number: u64, entry: &Entry, payload: &Payload) {
        let delivered = matches!(entry.state, EntryState::Delivered(_));
        match payload {
            Payload::Application(application) => {
                self.payload_settled(number, application.kind(), delivered);
            }
            // The offer arrived: the payload itself is settled by its last chunk.
            Payload::ApplicationOffer(offer) if !delivered => self.give_up_payload(offer.transfer),
            _ => {}
        }
    }

    pub(super) fn payload_settled(&mut self, number: u64, kind: ApplicationKind, delivered: bool) {
        self.cx.application_event(ApplicationEvent::Settled { contact: self.id, number, kind, delivered });
    }
}

fn cannot_queue() -> RefusedBecause {
    RefusedBecause::Conflict("the payload cannot be queued: too much waits for this contact".into())
}
