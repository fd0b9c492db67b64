//! Redeeming the invite of another person: fetch the key package, open queues, send the introduction (hello), wait.
//!
//! ```text
//! Redeem ── the key package came ──▶ Queues ── a queue of ours is open ──▶ Introduced ── their card came ──▶ contact
//!    └───── the invite ran out, or is not what it says ──▶ given up ◀────────────┘ not confirmed within 30 days
//! ```
//!
//! Each step may be repeated after a crash: what was sent before is sent again, and the inviter knows repeats by the
//! card in it.

use sha2::{Digest as _, Sha256};

use super::{
    contact::Contact,
    contact_turn::ContactTurn,
    effect::{ContactChange, Notice},
    flight::FirstFlight,
    ids::ContactId,
    network::Purpose,
    own_queue::OwnQueue,
    pair::{Pair, PairKeys, Side},
    refusals::RefusalReason,
    stage::{Introduced, JoinStep},
    states::Timestamp,
    work::FollowUp,
};
use crate::{
    envelope::{Envelope, Hello},
    frame::{DepositId, Frame},
    invite::Invite,
    lane::{Lane, LaneRole, Unreached},
    ratchet::{OwnKeyPackage, PeerKeyPackage, Session},
    wire::{PlaceRefusal, QueueNotice, Request, Response},
};

/// How long to wait for all our relays to make queues before the introduction goes out with those that did, seconds. It
/// never names none: the inviter could not answer.
const QUEUES_WAIT: u64 = 15;
/// An introduction that was left is left again after this, seconds: a relay may have lost it. The inviter counts
/// repeats and ignores them.
const HELLO_AGAIN: u64 = 6 * 60 * 60;
/// How long to wait for the inviter to confirm, seconds: 30 days.
const CONFIRM_WAIT: u64 = 30 * 24 * 60 * 60;
/// A pod that starts when that is over waits so much longer, seconds.
const START_GRACE: u64 = 24 * 60 * 60;
/// Answers «no such queue» after which an invite is believed to be gone: its place may just not have it yet.
const GONE_AFTER: u32 = 4;

impl Contact {
    /// The invite that is being redeemed.
    pub(super) fn redeemed_invite(&self) -> Option<Invite> {
        Some(self.record().joining()?.invite.invite())
    }

    /// Whether the inviter could answer an introduction.
    fn can_be_reached(&self) -> bool {
        self.record().queues().iter().any(OwnQueue::is_open)
    }

    /// The introduction that was made.
    fn introduced(&self) -> Option<&Introduced> {
        match &self.record().joining()?.step {
            JoinStep::Introduced(introduced) => Some(introduced),
            JoinStep::Redeem | JoinStep::Queues(..) => None,
        }
    }
}

impl ContactTurn<'_, '_> {
    /// Does the next step of a redemption, if it is due.
    pub(super) fn drive_redemption(&mut self) {
        let (now, is_right) = (self.cx.now, self.cx.clock_is_right);
        let Some(joining) = self.contact.record().joining() else { return };
        let invite = joining.invite.invite();
        let flight = self.contact.volatile.first_flight;
        let flies = flight.in_flight == 0 && flight.due <= now;
        let waits_for_queues = self.contact.volatile.opening > 0;
        match &joining.step {
            JoinStep::Introduced(Introduced { left: Some(at), .. })
                if is_right && now > at.saturating_add(CONFIRM_WAIT) =>
            {
                self.join_failed("the inviter did not confirm within 30 days");
            }
            JoinStep::Redeem | JoinStep::Queues(..) if is_right && now > invite.expires() => {
                self.join_failed("the invite ran out before its place, or a relay of ours, was reached");
            }
            JoinStep::Redeem if flies => {
                let (queue, deposit) = (invite.address().queue, invite.address().deposit.clone());
                self.first_flight(&invite, Request::Redeem { queue, deposit });
            }
            JoinStep::Queues(package, since)
                if self.contact.can_be_reached() && (!waits_for_queues || now >= since + QUEUES_WAIT) =>
            {
                let package = package.clone();
                self.introduce(&invite, &package);
            }
            JoinStep::Introduced(Introduced { hello, .. }) if flies => {
                let queue = invite.address().queue;
                match invite.hello_key().seal(&queue, hello, self.cx.rng) {
                    Ok(blob) => {
                        let deposit = DepositId::generate(self.cx.rng);
                        let capability = invite.address().deposit.clone();
                        let frame = Frame { deposit, queue, capability, blob };
                        self.first_flight(&invite, Request::Deposit(frame));
                    }
                    Err(_) => self.join_failed("the introduction is too long to be sealed"),
                }
            }
            JoinStep::Redeem | JoinStep::Queues(..) | JoinStep::Introduced(_) => {}
        }
    }

