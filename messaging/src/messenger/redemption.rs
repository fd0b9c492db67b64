//! Redeeming the invite of another person: fetch the key package, open queues, send the introduction (hello), wait.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::{
    ContactState, Notice, RefusedBecause, Timestamp, contact::PairKeys, contact_turn::ContactTurn,
    flight::FirstFlight, network::Purpose, own_queue::OwnQueue, work::FollowUp,
};
use crate::{
    envelope::{Envelope, Hello},
    frame::{DepositId, Frame},
    invite::Invite,
    lane::{Lane, LaneRole, Unreached},
    ratchet::{OwnKeyPackage, PeerKeyPackage, Session},
    wire::{QueueNotice, Refusal, Request, Response},
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

/// How far the redemption is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Joining {
    pub(super) invite: Vec<u8>,
    pub(super) step: JoinStep,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum JoinStep {
    /// Fetch the inviter's key package.
    Redeem,
    /// Wait for our queues to be made, then introduce ourselves with this key package.
    Queues(Vec<u8>, Timestamp),
    /// Leave this introduction (an envelope) until it is taken.
    Leave(Vec<u8>),
    /// It was left then, for all we know; wait to be confirmed.
    Left(Vec<u8>, Timestamp),
}

impl Joining {
    /// Whether a group was made already.
    pub(super) fn has_group(&self) -> bool {
        matches!(self.step, JoinStep::Leave(_) | JoinStep::Left(..))
    }
}

/// Who made the first group of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Creator,
    Joiner,
}

/// The lasting keys of a pair, from its first group.
pub(super) fn pair_keys(session: &Session, side: Side) -> PairKeys {
    let (mut by_creator, mut by_joiner) =
        (*session.export("seal by creator"), *session.export("seal by joiner"));
    let (seal_in, seal_out) = match side {
        Side::Creator => (by_joiner, by_creator),
        Side::Joiner => (by_creator, by_joiner),
    };
    by_creator.zeroize();
    by_joiner.zeroize();
    PairKeys { seal_in, seal_out, reset_psk: *session.export("reset") }
}

impl ContactTurn<'_, '_> {
    /// Does the next step of a redemption, if it is due.
    pub(super) fn drive_redemption(&mut self) {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let Some(joining) = contact.record.joining.clone() else { return };
        let flight = contact.volatile.first_flight;
        let waits_for_queues = contact.volatile.opening > 0;
        let can_be_reached = contact.record.queues.iter().any(OwnQueue::is_open);
        let Ok(invite) = Invite::from_bytes(&joining.invite) else { return };
        match joining.step {
            JoinStep::Left(_, at) if now > at.saturating_add(CONFIRM_WAIT) => {
                self.join_failed("the inviter did not confirm within 30 days");
            }
            JoinStep::Redeem | JoinStep::Queues(..) if now > invite.expires() => {
                self.join_failed("the invite ran out before its place, or a relay of ours, was reached");
            }
            JoinStep::Redeem if flight.in_flight == 0 && flight.due <= now => {
                let request = Request::Redeem {
                    queue: invite.address().queue,
                    deposit: invite.address().deposit.clone(),
                };
                self.first_flight(&invite, request);
            }
            JoinStep::Queues(package, since)
                if can_be_reached && (!waits_for_queues || now >= since + QUEUES_WAIT) =>
            {
                self.introduce(&invite, &package);
            }
            JoinStep::Leave(hello) | JoinStep::Left(hello, _)
                if flight.in_flight == 0 && flight.due <= now =>
            {
                let Ok(blob) = invite.hello_key().seal(&invite.address().queue, &hello, self.cx.rng) else {
                    return;
                };
                let frame = Frame {
                    deposit: DepositId::generate(self.cx.rng),
                    queue: invite.address().queue,
                    capability: invite.address().deposit.clone(),
                    blob,
                };
                self.first_flight(&invite, Request::Deposit(frame));
            }
            _ => {}
        }
    }

    /// When a redemption is to be looked at next.
    pub(super) fn next_join(&self) -> Option<Timestamp> {
        let contact = &*self.contact;
        let joining = contact.record.joining.as_ref()?;
        let flight = contact.volatile.first_flight;
        let due = (flight.in_flight == 0).then_some(flight.due);
        match joining.step {
            JoinStep::Queues(_, since) if contact.record.queues.iter().any(OwnQueue::is_open) => {
                Some(since + QUEUES_WAIT)
            }
            JoinStep::Queues(..) => {
                Invite::from_bytes(&joining.invite).ok().map(|invite| invite.expires() + 1)
            }
            JoinStep::Left(_, at) => due.into_iter().chain([at + CONFIRM_WAIT + 1]).min(),
            _ => due,
        }
    }

    fn first_flight(&mut self, invite: &Invite, request: Request) {
        self.contact.volatile.first_flight.in_flight = 1;
        let lane = Lane { role: LaneRole::Deposit, party: self.id.0 };
        self.call(invite.address().place, lane, request, Purpose::Redeem(self.id));
    }

