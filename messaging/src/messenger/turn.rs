//! One input being worked on. A turn routes: each command, frame and outcome goes to the part or contact it concerns, and
//! what follows for others is carried out afterwards.
//!
//! The order within a turn matters: what a restart left open comes first, then the input, then what is due, and at
//! the very end the rows of those contacts that changed. So a contact that changes ten times in a turn is written
//! once.

use rand_core::CryptoRngCore;

use super::{
    Command, MailAnswer, Messenger, Own, RefusedBecause, Step, Timestamp,
    contact::Contact,
    contact_turn::ContactTurn,
    context::{CommandResult, Context},
    ids::{ContactId, InviteId},
    input::DISK_RESERVE,
    own_places::OwnPlaces,
    refusals::RefusalReason,
    relays::RelayEvent,
    row::{Key, MailRow},
    work::FollowUp,
};
use crate::{Name, Rows};

/// Groups held in memory for contacts that are being talked to: 32 of some 200 kB are 6 MB. The others are read from
/// their rows when they are needed.
///
/// To drop one loses nothing: each is written through before the turn ends.
const LIVE_SESSIONS: usize = 32;

/// A turn of the messenger. Commands check everything first and change things after.
pub(super) struct Turn<'a> {
    pub(super) messenger: &'a mut Messenger,
    pub(super) cx: Context<'a>,
    /// The moment of the input, seconds since 1970; the same for the whole turn.
    pub(super) now: Timestamp,
}

impl<'a> Turn<'a> {
    /// A turn that has done nothing yet.
    pub(super) fn new(
        messenger: &'a mut Messenger,
        now: Timestamp,
        rng: &'a mut dyn CryptoRngCore,
        rows: &'a dyn Rows,
    ) -> Self {
        let mut cx = Context::new(now, rng, rows);
        cx.clock_is_right = messenger.volatile.clock_is_right;
        Self { messenger, cx, now }
    }

    /// Writes down what changed, and ends.
    ///
    /// Contacts that were removed in this turn are passed over: their rows are removed already.
    pub(super) fn finish(mut self) -> Step {
        let Messenger { contacts, work, .. } = &mut *self.messenger;
        for id in std::mem::take(&mut work.changed) {
            if let Some(contact) = contacts.get(&id) {
                self.cx.step.rows.push(MailRow::put(Key::Contact(id), contact.record()));
            }
        }
        for id in std::mem::take(&mut work.moved) {
            if let Some(contact) = contacts.get_mut(&id) {
                self.cx.step.rows.push(MailRow::put(Key::Thread(id), contact.thread_record()));
            }
        }
        work.touched.clear();
        work.sealed.clear();
        self.messenger.volatile.refused.add(&self.cx.refused());
        self.cx.step
    }

    /// Serves one contact, and then those for whom something follows. None if there is no such contact.
    pub(super) fn with<R>(
        &mut self,
        id: ContactId,
        serve: impl FnOnce(&mut ContactTurn<'_, 'a>) -> R,
    ) -> Option<R> {
        let Messenger { own, name, reach, contacts, relays, network, served_kinds, work, .. } =
            &mut *self.messenger;
        let own = own.as_ref()?;
        let has_company = contacts.len() > 1;
        let mut turn = ContactTurn {
            id,
            has_company,
            contact: contacts.get_mut(&id)?,
            cx: &mut self.cx,
            own,
            name: name.as_ref().unwrap_or(&own.name),
            places: OwnPlaces { own, reach: *reach, relays },
            served_kinds,
            network,
            work,
        };
        let before = turn.contact.files.taken_bytes();
        let served = serve(&mut turn);
        let after = turn.contact.files.taken_bytes();
        work.taken_bytes = (work.taken_bytes + after).saturating_sub(before);
        self.trim_sessions();
        self.follow_up();
        Some(served)
    }

    /// The same for what came from outside: counted where the contact is gone.
    pub(super) fn route(&mut self, id: ContactId, serve: impl FnOnce(&mut ContactTurn<'_, 'a>)) {
        if self.with(id, serve).is_none() {
            self.cx.refuse(RefusalReason::NoContact);
        }
    }

    /// The same for a command.
    pub(super) fn on<R>(
        &mut self,
        id: ContactId,
        serve: impl FnOnce(&mut ContactTurn<'_, 'a>) -> Result<R, RefusedBecause>,
    ) -> Result<R, RefusedBecause> {
        self.with(id, serve).unwrap_or(Err(RefusedBecause::Unknown("contact")))
    }

