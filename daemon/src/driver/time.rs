//! What time it is for the node: this machine's clock, held against Tor's consensus and the chain
//! ([`Clock`]).

use std::time::{SystemTime, UNIX_EPOCH};

use autonomy_node::{
    ChainEvent, Input, Timestamp,
    clock::{Clock, Moment},
};
use tokio::{sync::watch, time::Instant};

use super::{Driver, StoreFailed, batch::Batch};

/// What is known of the time since the driver started.
pub(super) struct Time {
    clock: Clock,
    started: Instant,
    /// What the node was told last.
    told: bool,
    /// The store is not written anew before this time.
    pub(super) no_renewal_before: Timestamp,
    /// What the owner should know of this machine's clock.
    warning: watch::Sender<Option<String>>,
}

impl Time {
    /// Nothing has told yet. Warnings go to `warning`.
    pub(super) fn new(warning: watch::Sender<Option<String>>) -> Self {
        Self { clock: Clock::new(), started: Instant::now(), told: false, no_renewal_before: 0, warning }
    }

    /// What time it is now.
    pub(super) fn read(&self) -> Moment {
        self.clock.read(now(), self.steady())
    }

    /// Tor works with a consensus of this validity.
    pub(super) fn consensus(&mut self, valid_after: Timestamp, valid_until: Timestamp) {
        self.clock.consensus(valid_after, valid_until, self.steady());
    }

    /// Another life of the node knows nothing of the clock.
    pub(super) fn forget_told(&mut self) {
        self.told = false;
    }

    /// The last block of the chain tells the time too.
    fn look_at(&mut self, input: &Input) {
        let Input::Chain(event) = input else { return };
        let time = match event {
            ChainEvent::Block { block, .. } => block.header.time,
            ChainEvent::Header { header, .. } => header.time,
            _ => return,
        };
        self.clock.tip(time.into(), self.steady());
    }

    fn steady(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Tells the owner where this machine's clock is wrong.
    fn warn(&self, moment: &Moment) {
        let warning = moment.warning();
        self.warning.send_if_modified(|shown| {
            let changed = *shown != warning;
            if changed && let Some(warning) = &warning {
                tracing::warn!("{warning}");
            }
            *shown = warning;
            changed
        });
    }
}

impl Driver {
    /// Tells the node whether the clock is right, where that has changed. Gives what time it is.
    ///
    /// # Errors
    /// The store is damaged.
    pub(super) fn judge_clock(&mut self, batch: &mut Batch) -> Result<(), StoreFailed> {
        let moment = self.time.read();
        self.time.warn(&moment);
        if self.time.told != moment.is_right {
            self.time.told = moment.is_right;
            self.take(batch, Input::Clock { is_right: moment.is_right }, None)?;
        }
        Ok(())
    }

    /// Notes what an input tells of the time.
    pub(super) fn note_time(&mut self, input: &Input) {
        self.time.look_at(input);
    }
}

/// This machine's clock, seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the node is given the time here, and nowhere else")]
#[must_use]
pub fn now() -> Timestamp {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
