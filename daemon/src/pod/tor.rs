//! A Tor client that the pods of a process share.

use std::{sync::Arc, time::Duration};

use autonomy_onion::{BootstrapProgress, Tor, TorConfig};
use tokio::sync::watch;

use crate::server::routes::OnionState;

/// Pause between two tries to start Tor.
const BOOTSTRAP_RETRY: Duration = Duration::from_secs(10);

/// A Tor client, running or to be started. Cheap to clone; Tor and the services on it end with the
/// last clone.
#[derive(Clone, Debug)]
pub struct SharedTor {
    /// How far the start is.
    state: watch::Receiver<TorState>,
    /// Set by the first pod that needs Tor.
    wanted: Arc<watch::Sender<bool>>,
}

/// How far the start of Tor is.
#[derive(Clone, Debug, Default)]
struct TorState {
    /// From 0 to 100.
    percent: u8,
    /// Why the last try failed.
    warning: Option<String>,
    /// The client, once it can dial.
    client: Option<Tor>,
}

impl SharedTor {
    /// Tor that is started on the current runtime as soon as a pod with an owner needs it. A failed
    /// start is repeated every `BOOTSTRAP_RETRY`.
    #[must_use]
    pub fn on_demand(config: TorConfig) -> Self {
        let (state, seen) = watch::channel(TorState::default());
        let (wanted, asked) = watch::channel(false);
        drop(super::spawn(keep(config, state, asked)));
        Self { state: seen, wanted: Arc::new(wanted) }
    }

    /// Tor that runs already.
    #[must_use]
    pub fn running(client: Tor) -> Self {
        let (_, state) = watch::channel(TorState { percent: 100, warning: None, client: Some(client) });
        Self { state, wanted: Arc::new(watch::Sender::new(true)) }
    }

    /// Waits until Tor runs, and shows the progress in `onion`. `None` where `stop` turns true
    /// first.
    ///
    /// The first call makes Tor start; a pod without an owner therefore never connects to the
    /// network.
    pub(super) async fn client(
        &self,
        onion: &watch::Sender<OnionState>,
        mut stop: watch::Receiver<bool>,
    ) -> Option<Tor> {
        self.wanted.send_replace(true);
        let mut state = self.state.clone();
        loop {
            let now = state.borrow_and_update().clone();
            onion.send_modify(|onion| {
                onion.bootstrap_percent = now.percent;
                onion.warnings = now.warning.into_iter().collect();
            });
            if now.client.is_some() {
                return now.client;
            }
            tokio::select! {
                changed = state.changed() => changed.ok()?,
                _ = stop.wait_for(|stop| *stop) => return None,
            }
        }
    }
}

/// Starts Tor once it is wanted, and keeps it until nobody shares it any more.
async fn keep(config: TorConfig, state: watch::Sender<TorState>, mut wanted: watch::Receiver<bool>) {
    // Whoever could want it is gone where this fails.
    let Ok(true) = wanted.wait_for(|wanted| *wanted).await.map(|wanted| *wanted) else { return };
    tokio::select! {
        () = bootstrap(&config, &state) => state.closed().await,
        () = state.closed() => {}
    }
}

/// Tries to start Tor until it succeeds, and shows why it did not.
///
/// An error of Tor is rarely final, for example while the machine is offline, so there is no last
/// try.
async fn bootstrap(config: &TorConfig, state: &watch::Sender<TorState>) {
    let show = |progress: BootstrapProgress| {
        let percent = (progress.fraction * 100.0).clamp(0.0, 100.0) as u8;
        state.send_modify(|state| state.percent = percent);
    };
    loop {
        match Tor::bootstrap(config.clone(), show).await {
            Ok(client) => {
                state.send_replace(TorState { percent: 100, warning: None, client: Some(client) });
                return;
            }
            Err(error) => {
                tracing::warn!("Tor does not start: {error}");
                let warning = Some(format!("Tor does not start: {error}"));
                state.send_modify(|state| state.warning = warning);
            }
        }
        tokio::time::sleep(BOOTSTRAP_RETRY).await;
    }
}
