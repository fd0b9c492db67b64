//! What the owner sees and sets of one contact.

use super::{
    answer::{MailAnswer, RefusedBecause},
    contact_turn::ContactTurn,
    context::CommandResult,
    effect::ContactChange,
};
use crate::{
    Name,
    vcard::{OtherProperties, VCard},
};

impl ContactTurn<'_, '_> {
    /// The contact as its owner sees it.
    pub(super) fn view(&self) -> CommandResult {
        Ok(MailAnswer::Contact(Box::new(self.contact.view(self.id, &self.own.root))))
    }

    /// Sets what the owner calls them; their card does not change it any more.
    pub(super) fn rename(&mut self, name: &Name) -> CommandResult {
        self.contact.record_mut().profile.name = Some(name.clone());
        self.record_changed();
        self.view()
    }

    /// Notes whether the safety numbers were compared.
    pub(super) fn set_verified(&mut self, verified: bool) -> CommandResult {
        self.contact.record_mut().profile.verified = verified;
        self.record_changed();
        self.view()
    }

    /// Closes our queues for them, or opens them again. A group that was lost meanwhile is made anew.
    /// # Errors
    /// [`RefusedBecause::Conflict`] for one who is no contact.
    pub(super) fn set_blocked(&mut self, blocked: bool) -> CommandResult {
        if blocked {
            self.redeemer_was_heard();
        }
        let changed = self.contact.record_mut().set_blocked(blocked);
        let no_contact = || RefusedBecause::Conflict("only a contact can be blocked; remove this one".into());
        match (changed.ok_or_else(no_contact)?, blocked) {
            (true, true) => self.close_queues(),
            (true, false) => {
                self.make_queues();
                if !self.has_session() {
                    self.group_is_lost();
                }
                self.cx.contact_changed(self.id, ContactChange::Connected);
            }
            (false, _) => {}
        }
        self.record_changed();
        self.view()
    }

    /// The contact as a vCard: name, note and identity.
    pub(super) fn export_card(&self) -> CommandResult {
        let note = self.contact.record().profile.note.clone();
        let (name, root) = (self.contact.name(), self.contact.record().root());
        let card = VCard { name, note, root, others: OtherProperties::default() };
        Ok(MailAnswer::Card(card.to_text()))
    }
}
