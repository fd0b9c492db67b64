//! A Tor network in which a relay is always about to die.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use autonomy_testnet::{
    clock,
    tor_network::{TorError, TorNetwork},
};

use super::DemoError;

/// How long a killed relay is away: circuits through it are gone at once, and clients learn of it by dialling.
const AWAY: Duration = Duration::from_secs(10);

/// Does `act` while every `every` one Tor relay is killed, each in its turn, and started again a little later. Gives
/// how many were, too.
pub(super) fn during<T>(
    tor: &TorNetwork,
    every: Duration,
    act: impl FnOnce() -> Result<T, DemoError>,
) -> Result<(T, usize), DemoError> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let killer = scope.spawn(|| kill_in_turn(tor, every, &over));
        let outcome = act();
        over.store(true, Ordering::SeqCst);
        let killed = killer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((outcome?, killed?))
    })
}

fn kill_in_turn(tor: &TorNetwork, every: Duration, over: &AtomicBool) -> Result<usize, TorError> {
    let ends_within =
        |time| clock::wait_until(time, || over.load(Ordering::SeqCst)).is_ok() || clock::interrupted();
    let mut killed = 0;
    while !ends_within(every.saturating_sub(AWAY)) {
        let relay = killed % tor.relays();
        tor.kill_relay(relay);
        killed += 1;
        // It comes back in any case: the next act finds the network whole.
        ends_within(AWAY);
        tor.restart_relay(relay)?;
    }
    Ok(killed)
}
