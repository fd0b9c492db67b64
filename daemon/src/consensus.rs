//! Which consensus Tor works with: what time it is, by somebody else's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autonomy_node::Timestamp;
use autonomy_onion::Tor;
use tokio::sync::watch;

/// Pause between two looks: a new consensus comes once an hour, and the first within a minute of a start.
const LOOK: Duration = Duration::from_secs(20);

/// Looks at Tor's consensus.
#[derive(Debug, Default)]
pub(crate) struct ConsensusWatch {
    /// When the newest one so far begins and ends.
    known: Option<(Timestamp, Timestamp)>,
}

impl ConsensusWatch {
    /// Waits for another consensus than the last: gives from when until when it is valid, or `None` once `stop` turns true.
    pub(crate) async fn next(
        &mut self,
        tor: &Tor,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<(Timestamp, Timestamp)> {
        loop {
            let validity = tor.consensus().map(|(from, until)| (seconds(from), seconds(until)));
            if let Some(validity) = validity.filter(|validity| self.known != Some(*validity)) {
                self.known = Some(validity);
                return Some(validity);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.wait_for(|stop| *stop) => return None,
            }
        }
    }
}

fn seconds(time: SystemTime) -> Timestamp {
    time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
