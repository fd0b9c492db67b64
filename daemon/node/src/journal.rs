//! What every part may move on: counters that only grow, and the events that devices hear of.

use serde::{Deserialize, Serialize};

use super::{
    Timestamp,
    events::Events,
    row::{Row, tag},
    table::{Restore, Single, Table},
};
use autonomy_api::{Event, EventKind};

/// Counters that only grow.
pub static COUNTERS: Table<(), Counters> = Table::new(tag::COUNTERS);

/// Counters that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Grows with everything that must never be forgotten: a debit, a change of devices, an account.
    pub state_epoch: u64,
    /// The next account number to offer; a number is never offered twice.
    pub next_account: u32,
    /// Id of the next event.
    pub next_event: u64,
}

/// The counters and the last events. Each change gives its rows.
#[derive(Debug, PartialEq)]
pub(super) struct Journal {
    counters: Single<Counters>,
    events: Events,
}

impl Default for Journal {
    fn default() -> Self {
        Self { counters: Single::new(&COUNTERS, Counters::default()), events: Events::default() }
    }
}

impl Journal {
    /// What of it is restored row by row.
    pub(super) fn tables(&mut self) -> [&mut dyn Restore; 2] {
        [&mut self.counters, &mut self.events.0]
    }

    /// See [`Counters::state_epoch`].
    pub(super) fn state_epoch(&self) -> u64 {
        self.counters.state_epoch
    }

    /// Sets the state epoch. A device that saw a higher one refuses this pod, so it must never go back.
    pub(super) fn set_state_epoch(&mut self, state_epoch: u64) -> Row {
        self.counters.put(Counters { state_epoch, ..*self.counters })
    }

    /// The account number to offer now.
    pub(super) fn next_account(&self) -> u32 {
        self.counters.next_account
    }

    /// Burns the account number that was offered: it is never offered again, whether or not the account is made.
    pub(super) fn burn_account(&mut self) -> Row {
        let next_account = self.counters.next_account.saturating_add(1);
        self.counters.put(Counters { next_account, ..*self.counters })
    }

    /// Numbers an event and keeps it.
    pub(super) fn keep(&mut self, at: Timestamp, kind: EventKind) -> (Event, Vec<Row>) {
        let next_event = self.counters.next_event + 1;
        let mut rows = vec![self.counters.put(Counters { next_event, ..*self.counters })];
        let event = Event { id: next_event, at, kind };
        rows.extend(self.events.keep(&event));
        (event, rows)
    }

    /// See [`Events::after`].
    pub(super) fn events_after(&self, after: u64, now: Timestamp) -> Vec<Event> {
        self.events.after(after, now)
    }
}
