//! Commands about contacts: view, rename, verify, block, remove.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    ContactId, ContactState, ContactView, DEFAULT_FILE_LIMIT, MAX_CONTACTS, MailAnswer, Messenger,
    MessengerStatus, RefusedBecause, Timestamp,
    contact::{Contact, ContactRecord, ContactVolatile, ThreadRecord},
    context::CommandResult,
    flight::FirstFlight,
    row::Key,
    turn::Turn,
};
use crate::{
    Name, RootPublic,
    card::Card,
    courier::{Courier, Route},
    inbox::Inbox,
    outbox::Outbox,
    ratchet::Session,
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

    pub(super) fn new_record(&self, root: &RootPublic, state: ContactState, now: Timestamp) -> ContactRecord {
        ContactRecord {
            state,
            root: *root.as_bytes(),
            name: String::new(),
            verified: false,
            created_at: now,
            own_package: Vec::new(),
            card: Vec::new(),
            card_version: 0,
            card_digest: [0; 32],
            keys: None,
            queue_seed: [0; 32],
            queues: Vec::new(),
            generation: 0,
            invite: None,
            joining: None,
            pending_reset: None,
            file_limit: DEFAULT_FILE_LIMIT,
            note: String::new(),
            on_record: false,
            certificate: Vec::new(),
            resets: Vec::new(),
        }
    }

    pub(super) fn status(&self) -> MessengerStatus {
        let count =
            |state| self.contacts.values().filter(|contact| contact.record.state == state).count() as u32;
        MessengerStatus {
            name: self.name.clone(),
            reach: self.reach,
            contacts: count(ContactState::Active),
            asking: count(ContactState::Asking),
            queued: self.contacts.values().map(|contact| contact.queued_at.len() as u32).sum(),
            unread: self.contacts.values().map(|contact| contact.thread.unread).sum(),
            refused: self.volatile.refused,
        }
    }

    pub(super) fn contact_list(&self) -> Vec<ContactView> {
        let own = self.own.as_ref().map(|own| own.root);
        self.contacts.iter().filter_map(|(id, contact)| Some(contact.view(*id, &own?))).collect()
    }
}

impl Contact {
    pub(super) fn new(record: ContactRecord, thread: ThreadRecord, card: Option<Card>) -> Self {
        let volatile = ContactVolatile {
            courier: Courier::new(&[], 0),
            session: None,
            wake: None,
            chunks_from: VecDeque::new(),
            stray_chunks: BTreeMap::new(),
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
        let (outbox, inbox) = (Outbox::new([0; 16]), Inbox::new([0; 16]));
        let mut contact = Self {
            record,
            thread,
            outbox,
            inbox,
            queued_at: BTreeMap::new(),
            files: BTreeMap::new(),
            card: None,
            volatile,
        };
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
            let spread = usize::from(self.record.root[0]);
            self.volatile.courier = Courier::new(&routes, spread);
        } else {
            self.volatile.courier.change_places(&routes);
        }
        self.card = card;
    }

    pub(super) fn name(&self) -> Name {
        let chosen = Name::new(&self.record.name).ok();
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
            state: self.record.state,
            note: Note::new(&self.record.note).ok(),
            verified: self.record.verified,
            own: *own,
            created_at: self.record.created_at,
            heard_at: self.thread.heard_at,
            places: self
                .card
                .iter()
                .flat_map(|card| card.places())
                .map(|place| place.address.place)
                .collect(),
            queued: self.queued_at.len() as u32,
            file_limit: self.record.file_limit,
            unread: self.thread.unread,
            next_entry: self.thread.next_entry,
        }
    }
}

