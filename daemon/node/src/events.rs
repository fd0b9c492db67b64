//! The last events, kept so that a listener that was away can resume.
//!
//! Numbers of events grow by one and are never used again. A listener that resumes behind number n gets every later event
//! that is still kept, and hears of a gap where one is not: it then asks for the present state in place of the events.

use serde::{Deserialize, Serialize};

use super::{
    Timestamp,
    row::{Row, tag},
    table::{self, Held, Table},
};
use autonomy_api::{Event, EventKind, PaymentId};

/// Events kept. A busy day of a person makes some tens; 1,024 of about 200 bytes are 200 kB.
pub const MAX_EVENTS: usize = 1024;
/// Of these, so many may be talk: who writes much, or pays and takes back, pushes out what others wrote, and never the last
/// 256 of what devices, payments and relays did.
const MAX_TALK_EVENTS: usize = 768;
/// Of these, so many may be of one payment, which a node may take and lose again as often as it likes: a payment that goes
/// its way makes five.
const MAX_PAYMENT_EVENTS: usize = 16;
/// Events given in one answer.
pub(super) const MAX_EVENTS_PER_ANSWER: usize = 256;

/// Events by number.
pub(crate) static EVENTS: Table<u64, EventRecord> = Table::new(tag::EVENT);

/// An event as it is kept: what happened stands in bytes, so that later versions of the API need not know its shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRecord {
    at: Timestamp,
    /// Whether it counts as talk, see [`MAX_TALK_EVENTS`].
    talk: bool,
    /// Of which payment it is, if of any.
    #[serde(default)]
    payment: Option<PaymentId>,
    /// CBOR of its [`EventKind`].
    #[serde(with = "serde_bytes")]
    kind: Vec<u8>,
}

impl EventRecord {
    #[expect(clippy::expect_used, reason = "events are plain data, and a vector takes every byte")]
    fn of(event: &Event) -> Self {
        let mut kind = Vec::new();
        ciborium::into_writer(&event.kind, &mut kind)
            .expect("events are plain data, and a vector takes every byte");
        let payment = match &event.kind {
            EventKind::PaymentChanged { payment, .. } => Some(*payment),
            _ => None,
        };
        Self { at: event.at, talk: is_talk(&event.kind), payment, kind }
    }

    /// The event; none where another version of the program wrote it in another shape: listeners hear of a gap then.
    fn read(&self, id: u64) -> Option<Event> {
        Some(Event { id, at: self.at, kind: table::whole(&self.kind).ok()? })
    }
}

/// The last events, by id.
#[derive(Debug, PartialEq)]
pub(super) struct Events(pub(super) Held<u64, EventRecord>);

impl Default for Events {
    fn default() -> Self {
        Self(Held::new(&EVENTS))
    }
}

impl Events {
    /// Rows that keep `event`, and let go of another where there are [`MAX_EVENTS`] already. One row or two: the cost of an
    /// event does not grow with their number.
    pub(super) fn keep(&mut self, event: &Event) -> Vec<Row> {
        let record = EventRecord::of(event);
        let full = self.0.len() >= MAX_EVENTS;
        let dispensable = self.surplus(record.payment).or_else(|| full.then(|| self.dispensable()).flatten());
        let kept = self.0.put(event.id, record);
        [Some(kept), dispensable.map(|id| self.0.remove(&id))].into_iter().flatten().collect()
    }

    /// The oldest event of a payment that has as many as it may have.
    fn surplus(&self, payment: Option<PaymentId>) -> Option<u64> {
        let of_payment =
            || self.0.iter().filter(|(_, event)| event.payment.is_some_and(|it| Some(it) == payment));
        let oldest = || of_payment().next().map(|(id, _)| *id);
        (of_payment().count() >= MAX_PAYMENT_EVENTS).then(oldest).flatten()
    }

    /// Which event goes to make room: the oldest; or the oldest talk, where talk takes all of its share.
    fn dispensable(&self) -> Option<u64> {
        let talk = || self.0.iter().filter(|(_, event)| event.talk).map(|(id, _)| *id);
        if talk().count() >= MAX_TALK_EVENTS { talk().next() } else { self.0.keys().next().copied() }
    }

    /// Events after `after`, oldest first, led by a [`EventKind::Gap`] where some before or among them are no longer
    /// kept, or cannot be read. Where none of them can be read the gap stands alone, and the next event is the oldest.
    pub(super) fn after(&self, after: u64, now: Timestamp) -> Vec<Event> {
        let newer = || self.0.range(after.saturating_add(1)..);
        let readable = newer().filter_map(|(id, event)| event.read(*id));
        let mut events: Vec<Event> = readable.take(MAX_EVENTS_PER_ANSWER).collect();
        let Some(last) =
            events.last().map(|event| event.id).or_else(|| newer().next_back().map(|(id, _)| *id))
        else {
            return events;
        };
        if last - after > events.len() as u64 {
            events.insert(0, gap(events.first().map_or(last + 1, |first| first.id), now));
        }
        events
    }
}

/// What a listener hears in place of the events before `oldest`. A listener resumes behind its number.
fn gap(oldest: u64, now: Timestamp) -> Event {
    Event { id: oldest - 1, at: now, kind: EventKind::Gap { oldest } }
}