    ///
    /// Each may leave more to be done; the list is finite, since each entry ends something (an invite, an attempt, a
    /// relay's use).
    fn follow_up(&mut self) {
        while let Some(what) = self.messenger.work.follow_ups.pop_front() {
            match what {
                FollowUp::ForgetAttempt(id) => self.forget_attempt(id),
                FollowUp::CloseInvite(invite) => self.close_confirmed_invite(invite),
                FollowUp::RelayWithholds(place) => self.relay_event(RelayEvent::Withholds(place)),
                FollowUp::RelayRefused(place, refusal) => {
                    self.relay_event(RelayEvent::Refused { place, refusal: &refusal });
                }
            }
        }
    }

    /// Lets go of groups that were not used lately; their rows have everything.
    fn trim_sessions(&mut self) {
        let Messenger { contacts, work, .. } = &mut *self.messenger;
        while work.live.len() > LIVE_SESSIONS
            && let Some(oldest) = work.live.pop_front()
        {
            if let Some(contact) = contacts.get_mut(&oldest) {
                contact.volatile.session = None;
            }
        }
    }

    /// Carries a command out; its answer goes into the step.
    pub(super) fn command(&mut self, command: Command) {
        let answer = self.carry_out(command);
        self.cx.step.answer = Some(answer);
    }

