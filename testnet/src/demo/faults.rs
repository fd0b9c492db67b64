//! A Tor network whose relays fail one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use autonomy_testnet::{
    clock,
    tor_network::{TorError, TorNetwork},
};

use super::DemoError;

/// How long a relay is away. Circuits through a killed one end at once, and clients notice it by
/// dialling.
const AWAY: Duration = Duration::from_secs(10);

/// Which faults happen, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct RelayFaults {
    /// From the end of one relay to the end of the next.
    pub(super) every: Duration,
    /// Whether every second relay falls silent with open connections, while the others are killed.
    pub(super) silent_too: bool,
}

impl RelayFaults {
    /// Runs `act` while Tor relays fail in turn and come back a little later. Returns how many
    /// failed too.
    ///
    /// # Errors
    /// `act` failed, or a relay could not be restarted.
    pub(super) fn during<T>(
        self,
        tor: &TorNetwork,
        act: impl FnOnce() -> Result<T, DemoError>,
    ) -> Result<(T, usize), DemoError> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let injector = scope.spawn(|| self.inject(tor, &over));
            let outcome = act();
            over.store(true, Ordering::SeqCst);
            let injected = injector.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((outcome?, injected?))
        })
    }

    /// Fails one relay after the other until `over`, and restores each. Returns how many failed.
    fn inject(self, tor: &TorNetwork, over: &AtomicBool) -> Result<usize, TorError> {
        let ends_within =
            |time| clock::wait_until(time, || over.load(Ordering::SeqCst)).is_ok() || clock::interrupted();
        let mut injected = 0;
        while !ends_within(self.every.saturating_sub(AWAY)) {
            let (relay, silent) = (injected % tor.relays(), self.silent_too && injected % 2 == 1);
            injected += 1;
            if silent {
                tor.freeze_relay(relay)
            } else {
                tor.kill_relay(relay)
            }
            // It comes back in any case: the next act finds the network whole.
            ends_within(AWAY);
            if silent { tor.thaw_relay(relay) } else { tor.restart_relay(relay)? }
        }
        Ok(injected)
    }
}
