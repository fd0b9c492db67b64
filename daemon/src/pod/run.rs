//! The process of one pod: a runtime, signals, Tor and bitcoind for it alone.

use std::{sync::Arc, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Deps, Pod, PodDir, PodError, PodHandle, PodSettings, RunObserver, SharedTor};
use crate::{chain::Bitcoind, config::Config};
use autonomy_store::Unlock;

/// Threads for everything that waits. The node and the chain source have one each beside them.
const WORKERS: usize = 2;
/// Time for what still runs on the runtime when the pod has ended, before it is cut off.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// Runs the pod in `dir` until SIGTERM or SIGINT. `observer` hears how it goes.
///
/// # Errors
/// The pod cannot be opened, or a part of it fails for good.
pub fn run(dir: &PodDir, unlock: &Unlock, config: &Config, observer: RunObserver) -> Result<(), PodError> {
    let pod = Pod::open(dir, unlock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| PodError::system("starting", error))?;
    let outcome = runtime.block_on(serve(pod, config, observer));
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
    outcome
}

async fn serve(pod: Pod, config: &Config, observer: RunObserver) -> Result<(), PodError> {
    // First what can be wrong or come too early: nothing is served by then that would have to be taken down.
    let signals = Signals::listen()?;
    let deps = Deps {
        tor: SharedTor::on_demand(config.tor(&pod.dir().tor())?),
        chain: Arc::new(Bitcoind::new(config.bitcoind(pod.network())?)),
        settings: PodSettings::from(config),
        observer,
    };
    let pod = pod.start(deps).await?;
    signals.until_told_to_end(&pod).await;
    pod.stop();
    Ok(pod.stopped().await?)
}

/// What tells a pod to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, PodError> {
        let listen = |kind| signal(kind).map_err(|error| PodError::system("listening for signals", error));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn until_told_to_end(mut self, pod: &PodHandle) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = pod.stopped() => {}
        }
    }
}
