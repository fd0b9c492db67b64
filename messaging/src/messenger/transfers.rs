//! Files of one contact: commands of the owner, and what follows for the conversation.

use super::{
    answer::MailAnswer,
    contact_turn::ContactTurn,
    context::CommandResult,
    files::{FileEvent, FileOutcome},
};
use crate::{
    FileContent, MAX_FILE, TransferId,
    payload::{FileName, Payload},
};

impl ContactTurn<'_, '_> {
    pub(super) fn set_file_limit(&mut self, limit: u64) -> CommandResult {
        self.contact.record.profile.file_limit = limit.min(MAX_FILE);
        self.record_changed();
        self.view()
    }

    pub(super) fn offer_file(&mut self, name: &FileName, content: &FileContent) -> CommandResult {
        self.check_can_send()?;
        self.touch();
        self.contact.files.offer(self.cx, self.id, name, content).map(MailAnswer::File)
    }

    pub(super) fn load_file(&mut self, transfer: TransferId, first: u32, bytes: &[u8]) -> CommandResult {
        let (view, offer) = self.contact.files.load(self.cx, self.id, transfer, first, bytes)?;
        self.touch();
        if let Some(offer) = offer {
            self.queue_payload(&Payload::FileOffer(offer));
        }
        Ok(MailAnswer::File(view))
    }

    pub(super) fn read_file(&self, transfer: TransferId, first: u32, count: u32) -> CommandResult {
        self.contact.files.read(self.cx, self.id, transfer, first, count).map(MailAnswer::Bytes)
    }

    pub(super) fn remove_file(&mut self, transfer: TransferId) -> CommandResult {
        let outcome = self.contact.files.remove(self.cx, self.id, transfer)?;
        self.file_outcome(outcome);
        Ok(MailAnswer::Done)
    }

    /// Something happened to files.
    pub(super) fn file_event(&mut self, event: FileEvent<'_>) {
        let outcome = self.contact.files.handle(self.cx, self.id, event);
        self.file_outcome(outcome);
    }

    fn file_outcome(&mut self, outcome: FileOutcome) {
        if let Some(repeated) = outcome.owes_receipt {
            self.contact.volatile.courier.owe_receipt(self.cx.now, repeated);
        }
        // One whom we no longer hear, or not yet, is told nothing.
        if let Some(payload) = outcome.say.filter(|_| self.contact.record.active().is_some()) {
            self.queue_payload(&payload);
        }
        self.touch();
    }
}
