//! The relay beside a pod, where the settings want one: opened with the pod, and watched while it runs.

use tokio::sync::watch;

use super::{PodDir, PodError, PodSettings};
use crate::{
    relay::{self, CheckedClock, Relay},
    server::routes::OnionState,
};

/// Opens the relay beside the pod, where the settings want one. It shares no file with the pod, and goes by `clock`.
///
/// A relay that cannot be opened keeps the pod from starting: its owner has asked for it, and would
/// otherwise believe that it runs.
///
/// # Errors
/// It cannot be opened.
pub(super) fn open(
    dir: &PodDir,
    settings: &PodSettings,
    clock: &CheckedClock,
) -> Result<Option<Relay>, PodError> {
    let Some(config) = settings.relay.clone() else { return Ok(None) };
    let relay = Relay::open(&relay::file_in(dir.path()), config, clock.clock());
    relay.map(Some).map_err(|error| PodError::system("opening the relay", error))
}

/// Shows the owner why the relay has ended, once `failed` tells, for as long as the pod runs. The pod itself goes on.
pub(super) async fn show_failure(
    failed: impl Future<Output = String>,
    onion: watch::Sender<OnionState>,
    mut stop: watch::Receiver<bool>,
) {
    let why = tokio::select! {
        why = failed => why,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    onion.send_modify(|state| state.relay_failure = Some(why));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_relay_that_ends_is_a_warning_that_stays() {
        let (onion, seen) = watch::channel(OnionState::default());
        let (_stop, stopping) = watch::channel(false);
        show_failure(async { "relay.redb is damaged".into() }, onion.clone(), stopping).await;
        // A launch of the services that fails, and the next one, which works.
        onion.send_modify(|state| state.warnings = vec!["Tor is away".into()]);
        assert_eq!(seen.borrow().warnings().len(), 2);
        onion.send_modify(|state| state.warnings.clear());
        let warnings = seen.borrow().warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("relay.redb is damaged"), "{warnings:?}");
    }
}