    /// What the place of the invite answered.
    pub(super) fn joined(&mut self, outcome: Result<Response, Unreached>) {
        let now = self.cx.now;
        self.touch();
        let contact = &mut *self.contact;
        let flight = &mut contact.volatile.first_flight;
        flight.in_flight = 0;
        let Some(joining) = contact.record.joining.clone() else { return };
        match (joining.step, outcome) {
            (JoinStep::Redeem, Ok(Response::Notice(notice))) => {
                if !self.notice_arrived(&notice) {
                    self.join_failed("what waits at the invite's place is not what the invite says");
                }
            }
            (JoinStep::Leave(hello), Ok(Response::Done)) => {
                *flight = FirstFlight { due: now + HELLO_AGAIN, ..FirstFlight::default() };
                self.join_step(JoinStep::Left(hello, now));
            }
            (JoinStep::Left(..), Ok(Response::Done)) => {
                *flight = FirstFlight { due: now + HELLO_AGAIN, ..FirstFlight::default() };
            }
            // It may be there, and the inviter may close the queue before we ask again.
            (JoinStep::Leave(hello), Err(_)) => {
                flight.put_off(now);
                self.join_step(JoinStep::Left(hello, now));
            }
            (step, Ok(Response::Refused(Refusal::UnknownQueue))) if flight.tries + 1 >= GONE_AFTER => {
                match step {
                    // Left before: the inviter may have closed the queue because they confirmed us.
                    JoinStep::Left(..) => flight.due = now + HELLO_AGAIN,
                    _ => self.join_failed("the invite was used, taken back or has run out"),
                }
            }
            _ => {
                flight.put_off(now);
            }
        }
    }

    /// The inviter's key package came, from the place or by hand. Says whether it is what the invite speaks of.
    pub(super) fn notice_arrived(&mut self, notice: &QueueNotice) -> bool {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let invite =
            contact.record.joining.as_ref().and_then(|joining| Invite::from_bytes(&joining.invite).ok());
        let package = invite.and_then(|invite| invite.open_notice(notice).ok());
        let Some(package) = package.filter(|package| PeerKeyPackage::parse(package).is_ok()) else {
            return false;
        };
        contact.volatile.first_flight = FirstFlight::default();
        self.join_step(JoinStep::Queues(package, now));
        true
    }

    pub(super) fn join_step(&mut self, step: JoinStep) {
        if let Some(joining) = &mut self.contact.record.joining {
            joining.step = step;
            self.record_changed();
        }
    }

    /// Makes the group and the introduction, which carries our card.
    pub(super) fn introduce(&mut self, invite: &Invite, package: &[u8]) {
        let made = self.make_hello(invite, package);
        match made {
            Some((session, hello)) => {
                let keys = pair_keys(&session, Side::Creator);
                self.contact.record.keys = Some(keys);
                self.begin_group(Box::new(session));
                self.join_step(JoinStep::Leave(hello));
            }
            None => self.join_failed("the key package of the invite cannot be used"),
        }
    }

    fn make_hello(&mut self, invite: &Invite, package: &[u8]) -> Option<(Session, Vec<u8>)> {
        let root = self.own.root;
        // Drawn with the group: whoever comes back from a backup of before it, and makes another, has another leaf key.
        let own = OwnKeyPackage::generate(self.cx.rng, root.as_bytes()).ok()?;
        // Numbered by the clock: of two introductions of one person, with a restore in between, the later one counts.
        let version = u32::try_from(self.cx.now).unwrap_or(u32::MAX);
        let contact = &mut *self.contact;
        contact.record.own_package = own.to_bytes().to_vec();
        contact.record.card_version = contact.record.card_version.max(version);
        let card = self.sign_card()?;
        let peer = PeerKeyPackage::parse(package).ok()?;
        let psk = invite.mls_psk();
        let (mut session, welcome) = Session::create(self.cx.rng, &own, &peer, &psk).ok()?;
        let sealed = session.seal(self.cx.rng, &card, false).ok()?;
        let hello = Envelope::Hello(Hello { welcome, message: sealed.message });
        Some((session, hello.to_bytes().ok()?))
    }

    /// Introduces ourselves once more, in the same group, where our card says something else by now: its places are all
    /// that the inviter has to answer at.
    pub(super) fn refresh_introduction(&mut self) {
        let contact = &*self.contact;
        let can_be_reached = contact.record.queues.iter().any(OwnQueue::is_open);
        let Some(step) = contact.record.joining.as_ref().map(|joining| joining.step.clone()) else { return };
        let (JoinStep::Leave(hello) | JoinStep::Left(hello, _)) = &step else { return };
        if !can_be_reached || contact.volatile.first_flight.in_flight > 0 || !self.card_is_outdated() {
            return;
        }
        let Some(hello) = self.refresh_hello(hello) else { return };
        self.contact.volatile.first_flight = FirstFlight::default();
        let step = match step {
            JoinStep::Left(_, at) => JoinStep::Left(hello, at),
            _ => JoinStep::Leave(hello),
        };
        self.join_step(step);
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

    /// After a start: an introduction that was on its way may be there.
    pub(super) fn resume_joining(&mut self) {
        self.make_queues();
        let contact = &mut *self.contact;
        let step = contact.record.joining.as_ref().map(|joining| joining.step.clone());
        match step {
            Some(JoinStep::Leave(hello)) => self.join_step(JoinStep::Left(hello, self.cx.now)),
            // What came while the pod was off is collected before it gives up.
            Some(JoinStep::Left(hello, at)) => {
                let at = at.max(self.cx.now.saturating_sub(CONFIRM_WAIT - START_GRACE));
                self.join_step(JoinStep::Left(hello, at));
            }
            _ => {}
        }
    }

    pub(super) fn join_failed(&mut self, why: &str) {
        self.cx.notify(Notice::JoinFailed(self.id, why.to_owned()));
        self.follow_up(FollowUp::ForgetAttempt(self.id));
    }

    /// The inviter's card came in the conversation: contacts now.
    pub(super) fn confirmed(&mut self) {
        self.contact.record.state = ContactState::Active;
        self.contact.record.joining = None;
        self.contact.volatile.first_flight = FirstFlight::default();
        self.record_changed();
        self.cx.notify(Notice::Connected(self.id));
    }
}
