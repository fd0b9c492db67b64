//! State changes of a running pod, for the code that started it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::server::routes::OnionState;
use autonomy_api::{ServiceState, place::OnionAddress};

/// What happens while a pod runs, for whoever started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// The pod answers at its socket.
    SocketReady,
    /// Tor starts: percent done.
    Bootstrap(u8),
    /// The pod has no owner yet and waits for `pod adopt`. It starts no onion service until then.
    WaitsForOwner,
    /// A service changed: its name (`app` or `peer`), address and state.
    Service {
        /// `app` or `peer`.
        name: &'static str,
        /// Where it is, once it is launched.
        address: Option<OnionAddress>,
        /// How far it is.
        state: ServiceState,
    },
    /// Something the owner should know.
    Warning(String),
    /// The pod ends.
    Stopping,
}

/// Called for each event of a running pod, from the pod's tasks: it must not block.
pub type RunObserver = Arc<dyn Fn(RunEvent) + Send + Sync>;

/// Reports changes of Tor and of the services, each once: only a changed percentage, state or
/// warning makes an event.
pub(super) async fn report(
    mut onion: watch::Receiver<OnionState>,
    observer: RunObserver,
    mut stop: watch::Receiver<bool>,
) {
    let mut before = OnionState::default();
    loop {
        tokio::select! {
            changed = onion.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = onion.borrow_and_update().clone();
        if now.bootstrap_percent != before.bootstrap_percent {
            observer(RunEvent::Bootstrap(now.bootstrap_percent));
        }
        let services = [("app", &now.app, &before.app), ("peer", &now.peer, &before.peer)];
        for (name, service, was) in services {
            let Some(status) = service else { continue };
            if was.as_ref().map(|was| &was.state) != Some(&status.state) {
                observer(RunEvent::Service { name, address: status.address, state: status.state });
            }
        }
        let known = before.warnings();
        for warning in now.warnings().into_iter().filter(|warning| !known.contains(warning)) {
            observer(RunEvent::Warning(warning));
        }
        before = now;
    }
}
