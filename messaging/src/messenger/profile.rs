//! What the owner sees and sets of one contact.

use super::{answer::MailAnswer, contact_turn::ContactTurn, context::CommandResult};
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

    /// The contact as a vCard: name, note and identity.
    pub(super) fn export_card(&self) -> CommandResult {
        let note = self.contact.record().profile.note.clone();
        let (name, root) = (self.contact.name(), self.contact.record().root());
        let card = VCard { name, note, root, others: OtherProperties::default() };
        Ok(MailAnswer::Card(card.to_text()))
    }
}
