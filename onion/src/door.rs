//! The door of an onion service: meets callers at their rendezvous points and shows each stream to the
//! listener of its port.
//!
//! A stranger can ask for any number of rendezvous, so every step is bounded, and a rendezvous that fails is
//! that caller's affair: the door stays open.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::timeout,
};
use tor_cell::relaycell::msg::{Connected, End, EndReason};
use tor_hsservice::{RendRequest, StreamRequest};
use tor_proto::stream::IncomingStreamRequest;

use crate::OnionStream;

/// Circuits of callers open at once. An idle one holds some 20 kB here (measured with its libp2p connection:
/// 20 to 270 kB), so at most about 20 MB for nothing but open circuits.
pub const MAX_CIRCUITS: usize = 1024;
/// Rendezvous under way at once. Each builds a circuit of three or four relays.
pub const MAX_RENDEZVOUS: usize = 32;
/// A rendezvous that takes longer than this has lost its caller: Tor clients give up after 60 s.
const RENDEZVOUS_LIMIT: Duration = Duration::from_secs(60);
/// A circuit without a stream is closed after this time; Tor clients forget theirs after about 10 minutes.
const IDLE_CIRCUIT_LIMIT: Duration = Duration::from_secs(600);
/// Streams waiting for the listener of a port; beyond it callers are turned away.
pub const MAX_WAITING: usize = 64;
/// Time to send the answer to a stream request.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The listeners of a service, by port. It outlives the door: a relaunched service has the same listeners.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    listeners: Mutex<HashMap<u16, mpsc::Sender<OnionStream>>>,
}

/// The port has a listener already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("port {0} of this onion service has a listener already")]
pub struct PortTaken(pub u16);

impl Ports {
    pub(crate) fn listen(&self, port: u16) -> Result<mpsc::Receiver<OnionStream>, PortTaken> {
        let mut listeners = self.listeners();
        if listeners.get(&port).is_some_and(|l| !l.is_closed()) {
            return Err(PortTaken(port));
        }
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        listeners.insert(port, sender);
        Ok(receiver)
    }

    fn listener(&self, port: u16) -> Option<mpsc::Sender<OnionStream>> {
        self.listeners().get(&port).cloned()
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<u16, mpsc::Sender<OnionStream>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves callers until `requests` ends (the service was dropped), and then those who are in until they leave:
/// a relaunch of the service costs nobody a connection that works.
pub(crate) async fn serve(requests: impl Stream<Item = RendRequest> + Send, ports: Arc<Ports>) {
    let mut requests = std::pin::pin!(requests);
    let rendezvous = Arc::new(Semaphore::new(MAX_RENDEZVOUS));
    let mut circuits = JoinSet::new();
    loop {
        tokio::select! {
            request = requests.next(), if circuits.len() < MAX_CIRCUITS => match request {
                Some(request) => {
                    circuits.spawn(serve_circuit(request, rendezvous.clone(), ports.clone()));
                }
                None => break,
            },
            Some(_) = circuits.join_next() => {}
        }
    }
    while circuits.join_next().await.is_some() {}
}

async fn serve_circuit(request: RendRequest, rendezvous: Arc<Semaphore>, ports: Arc<Ports>) {
    let Ok(permit) = rendezvous.acquire_owned().await else { return };
    let mut streams = match timeout(RENDEZVOUS_LIMIT, request.accept()).await {
        Ok(Ok(streams)) => streams,
        Ok(Err(error)) => return tracing::debug!(error = %crate::chain(&error), "a rendezvous failed"),
        Err(_) => return tracing::debug!("a rendezvous took too long"),
    };
    drop(permit);
    let in_use = Arc::new(());
    loop {
        match timeout(IDLE_CIRCUIT_LIMIT, streams.next()).await {
            Ok(Some(request)) => admit(request, &in_use, &ports).await,
            Ok(None) => return,
            Err(_) if Arc::strong_count(&in_use) == 1 => return,
            Err(_) => {}
        }
    }
}

/// Accepts a stream for a port with a listener, and turns away all others as C Tor does: with DONE.
async fn admit(request: StreamRequest, circuit: &Arc<()>, ports: &Ports) {
    let port = match request.request() {
        IncomingStreamRequest::Begin(begin) => begin.port(),
        _ => return turn_away(request).await,
    };
    // A place in the queue first, so that nothing is accepted which nobody will serve.
    let Some(listener) = ports.listener(port) else { return turn_away(request).await };
    let Ok(place) = listener.try_reserve() else { return turn_away(request).await };
    if let Some(stream) = accept(request, circuit).await {
        place.send(stream);
    }
}

async fn accept(request: StreamRequest, circuit: &Arc<()>) -> Option<OnionStream> {
    match timeout(ANSWER_LIMIT, request.accept(Connected::new_empty())).await {
        Ok(Ok(stream)) => Some(OnionStream::accepted(stream, circuit.clone())),
        Ok(Err(error)) => {
            tracing::debug!(error = %crate::chain(&error), "a stream was not accepted");
            None
        }
        Err(_) => None,
    }
}

async fn turn_away(request: StreamRequest) {
    let _ = timeout(ANSWER_LIMIT, request.reject(End::new_with_reason(EndReason::DONE))).await;
}
