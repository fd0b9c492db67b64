//! Contacts of the pod: added, listed, forgotten.

use super::{
    ContactId, ContactState, ContactView, MAX_CONTACTS, MailAnswer, Messenger, MessengerStatus,
    RefusalReason, RefusedBecause,
    contact::Contact,
    contact_turn::ContactTurn,
    context::CommandResult,
    conversation::Conversation,
    effect::ContactChange,
    row::Key,
    stage::{ContactRecord, Stage},
    stored::StoredName,
    turn::Turn,
    work::FollowUp,
};
use crate::{Name, RootPublic, card::Card};

impl Messenger {
    /// Whether one more contact may be added.
    /// # Errors
    /// [`RefusedBecause::Full`] at [`MAX_CONTACTS`].
    pub(super) fn check_room_for_contact(&self) -> Result<(), RefusedBecause> {
        if self.contacts.len() >= MAX_CONTACTS {
            let remedy = "remove one that is no longer needed";
            return Err(RefusedBecause::Full { what: "contacts", limit: MAX_CONTACTS, remedy });
        }
        Ok(())
    }

    /// The messenger in numbers.
    pub(super) fn status(&self) -> MessengerStatus {
        let count =
            |state| self.contacts.values().filter(|contact| contact.record().state() == state).count() as u32;
        MessengerStatus {
            name: self.name.clone(),
            reach: self.reach,
            contacts: count(ContactState::Active),
            asking: count(ContactState::Asking),
            queued: self.contacts.values().map(|contact| contact.conversation.queued()).sum(),
            unread: self.contacts.values().map(|contact| contact.conversation.unread()).sum(),
            refused: self.volatile.refused,
        }
    }

    /// All contacts as their owner sees them; none before there is an owner.
    pub(super) fn contact_list(&self) -> Vec<ContactView> {
        let own = self.own.as_ref().map(|own| own.root);
        self.contacts.iter().filter_map(|(id, contact)| Some(contact.view(*id, &own?))).collect()
    }
}

impl Contact {
    /// What the owner calls them; else what their card says; else the beginning of their identity.
    #[expect(
        clippy::expect_used,
        reason = "24 characters of base58 are a name: visible, and within its length"
    )]
    pub(super) fn name(&self) -> Name {
        let chosen = self.record().profile.name.clone();
        let called = chosen.or_else(|| self.card().map(|card| card.name().clone()));
        called.unwrap_or_else(|| {
            // The middle of a did:key is the same for nobody; 24 characters fit any list.
            let did = self.record().root().to_string();
            let short: String = did.chars().skip("did:key:".len()).take(24).collect();
            Name::new(&short).expect("base58 characters are visible")
        })
    }

    /// The contact as its owner sees it.
    pub(super) fn view(&self, id: ContactId, own: &RootPublic) -> ContactView {
        let root = self.record().root();
        ContactView {
            id,
            root,
            name: self.name(),
            card_name: self.card().map(|card| card.name().clone()),
            state: self.record().state(),
            returns: self.record().former.is_some(),
            note: self.record().profile.note.clone(),
            verified: self.record().profile.verified,
            own: *own,
            created_at: self.record().profile.created_at,
            heard_at: self.conversation.heard_at(),
            places: self
                .card()
                .iter()
                .flat_map(|card| card.places())
                .map(|place| place.address.place)
                .collect(),
            queued: self.conversation.queued(),
            file_limit: self.record().profile.file_limit,
            unread: self.conversation.unread(),
            next_entry: self.conversation.next_entry(),
        }
    }
}

impl Turn<'_> {
    /// Adds a contact, or replaces one that was only known.
    ///
    /// The rows of one that is replaced are overwritten; its queues, conversation and group must be gone already.
    pub(super) fn insert_contact(&mut self, id: ContactId, record: ContactRecord, card: Option<Card>) {
        let contact = Contact::new(record, Conversation::default(), card);
        self.messenger.contacts.insert(id, contact);
        self.with(id, |it| {
            it.record_changed();
            it.thread_changed();
        });
    }

    /// Forgets a contact and everything of theirs.
    ///
    /// Their queues are closed at the places, and rows of the conversation, files and group are removed with this
    /// step.
    pub(super) fn forget_contact(&mut self, id: ContactId) {
        self.with(id, |it| it.remove_everything());
        if let Some(gone) = self.messenger.contacts.remove(&id) {
            let work = &mut self.messenger.work;
            work.taken_bytes = work.taken_bytes.saturating_sub(gone.files.taken_bytes());
        }
        self.messenger.network.queues_changed();
        self.cx.contact_changed(id, ContactChange::Forgotten);
    }

    /// Forgets what came of an invite; a person who was on record before stays so, and one who was a contact is one again.
    ///
    /// So an attempt that leads nowhere leaves no trace of its own.
    pub(super) fn forget_attempt(&mut self, id: ContactId) {
        if self.with(id, |it| it.go_back_to_former()) == Some(true) {
            return;
        }
        let Some(contact) = self.messenger.contacts.get(&id) else {
            return self.cx.refuse(RefusalReason::NoContact);
        };
        let profile = &contact.record().profile;
        let known = profile.on_record.then(|| ContactRecord::of(profile.clone(), Stage::Known));
        self.forget_contact(id);
        if let Some(known) = known {
            self.insert_contact(id, known, None);
        }
    }

    /// Removes a contact, declines one who asks, or gives up a redemption.
    pub(super) fn remove_contact(&mut self, id: ContactId) -> CommandResult {
        match self.contact(id)?.record().state() {
            ContactState::Asking | ContactState::Joining => self.forget_attempt(id),
            ContactState::Active | ContactState::Blocked | ContactState::Known => self.forget_contact(id),
        }
        Ok(MailAnswer::Done)
    }

    /// The name on all cards from now on; every contact gets a new card where it says something else.
    pub(super) fn set_name(&mut self, name: Name) -> CommandResult {
        self.cx.put(Key::Name, &StoredName(name.clone()));
        self.messenger.name = Some(name);
        let ids: Vec<_> = self.messenger.contacts.keys().copied().collect();
        for id in ids {
            self.with(id, |it| it.recheck_card_in_turn());
        }
        Ok(MailAnswer::Done)
    }
}

impl ContactTurn<'_, '_> {
    /// Removes all rows of the contact, and takes its queues down.
    fn remove_everything(&mut self) {
        self.leave_former();
        self.drop_session();
        if let Some(active) = self.contact.record().active() {
            self.work.follow_ups.extend(active.awaited_by.map(FollowUp::CloseInvite));
        }
        let queues = self.contact.record().queues().to_vec();
        self.drop_queues(&queues);
        if let Some(at) = self.contact.volatile.wake {
            self.work.wakes.remove(&(at, self.id));
        }
        self.contact.conversation.remove_all(self.cx, self.id);
        self.contact.files.remove_all(self.cx, self.id);
        self.cx.remove(Key::Contact(self.id));
    }
}
