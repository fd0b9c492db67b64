//! One connection's part of [`peers`](super): opens streams on request and hands on those that
//! arrive.

use std::{
    collections::VecDeque,
    option,
    task::{Context, Poll, Waker},
};

use futures::channel::oneshot;
use libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, ReadyUpgrade, UpgradeInfo},
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

/// A request for a stream. Dropped unanswered when the connection ends first.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) protocol: StreamProtocol,
    pub(super) answer: oneshot::Sender<Stream>,
}

/// The one protocol for which peers may open streams, if any.
#[derive(Clone, Debug)]
pub(super) struct Accepts(pub(super) Option<StreamProtocol>);

impl UpgradeInfo for Accepts {
    type Info = StreamProtocol;
    type InfoIter = option::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Accepts {
    type Output = Stream;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Stream, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        std::future::ready(Ok(stream))
    }
}

/// The handler of one connection.
pub(super) struct Handler {
    accepts: Accepts,
    /// Requests not yet given to libp2p.
    to_open: VecDeque<Open>,
    /// Streams of the peer not yet given to the behaviour.
    arrived: VecDeque<Stream>,
    waker: Option<Waker>,
}

impl Handler {
    pub(super) fn new(accepts: Accepts) -> Self {
        Self { accepts, to_open: VecDeque::new(), arrived: VecDeque::new(), waker: None }
    }

    /// Wakes the connection when there is something to poll.
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

type Event = ConnectionHandlerEvent<ReadyUpgrade<StreamProtocol>, oneshot::Sender<Stream>, Stream>;

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Stream;
    type InboundProtocol = Accepts;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = oneshot::Sender<Stream>;

    fn listen_protocol(&self) -> SubstreamProtocol<Accepts> {
        SubstreamProtocol::new(self.accepts.clone(), ())
    }

    /// The owner of the swarm decides when a connection ends.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(stream) = self.arrived.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(stream));
        }
        if let Some(Open { protocol, answer }) = self.to_open.pop_front() {
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(protocol), answer);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.to_open.push_back(open);
        self.wake();
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Accepts, ReadyUpgrade<StreamProtocol>, (), oneshot::Sender<Stream>>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: stream, .. }) => {
                self.arrived.push_back(stream);
                self.wake();
            }
            // Whoever waited may have gone.
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                drop(info.send(protocol));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => match error {
                StreamUpgradeError::Apply(never) => match never {},
                error => tracing::debug!(%error, "a stream to a peer was not opened"),
            },
            _ => {}
        }
    }
}
