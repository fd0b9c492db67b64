//! Accepts callers of an onion service at their rendezvous points and hands each stream to the
//! listener of its port.
//!
//! A stranger can ask for any number of rendezvous, so every step has a limit in number ([`Circuits`]) and in
//! time. A rendezvous that fails ends for its caller only: the service goes on accepting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use tokio::{sync::mpsc, time::timeout};
use tor_cell::relaycell::msg::{Connected, End, EndReason};
use tor_hsservice::{RendRequest, StreamRequest};
use tor_proto::stream::IncomingStreamRequest;

use crate::{
    OnionStream,
    circuits::{CircuitState, Circuits},
};

/// Time for a rendezvous: slow circuits need some seconds.
const RENDEZVOUS_LIMIT: Duration = Duration::from_secs(30);
/// Time for a caller to open its first stream. Tor clients open one as soon as the circuit stands,
/// so a circuit without one is abandoned or hostile.
const FIRST_STREAM_LIMIT: Duration = Duration::from_secs(30);
/// A circuit whose streams have all ended is kept this long for the caller's next one, which then costs a single
/// round trip.
const IDLE_CIRCUIT_LIMIT: Duration = Duration::from_secs(180);
/// Streams that wait for the listener of a port; further streams are rejected.
pub const MAX_WAITING: usize = 64;
/// Time to send the answer to a stream request.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The listeners of a service, by port. They outlive the acceptor: a relaunched service has the
/// same listeners.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    /// The sending half for each port. A port whose receiving half was dropped counts as free.
    listeners: Mutex<HashMap<u16, mpsc::Sender<OnionStream>>>,
}

/// The port has a listener already. A port is free again when its listener is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("port {0} of this onion service has a listener already")]
pub struct PortTaken(pub u16);

impl Ports {
    /// Makes a listener for `port` with room for [`MAX_WAITING`] streams.
    ///
    /// # Errors
    /// The port has a listener that was not dropped.
    pub(crate) fn listen(&self, port: u16) -> Result<mpsc::Receiver<OnionStream>, PortTaken> {
        let mut listeners = self.listeners();
        if listeners.get(&port).is_some_and(|l| !l.is_closed()) {
            return Err(PortTaken(port));
        }
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        listeners.insert(port, sender);
        Ok(receiver)
    }

    /// The sending half of a port's listener, if the port has one.
    fn listener(&self, port: u16) -> Option<mpsc::Sender<OnionStream>> {
        self.listeners().get(&port).cloned()
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<u16, mpsc::Sender<OnionStream>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves callers until `requests` ends, which it does when the service is dropped, and then the
/// connected callers until they leave. So a relaunch of the service interrupts no working
/// connection.
pub(crate) async fn serve(requests: impl Stream<Item = RendRequest> + Send, ports: Arc<Ports>) {
    let mut requests = std::pin::pin!(requests);
    let mut circuits = Circuits::default();
    loop {
        tokio::select! {
            request = requests.next() => {
                let Some(request) = request else { break };
                if !circuits.serve(|state| serve_circuit(request, state, ports.clone())) {
                    tracing::debug!("a caller is not served: all circuits are in use");
                }
            }
            () = circuits.one_ends() => {}
        }
    }
    circuits.all_end().await;
}

/// One caller's circuit: completes the rendezvous, then accepts streams until the circuit is closed
/// or has been idle for [`IDLE_CIRCUIT_LIMIT`].
async fn serve_circuit(request: RendRequest, state: CircuitState, ports: Arc<Ports>) {
    let mut streams = match timeout(RENDEZVOUS_LIMIT, request.accept()).await {
        Ok(Ok(streams)) => streams,
        Ok(Err(error)) => return tracing::debug!(error = %crate::chain(&error), "a rendezvous failed"),
        Err(_) => return tracing::debug!("a rendezvous took too long"),
    };
    state.stands();
    let mut limit = FIRST_STREAM_LIMIT;
    loop {
        match timeout(limit, streams.next()).await {
            Ok(Some(request)) => {
                limit = IDLE_CIRCUIT_LIMIT;
                admit(request, &state, &ports).await;
            }
            Ok(None) => return,
            Err(_) if state.is_idle() => return,
            Err(_) => {}
        }
    }
}

/// Accepts a stream for a port with a listener, and rejects all others as C Tor does, with the
/// reason `DONE`: a caller cannot tell a closed port from a full queue.
async fn admit(request: StreamRequest, circuit: &CircuitState, ports: &Ports) {
    let port = match request.request() {
        IncomingStreamRequest::Begin(begin) => begin.port(),
        _ => return reject(request).await,
    };
    // A place in the queue first, so that nothing is accepted which nobody will serve.
    let Some(listener) = ports.listener(port) else { return reject(request).await };
    let Ok(place) = listener.try_reserve() else { return reject(request).await };
    if let Some(stream) = accept(request, circuit).await {
        place.send(stream);
    }
}

/// Accepts one stream, which keeps its circuit open until it is dropped. `None` where the caller is
/// gone.
async fn accept(request: StreamRequest, circuit: &CircuitState) -> Option<OnionStream> {
    match timeout(ANSWER_LIMIT, request.accept(Connected::new_empty())).await {
        Ok(Ok(stream)) => Some(OnionStream::accepted(stream, circuit.of_stream())),
        Ok(Err(error)) => {
            tracing::debug!(error = %crate::chain(&error), "a stream was not accepted");
            None
        }
        Err(_) => None,
    }
}

/// Rejects one stream. A caller that does not take the answer in time gets none.
async fn reject(request: StreamRequest) {
    let _ = timeout(ANSWER_LIMIT, request.reject(End::new_with_reason(EndReason::DONE))).await;
}