impl Turn<'_> {
    pub(super) fn view(&mut self, id: ContactId) -> CommandResult {
        let own = self.own()?.root;
        let view = self.contact(id)?.view(id, &own);
        Ok(MailAnswer::Contact(Box::new(view)))
    }

    /// Adds a contact, or replaces one that was only known.
    pub(super) fn insert_contact(&mut self, id: ContactId, record: ContactRecord, card: Option<Card>) {
        let contact = Contact::new(record, ThreadRecord::default(), card);
        self.messenger.contacts.insert(id, contact);
        self.record_changed(id);
        self.thread_changed(id);
    }

    /// Takes a group into use: the first, or one in place of another. Everything that waits is numbered anew.
    pub(super) fn begin_group(&mut self, id: ContactId, session: Box<Session>) {
        let incarnation = session.incarnation().0;
        self.keep_session(id, session);
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        let parts = contact.inbox.restart(incarnation);
        let given_up = contact.outbox.restart(incarnation);
        let waiting: Vec<u64> = contact.outbox.logs().collect();
        parts.into_iter().for_each(|seq| self.remove(Key::Part(id, seq)));
        given_up.into_iter().for_each(|number| self.remove(Key::Queued(id, number)));
        waiting.into_iter().for_each(|number| self.keep_queued(id, number));
        self.restart_files(id);
        self.thread_changed(id);
    }

    /// Forgets a contact and everything of theirs.
    pub(super) fn forget_contact(&mut self, id: ContactId) {
        self.drop_session(id);
        let Some(contact) = self.messenger.contacts.remove(&id) else { return };
        if contact.record.state != ContactState::Asking
            && let Some(invite) = contact.record.invite
        {
            self.close_confirmed_invite(invite);
        }
        for queue in &contact.record.queues {
            self.messenger.network.drop_queue(&mut self.cx, queue, queue.lane());
        }
        if let Some(at) = contact.volatile.wake {
            self.messenger.volatile.wakes.remove(&(at, id));
        }
        for number in contact.first_kept_entry()..contact.thread.next_entry {
            self.remove(Key::Entry(id, number));
        }
        for number in contact.outbox.logs() {
            self.remove(Key::Queued(id, number));
        }
        for seq in contact.inbox.kept() {
            self.remove(Key::Part(id, seq));
        }
        for (transfer, file) in &contact.files {
            self.remove_chunks(id, *transfer, file);
        }
        self.remove(Key::Thread(id));
        self.remove(Key::Contact(id));
        self.messenger.network.queues_changed();
    }

    pub(super) fn remove_contact(&mut self, id: ContactId) -> CommandResult {
        match self.contact(id)?.record.state {
            ContactState::Asking | ContactState::Joining => self.forget_attempt(id),
            ContactState::Active | ContactState::Blocked | ContactState::Known => self.forget_contact(id),
        }
        Ok(MailAnswer::Done)
    }

    pub(super) fn rename(&mut self, id: ContactId, name: &Name) -> CommandResult {
        name.as_str().clone_into(&mut self.contact(id)?.record.name);
        self.record_changed(id);
        self.view(id)
    }

    pub(super) fn set_verified(&mut self, id: ContactId, verified: bool) -> CommandResult {
        self.contact(id)?.record.verified = verified;
        self.record_changed(id);
        self.view(id)
    }

    pub(super) fn set_blocked(&mut self, id: ContactId, blocked: bool) -> CommandResult {
        let state = self.contact(id)?.record.state;
        match (state, blocked) {
            (ContactState::Active, true) => {
                self.close_queues(id);
                self.contact(id)?.record.state = ContactState::Blocked;
                self.redeemer_was_heard(id);
            }
            (ContactState::Blocked, false) => {
                self.contact(id)?.record.state = ContactState::Active;
                self.make_queues(id);
                if !self.has_session(id) {
                    self.group_is_lost(id);
                }
            }
            (ContactState::Blocked, true) | (ContactState::Active, false) => {}
            _ => {
                return Err(RefusedBecause::Conflict(
                    "only a contact can be blocked; remove this one".into(),
                ));
            }
        }
        self.record_changed(id);
        self.view(id)
    }

    pub(super) fn set_name(&mut self, name: Name) -> CommandResult {
        self.put(Key::Name, &name.as_str());
        self.messenger.name = Some(name);
        let ids: Vec<_> = self.messenger.contacts.keys().copied().collect();
        for id in ids {
            self.recheck_card(id);
        }
        Ok(MailAnswer::Done)
    }

    /// Does whatever is due for one contact.
    pub(super) fn drive_contact(&mut self, id: ContactId) {
        let Some(contact) = self.messenger.contacts.get(&id) else { return };
        match contact.record.state {
            ContactState::Joining => {
                self.open_queues(id);
                self.refresh_introduction(id);
                self.drive_redemption(id);
            }
            ContactState::Active => {
                self.open_queues(id);
                self.refresh_card(id);
                self.expire(id);
                self.check_relay_audits(id);
                self.remove_needless_chunks(id);
                self.drive_reset(id);
                self.pump(id);
            }
            ContactState::Asking | ContactState::Blocked | ContactState::Known => {}
        }
        self.set_wake(id);
    }

    pub(super) fn set_wake(&mut self, id: ContactId) {
        let next = [
            self.next_join(id),
            self.next_opening(id),
            self.next_reset(id),
            self.next_delivery(id),
            self.next_file(id),
            self.next_suspicion(id),
        ];
        let next = next.into_iter().flatten().min().map(|at| at.max(self.now + 1));
        let Some(contact) = self.messenger.contacts.get_mut(&id) else { return };
        let before = std::mem::replace(&mut contact.volatile.wake, next);
        let wakes = &mut self.messenger.volatile.wakes;
        if let Some(at) = before {
            wakes.remove(&(at, id));
        }
        if let Some(at) = next {
            wakes.insert((at, id));
        }
    }
}
