//! Contacts as vCards: out to an address book, and in from one.

use super::{
    ContactId, ContactState, RefusedBecause,
    context::CommandResult,
    stage::{ContactRecord, Stage},
    turn::Turn,
};
use crate::vcard::VCard;

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
                ContactRecord::new(&card.root, Stage::Known, self.now)
            }
            Some(known) if known.state() == ContactState::Known => known.clone(),
            Some(_) => {
                return Err(RefusedBecause::Conflict("this person is among your contacts already".into()));
            }
        };
        card.name.as_str().clone_into(&mut record.profile.name);
        record.profile.note = card.note.as_ref().map_or_else(String::new, |note| note.as_str().to_owned());
        record.profile.on_record = true;
        self.insert_contact(id, record, None);
        self.on(id, |it| it.view())
    }
}
