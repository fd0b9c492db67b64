//! Contacts of the pod: added, listed, forgotten.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ContactId, ContactState, ContactView, MAX_CONTACTS, MailAnswer, Messenger, MessengerStatus,
    RefusedBecause,
    contact::{Contact, ContactVolatile},
    contact_turn::ContactTurn,
    context::CommandResult,
    conversation::Conversation,
    effect::ContactChange,
    files::Files,
    flight::FirstFlight,
    row::Key,
    stage::{ContactRecord, Stage},
    turn::Turn,
    work::FollowUp,
};
use crate::{
    Name, RootPublic,
    card::Card,
    courier::{Courier, Route},
    vcard::Note,
};

impl Messenger {
    pub(super) fn check_room_for_contact(&self) -> Result<(), RefusedBecause> {
        if self.contacts.len() >= MAX_CONTACTS {
            let remedy = "remove one that is no longer needed";
            return Err(RefusedBecause::Full { what: "contacts", limit: MAX_CONTACTS, remedy });
        }
        Ok(())
    }

    pub(super) fn status(&self) -> MessengerStatus {
        let count =
            |state| self.contacts.values().filter(|contact| contact.record.state() == state).count() as u32;
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

    pub(super) fn contact_list(&self) -> Vec<ContactView> {
        let own = self.own.as_ref().map(|own| own.root);
        self.contacts.iter().filter_map(|(id, contact)| Some(contact.view(*id, &own?))).collect()
    }
}

impl Contact {
    pub(super) fn new(record: ContactRecord, conversation: Conversation, card: Option<Card>) -> Self {
        let volatile = ContactVolatile {
            courier: Courier::new(&[], 0),
            session: None,
            wake: None,
            unreadable: None,
            open_at: 0,
            open_tries: 0,
            opening: 0,
            lost: BTreeSet::new(),
            audits: BTreeMap::new(),
            card_checked: false,
            first_flight: FirstFlight::default(),
            last_reset: 0,
        };
        let files = Files::default();
        let mut contact = Self { record, conversation, files, card: None, volatile };
        contact.take_card(card);
        contact
    }

    /// Takes their card into use. Places that stay keep what is known of them.
    pub(super) fn take_card(&mut self, card: Option<Card>) {
        let before: Vec<_> =
            self.card.iter().flat_map(|card| card.places()).map(|place| place.address.queue).collect();
        let was = |queue| before.iter().position(|before| *before == queue);
        let places = card.iter().flat_map(|card| card.places());
        let routes: Vec<Route> = places
            .map(|place| Route { own: place.own, was: was(place.address.queue), accepted: 0 })
            .collect();
        if before.is_empty() {
            let spread = usize::from(self.record.root().as_bytes()[0]);
            self.volatile.courier = Courier::new(&routes, spread);
        } else {
            self.volatile.courier.change_places(&routes);
        }
        self.card = card;
    }

    pub(super) fn name(&self) -> Name {
        let chosen = Name::new(&self.record.profile.name).ok();
        let called = chosen.or_else(|| self.card.as_ref().map(|card| card.name().clone()));
        called.unwrap_or_else(|| {
            // The middle of a did:key is the same for nobody; 24 characters fit any list.
            let did = self.record.root().to_string();
            let short: String = did.chars().skip("did:key:".len()).take(24).collect();
            Name::new(&short).expect("base58 characters are visible")
        })
    }

    pub(super) fn view(&self, id: ContactId, own: &RootPublic) -> ContactView {
        let root = self.record.root();
        ContactView {
            id,
            root,
            name: self.name(),
            card_name: self.card.as_ref().map(|card| card.name().clone()),
            state: self.record.state(),
            note: Note::new(&self.record.profile.note).ok(),
            verified: self.record.profile.verified,
            own: *own,
            created_at: self.record.profile.created_at,
            heard_at: self.conversation.heard_at(),
            places: self
                .card
                .iter()
                .flat_map(|card| card.places())
                .map(|place| place.address.place)
                .collect(),
            queued: self.conversation.queued(),
            file_limit: self.record.profile.file_limit,
            unread: self.conversation.unread(),
            next_entry: self.conversation.next_entry(),
        }
    }
}

impl Turn<'_> {
    /// Adds a contact, or replaces one that was only known.
    pub(super) fn insert_contact(&mut self, id: ContactId, record: ContactRecord, card: Option<Card>) {
        let contact = Contact::new(record, Conversation::default(), card);
        self.messenger.contacts.insert(id, contact);
        self.with(id, |it| {
            it.record_changed();
            it.thread_changed();
        });
    }

    /// Forgets a contact and everything of theirs.
    pub(super) fn forget_contact(&mut self, id: ContactId) {
        self.with(id, |it| it.remove_everything());
        self.messenger.contacts.remove(&id);
        self.messenger.network.queues_changed();
        self.cx.contact_changed(id, ContactChange::Forgotten);
    }

    /// Forgets what came of an invite; a person who was on record before stays so.
    pub(super) fn forget_attempt(&mut self, id: ContactId) {
        let Some(contact) = self.messenger.contacts.get(&id) else { return };
        let profile = &contact.record.profile;
        let known =
            profile.on_record.then(|| ContactRecord { profile: profile.clone(), stage: Stage::Known });
        self.forget_contact(id);
        if let Some(known) = known {
            self.insert_contact(id, known, None);
        }
    }

    pub(super) fn remove_contact(&mut self, id: ContactId) -> CommandResult {
        match self.contact(id)?.record.state() {
            ContactState::Asking | ContactState::Joining => self.forget_attempt(id),
            ContactState::Active | ContactState::Blocked | ContactState::Known => self.forget_contact(id),
        }
        Ok(MailAnswer::Done)
    }

    pub(super) fn set_name(&mut self, name: Name) -> CommandResult {
        self.cx.put(Key::Name, &name.as_str());
        self.messenger.name = Some(name);
        let ids: Vec<_> = self.messenger.contacts.keys().copied().collect();
        for id in ids {
            self.with(id, |it| it.recheck_card());
        }
        Ok(MailAnswer::Done)
    }
}

impl ContactTurn<'_, '_> {
    /// Removes all rows of the contact, and takes its queues down.
    fn remove_everything(&mut self) {
        self.drop_session();
        if let Some(active) = self.contact.record.active() {
            self.work.follow_ups.extend(active.awaited_by.map(FollowUp::CloseInvite));
        }
        for queue in self.contact.record.queues() {
            self.network.drop_queue(self.cx, queue, queue.lane());
        }
        if let Some(at) = self.contact.volatile.wake {
            self.work.wakes.remove(&(at, self.id));
        }
        self.contact.conversation.remove_all(self.cx, self.id);
        self.contact.files.remove_all(self.cx, self.id);
        self.cx.remove(Key::Contact(self.id));
    }
}