    /// One place where every command is routed. Whatever is refused has changed nothing.
    fn carry_out(&mut self, command: Command) -> CommandResult {
        self.own()?;
        if let Some(id) = command.conversation() {
            self.collect_now(id);
        }
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
            Command::Accept { invite, name, again } => self.accept(&invite, name, again),
            Command::Confirm(id) => self.confirm(id),
            Command::Contacts => Ok(MailAnswer::Contacts(self.messenger.contact_list())),
            Command::Contact(id) => self.on(id, |it| it.view()),
            Command::Rename(id, name) => self.on(id, |it| it.rename(&name)),
            Command::SetVerified(id, verified) => self.on(id, |it| it.set_verified(verified)),
            Command::SetBlocked(id, blocked) => self.on(id, |it| it.set_blocked(blocked)),
            Command::Remove(id) => self.remove_contact(id),
            Command::Send { contact, text } => self.on(contact, |it| it.send(text)),
            Command::SendApplication { contact, kind, bytes } => {
                self.on(contact, |it| it.send_application(kind, bytes.0))
            }
            Command::Messages { contact, before, limit } => self.on(contact, |it| it.messages(before, limit)),
            Command::MarkRead { contact, up_to } => self.on(contact, |it| it.mark_read(up_to)),
            Command::AddRelay { place, name, token } => self.add_relay(place, &name, token),
            Command::RemoveRelay(place) => self.remove_relay(place),
            Command::Relays => Ok(MailAnswer::Relays(self.messenger.relay_list())),
            Command::OfferFile { contact, name, content } => {
                self.on(contact, |it| it.offer_file(&name, &content))
            }
            Command::LoadFile { contact, transfer, first, bytes } => {
                self.on(contact, |it| it.load_file(transfer, first, &bytes.0))
            }
            Command::Files(id) => self.contact(id).map(|contact| MailAnswer::Files(contact.files.list())),
            Command::File(id, transfer) => self.contact(id)?.files.view(transfer).map(MailAnswer::File),
            Command::ReadFile { contact, transfer, first, count } => {
                self.on(contact, |it| it.read_file(transfer, first, count))
            }
            Command::RemoveFile(id, transfer) => self.on(id, |it| it.remove_file(transfer)),
            Command::SetFileLimit(id, limit) => self.on(id, |it| it.set_file_limit(limit)),
            Command::ExportParcel(id) => self.on(id, |it| it.export_parcel()),
            Command::ExportInvite(id) => self.export_invite(id),
            Command::ImportParcel(parcel) => self.import_parcel(&parcel),
            Command::ExportCard(id) => self.on(id, |it| it.export_card()),
            Command::ImportCard(card) => self.import_card(&card),
        }
    }

    /// After a start, before anything is queued: numbers that an older backup gives out again may be taken.
    pub(super) fn resume_after_start(&mut self) {
        let Some(own) = self.messenger.own.clone() else { return };
        if std::mem::replace(&mut self.messenger.volatile.checked, true) {
            return;
        }
        self.collect_in_turn();
        let all: Vec<ContactId> = self.messenger.contacts.keys().copied().collect();
        for id in all {
            self.with(id, |it| it.resume_after_start());
        }
        self.messenger.invites.resume(&self.messenger.network);
        self.expire_orphaned_invites(&own);
    }

    /// The clock is right, or not known to be so. Once it is, what was queued by a wrong one gets the time of now, and what its
    /// time is over for ends.
    pub(super) fn clock_judged(&mut self, is_right: bool) {
        self.messenger.volatile.clock_is_right = is_right;
        self.cx.clock_is_right = is_right;
        let all: Vec<ContactId> = self.messenger.contacts.keys().copied().collect();
        for id in all {
            self.with(id, |it| it.clock_judged());
        }
    }

    /// Where the clock went back since the last input, what waits for a moment by the old time is looked at now.
    pub(super) fn look_at_clock(&mut self) {
        let before = std::mem::replace(&mut self.messenger.volatile.last_now, self.now);
        if self.now >= before {
            return;
        }
        self.messenger.invites.clock_went_back();
        self.messenger.relays.clock_went_back(self.now);
        self.messenger.network.clock_went_back(self.now);
        let all: Vec<ContactId> = self.messenger.contacts.keys().copied().collect();
        for id in all {
            self.with(id, |it| it.clock_went_back());
        }
    }

    /// The shell looked at the disk.
    pub(super) fn free_space(&mut self, bytes: u64) {
        self.messenger.work.disk_is_low = bytes < DISK_RESERVE;
    }

    /// Does whatever the moment asks for. Looked at after every input, so there are no timers to keep.
    ///
    /// A contact that is driven may touch others; the loop ends when nobody is left.
    pub(super) fn run_due_work(&mut self) {
        let Some(own) = self.messenger.own.clone() else { return };
        self.wake_invites(&own);
        self.retire_dead_relays();
        self.retry_acks();
        self.messenger.network.keep_moments(&mut self.cx);
        self.messenger.work.wake(self.now);
        while let Some(id) = self.messenger.work.touched.pop_first() {
            self.with(id, |it| it.drive_contact());
        }
        self.ship_in_turn();
        self.announce_queues();
    }

    /// Sends for all contacts that asked, one call each in turn, as far as calls in flight allow.
    ///
    /// What the budget grants to a contact that has nothing of that kind left, or cannot be sealed, is given back at
    /// once.
    fn ship_in_turn(&mut self) {
        let mut due = std::mem::take(&mut self.messenger.work.due);
        while let Some((id, probe)) = self.messenger.work.budget.grant() {
            let shipments =
                due.entry(id).or_insert_with(|| self.with(id, |it| it.shipments()).unwrap_or_default());
            let next = shipments.iter().position(|shipment| shipment.probe == probe);
            let shipped = match next.map(|next| shipments.remove(next)) {
                Some(next) => self.with(id, |it| it.ship(&next)) == Some(true),
                None => false,
            };
            let budget = &mut self.messenger.work.budget;
            if !shipped {
                budget.release(probe);
            }
            for shipment in shipments {
                budget.ask(id, shipment.probe);
            }
        }
        for id in due.into_keys() {
            self.with(id, |it| it.set_wake());
        }
    }

    /// Who the pod is, for a command.
    ///
    /// # Errors
    /// [`RefusedBecause::NotAdopted`].
    pub(super) fn own(&self) -> Result<Own, RefusedBecause> {
        self.messenger.own.clone().ok_or(RefusedBecause::NotAdopted)
    }

    /// Who the pod is, for what came from outside: counted where the pod has no owner yet.
    pub(super) fn own_or_refuse(&self) -> Option<Own> {
        let own = self.messenger.own.clone();
        if own.is_none() {
            self.cx.refuse(RefusalReason::NoOwner);
        }
        own
    }

    /// A contact, for a command that only reads.
    /// # Errors
    /// [`RefusedBecause::Unknown`].
    pub(super) fn contact(&self, id: ContactId) -> Result<&Contact, RefusedBecause> {
        self.messenger.contacts.get(&id).ok_or(RefusedBecause::Unknown("contact"))
    }

    fn create_invite(&mut self, note: Option<Name>, valid_for: u64) -> CommandResult {
        let own = self.own()?;
        let (places, invites, network) = self.messenger.invites_and_places(&own);
        invites.create(&mut self.cx, network, places, note, valid_for)
    }

    fn wake_invites(&mut self, own: &Own) {
        let (places, invites, network) = self.messenger.invites_and_places(own);
        invites.wake(&mut self.cx, network, places);
    }

    /// The redeemer of this invite was heard from, or will not be: its queue goes.
    pub(super) fn close_confirmed_invite(&mut self, id: InviteId) {
        self.messenger.invites.close_confirmed(&mut self.cx, &mut self.messenger.network, id);
    }

    /// The owner confirmed who redeemed this invite: nobody else can redeem it any more.
    pub(super) fn invite_confirmed(&mut self, own: &Own, id: InviteId) {
        let (places, invites, network) = self.messenger.invites_and_places(own);
        invites.confirmed(&mut self.cx, network, places, id);
    }
}
