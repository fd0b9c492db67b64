//! A contact whom the owner blocks gets nothing from us any more, and must not learn why.
//!
//! Their queues stay for [`KEPT_FOR`], at the pod and at its relays: what they leave there is answered like that of any
//! contact, collected, acknowledged to the relay, and dropped unread. So for them the pod is like one that is away.
//! After that the queues are left to themselves, as they are when a pod is gone for good: nobody collects, and each relay
//! forgets them in its own time.

use super::{
    answer::RefusedBecause, contact_turn::ContactTurn, context::CommandResult, effect::ContactChange,
    own_queue::QueueState, states::Timestamp,
};

/// Seconds for which the queues of a contact who is blocked are kept: 30 days, a third more than messages wait for their
/// receipt. Whoever sends sees them expire, and has got the same answers until then.
const KEPT_FOR: u64 = 30 * 24 * 60 * 60;

impl ContactTurn<'_, '_> {
    /// Blocks a contact, or lifts that. A group that was lost meanwhile is made anew.
    /// # Errors
    /// [`RefusedBecause::Conflict`] for one who is no contact.
    pub(super) fn set_blocked(&mut self, blocked: bool) -> CommandResult {
        if blocked {
            self.redeemer_was_heard();
        }
        let changed = self.contact.record_mut().set_blocked(blocked);
        let no_contact = || RefusedBecause::Conflict("only a contact can be blocked; remove this one".into());
        match (changed.ok_or_else(no_contact)?, blocked) {
            (true, true) => self.block(),
            (true, false) => self.unblock(),
            (false, _) => {}
        }
        self.record_changed();
        self.view()
    }

    /// From now on frames of theirs are dropped. What is counted of their queues begins anew one day.
    fn block(&mut self) {
        self.contact.record_mut().blocked_since = Some(self.cx.now);
        self.contact.volatile.audits.clear();
        self.thread_changed_quietly();
    }

    /// A receipt shows that we are there again: they send again what was dropped.
    fn unblock(&mut self) {
        self.contact.record_mut().blocked_since = None;
        self.make_queues();
        if self.has_session() {
            self.owe_receipt(true);
        } else {
            self.group_is_lost();
        }
        self.cx.contact_changed(self.id, ContactChange::Connected);
    }

    /// When the queues of one who is blocked are left to themselves. None of anybody else.
    pub(super) fn next_end_of_keeping(&self) -> Option<Timestamp> {
        let since = self.contact.record().blocked_since.filter(|_| self.cx.clock_is_right)?;
        Some(since.saturating_add(KEPT_FOR))
    }

    /// Leaves the queues of one who is blocked to themselves, once it is time. Nothing is closed: a relay would answer
    /// otherwise from then on.
    pub(super) fn end_keeping(&mut self) {
        if self.next_end_of_keeping().is_none_or(|at| at > self.cx.now) {
            return;
        }
        let (record, volatile) = self.contact.split_mut();
        record.blocked_since = None;
        for queue in record.queues_mut().map(|queues| &mut queues.all).into_iter().flatten() {
            self.network.forget(&queue.id());
            if !self.network.is_home(&queue.place) && queue.is_open() {
                queue.state = QueueState::Closed;
            }
        }
        volatile.lost.clear();
        self.record_changed();
    }
}
