//! Serves callers: at a pod its own queues, and at a relay everybody's.
//!
//! Callers are anonymous. A request is bounded in size and time before it is parsed, the number of
//! requests in service is bounded, and a caller that does not read its answer is dropped.

use std::{collections::HashSet, sync::Arc, time::Duration};

use autonomy_messaging::{
    place::{Capability, QueueId},
    wire::{MAX_REQUEST, Refusal, Request, Response},
};
use autonomy_onion::peers::PeerServer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::{Duplex, NetworkHandle, message, pending::PendingRequests};
use crate::relay::Relay;

/// Requests in service at once, open subscriptions included. At about 20 kB each while they are
/// read, at most 160 MB.
const MAX_IN_SERVICE: usize = 8192;
/// Time for a request to arrive: 16 KiB over the slowest circuit take a few seconds.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// Time for a caller to take an answer or a pushed frame.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// Decides who answers a request: the node for the pod's own queues, the relay for all others.
#[derive(Clone)]
pub struct RequestRouter {
    /// The pod's own queues, and the way to the node; `None` at a relay that runs by itself.
    own: Option<(watch::Receiver<HashSet<QueueId>>, Arc<PendingRequests>)>,
    /// The relay for all other queues; without one they are unknown here.
    relay: Option<Relay>,
}

impl RequestRouter {
    /// A router. `network` leads to the node, for the pod's own queues; all other requests go to
    /// `relay`.
    #[must_use]
    pub fn new(network: Option<&NetworkHandle>, relay: Option<Relay>) -> Self {
        let own = network.map(|network| (network.0.own.subscribe(), network.0.pending.clone()));
        Self { own, relay }
    }

    /// Serves one stream from its request to its end.
    ///
    /// A malformed request is counted at the relay and answered with a refusal, so that a pod of a
    /// newer version learns that it was not understood. Whoever wants a relay that has failed gets no answer, as
    /// where a relay that runs by itself has ended: they turn to their other relays. A refusal would say that it will be
    /// there soon, or that the queue is gone, and neither is true.
    pub async fn serve(&self, mut stream: impl Duplex) {
        let Ok(Ok(request)) = timeout(REQUEST_LIMIT, message::read(&mut stream, MAX_REQUEST)).await else {
            return;
        };
        let response = match Request::parse(&request) {
            Ok(request) if self.is_for_failed_relay(&request) => return,
            Ok(Request::Subscribe(queues)) => match &self.relay {
                Some(relay) => return push(relay, queues, stream).await,
                None => Response::Refused(Refusal::UnknownQueue),
            },
            Ok(request) => self.answer(request).await,
            Err(error) => {
                tracing::debug!(%error, "malformed request");
                if let Some(relay) = &self.relay {
                    relay.malformed();
                }
                Response::Refused(Refusal::Malformed)
            }
        };
        if respond(&mut stream, &response).await {
            drop(stream.shutdown().await);
        }
    }

    /// The response to any request but a subscription.
    ///
    /// Only `Deposit` and `Redeem` can concern the pod's own queues. Collecting from them is not
    /// possible over the network, and opening and closing them is the node's.
    async fn answer(&self, request: Request) -> Response {
        match (self.node_for(&request), &self.relay) {
            (Some(node), _) => node.ask(request).await,
            (None, Some(relay)) => relay.handle(request).await,
            (None, None) => Response::Refused(Refusal::UnknownQueue),
        }
    }

    /// The way to the node, for a request that concerns the pod's own queues.
    fn node_for(&self, request: &Request) -> Option<&PendingRequests> {
        // Own queues are collected by nobody, and opened and closed by the node itself.
        let queue = match request {
            Request::Deposit(frame) => &frame.queue,
            Request::Redeem { queue, .. } => queue,
            _ => return None,
        };
        let (own, pending) = self.own.as_ref()?;
        own.borrow().contains(queue).then_some(&**pending)
    }

    /// Whether a request is the relay's, and the relay has failed for good.
    fn is_for_failed_relay(&self, request: &Request) -> bool {
        self.relay.as_ref().is_some_and(Relay::has_failed) && self.node_for(request).is_none()
    }
}

/// Pushes frames until the caller goes or the relay fails.
///
/// The caller's half of the stream is read too, only to notice that the caller has gone.
async fn push(relay: &Relay, queues: Vec<(QueueId, Capability)>, mut stream: impl Duplex) {
    let mut subscription = match relay.subscribe(queues).await {
        Ok(subscription) => subscription,
        Err(refusal) => {
            if respond(&mut stream, &Response::Refused(refusal)).await {
                drop(stream.shutdown().await);
            }
            return;
        }
    };
    if !respond(&mut stream, &Response::Done).await {
        return;
    }
    let (mut from_caller, mut to_caller) = tokio::io::split(stream);
    let gone = async {
        let mut byte = [0];
        // A caller that only shut its own direction stays. One that is gone gives an error; one that goes on speaking
        // would fill the connection's buffers, which nobody empties.
        if let Ok(0) = from_caller.read(&mut byte).await {
            std::future::pending::<()>().await;
        }
    };
    let pushing = async {
        while let Some(pushed) = subscription.next().await {
            if !respond(&mut to_caller, &pushed).await {
                return;
            }
        }
    };
    tokio::select! {
        () = gone => {}
        () = pushing => {}
    }
}

/// Writes one response. False where the caller did not take it in time.
async fn respond(stream: &mut (impl tokio::io::AsyncWrite + Unpin), response: &Response) -> bool {
    matches!(timeout(WRITE_LIMIT, message::write(stream, &response.to_bytes())).await, Ok(Ok(())))
}

/// Serves all streams of `server`, until its onion service ends or `stop` turns true.
///
/// At `MAX_IN_SERVICE` further streams wait in the server's queue, and beyond that are reset.
pub async fn serve(mut server: PeerServer, request_router: RequestRouter, mut stop: watch::Receiver<bool>) {
    let request_router = Arc::new(request_router);
    let mut in_service = JoinSet::new();
    loop {
        tokio::select! {
            arrival = server.accept(), if in_service.len() < MAX_IN_SERVICE => match arrival {
                Some(arrival) => {
                    let request_router = request_router.clone();
                    in_service.spawn(async move { request_router.serve(arrival.stream).await });
                }
                None => return,
            },
            Some(_) = in_service.join_next() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
