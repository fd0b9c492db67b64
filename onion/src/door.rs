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
    time::timeout,
};
use tor_cell::relaycell::msg::{Connected, End, EndReason};
use tor_hsservice::{RendRequest, StreamRequest};
use tor_proto::stream::IncomingStreamRequest;

use crate::{OnionStream, task::serve_each};

/// Circuits of callers open at once. One holds some 75 kB here (800 dials of cold circuits cost the two ends in
/// one process 126 MB), so at most about 38 MB.
pub const MAX_CIRCUITS: usize = 512;
/// Rendezvous under way at once. Each builds a circuit of three or four relays.
pub const MAX_RENDEZVOUS: usize = 32;
/// A rendezvous that takes longer than this has lost its caller: Tor clients give up after 60 s.
const RENDEZVOUS_LIMIT: Duration = Duration::from_secs(60);
/// Tor clients open the first stream as soon as the circuit stands. One that does not only takes up room.
const FIRST_STREAM_LIMIT: Duration = Duration::from_secs(30);
/// A circuit whose streams have all ended is kept this long for the caller's next one, which then costs a single
/// round trip.
const IDLE_CIRCUIT_LIMIT: Duration = Duration::from_secs(180);
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
    let rendezvous = Arc::new(Semaphore::new(MAX_RENDEZVOUS));
    serve_each(requests, MAX_CIRCUITS, |request| serve_circuit(request, rendezvous.clone(), ports.clone()))
        .await;
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
    let mut patience = FIRST_STREAM_LIMIT;
    loop {
        match timeout(patience, streams.next()).await {
            Ok(Some(request)) => {
                patience = IDLE_CIRCUIT_LIMIT;
                admit(request, &in_use, &ports).await;
            }
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
