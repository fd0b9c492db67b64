//! A new group with a contact, where the old one is lost or broken: after a restore from a backup, or a fault.
//!
//! It is made from the key package in their last card and the pair's reset key, signed by the pod key, and numbered by
//! a generation that only grows. Where both make one at a time, the higher generation wins, and among equals that of
//! the smaller root key. Nothing else is said until the contact has answered in the new group; what waits in both
//! outboxes is numbered anew and sent again. One who redeemed an invite and may have no card yet could not answer, not
//! knowing where: so the reset brings it along. If it does not, they leave their introduction once more, in the new group.

use super::{
    Notice, RefusalReason, Timestamp,
    contact_turn::ContactTurn,
    deliver::deposit_lane,
    effect::ContactChange,
    flight::FirstFlight,
    item_key::ItemKey,
    network::Purpose,
    pair::Pair,
    stage::{JoinStep, Joining, Stage},
    work::FollowUp,
};
use crate::{
    PublicKey,
    envelope::{Envelope, Reset, VerifiedReset},
    frame::{DepositId, Frame},
    lane::Unreached,
    ratchet::{PeerKeyPackage, Session},
    wire::{Request, Response},
};

/// Pause before a reset that reached no place is sent again, seconds; doubled each time.
const FIRST_PAUSE: u64 = 2;
/// The pause grows no further, seconds.
const LONGEST_PAUSE: u64 = 900;
/// Pause after it reached one, seconds; doubled each time.
const FIRST_WAIT: u64 = 10 * 60;
/// The pause grows no further, seconds.
const LONGEST_WAIT: u64 = 24 * 60 * 60;
/// Resets of our own that answer a stale one come no quicker than this, seconds: stale ones may be replayed.
const CALM: u64 = 10 * 60;
/// The highest generation that a clock gives: of the year 2106. A clock that is ahead of that leaves room for later ones.
const LAST_CLOCK_GENERATION: u64 = u32::MAX as u64;
/// The highest generation that is believed: there is room for as many above it as below it that no clock gives.
const LAST_GENERATION: u64 = LAST_CLOCK_GENERATION + (1 << 23);

impl ContactTurn<'_, '_> {
    /// The group of a contact is not in the rows, since they come from a backup.
    pub(super) fn group_is_lost(&mut self) {
        let contact = &mut *self.contact;
        // A pod restored from a backup has not counted all that it collected.
        contact.volatile.audits.clear();
        match &mut contact.record_mut().stage {
            Stage::Active(active) => {
                // A reset on its way led to a group that is lost too.
                active.pending_reset = None;
                self.record_changed();
                self.start_reset();
            }
            // They introduce themselves again within hours, and then ask again.
            Stage::Asking(_) => self.follow_up(FollowUp::ForgetAttempt(self.id)),
            Stage::Joining(Joining { step: JoinStep::Introduced(_), .. }) => {
                self.join_failed(
                    "the pod was restored from a backup of before they confirmed: ask for a new invite",
                );
            }
            Stage::Joining(_) | Stage::Blocked(_) | Stage::Known => {}
        }
    }

    /// The contact knows of something that this pod did and does not know of: its disk is an older one. What was said since is
    /// lost here, and keys of the group were used twice: a new group is made.
    pub(super) fn went_back(&mut self) {
        self.cx.refuse(RefusalReason::ForgedReceipt);
        // Frames that were collected since then are in no count, and no relay pushes them again.
        self.contact.volatile.audits.clear();
        self.thread_changed_quietly();
        let now = self.cx.now;
        let volatile = &self.contact.volatile;
        if now >= volatile.last_reset.saturating_add(CALM) || volatile.last_reset > now {
            self.start_reset();
        }
    }

    /// Makes a new group with a contact and tells them.
    ///
    /// One at a time: while a reset waits, nothing new is begun. The generation is the time in seconds, or one more
    /// than the last: it grows even if the clock was set back.
    pub(super) fn start_reset(&mut self) {
        let Some(active) = self.contact.record().active().filter(|active| active.pending_reset.is_none())
        else {
            return;
        };
        let clock = self.cx.now.min(LAST_CLOCK_GENERATION);
        let generation = clock.max(active.pair.generation().saturating_add(1));
        self.drop_session();
        let Some((session, welcome)) = self.make_group() else {
            return self.cx.refuse(RefusalReason::NoGroup);
        };
        self.begin_group(Box::new(session));
        let Some(reset) = self.make_reset(generation, welcome) else {
            return self.cx.refuse(RefusalReason::NoGroup);
        };
        let now = self.cx.now;
        if let Some(active) = self.contact.record_mut().active_mut() {
            active.pair.begin_generation(generation);
            active.pending_reset = Some(reset);
        }
        self.contact.volatile.first_flight = FirstFlight::default();
        self.contact.volatile.unreadable = None;
        self.contact.volatile.last_reset = now;
        self.record_changed();
        self.cx.contact_changed(self.id, ContactChange::Renewed);
    }

