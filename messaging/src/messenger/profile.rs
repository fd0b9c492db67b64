//! What the owner sees and sets of one contact.

use super::{
    answer::{MailAnswer, RefusedBecause},
    contact_turn::ContactTurn,
    context::CommandResult,
    effect::ContactChange,
};
use crate::{
    Name,
    vcard::{Note, OtherProperties, VCard},
};

impl ContactTurn<'_, '_> {
    pub(super) fn view(&self) -> CommandResult {
        Ok(MailAnswer::Contact(Box::new(self.contact.view(self.id, &self.own.root))))
    }

    pub(super) fn rename(&mut self, name: &Name) -> CommandResult {
        name.as_str().clone_into(&mut self.contact.record.profile.name);
        self.record_changed();
        self.view()
    }

    pub(super) fn set_verified(&mut self, verified: bool) -> CommandResult {
        self.contact.record.profile.verified = verified;
        self.record_changed();
        self.view()
    }

    pub(super) fn set_blocked(&mut self, blocked: bool) -> CommandResult {
        if blocked {
            self.redeemer_was_heard();
        }
        let changed = self.contact.record.set_blocked(blocked);
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

    pub(super) fn export_card(&self) -> CommandResult {
        let note = Note::new(&self.contact.record.profile.note).ok();
        let card = VCard {
            name: self.contact.name(),
            note,
            root: self.contact.record.root(),
            others: OtherProperties::default(),
        };
        Ok(MailAnswer::Card(card.to_text()))
    }
}
