//! One input being worked on: the messenger, the moment, and the step that grows.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRngCore;
use serde::Serialize;

use super::{
    ApplicationEvent, Command, ContactId, Effect, InviteId, MailAnswer, MailRow, Messenger, Notice, Own,
    RefusedBecause, Step, Timestamp,
    contact::Contact,
    context::{CommandResult, Context},
    deliver::{Due, ItemKey},
    network::Purpose,
    row::Key,
};
use crate::{
    Name, Rows,
    lane::{CallId, Lane},
    place::Place,
    ratchet::Session,
    wire::Request,
};

/// A turn of the messenger. Commands check everything first and change things after.
pub(super) struct Turn<'a> {
    pub(super) messenger: &'a mut Messenger,
    pub(super) cx: Context<'a>,
    pub(super) now: Timestamp,
    /// Contacts whose record changed, and those whose conversation did.
    changed: BTreeSet<ContactId>,
    moved: BTreeSet<ContactId>,
    /// Contacts to be looked at before the turn ends.
    touched: BTreeSet<ContactId>,
    /// What was found due for them.
    pub(super) due: BTreeMap<ContactId, Vec<Due>>,
    /// Packets that were sealed, by what is in them.
    pub(super) sealed: BTreeMap<(ContactId, Vec<ItemKey>), Vec<u8>>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        messenger: &'a mut Messenger,
        now: Timestamp,
        rng: &'a mut dyn CryptoRngCore,
        rows: &'a dyn Rows,
    ) -> Self {
        Self {
            messenger,
            cx: Context::new(now, rng, rows),
            now,
            changed: BTreeSet::new(),
            moved: BTreeSet::new(),
            touched: BTreeSet::new(),
            due: BTreeMap::new(),
            sealed: BTreeMap::new(),
        }
    }

    /// Writes down what changed, and ends.
    pub(super) fn finish(mut self) -> Step {
        for id in std::mem::take(&mut self.changed) {
            if let Some(contact) = self.messenger.contacts.get(&id) {
                let row = MailRow::put(Key::Contact(id), &contact.record);
                self.cx.step.rows.push(row);
            }
        }
        for id in std::mem::take(&mut self.moved) {
            if let Some(contact) = self.messenger.contacts.get_mut(&id) {
                contact.thread.inbox = contact.inbox.record();
                contact.thread.outbox = contact.outbox.head();
                let audits = contact.volatile.audits.iter();
                contact.thread.counts = audits
                    .map(|(queue, watch)| {
                        let (claimed, collected) = watch.counts();
                        (*queue.as_bytes(), claimed, collected)
                    })
                    .collect();
                let row = MailRow::put(Key::Thread(id), &contact.thread);
                self.cx.step.rows.push(row);
            }
        }
        self.messenger.volatile.refused.add(&self.cx.refused);
        self.cx.step
    }

    pub(super) fn command(&mut self, command: Command) {
        let answer = self.carry_out(command);
        self.cx.step.answer = Some(answer);
    }

    fn carry_out(&mut self, command: Command) -> CommandResult {
        self.own()?;
        match command {
            Command::Status => Ok(MailAnswer::Status(self.messenger.status())),
            Command::SetName(name) => self.set_name(name),
            Command::SetReach(reach) => self.set_reach(reach),
            Command::Invite { note, valid_for } => self.create_invite(note, valid_for),
            Command::Invites => Ok(MailAnswer::Invites(self.messenger.invites.list())),
            Command::InviteById(id) => {
                self.messenger.invites.view(&id).map(|view| MailAnswer::Invite(Box::new(view)))
            }
            Command::CancelInvite(id) => {
                self.messenger.invites.cancel(&mut self.cx, &mut self.messenger.network, id)
            }
            Command::Accept { invite, name } => self.accept(&invite, name),
            Command::Confirm(id) => self.confirm(id),
            Command::Contacts => Ok(MailAnswer::Contacts(self.messenger.contact_list())),
            Command::Contact(id) => self.view(id),
            Command::Rename(id, name) => self.rename(id, &name),
            Command::SetVerified(id, verified) => self.set_verified(id, verified),
            Command::SetBlocked(id, blocked) => self.set_blocked(id, blocked),
            Command::Remove(id) => self.remove_contact(id),
            Command::Send { contact, text } => self.send(contact, text),
            Command::SendApplication { contact, kind, bytes } => self.send_application(contact, kind, bytes),
            Command::Messages { contact, before, limit } => self.messages(contact, before, limit),
            Command::MarkRead { contact, up_to } => self.mark_read(contact, up_to),
            Command::AddRelay { place, name, token } => self.add_relay(place, &name, token),
            Command::RemoveRelay(place) => self.remove_relay(place),
            Command::Relays => Ok(MailAnswer::Relays(self.messenger.relay_list())),
            Command::OfferFile { contact, name, content } => self.offer_file(contact, name, content),
            Command::LoadFile { contact, transfer, first, bytes } => {
                self.load_file(contact, transfer, first, &bytes)
            }
            Command::Files(id) => self.files(id),
            Command::File(id, transfer) => self.file(id, transfer),
            Command::ReadFile { contact, transfer, first, count } => {
                self.read_file(contact, transfer, first, count)
            }
            Command::RemoveFile(id, transfer) => self.remove_file(id, transfer),
            Command::SetFileLimit(id, limit) => self.set_file_limit(id, limit),
            Command::ExportParcel(id) => self.export_parcel(id),
            Command::ExportInvite(id) => self.export_invite(id),
            Command::ImportParcel(parcel) => self.import_parcel(&parcel),
            Command::ExportCard(id) => self.export_card(id),
            Command::ImportCard(card) => self.import_card(&card),
        }
    }

    /// Does whatever the moment asks for. Looked at after every input, so there are no timers to keep.
    pub(super) fn run_due_work(&mut self) {
        if self.messenger.own.is_none() {
            return;
        }
        self.wake_invites();
        self.retire_dead_relays();
        self.retry_acks();
        while let Some((at, id)) = self.messenger.volatile.wakes.first().copied() {
            if at > self.now {
                break;
            }
            self.messenger.volatile.wakes.pop_first();
            if let Some(contact) = self.messenger.contacts.get_mut(&id) {
                contact.volatile.wake = None;
            }
            self.touched.insert(id);
        }
        while let Some(id) = self.touched.pop_first() {
            self.drive_contact(id);
        }
        self.ship_in_turn();
        self.announce_queues();
    }

    /// Who the pod is.
    pub(super) fn own(&self) -> Result<Own, RefusedBecause> {
        self.messenger.own.clone().ok_or(RefusedBecause::NotAdopted)
    }

    pub(super) fn contact(&mut self, id: ContactId) -> Result<&mut Contact, RefusedBecause> {
        self.messenger.contacts.get_mut(&id).ok_or(RefusedBecause::Unknown("contact"))
    }

    /// The record of this contact has changed.
    pub(super) fn record_changed(&mut self, id: ContactId) {
        if let Some(contact) = self.messenger.contacts.get_mut(&id) {
            contact.volatile.card_checked = false;
        }
        self.changed.insert(id);
        self.touched.insert(id);
    }

    /// The conversation with this contact has moved on.
    pub(super) fn thread_changed(&mut self, id: ContactId) {
        self.moved.insert(id);
        self.touched.insert(id);
    }

    /// The conversation has moved on, and there is nothing to do about it.
    pub(super) fn thread_changed_quietly(&mut self, id: ContactId) {
        self.moved.insert(id);
    }

    /// Look at this contact before the turn ends.
    pub(super) fn touch(&mut self, id: ContactId) {
        self.touched.insert(id);
    }

    pub(super) fn put<T: Serialize>(&mut self, key: Key, value: &T) {
        self.cx.put(key, value);
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.cx.remove(key);
    }

    /// A cold row, as this turn has left it.
    pub(super) fn read<T: serde::de::DeserializeOwned>(&self, key: Key) -> Option<T> {
        self.cx.read(key)
    }

    /// Writes the pages of a group that changed.
    pub(super) fn keep_session(&mut self, id: ContactId, mut session: Box<Session>) {
        for (page, value) in session.take_changes() {
            self.cx.put_page(id, &page, value);
        }
        if let Some(contact) = self.messenger.contacts.get_mut(&id) {
            contact.volatile.session = Some(session);
            self.note_session_use(id);
        }
    }

    /// Reads a page of a contact's group.
    pub(super) fn page(&self, id: ContactId, page: &[u8]) -> Option<Vec<u8>> {
        self.cx.page(id, page)
    }

    /// Removes pages of a contact's group.
    pub(super) fn remove_pages(&mut self, id: ContactId, pages: impl IntoIterator<Item = Vec<u8>>) {
        for page in pages {
            self.cx.put_page(id, &page, None);
        }
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.cx.effect(effect);
    }

    pub(super) fn application_event(&mut self, event: ApplicationEvent) {
        self.cx.application_event(event);
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.effect(Effect::Notify(notice));
    }

    /// Asks a place something, and remembers what for.
    pub(super) fn call(&mut self, place: Place, lane: Lane, request: Request, what: Purpose) -> CallId {
        self.messenger.network.call(&mut self.cx, place, lane, request, what)
    }

    fn create_invite(&mut self, note: Option<Name>, valid_for: u64) -> CommandResult {
        let own = self.own()?;
        let (places, invites, network) = self.messenger.invites_and_places(&own);
        invites.create(&mut self.cx, network, places, note, valid_for)
    }

    fn wake_invites(&mut self) {
        let Some(own) = self.messenger.own.clone() else { return };
        let (places, invites, network) = self.messenger.invites_and_places(&own);
        invites.wake(&mut self.cx, network, places);
    }

    pub(super) fn close_confirmed_invite(&mut self, id: InviteId) {
        self.messenger.invites.close_confirmed(&mut self.cx, &mut self.messenger.network, id);
    }

    pub(super) fn invite_confirmed(&mut self, id: InviteId) {
        let Some(own) = self.messenger.own.clone() else { return };
        let (places, invites, network) = self.messenger.invites_and_places(&own);
        invites.confirmed(&mut self.cx, network, places, id);
    }
}
