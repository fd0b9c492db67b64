//! Serves callers: at a pod its own queues, and at a relay everybody's.
//!
//! Callers are anonymous. A request is bounded in size and time before it is parsed. What a connection has in service is
//! bounded for requests and for subscriptions apart ([`Share`]), so that neither silences the other and no connection
//! silences another. A caller that does not take its answer, or speaks on after its request, is dropped.

use std::{collections::HashSet, sync::Arc, time::Duration};

use autonomy_messaging::{
    place::{Capability, QueueId},
    wire::{MAX_REQUEST, PlaceRefusal, Request, Response},
};
use autonomy_onion::peers::{Arrival, PeerServer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::{OwnedSemaphorePermit, watch},
    task::JoinSet,
    time::timeout,
};

pub use super::share::{MAX_REQUESTS, MAX_SUBSCRIPTIONS, Share};
use super::{Duplex, NetworkHandle, message, pending::PendingRequests, share::Shares};
use crate::relay::{Relay, Subscription};

/// Time for a request to arrive: 16 KiB over the slowest circuit take a few seconds.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// Time for a caller to take an answer or a pushed frame.
const WRITE_LIMIT: Duration = Duration::from_secs(60);
/// Seconds after which a caller over its share should ask again: by then a request of its own has been answered.
const RETRY_AFTER: u32 = 5;

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

    /// Serves one stream of a connection from its request to its end.
    ///
    /// A malformed request is counted at the relay and answered with a refusal, so that a pod of a
    /// newer version learns that it was not understood. Whoever wants a relay that has failed gets no answer, as
    /// where a relay that runs by itself has ended: they turn to their other relays. A refusal would say that it will be
    /// there soon, or that the queue is gone, and neither is true.
    pub async fn serve(&self, share: &Share, mut stream: impl Duplex) {
        let Some(in_service) = share.request() else { return refuse(stream, busy()).await };
        let Ok(Ok(request)) = timeout(REQUEST_LIMIT, message::read(&mut stream, MAX_REQUEST)).await else {
            return;
        };
        match Request::parse(&request) {
            Ok(request) if self.is_for_failed_relay(&request) => {}
            Ok(Request::Subscribe(queues)) => {
                drop(in_service);
                self.subscribe(share, queues, stream).await;
            }
            Ok(request) => self.answer(request, in_service, stream).await,
            Err(error) => {
                tracing::debug!(%error, "malformed request");
                if let Some(relay) = &self.relay {
                    relay.malformed();
                }
                refuse(stream, PlaceRefusal::Malformed).await;
            }
        }
    }

    /// Answers any request but a subscription, unless the caller goes before that. Whoever has the answer may have sent the
    /// next request: this one is no longer in service by then.
    async fn answer(&self, request: Request, in_service: OwnedSemaphorePermit, stream: impl Duplex) {
        let (mut from_caller, mut to_caller) = tokio::io::split(stream);
        let answered = async {
            let response = self.response(request).await;
            drop(in_service);
            if respond(&mut to_caller, response).await {
                drop(to_caller.shutdown().await);
            }
        };
        tokio::select! {
            () = answered => {}
            () = gone(&mut from_caller) => {}
        }
    }

    /// Serves a subscription, where there is a relay and the connection may have one more.
    async fn subscribe(&self, share: &Share, queues: Vec<(QueueId, Capability)>, stream: impl Duplex) {
        let Some(relay) = &self.relay else { return refuse(stream, PlaceRefusal::UnknownQueue).await };
        let Some(_subscribed) = share.subscription() else { return refuse(stream, busy()).await };
        match relay.subscribe(queues).await {
            Ok(subscription) => push(subscription, stream).await,
            Err(refusal) => refuse(stream, refusal).await,
        }
    }

    /// The response to any request but a subscription.
    ///
    /// Only `Deposit` and `Redeem` can concern the pod's own queues. Collecting from them is not
    /// possible over the network, and opening and closing them is the node's.
    async fn response(&self, request: Request) -> Response {
        match (self.node_for(&request), &self.relay) {
            (Some(node), _) => node.ask(request).await,
            (None, Some(relay)) => relay.handle(request).await,
            (None, None) => Response::Refused(PlaceRefusal::UnknownQueue),
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

/// Pushes frames until the caller goes, the relay fails, or another subscription has taken all queues.
async fn push(mut subscription: Subscription, stream: impl Duplex) {
    let (mut from_caller, mut to_caller) = tokio::io::split(stream);
    let pushing = async {
        let mut taken = respond(&mut to_caller, Response::Done).await;
        while taken && let Some(pushed) = subscription.next().await {
            taken = respond(&mut to_caller, pushed).await;
        }
    };
    tokio::select! {
        () = gone(&mut from_caller) => {}
        () = pushing => {}
    }
}

/// Returns when the caller is gone, or speaks on after its request, which would fill the connection's buffers as nobody
/// empties them. A caller that only shut its own direction stays.
async fn gone(from_caller: &mut (impl AsyncRead + Unpin)) {
    if let Ok(0) = from_caller.read(&mut [0]).await {
        std::future::pending::<()>().await;
    }
}

/// Answers with a refusal and ends the stream.
async fn refuse(mut stream: impl Duplex, refusal: PlaceRefusal) {
    if respond(&mut stream, Response::Refused(refusal)).await {
        drop(stream.shutdown().await);
    }
}

/// The refusal of what is over a share.
fn busy() -> PlaceRefusal {
    PlaceRefusal::Busy { retry_after: RETRY_AFTER }
}

/// Writes one response. False where the caller did not take it in time.
async fn respond(stream: &mut (impl AsyncWrite + Unpin), response: Response) -> bool {
    let bytes = response.to_bytes();
    // One copy of a frame waits for its caller, not two.
    drop(response);
    matches!(timeout(WRITE_LIMIT, message::write(stream, bytes)).await, Ok(Ok(())))
}

/// Serves all streams of `server`, until its onion service ends or `stop` turns true.
///
/// There are at most [`MAX_CONNECTIONS`](autonomy_onion::peers::MAX_CONNECTIONS) times
/// [`MAX_STREAMS`](autonomy_onion::peers::MAX_STREAMS) of them, and none waits for another.
pub async fn serve(mut server: PeerServer, request_router: RequestRouter, mut stop: watch::Receiver<bool>) {
    let request_router = Arc::new(request_router);
    let mut shares = Shares::default();
    let mut in_service = JoinSet::new();
    loop {
        tokio::select! {
            arrival = server.accept() => match arrival {
                Some(Arrival { connection, stream }) => {
                    let (request_router, share) = (request_router.clone(), shares.of(connection));
                    in_service.spawn(async move { request_router.serve(&share, stream).await });
                }
                None => return,
            },
            Some(_) = in_service.join_next() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
