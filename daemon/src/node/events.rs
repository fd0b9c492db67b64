//! The last events, kept so that a listener that was away can resume.

use std::collections::BTreeMap;

use super::{Timestamp, row::Row};
use crate::api::types::{Event, EventKind};

/// Events kept. A busy day of a person makes some tens; 1,024 of about 200 bytes are 200 kB.
pub const MAX_EVENTS: usize = 1024;
/// Events given in one answer.
pub(super) const MAX_EVENTS_PER_ANSWER: usize = 256;

/// The last events, by id.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Events(BTreeMap<u64, Event>);

impl Events {
    /// Rows that keep `event` and let go of the oldest beyond the bound.
    pub(super) fn keep(&self, event: &Event) -> Vec<Row> {
        let mut rows = vec![Row::Event(event.id, Some(event.clone()))];
        let surplus = (self.0.len() + 1).saturating_sub(MAX_EVENTS);
        rows.extend(self.0.keys().take(surplus).map(|id| Row::Event(*id, None)));
        rows
    }

    /// Events after `after`, oldest first, led by a [`EventKind::Gap`] where some are no longer kept.
    pub(super) fn after(&self, after: u64, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(oldest) = self.0.keys().next().copied().filter(|oldest| *oldest > after.saturating_add(1))
        {
            events.push(Event { id: oldest - 1, at: now, kind: EventKind::Gap { oldest } });
        }
        let newer = self.0.range(after.saturating_add(1)..).map(|(_, event)| event.clone());
        events.extend(newer.take(MAX_EVENTS_PER_ANSWER));
        events
    }

    pub(super) fn apply(&mut self, id: u64, value: Option<&Event>) {
        match value {
            Some(value) => drop(self.0.insert(id, value.clone())),
            None => drop(self.0.remove(&id)),
        }
    }
}