    /// When a redemption is to be looked at next.
    pub(super) fn next_join(&self) -> Option<Timestamp> {
        let flight = self.contact.volatile.first_flight;
        let due = (flight.in_flight == 0).then_some(flight.due);
        match &self.contact.record().joining()?.step {
            JoinStep::Queues(_, since) if self.contact.can_be_reached() => Some(since + QUEUES_WAIT),
            JoinStep::Queues(..) => self.contact.redeemed_invite().map(|invite| invite.expires() + 1),
            JoinStep::Introduced(Introduced { left: Some(at), .. }) => {
                due.into_iter().chain([at + CONFIRM_WAIT + 1]).min()
            }
            JoinStep::Redeem | JoinStep::Introduced(_) => due,
        }
    }

    /// Asks the place of the invite; one such call is in flight at a time.
    fn first_flight(&mut self, invite: &Invite, request: Request) {
        self.contact.volatile.first_flight.in_flight = 1;
        let lane = flight_lane(self.id, &request);
        self.call(invite.address().place, lane, request, Purpose::Redeem(self.id));
    }

    /// What the place of the invite answered.
    ///
    /// An answer that does not fit the present step puts the next try off.
    pub(super) fn joined(&mut self, outcome: Result<Response, Unreached>) {
        let now = self.cx.now;
        self.touch();
        let (record, volatile) = self.contact.split_mut();
        let flight = &mut volatile.first_flight;
        flight.in_flight = 0;
        // They confirmed us meanwhile, or the owner removed them.
        let Some(joining) = record.joining_mut() else {
            return self.cx.refuse(RefusalReason::Superseded);
        };
        match (&mut joining.step, outcome) {
            (JoinStep::Redeem, Ok(Response::Notice(notice))) => {
                if !self.notice_arrived(&notice) {
                    self.join_failed("what waits at the invite's place is not what the invite says");
                }
            }
            (JoinStep::Introduced(introduced), Ok(Response::Done)) => {
                *flight = FirstFlight { due: now + HELLO_AGAIN, ..FirstFlight::default() };
                if introduced.left.is_none() {
                    introduced.left = Some(now);
                    self.record_changed();
                }
            }
            // It may be there, and the inviter may close the queue before we ask again.
            (JoinStep::Introduced(introduced), Err(_)) if introduced.left.is_none() => {
                flight.put_off(now);
                introduced.left = Some(now);
                self.record_changed();
            }
            (step, Ok(Response::Refused(PlaceRefusal::UnknownQueue))) if flight.tries + 1 >= GONE_AFTER => {
                match step {
                    // Left before: the inviter may have closed the queue because they confirmed us.
                    JoinStep::Introduced(Introduced { left: Some(_), .. }) => flight.due = now + HELLO_AGAIN,
                    _ => self.join_failed("the invite was used, taken back or has run out"),
                }
            }
            _ => flight.put_off(now),
        }
    }

    /// The inviter's key package came, from the place or by hand. Says whether it is the one that the invite names.
    pub(super) fn notice_arrived(&mut self, notice: &QueueNotice) -> bool {
        let package = self.contact.redeemed_invite().and_then(|invite| invite.open_notice(notice).ok());
        let package = package.filter(|package| PeerKeyPackage::parse(package).is_ok());
        let (Some(package), Some(joining)) = (package, self.contact.record_mut().joining_mut()) else {
            return false;
        };
        joining.step = JoinStep::Queues(package, self.cx.now);
        self.contact.volatile.first_flight = FirstFlight::default();
        self.record_changed();
        true
    }

    /// Makes the group and the introduction, which carries our card.
    pub(super) fn introduce(&mut self, invite: &Invite, package: &[u8]) {
        match self.make_hello(invite, package) {
            Some((session, introduced)) => {
                if let Some(joining) = self.contact.record_mut().joining_mut() {
                    joining.step = JoinStep::Introduced(introduced);
                }
                self.begin_group(Box::new(session));
                self.record_changed();
            }
            None => self.join_failed("the key package of the invite cannot be used"),
        }
    }

