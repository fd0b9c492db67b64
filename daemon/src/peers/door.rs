//! Serves those who call: at a pod for its own queues, and at a relay for everybody's.

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

use super::{Duplex, NetworkHandle, desk::Desk, message};
use crate::relay::Relay;

/// Requests in service at once, open subscriptions included. At about 20 kB each while they are read at most 160 MB.
const MAX_IN_SERVICE: usize = 8192;
/// A request that is not there by then does not come: 16 KiB over the slowest circuit take a few seconds.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// A caller takes an answer, or a pushed frame, within this time.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// Who answers: the node for its own queues, the relay for all others.
#[derive(Clone)]
pub struct Counter {
    own: Option<(watch::Receiver<HashSet<QueueId>>, Arc<Desk>)>,
    relay: Option<Relay>,
}

impl Counter {
    /// `network` leads to the node, for the pod's own queues; everything else is the relay's.
    #[must_use]
    pub fn new(network: Option<&NetworkHandle>, relay: Option<Relay>) -> Self {
        let own = network.map(|network| (network.0.own.subscribe(), network.0.desk.clone()));
        Self { own, relay }
    }

    /// Serves one stream from its request to its end.
    pub async fn serve(&self, mut stream: impl Duplex) {
        let Ok(Ok(request)) = timeout(REQUEST_LIMIT, message::read(&mut stream, MAX_REQUEST)).await else {
            return;
        };
        let response = match Request::parse(&request) {
            Ok(Request::Subscribe(queues)) => match &self.relay {
                Some(relay) => return push(relay, queues, stream).await,
                None => Response::Refused(Refusal::UnknownQueue),
            },
            Ok(request) => self.answer(request).await,
            Err(error) => {
                tracing::debug!(%error, "a caller's request is none");
                if let Some(relay) = &self.relay {
                    relay.malformed();
                }
                Response::Refused(Refusal::Malformed)
            }
        };
        if say(&mut stream, &response).await {
            drop(stream.shutdown().await);
        }
    }

    async fn answer(&self, request: Request) -> Response {
        // Own queues are collected by nobody, and opened and closed by the node itself.
        let queue = match &request {
            Request::Deposit(frame) => Some(frame.queue),
            Request::Redeem { queue, .. } => Some(*queue),
            _ => None,
        };
        if let Some((own, desk)) = &self.own
            && queue.is_some_and(|queue| own.borrow().contains(&queue))
        {
            return desk.ask(request).await;
        }
        match &self.relay {
            Some(relay) => relay.handle(request).await,
            None => Response::Refused(Refusal::UnknownQueue),
        }
    }
}

/// Pushes until the caller goes.
async fn push(relay: &Relay, queues: Vec<(QueueId, Capability)>, mut stream: impl Duplex) {
    let mut subscription = match relay.subscribe(queues).await {
        Ok(subscription) => subscription,
        Err(refusal) => {
            if say(&mut stream, &Response::Refused(refusal)).await {
                drop(stream.shutdown().await);
            }
            return;
        }
    };
    if !say(&mut stream, &Response::Done).await {
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
            if !say(&mut to_caller, &pushed).await {
                return;
            }
        }
    };
    tokio::select! {
        () = gone => {}
        () = pushing => {}
    }
}

async fn say(stream: &mut (impl tokio::io::AsyncWrite + Unpin), response: &Response) -> bool {
    matches!(timeout(WRITE_LIMIT, message::write(stream, &response.to_bytes())).await, Ok(Ok(())))
}

/// Serves all who come to `server`, until its service ends or `stop` turns true.
pub async fn serve(mut server: PeerServer, counter: Counter, mut stop: watch::Receiver<bool>) {
    let counter = Arc::new(counter);
    let mut in_service = JoinSet::new();
    loop {
        tokio::select! {
            arrival = server.accept(), if in_service.len() < MAX_IN_SERVICE => match arrival {
                Some(arrival) => {
                    let counter = counter.clone();
                    in_service.spawn(async move { counter.serve(arrival.stream).await });
                }
                None => return,
            },
            Some(_) = in_service.join_next() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
