//! One lane: a connection to a peer with an identity of its own, from its dial to its end.

use std::sync::Arc;

use futures::{StreamExt as _, channel::oneshot, stream::FuturesUnordered};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm,
    core::{muxing::StreamMuxerBox, transport::Boxed},
    identity::Keypair,
    ping as answering,
    swarm::{
        ConnectionId, DialError, NetworkBehaviour, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    CircuitRole, PeerAddress, PeerError,
    behaviour::Streams,
    handler::Open,
    ping::{self, Health},
    stream::Usage,
};
use crate::{chain, transport};

/// A transport for one swarm.
pub(super) type BoxedTransport = Boxed<(PeerId, StreamMuxerBox)>;
/// Whoever waits for a stream. It gets the error of the dial, or the channel from which the stream
/// will come.
pub(super) type Waiting = tokio::sync::oneshot::Sender<Result<oneshot::Receiver<Stream>, PeerError>>;

/// What connections are made over: Tor, or memory in tests.
pub(super) trait LaneNetwork: Send + Sync + 'static {
    /// A transport for one connection of `role`, authenticated by `keypair`.
    fn transport(&self, keypair: &Keypair, role: CircuitRole) -> Result<BoxedTransport, PeerError>;
    /// The address to dial.
    fn address(&self, to: &PeerAddress) -> Multiaddr;
    /// Called when the circuits of this role to this peer proved dead.
    fn discard_circuits(&self, to: &PeerAddress, role: CircuitRole);
}

/// How a lane ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneEnd {
    /// The dial failed, or nobody waited for it any more.
    NotConnected,
    /// The other end, or the circuit, closed it.
    Closed,
    /// Pings were not answered.
    Dead,
    /// It was not used for [`KEEP_WARM`](super::KEEP_WARM).
    Idle,
}

/// The state of a lane's task.
pub(super) struct LaneTask {
    pub(super) network: Arc<dyn LaneNetwork>,
    /// Where the peer is and which key it must prove.
    pub(super) to: PeerAddress,
    /// The same key as a libp2p id.
    pub(super) peer: PeerId,
    /// Decides which circuits the connection may use.
    pub(super) role: CircuitRole,
    /// The protocol of its streams.
    pub(super) protocol: StreamProtocol,
    /// Shared with the streams and with [`lanes`](super::lanes).
    pub(super) usage: Arc<Usage>,
    /// Requests for a stream.
    pub(super) waiting: mpsc::Receiver<Waiting>,
    /// Requests that arrived before there was a connection.
    pub(super) first: Vec<Waiting>,
    /// Changes when the machine slept.
    pub(super) woken: watch::Receiver<u64>,
}

/// What the lane's swarm does: opens streams, and answers pings.
#[derive(NetworkBehaviour)]
struct Behaviour {
    streams: Streams,
    /// Answers the other end's pings. Its own pings are turned off by [`NEVER`].
    answering: answering::Behaviour,
}

/// The interval of libp2p's own pings: a year, so that none is sent.
const NEVER: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

impl LaneTask {
    /// Whether anybody still waits for the connection.
    pub(super) fn is_wanted(&mut self) -> bool {
        while let Ok(waiting) = self.waiting.try_recv() {
            self.first.push(waiting);
        }
        self.first.retain(|waiting| !waiting.is_closed());
        !self.first.is_empty()
    }

    /// Connects. On failure all waiting requests get the error.
    ///
    /// # Errors
    /// The dial failed, or a peer with another key answered.
    pub(super) async fn connect(&mut self) -> Result<Connected, PeerError> {
        let connected = self.dial().await;
        if let Err(error) = &connected {
            self.waiting.close();
            self.is_wanted();
            for waiting in self.first.drain(..) {
                // It may have gone.
                let _ = waiting.send(Err(error.clone()));
            }
        }
        connected
    }