    /// None where the card, the keys or the pair's secret are missing or damaged.
    fn make_group(&mut self) -> Option<(Session, Vec<u8>)> {
        let package = self.own_package()?;
        let contact = &*self.contact;
        let peer = PeerKeyPackage::parse(contact.card()?.key_package()).ok()?;
        let psk = contact.record().pair()?.reset_psk();
        Session::create(self.cx.rng, &package, &peer, &psk).ok()
    }

    /// The signed envelope, with receipts and perhaps our card as its first message.
    fn make_reset(&mut self, generation: u64, welcome: Vec<u8>) -> Option<Vec<u8>> {
        let own = self.own;
        let record = self.contact.record();
        let (peer_root, is_awaited) = (record.root(), record.invite().is_some());
        // One who was never heard from may not have our card, and so not know where to answer. It is the first that waits.
        let first = is_awaited.then(|| self.item(ItemKey::Part(0))).flatten();
        let packet = self.packet_of(first.into_iter().collect()).to_bytes().ok()?;
        let mut session = self.take_session()?;
        let sealed = session.seal(self.cx.rng, &packet, false);
        self.keep_session(session);
        let message = sealed.ok()?.message;
        let reset = Reset::sign(&own.pod_key, &own.certificate, &peer_root, generation, welcome, message);
        Envelope::Reset(Box::new(reset)).to_bytes().ok()
    }

    /// Leaves the reset at every place of the contact, again and again until they answer.
    pub(super) fn drive_reset(&mut self) {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        if contact.record().pending_reset().is_none()
            || contact.volatile.first_flight.in_flight > 0
            || contact.volatile.first_flight.due > now
        {
            return;
        }
        let Some(content) = self.signed_reset() else { return self.cx.refuse(RefusalReason::NoGroup) };
        let contact = &*self.contact;
        let Some(seals) = contact.record().pair().map(Pair::seals) else {
            return self.cx.refuse(RefusalReason::NotSent);
        };
        let places: Vec<_> =
            contact.card().iter().flat_map(|card| card.places()).map(|place| place.address.clone()).collect();
        let mut in_flight = 0;
        for address in places {
            let Ok(blob) = seals.seal(&address.queue, &content, self.cx.rng) else {
                self.cx.refuse(RefusalReason::NotSent);
                continue;
            };
            let deposit = DepositId::generate(self.cx.rng);
            let frame = Frame { deposit, queue: address.queue, capability: address.deposit, blob };
            self.call(address.place, deposit_lane(self.id), Request::Deposit(frame), Purpose::Reset(self.id));
            in_flight += 1;
        }
        let flight = &mut self.contact.volatile.first_flight;
        flight.in_flight = in_flight;
        flight.left = false;
        if in_flight == 0 {
            // Nothing left, so nothing will end: without this it would be due again at once, forever.
            flight.put_off(now);
        }
    }

    /// The reset that waits to be answered, under the certificate of today: the one it was made under may have run out.
    pub(super) fn signed_reset(&self) -> Option<Vec<u8>> {
        let own = self.own;
        let record = self.contact.record();
        let Ok(Envelope::Reset(reset)) = Envelope::parse(record.pending_reset()?) else { return None };
        let reset = reset.signed_anew(&own.pod_key, &own.certificate, &record.root());
        Envelope::Reset(Box::new(reset)).to_bytes().ok()
    }

    /// When a reset is to be left again.
    pub(super) fn next_reset(&self) -> Option<Timestamp> {
        let contact = &*self.contact;
        let waits =
            contact.record().pending_reset().is_some() && contact.volatile.first_flight.in_flight == 0;
        waits.then_some(contact.volatile.first_flight.due)
    }

