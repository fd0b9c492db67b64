//! The process of one pod: a runtime, signals, Tor and a chain source for it alone.

use std::{sync::Arc, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Deps, Pod, PodDir, PodError, PodHandle, PodSettings, RunObserver, SharedTor};
use crate::{chain::Bitcoind, config::Config};
use autonomy_store::Unlock;

/// Threads of the runtime. The node and the chain source have one thread each beside them.
const WORKERS: usize = 2;
/// Time for what still runs on the runtime when the pod has ended, before it is cut off.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// Runs the pod in `dir` until SIGTERM or SIGINT, and reports to `observer`.
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

/// Starts the pod and waits for a signal or for its end.
///
/// Whatever can fail without the pod is done before it starts, so that nothing has to be stopped
/// again.
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

/// The signals that end a pod.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Installs the handlers, after which a signal no longer ends the process by itself.
    fn listen() -> Result<Self, PodError> {
        let listen = |kind| signal(kind).map_err(|error| PodError::system("listening for signals", error));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for a signal, or until the pod has ended by itself.
    async fn until_told_to_end(mut self, pod: &PodHandle) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = pod.stopped() => {}
        }
    }
}
