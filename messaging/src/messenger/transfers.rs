//! Files of one contact: commands of the owner, and what follows for the conversation.

use super::{
    answer::{MailAnswer, RefusedBecause},
    contact_turn::ContactTurn,
    context::CommandResult,
    files::{FileEvent, FileOutcome, MAX_TAKEN_BYTES, TAKEN_PER_LIMIT},
    refusals::RefusalReason,
};
use crate::{
    FileContent, MAX_FILE, TransferId,
    packet::Chunk,
    payload::{FileName, Payload},
};

impl ContactTurn<'_, '_> {
    /// Sets the longest file taken from this contact; beyond [`MAX_FILE`] it counts as that.
    pub(super) fn set_file_limit(&mut self, limit: u64) -> CommandResult {
        self.contact.record_mut().profile.file_limit = limit.min(MAX_FILE);
        self.record_changed();
        self.view()
    }

    /// Begins a file that is loaded next.
    /// # Errors
    /// As for a text; [`RefusedBecause::Invalid`] for a size that no file has, [`RefusedBecause::Full`] where too
    /// many are on their way or listed.
    pub(super) fn offer_file(&mut self, name: &FileName, content: &FileContent) -> CommandResult {
        self.check_can_send()?;
        self.touch();
        self.contact.files.offer(self.cx, self.id, name, content).map(MailAnswer::File)
    }

    /// Takes chunks of a file; with the last the file is offered to the contact.
    /// # Errors
    /// [`RefusedBecause::Unknown`], [`RefusedBecause::Conflict`] or [`RefusedBecause::Invalid`] where the chunks are
    /// not the next ones; for the last also what stands against sending a text.
    pub(super) fn load_file(&mut self, transfer: TransferId, first: u32, bytes: &[u8]) -> CommandResult {
        if self.work.disk_is_low {
            return Err(RefusedBecause::Conflict(
                "the disk of the pod is nearly full: free some space".into(),
            ));
        }
        if self.contact.files.is_last_load(transfer, first, bytes.len()) {
            // The offer follows: a file that cannot be offered must not begin.
            self.check_can_send()?;
        }
        let (view, offer) = self.contact.files.load(self.cx, self.id, transfer, first, bytes)?;
        self.touch();
        if let Some(offer) = offer {
            self.queue_payload(&Payload::FileOffer(offer));
        }
        Ok(MailAnswer::File(view))
    }

    /// Chunks of a file that arrived whole, at most [`MAX_LOADED`](super::MAX_LOADED).
    pub(super) fn read_file(&self, transfer: TransferId, first: u32, count: u32) -> CommandResult {
        self.contact.files.read(self.cx, self.id, transfer, first, count).map(MailAnswer::Bytes)
    }

    /// Ends a file and removes its chunks, little by little.
    pub(super) fn remove_file(&mut self, transfer: TransferId) -> CommandResult {
        let outcome = self.contact.files.remove(self.cx, self.id, transfer)?;
        self.file_outcome(outcome);
        Ok(MailAnswer::Done)
    }

    /// A chunk of a file. While the disk is nearly full it is not kept.
    pub(super) fn chunk(&mut self, chunk: &Chunk) {
        if self.work.disk_is_low {
            return self.cx.refuse(RefusalReason::Full);
        }
        self.file_event(FileEvent::Chunk(chunk));
    }

    /// Bytes of another file that this contact may send: within the limit of each, of all of them, and of all
    /// contacts together.
    pub(super) fn room_for_file(&self) -> u64 {
        let limit = self.contact.record().profile.file_limit;
        let of_contact =
            limit.saturating_mul(TAKEN_PER_LIMIT).saturating_sub(self.contact.files.taken_bytes());
        limit.min(of_contact).min(MAX_TAKEN_BYTES.saturating_sub(self.work.taken_bytes))
    }

    /// Something happened to files.
    pub(super) fn file_event(&mut self, event: FileEvent<'_>) {
        let outcome = self.contact.files.handle(self.cx, self.id, event);
        self.file_outcome(outcome);
    }

    /// Does what is due for files.
    pub(super) fn wake_files(&mut self) {
        let outcome = self.contact.files.wake(self.cx, self.id);
        if outcome != FileOutcome::default() {
            self.file_outcome(outcome);
        }
    }

    /// What follows from files for receipts and for the contact.
    fn file_outcome(&mut self, outcome: FileOutcome) {
        if let Some(repeated) = outcome.owes_receipt {
            self.contact.volatile.courier.owe_receipt(self.cx.now, repeated);
        }
        if outcome.at_once {
            self.contact.volatile.courier.hurry_receipt(self.cx.now);
        }
        // Nothing is sent to one who is blocked, or not confirmed yet.
        if let Some(payload) = outcome.say.filter(|_| self.contact.record().active().is_some()) {
            self.queue_payload(&payload);
        }
        if outcome.went_back {
            self.went_back();
        }
        self.touch();
    }
}
