//! What the owner sees and sets of one contact.

use super::{
    answer::{MailAnswer, RefusedBecause},
    contact_turn::ContactTurn,
    context::CommandResult,
    states::ContactState,
};
use crate::{
    Name,
    vcard::{Note, VCard},
};

impl ContactTurn<'_, '_> {
    pub(super) fn view(&self) -> CommandResult {
        Ok(MailAnswer::Contact(Box::new(self.contact.view(self.id, &self.own.root))))
    }

    pub(super) fn rename(&mut self, name: &Name) -> CommandResult {
        name.as_str().clone_into(&mut self.contact.record.name);
        self.record_changed();
        self.view()
    }

    pub(super) fn set_verified(&mut self, verified: bool) -> CommandResult {
        self.contact.record.verified = verified;
        self.record_changed();
        self.view()
    }

    pub(super) fn set_blocked(&mut self, blocked: bool) -> CommandResult {
        match (self.contact.record.state, blocked) {
            (ContactState::Active, true) => {
                self.close_queues();
                self.contact.record.state = ContactState::Blocked;
                self.redeemer_was_heard();
            }
            (ContactState::Blocked, false) => {
                self.contact.record.state = ContactState::Active;
                self.make_queues();
                if !self.has_session() {
                    self.group_is_lost();
                }
            }
            (ContactState::Blocked, true) | (ContactState::Active, false) => {}
            _ => {
                return Err(RefusedBecause::Conflict(
                    "only a contact can be blocked; remove this one".into(),
                ));
            }
        }
        self.record_changed();
        self.view()
    }

    pub(super) fn export_card(&self) -> CommandResult {
        let note = Note::new(&self.contact.record.note).ok();
        let card = VCard { name: self.contact.name(), note, root: self.contact.record.root() };
        Ok(MailAnswer::Card(card.to_text()))
    }
}
