//! Ctrl-C and SIGTERM. The first one ends all waits, so that everything is stopped in order; the
//! second one ends the program at once, and the kernel ends everything it started.

use autonomy_testnet::clock;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Starts to listen for signals. Where that fails, a signal ends the program at once, as by
/// default.
pub(crate) fn on_signals() {
    if let Ok(signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        #[expect(clippy::disallowed_methods, reason = "signals come at any time")]
        std::thread::spawn(move || listen(signals));
    }
}

/// Handles signals for as long as the program runs.
fn listen(mut signals: Signals) {
    for signal in signals.forever() {
        if clock::interrupted() {
            std::process::exit(128 + signal);
        }
        clock::interrupt();
    }
}
