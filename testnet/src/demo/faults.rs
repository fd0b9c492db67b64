//! A Tor network in which a relay is always about to die.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use autonomy_testnet::{
    clock,
    tor_network::{TorError, TorNetwork},
};

use super::DemoError;

/// How long a relay is away: circuits through a killed one are gone at once, and clients learn of it by dialling.
const AWAY: Duration = Duration::from_secs(10);

/// What goes wrong, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unrest {
    /// From one relay's end to the next one's.
    pub(super) every: Duration,
    /// Whether every second one falls silent, with its connections open, where the others are killed.
    pub(super) silent_too: bool,
}

impl Unrest {
    /// Does `act` while Tor relays go away, each in its turn, and come back a little later. Gives how many did, too.
    pub(super) fn during<T>(
        self,
        tor: &TorNetwork,
        act: impl FnOnce() -> Result<T, DemoError>,
    ) -> Result<(T, usize), DemoError> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let harm = scope.spawn(|| self.harm(tor, &over));
            let outcome = act();
            over.store(true, Ordering::SeqCst);
            let harmed = harm.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((outcome?, harmed?))
        })
    }

    fn harm(self, tor: &TorNetwork, over: &AtomicBool) -> Result<usize, TorError> {
        let ends_within =
            |time| clock::wait_until(time, || over.load(Ordering::SeqCst)).is_ok() || clock::interrupted();
        let mut harmed = 0;
        while !ends_within(self.every.saturating_sub(AWAY)) {
            let (relay, silent) = (harmed % tor.relays(), self.silent_too && harmed % 2 == 1);
            harmed += 1;
            if silent {
                tor.freeze_relay(relay)
            } else {
                tor.kill_relay(relay)
            }
            // It comes back in any case: the next act finds the network whole.
            ends_within(AWAY);
            if silent { tor.thaw_relay(relay) } else { tor.restart_relay(relay)? }
        }
        Ok(harmed)
    }
}