    /// None where the package cannot be used, or no queue of ours is open yet to be named on the card.
    fn make_hello(&mut self, invite: &Invite, package: &[u8]) -> Option<(Session, Introduced)> {
        // Drawn with the group: whoever comes back from a backup of before it, and makes another, has another leaf key.
        let own = OwnKeyPackage::generate(self.cx.rng, self.own.root.as_bytes()).ok()?;
        // Of two introductions of one person, with a restore in between, the later one counts.
        let version = self.next_card_version();
        let card = self.sign_card_with(&own, version)?;
        let peer = PeerKeyPackage::parse(package).ok()?;
        let psk = invite.mls_psk();
        let (mut session, welcome) = Session::create(self.cx.rng, &own, &peer, &psk).ok()?;
        let sealed = session.seal(self.cx.rng, &card, false).ok()?;
        let hello = Envelope::Hello(Hello { welcome, message: sealed.message }).to_bytes().ok()?;
        let pair = Pair::new(&own, PairKeys::of(&session, Side::Creator));
        Some((session, Introduced { hello, left: None, pair }))
    }

    /// Introduces ourselves once more, in the same group, where our card says something else by now: its places are all
    /// that the inviter has to answer at.
    ///
    /// None is sent while one is on its way: the place must not get them out of order.
    pub(super) fn refresh_introduction(&mut self) {
        let Some(hello) = self.contact.introduced().map(|introduced| introduced.hello.clone()) else {
            return;
        };
        let waits = self.contact.volatile.first_flight.in_flight > 0;
        if !self.contact.can_be_reached() || waits || !self.card_is_outdated() {
            return;
        }
        let Some(newer) = self.refresh_hello(&hello) else { return self.cx.refuse(RefusalReason::NoGroup) };
        if let Some(joining) = self.contact.record_mut().joining_mut()
            && let JoinStep::Introduced(introduced) = &mut joining.step
        {
            introduced.hello = newer;
        }
        self.contact.volatile.first_flight = FirstFlight::default();
        self.record_changed();
    }

    /// The same introduction with our card of today.
    fn refresh_hello(&mut self, hello: &[u8]) -> Option<Vec<u8>> {
        let Ok(Envelope::Hello(Hello { welcome, .. })) = Envelope::parse(hello) else { return None };
        let card = self.sign_newer_card()?;
        let mut session = self.take_session()?;
        let sealed = session.seal(self.cx.rng, &card, false);
        self.keep_session(session);
        Envelope::Hello(Hello { welcome, message: sealed.ok()?.message }).to_bytes().ok()
    }

    /// The introduction, to be carried to the inviter: from now on it may be with them.
    pub(super) fn carried_hello(&mut self) -> Option<Vec<u8>> {
        let now = self.cx.now;
        let JoinStep::Introduced(introduced) = &mut self.contact.record_mut().joining_mut()?.step else {
            return None;
        };
        introduced.left.get_or_insert(now);
        let hello = introduced.hello.clone();
        self.record_changed();
        Some(hello)
    }

    /// After a start: an introduction that was on its way may be there. What came while the pod was off is collected before
    /// it gives up.
    pub(super) fn resume_joining(&mut self) {
        self.make_queues();
        let now = self.cx.now;
        if let Some(joining) = self.contact.record_mut().joining_mut()
            && let JoinStep::Introduced(introduced) = &mut joining.step
        {
            let left = introduced.left.unwrap_or(now);
            introduced.left = Some(left.max(now.saturating_sub(CONFIRM_WAIT - START_GRACE)));
            self.record_changed();
        }
    }

    /// Tells the owner why, and forgets the attempt.
    pub(super) fn join_failed(&mut self, why: &str) {
        self.cx.notify(Notice::JoinFailed(self.id, why.to_owned()));
        self.follow_up(FollowUp::ForgetAttempt(self.id));
    }

    /// The inviter's card came in the conversation: contacts now.
    pub(super) fn confirmed(&mut self) {
        self.contact.volatile.first_flight = FirstFlight::default();
        self.leave_former();
        self.cx.notify(Notice::Connected(self.id));
        self.cx.contact_changed(self.id, ContactChange::Connected);
    }
}

/// The connection of one step of a redemption, and of nothing else: the place of an invite must not learn that whoever
/// redeems it leaves frames for one of its queues later.
fn flight_lane(id: ContactId, request: &Request) -> Lane {
    let step: &[u8] = if matches!(request, Request::Redeem { .. }) { b"redeem " } else { b"introduce " };
    let mut party = [0; 16];
    party.copy_from_slice(&Sha256::digest([step, &id.0].concat())[..16]);
    Lane { role: LaneRole::Deposit, party }
}