/// Whether others make it happen by writing to us or paying us, as often as they like.
fn is_talk(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::MessageReceived { .. }
            | EventKind::MessageDelivered { .. }
            | EventKind::MessageExpired { .. }
            | EventKind::FileOffered { .. }
            | EventKind::FileReceived { .. }
            | EventKind::FileDelivered { .. }
            | EventKind::FileCancelled { .. }
            | EventKind::ContactChanged { .. }
            | EventKind::ContactRekeyed { .. }
            | EventKind::TransactionSeen { .. }
            | EventKind::TransactionUnconfirmed { .. }
            | EventKind::TransactionConfirmed { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use autonomy_api::{ContactId, InviteId};

    fn happens(events: &mut Events, id: u64, kind: EventKind) {
        let _rows = events.keep(&Event { id, at: 1, kind });
    }

    fn message() -> EventKind {
        EventKind::MessageReceived { contact: ContactId([1; 16]), number: 1 }
    }

    fn invite() -> EventKind {
        EventKind::InviteReady { invite: InviteId([1; 8]) }
    }

    fn all(events: &Events, after: u64) -> Vec<Event> {
        let mut all: Vec<Event> = events.after(after, 1);
        while let Some(last) = all.last() {
            match events.after(last.id, 1) {
                page if page.is_empty() => break,
                page => all.extend(page),
            }
        }
        all
    }

    #[test]
    fn who_writes_without_end_pushes_out_talk_and_nothing_else() {
        let mut events = Events::default();
        let others = (MAX_EVENTS - MAX_TALK_EVENTS) as u64;
        (1..=others).for_each(|id| happens(&mut events, id, invite()));
        let last = others + 3 * MAX_EVENTS as u64;
        (others + 1..=last).for_each(|id| happens(&mut events, id, message()));
        assert_eq!(events.0.len(), MAX_EVENTS);
        let ids: Vec<u64> = events.0.keys().copied().collect();
        let talk = last - MAX_TALK_EVENTS as u64 + 1..=last;
        assert_eq!(ids, (1..=others).chain(talk).collect::<Vec<_>>());
    }

    #[test]
    fn payment_that_comes_and_goes_pushes_out_its_own_events() {
        use autonomy_api::PaymentState;
        let mut events = Events::default();
        happens(&mut events, 1, invite());
        let kind = |byte| EventKind::PaymentChanged {
            payment: PaymentId([byte; 16]),
            account: autonomy_wallet::account::AccountId::from_bytes([3; 16]),
            state: PaymentState::Seen,
            detail: None,
        };
        (2..500).for_each(|id| happens(&mut events, id, kind(u8::from(id == 2))));
        let kept: Vec<u64> = events.0.keys().copied().collect();
        assert_eq!(kept, [1, 2].into_iter().chain(500 - MAX_PAYMENT_EVENTS as u64..500).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_talk_has_all_places_when_nobody_writes() {
        let mut events = Events::default();
        let last = MAX_EVENTS as u64 + 10;
        (1..=last).for_each(|id| happens(&mut events, id, invite()));
        assert_eq!(events.0.keys().copied().collect::<Vec<_>>(), (11..=last).collect::<Vec<_>>());
    }

    #[test]
    fn a_listener_is_told_what_it_cannot_be_told_any_more() {
        let mut events = Events::default();
        assert_eq!(all(&events, 0), []);
        (1..=10).for_each(|id| happens(&mut events, id, invite()));
        assert_eq!(
            all(&events, 3).iter().map(|event| event.id).collect::<Vec<_>>(),
            (4..=10).collect::<Vec<_>>()
        );
        assert_eq!(all(&events, 10), []);
        [1, 2, 6].into_iter().for_each(|id| drop(events.0.remove(&id)));
        let gap = |oldest| gap(oldest, 1);
        assert_eq!(all(&events, 0)[0], gap(3), "the first are gone");
        assert_eq!(all(&events, 4)[0], gap(5), "one in the middle is gone");
        assert_eq!(all(&events, 6)[0].id, 7, "nothing after it is");
    }

    /// As another version of the program keeps an event: in a shape that this one does not know.
    fn becomes_unreadable(events: &mut Events, id: u64) {
        let record = EventRecord { kind: vec![0xff], ..events.0[&id].clone() };
        let _row = events.0.put(id, record);
    }

    #[test]
    fn an_unreadable_event_is_told_as_a_gap() {
        let mut events = Events::default();
        (1..=6).for_each(|id| happens(&mut events, id, invite()));
        becomes_unreadable(&mut events, 2);
        let ids = |events: &[Event]| events.iter().map(|event| event.id).collect::<Vec<_>>();
        let told = all(&events, 0);
        assert_eq!(told[0], gap(1, 1), "what is left out stands among those that are told");
        assert_eq!(ids(&told), [0, 1, 3, 4, 5, 6]);
        assert_eq!(ids(&all(&events, 2)), [3, 4, 5, 6], "it lies before what was asked for");
    }

    #[test]
    fn a_gap_stands_alone_where_no_newer_event_is_readable() {
        let mut events = Events::default();
        (1..=6).for_each(|id| happens(&mut events, id, invite()));
        [5, 6].into_iter().for_each(|id| becomes_unreadable(&mut events, id));
        assert_eq!(events.after(4, 1), [gap(7, 1)]);
        assert_eq!(events.after(5, 1), [gap(7, 1)]);
        assert_eq!(events.after(6, 1), [], "a listener that resumes behind the gap has heard of it");
        assert_eq!(all(&events, 3).last(), Some(&gap(7, 1)), "page by page, the end is reached");
        happens(&mut events, 7, invite());
        assert_eq!(events.after(4, 1).iter().map(|event| event.id).collect::<Vec<_>>(), [6, 7]);
    }
}
