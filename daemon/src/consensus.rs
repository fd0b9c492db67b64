//! Tells the node which consensus Tor works with: what time it is, by somebody else's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autonomy_onion::Tor;
use tokio::sync::watch;

use crate::driver::Handle;

/// Pause between two looks: a new consensus comes once an hour, and the first within a minute of a start.
const LOOK: Duration = Duration::from_secs(20);

/// Looks at Tor's consensus until the pod stops, and hands on each new one.
pub(super) async fn watch(tor: &Tor, node: &Handle, mut stop: watch::Receiver<bool>) {
    let mut known = None;
    loop {
        let validity = tor.consensus().map(|(from, until)| (seconds(from), seconds(until)));
        if let Some((from, until)) = validity.filter(|validity| known != Some(*validity)) {
            known = validity;
            if !node.consensus(from, until).await {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