    /// Makes an identity for this connection alone, and dials once.
    async fn dial(&self) -> Result<Connected, PeerError> {
        let keypair = Keypair::generate_ed25519();
        let wire = self.network.transport(&keypair, self.role)?;
        let answering = answering::Behaviour::new(answering::Config::new().with_interval(NEVER));
        let behaviour = Behaviour { streams: Streams::new(None), answering };
        let mut swarm = Swarm::new(wire, behaviour, keypair.public().to_peer_id(), transport::swarm_config());
        let options = DialOpts::peer_id(self.peer)
            .condition(PeerCondition::Always)
            .addresses(vec![self.network.address(&self.to)])
            .build();
        swarm.dial(options).map_err(|error| failed(&error))?;
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                    self.usage.connected();
                    return Ok(Connected { swarm, connection: connection_id });
                }
                SwarmEvent::OutgoingConnectionError { error, .. } => return Err(failed(&error)),
                _ => {}
            }
        }
    }

    /// Opens streams until the connection ends or is no longer needed. Pings when nothing was
    /// received for a while and when the machine woke up.
    pub(super) async fn serve(&mut self, mut connected: Connected) -> LaneEnd {
        let mut pings = FuturesUnordered::new();
        let mut health = Health::default();
        self.woken.mark_unchanged();
        for waiting in std::mem::take(&mut self.first) {
            self.hand_out(waiting, &mut connected);
        }
        loop {
            let look_at = self.usage.last_heard() + ping::INTERVAL;
            tokio::select! {
                event = connected.swarm.select_next_some() => {
                    if matches!(event, SwarmEvent::ConnectionClosed { .. }) {
                        return LaneEnd::Closed;
                    }
                }
                waiting = self.waiting.recv() => match waiting {
                    Some(waiting) => self.hand_out(waiting, &mut connected),
                    None => return LaneEnd::Idle,
                },
                () = sleep_until(look_at), if pings.is_empty() => {
                    if self.idle() {
                        return LaneEnd::Idle;
                    }
                    pings.push(connected.ping(self.peer));
                }
                Ok(()) = self.woken.changed(), if pings.is_empty() => pings.push(connected.ping(self.peer)),
                Some((asked, answered)) = pings.next() => {
                    if answered {
                        self.usage.heard();
                    }
                    if answered || self.usage.last_heard() > asked {
                        health.alive();
                    } else if health.missed() {
                        return LaneEnd::Dead;
                    }
                    if health.is_pending() {
                        pings.push(connected.ping(self.peer));
                    }
                }
            }
        }
    }

    /// Opens a stream for one request, unless whoever made it has gone.
    fn hand_out(&self, waiting: Waiting, connected: &mut Connected) {
        if !waiting.is_closed() {
            let _ = waiting.send(Ok(connected.open(self.peer, self.protocol.clone())));
        }
    }

    /// Whether the connection may be closed for lack of use.
    fn idle(&self) -> bool {
        self.usage.streams() == 0 && self.usage.last_use().elapsed() > super::KEEP_WARM
    }
}

/// An established connection: a swarm that has only this one.
pub(super) struct Connected {
    swarm: Swarm<Behaviour>,
    connection: ConnectionId,
}

impl Connected {
    /// Asks for a new stream, which comes from the returned channel.
    fn open(&mut self, peer: PeerId, protocol: StreamProtocol) -> oneshot::Receiver<Stream> {
        let (answer, stream) = oneshot::channel();
        self.swarm.behaviour_mut().streams.open(peer, self.connection, Open { protocol, answer });
        stream
    }

    /// Pings. Gives the time of the question and whether it was answered.
    fn ping(&mut self, peer: PeerId) -> impl Future<Output = (Instant, bool)> + use<> {
        let stream = self.open(peer, answering::PROTOCOL_NAME);
        let asked = Instant::now();
        async move { (asked, ping::once(stream).await) }
    }
}

/// A dial's error in the terms of this module.
fn failed(error: &DialError) -> PeerError {
    match error {
        DialError::WrongPeerId { .. } => PeerError::WrongPeer,
        DialError::Transport(errors) => {
            let texts = errors.iter().map(|(_, error)| chain(error));
            PeerError::Dial(texts.last().unwrap_or_else(|| error.to_string()))
        }
        error => PeerError::Dial(chain(error)),
    }
}
