//! Contacts as vCards: out to an address book, and in from one.

use super::{
    ContactId, ContactState, RefusedBecause, contact::ContactRecord, context::CommandResult, turn::Turn,
};
use crate::vcard::VCard;

impl ContactRecord {
    /// What the owner put on record about a person stays when they become a contact.
    pub(super) fn keep_known_fields(&mut self, known: &Self) {
        self.name.clone_from(&known.name);
        self.note.clone_from(&known.note);
        self.verified = known.verified;
        self.created_at = known.created_at;
        self.on_record = known.on_record;
        self.file_limit = known.file_limit;
    }
}

impl Turn<'_> {
    /// Puts a person on record, or what is new about one who is. A contact is left as it is.
    pub(super) fn import_card(&mut self, card: &VCard) -> CommandResult {
        if card.root == self.own()?.root {
            return Err(RefusedBecause::Conflict("this is your own card".into()));
        }
        let id = ContactId::of(&card.root);
        let mut record = match self.messenger.contacts.get(&id).map(|known| &known.record) {
            None => {
                self.messenger.check_room_for_contact()?;
                self.messenger.new_record(&card.root, ContactState::Known, self.now)
            }
            Some(known) if known.state == ContactState::Known => known.clone(),
            Some(_) => {
                return Err(RefusedBecause::Conflict("this person is among your contacts already".into()));
            }
        };
        card.name.as_str().clone_into(&mut record.name);
        record.note = card.note.as_ref().map_or_else(String::new, |note| note.as_str().to_owned());
        record.on_record = true;
        self.insert_contact(id, record, None);
        self.on(id, |it| it.view())
    }
}