    /// What became of a reset at one place.
    ///
    /// Once all places have answered it is put off: shortly if none took it, longer if one did.
    pub(super) fn reset_left(&mut self, outcome: &Result<Response, Unreached>) {
        let now = self.cx.now;
        self.touch();
        let contact = &mut *self.contact;
        let flight = &mut contact.volatile.first_flight;
        flight.in_flight = flight.in_flight.saturating_sub(1);
        flight.left |= *outcome == Ok(Response::Done);
        if flight.in_flight == 0 {
            let pause = if flight.left {
                (FIRST_WAIT << flight.tries.min(8)).min(LONGEST_WAIT)
            } else {
                (FIRST_PAUSE << flight.tries.min(9)).min(LONGEST_PAUSE)
            };
            flight.due = now + pause;
            flight.tries += 1;
        }
    }

    /// A contact made a new group.
    ///
    /// Whoever has the higher generation wins; both sides decide alike, so exactly one of two resets is taken.
    pub(super) fn reset_arrived(&mut self, reset: &Reset) {
        let own = self.own;
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let peer_root = contact.record().root();
        let verified = reset.verify(&peer_root, &own.root, now);
        let believed = |reset: &VerifiedReset| {
            reset.generation <= LAST_GENERATION && contact.accepts(&reset.certificate)
        };
        let Some(verified) = verified.ok().filter(believed) else {
            self.cx.refuse(RefusalReason::Foreign);
            return;
        };
        let Some(pair) = contact.record().pair() else { return self.cx.refuse(RefusalReason::NoGroup) };
        let (known, was_taken) = (pair.generation(), pair.knows_reset(verified.generation));
        let ours_waits = contact.record().pending_reset().is_some();
        let theirs_wins = verified.generation > known
            || verified.generation == known && ours_waits && peer_root.as_bytes() < own.root.as_bytes();
        if theirs_wins {
            if self.take_reset(&verified).is_none() {
                self.cx.refuse(RefusalReason::Unreadable);
            }
        } else if verified.generation == known && !ours_waits {
            // The one in use: they did not hear our answer.
            self.owe_receipt(true);
            self.cx.refuse(RefusalReason::Repeat);
            self.touch();
        } else if was_taken {
            self.cx.refuse(RefusalReason::Repeat);
        } else if !ours_waits && now >= contact.volatile.last_reset + CALM {
            // Older than ours, and yet theirs: their pod was restored from before the time its clock shows.
            if let Some(pair) = contact.record_mut().pair_mut() {
                pair.note_reset(verified.generation);
            }
            self.start_reset();
        } else {
            // Ours wins and is on its way to them; or we answered a stale one a moment ago.
            self.cx.refuse(RefusalReason::Superseded);
        }
    }

    /// The key they sign with in groups with us: on their card, or in the first group for as long as none came.
    fn peer_leaf_key(&mut self) -> Option<PublicKey> {
        if let Some(card) = self.contact.card() {
            return Some(card.leaf_key());
        }
        let session = self.take_session()?;
        let key = session.peer_leaf_key();
        self.keep_session(session);
        Some(key)
    }

    /// Joins their group in place of ours. None leaves everything as it was: the Welcome does not open, or another
    /// key signs in it than the contact's.
    fn take_reset(&mut self, reset: &VerifiedReset) -> Option<()> {
        let package = self.own_package()?;
        let psk = self.contact.record().pair()?.reset_psk();
        let mut session = Session::join(&package, &reset.welcome, &psk).ok()?;
        if self.peer_leaf_key()? != session.peer_leaf_key() {
            return None;
        }
        let packet = session.open(None, &reset.message).ok()?;
        self.drop_session();
        let contact = &mut *self.contact;
        contact.record_mut().pair_mut()?.take_reset(reset);
        if let Some(active) = contact.record_mut().active_mut() {
            active.pending_reset = None;
        }
        contact.volatile.first_flight = FirstFlight::default();
        self.owe_receipt(false);
        if let Some(joining) = self.contact.record_mut().joining_mut() {
            // Where to answer is not known yet: the introduction is, in the new group.
            joining.our_card.digest = [0; 32];
            self.recheck_card();
        }
        self.begin_group(Box::new(session));
        self.record_changed();
        self.cx.contact_changed(self.id, ContactChange::Renewed);
        self.packet(&packet);
        self.cx.notify(Notice::Rekeyed(self.id));
        Some(())
    }
}
