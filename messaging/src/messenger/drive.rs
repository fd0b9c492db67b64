//! What is due for one contact, and when it is to be looked at next.
//!
//! There are no timers: each topic says from its state when it wants to be looked at next, and the earliest of those
//! moments is the contact's wake. Looking too often does no harm, for every step asks whether it is due.

use super::{contact_turn::ContactTurn, files::FileEvent, states::ContactState};
use crate::ratchet::Session;

impl ContactTurn<'_, '_> {
    /// After a start: queues are asked for, what waits is numbered anew, and a group that is not in the rows is made anew.
    ///
    /// A group that is missing while the contact is there means that the rows come from a backup.
    pub(super) fn resume_after_start(&mut self) {
        self.touch();
        match self.contact.record().state() {
            ContactState::Active => self.make_queues_in_turn(),
            ContactState::Joining => self.resume_joining(),
            ContactState::Blocked => self.leave_other_places(),
            ContactState::Asking | ContactState::Known => {}
        }
        if !self.has_session() {
            self.group_is_lost();
        } else if !std::mem::replace(&mut self.contact.volatile.is_numbered, true) {
            self.contact.conversation.number_anew(self.cx, self.id);
            self.thread_changed_quietly();
        }
    }

    /// The clock was found right or not.
    pub(super) fn clock_judged(&mut self) {
        if self.cx.clock_is_right {
            self.contact.conversation.date_anew(self.cx, self.id);
        }
        self.touch();
    }

    /// The clock went back: pauses that were measured by it are over, or they would last until it is there again.
    pub(super) fn clock_went_back(&mut self) {
        let (now, volatile) = (self.cx.now, &mut self.contact.volatile);
        volatile.first_flight.clock_went_back();
        volatile.open_at = volatile.open_at.min(now);
        volatile.last_reset = volatile.last_reset.min(now);
        volatile.audits.values_mut().for_each(|audit| audit.clock_went_back(now));
        self.touch();
    }

    /// Does whatever is due.
    ///
    /// Queues first, since cards name them; the reset before frames, since nothing else is said while it waits.
    pub(super) fn drive_contact(&mut self) {
        // In every stage: the room of cancelled files is wanted back from those who are blocked, too.
        self.wake_files();
        match self.contact.record().state() {
            ContactState::Joining => {
                self.open_queues();
                self.refresh_introduction();
                self.drive_redemption();
            }
            ContactState::Active => {
                self.open_queues();
                self.refresh_card();
                self.expire();
                self.check_relay_audits();
                self.drive_reset();
                self.pump();
            }
            ContactState::Blocked => {
                self.open_queues();
                self.end_keeping();
            }
            ContactState::Asking | ContactState::Known => {}
        }
        self.set_wake();
    }

    /// Notes when the contact is to be looked at next.
    ///
    /// Never now: what could not be done in this turn would be tried over and over within it.
    pub(super) fn set_wake(&mut self) {
        let next = [
            self.next_join(),
            self.next_opening(),
            self.next_card(),
            self.next_reset(),
            self.next_delivery(),
            self.contact.files.next_wake(self.cx.now, self.cx.clock_is_right),
            self.next_suspicion(),
            self.next_end_of_keeping(),
        ];
        let next = next.into_iter().flatten().min().map(|at| at.max(self.cx.now + 1));
        let before = std::mem::replace(&mut self.contact.volatile.wake, next);
        self.work.wakes.extend(next.map(|at| (at, self.id)));
        if let Some(at) = before.filter(|at| Some(*at) != next) {
            self.work.wakes.remove(&(at, self.id));
        }
    }

    /// Takes a group into use: the first, or one in place of another. Everything that waits is numbered anew.
    ///
    /// Both directions begin at number 0, and files learn anew what the contact has.
    pub(super) fn begin_group(&mut self, session: Box<Session>) {
        self.keep_session(session);
        self.contact.conversation.restart(self.cx, self.id);
        self.contact.volatile.is_numbered = true;
        self.contact.volatile.courier.forget_deliveries();
        self.file_event(FileEvent::GroupBegan);
        self.thread_changed();
    }
}
