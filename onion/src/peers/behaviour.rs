//! The swarm's part of [`peers`](super): it knows to which connection a stream belongs.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};

use super::handler::{Accepts, Handler, Open};

/// A stream that a peer opened.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) connection: ConnectionId,
    pub(super) stream: Stream,
}

/// Streams of one protocol in both directions.
pub(super) struct Streams {
    accepts: Accepts,
    /// What the swarm has not polled yet.
    events: VecDeque<ToSwarm<Arrived, Open>>,
    waker: Option<Waker>,
}

impl Streams {
    /// Accepts streams of the protocol `accepts`, or none.
    pub(super) fn new(accepts: Option<StreamProtocol>) -> Self {
        Self { accepts: Accepts(accepts), events: VecDeque::new(), waker: None }
    }

    /// Asks a connection for a new stream, which is sent to `open.answer`.
    pub(super) fn open(&mut self, peer_id: PeerId, connection: ConnectionId, open: Open) {
        let handler = NotifyHandler::One(connection);
        self.push_event(ToSwarm::NotifyHandler { peer_id, handler, event: open });
    }

    /// Queues an event and wakes the swarm.
    fn push_event(&mut self, event: ToSwarm<Arrived, Open>) {
        self.events.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Arrived;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.accepts.clone()))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.accepts.clone()))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        connection: ConnectionId,
        stream: THandlerOutEvent<Self>,
    ) {
        self.push_event(ToSwarm::GenerateEvent(Arrived { connection, stream }));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Arrived, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
