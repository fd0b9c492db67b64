//! Payloads of sessions that the messenger does not know: sent by a command, delivered as events of the step.
//!
//! A payload of up to [`MAX_INLINE_LEN`] bytes is one message. A longer one travels as a file of the same contact, hidden
//! from the list of files, and is put together and compared with its hash before it is delivered. A session sees no
//! difference.

use super::{
    answer::{MailAnswer, RefusedBecause},
    contact::Contact,
    contact_turn::ContactTurn,
    context::CommandResult,
    effect::ApplicationEvent,
    files::FileEvent,
};
use crate::{
    TransferId,
    payload::{Application, ApplicationKind, MAX_APPLICATION_LEN, MAX_INLINE_LEN, Payload},
};

impl ContactTurn<'_, '_> {
    /// Queues a payload of a session. Gives the number under which it will be settled.
    /// # Errors
    /// As for a text, and [`RefusedBecause::Invalid`] for no bytes or more than [`MAX_APPLICATION_LEN`].
    pub(super) fn send_application(&mut self, kind: ApplicationKind, bytes: Vec<u8>) -> CommandResult {
        self.check_can_send()?;
        if bytes.is_empty() || bytes.len() > MAX_APPLICATION_LEN {
            let rule = format!("an application payload has 1 to {MAX_APPLICATION_LEN} bytes");
            return Err(RefusedBecause::Invalid { field: "bytes", rule });
        }
        if bytes.len() > MAX_INLINE_LEN {
            let Contact { files, conversation, .. } = &mut *self.contact;
            let number = files.send_payload(self.cx, self.id, kind, &bytes, |cx, offer| {
                conversation.queue(cx, self.id, &Payload::ApplicationOffer(offer))
            })?;
            self.thread_changed();
            return Ok(MailAnswer::Queued(number));
        }
        let payload = Application::new(kind, bytes).map(Payload::Application);
        let number = payload.and_then(|payload| self.queue_payload(&payload));
        number.map(MailAnswer::Queued).ok_or_else(cannot_queue)
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

    /// A payload of a session left the outbox.
    pub(super) fn settle_application(&mut self, number: u64, kind: ApplicationKind, delivered: bool) {
        let contact = self.id;
        self.cx.application_event(ApplicationEvent::Settled { contact, number, kind, delivered });
    }

    /// Something left the outbox whose row is lost or damaged: a session may wait for it, under this number.
    ///
    /// A long payload is another matter: it is settled by its transfer, which has rows of its own.
    pub(super) fn settle_lost(&mut self, number: u64, delivered: bool) {
        match self.contact.files.transfer_of(number) {
            Some(transfer) => self.settle_offer(transfer, delivered),
            // What there is of it is not what was sent: that it arrived whole cannot be said.
            None => self.cx.application_event(ApplicationEvent::Lost { contact: self.id, number }),
        }
    }

    /// The offer of a long payload left the outbox. Where it arrived, the payload is settled by its last chunk.
    pub(super) fn settle_offer(&mut self, transfer: TransferId, delivered: bool) {
        if !delivered {
            self.file_event(FileEvent::OfferExpired(transfer));
        }
    }
}

fn cannot_queue() -> RefusedBecause {
    RefusedBecause::Conflict("the payload cannot be queued: too much waits for this contact".into())
}
