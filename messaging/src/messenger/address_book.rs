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
    ///
    /// # Errors
    /// [`RefusedBecause::Conflict`] for one's own card or that of a contact, [`RefusedBecause::Full`] at the bound of
    /// contacts.
    pub(super) fn import_card(&mut self, card: &VCard) -> CommandResult {
        if card.root == self.own()?.root {
            return Err(RefusedBecause::Conflict("this is your own card".into()));
        }
        let id = ContactId::of(&card.root);
        let mut record = match self.messenger.contacts.get(&id).map(|known| known.record()) {
            None => {
                self.messenger.check_room_for_contact()?;
                ContactRecord::new(&card.root, Stage::Known, self.now)
            }
            Some(known) if known.state() == ContactState::Known => known.clone(),
            Some(_) => {
                return Err(RefusedBecause::Conflict("this person is among your contacts already".into()));
            }
        };
        record.profile.name = Some(card.name.clone());
        record.profile.note.clone_from(&card.note);
        record.profile.on_record = true;
        self.insert_contact(id, record, None);
        self.on(id, |it| it.view())
    }
}
