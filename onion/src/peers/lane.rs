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
    PeerAddress, PeerError, Role,
    behaviour::Streams,
    handler::Open,
    ping::{self, Health},
    stream::Usage,
};
use crate::{chain, transport};

/// A transport for one swarm.
pub(super) type Wire = Boxed<(PeerId, StreamMuxerBox)>;
/// Whoever waits for a stream: told why there is none, or where it will come out.
pub(super) type Waiting = tokio::sync::oneshot::Sender<Result<oneshot::Receiver<Stream>, PeerError>>;

/// What connections are made over.
pub(super) trait Ground: Send + Sync + 'static {
    /// A transport for one connection of `role`, authenticated by `keypair`.
    fn wire(&self, keypair: &Keypair, role: Role) -> Result<Wire, PeerError>;
    /// The address to dial.
    fn address(&self, to: &PeerAddress) -> Multiaddr;
    /// The circuits of this role to this peer are dead.
    fn give_up(&self, to: &PeerAddress, role: Role);
}

/// How a lane ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was never connected.
    NotConnected,
    /// The other end, or the circuit, closed it.
    Closed,
    /// No sign of life.
    Dead,
    /// Not used for long.
    Idle,
}

/// What a lane's task is made of.
pub(super) struct Lane {
    pub(super) ground: Arc<dyn Ground>,
    pub(super) to: PeerAddress,
    pub(super) peer: PeerId,
    pub(super) role: Role,
    pub(super) protocol: StreamProtocol,
    pub(super) usage: Arc<Usage>,
    pub(super) waiting: mpsc::Receiver<Waiting>,
    /// Those who waited before there was a connection.
    pub(super) first: Vec<Waiting>,
    pub(super) woken: watch::Receiver<u64>,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    streams: Streams,
    /// Answers the other end's pings; its own first question comes with the connection and needs no attention.
    answering: answering::Behaviour,
}

/// The interval of pings that are not to happen.
const NEVER: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

impl Lane {
    /// Whether anybody still waits for the connection.
    pub(super) fn is_wanted(&mut self) -> bool {
        while let Ok(waiting) = self.waiting.try_recv() {
            self.first.push(waiting);
        }
        self.first.retain(|waiting| !waiting.is_closed());
        !self.first.is_empty()
    }

    /// Connects. On failure everybody who waits is told.
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

    async fn dial(&self) -> Result<Connected, PeerError> {
        let keypair = Keypair::generate_ed25519();
        let wire = self.ground.wire(&keypair, self.role)?;
        let answering = answering::Behaviour::new(answering::Config::new().with_interval(NEVER));
        let behaviour = Behaviour { streams: Streams::new(None), answering };
        let mut swarm = Swarm::new(wire, behaviour, keypair.public().to_peer_id(), transport::swarm_config());
        let options = DialOpts::peer_id(self.peer)
            .condition(PeerCondition::Always)
            .addresses(vec![self.ground.address(&self.to)])
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

    /// Opens streams until the connection ends, or is ended.
    pub(super) async fn serve(&mut self, mut connected: Connected) -> End {
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
                        return End::Closed;
                    }
                }
                waiting = self.waiting.recv() => match waiting {
                    Some(waiting) => self.hand_out(waiting, &mut connected),
                    None => return End::Idle,
                },
                () = sleep_until(look_at), if pings.is_empty() => {
                    if self.idle() {
                        return End::Idle;
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
                        return End::Dead;
                    }
                    if health.in_doubt() {
                        pings.push(connected.ping(self.peer));
                    }
                }
            }
        }
    }

    fn hand_out(&self, waiting: Waiting, connected: &mut Connected) {
        if !waiting.is_closed() {
            let _ = waiting.send(Ok(connected.open(self.peer, self.protocol.clone())));
        }
    }

    fn idle(&self) -> bool {
        self.usage.streams() == 0 && self.usage.last_use().elapsed() > super::KEEP_WARM
    }
}

/// A connection that stands.
pub(super) struct Connected {
    swarm: Swarm<Behaviour>,
    connection: ConnectionId,
}

impl Connected {
    fn open(&mut self, peer: PeerId, protocol: StreamProtocol) -> oneshot::Receiver<Stream> {
        let (answer, stream) = oneshot::channel();
        self.swarm.behaviour_mut().streams.open(peer, self.connection, Open { protocol, answer });
        stream
    }

    /// When it was asked, and whether there was an answer.
    fn ping(&mut self, peer: PeerId) -> impl Future<Output = (Instant, bool)> + use<> {
        let stream = self.open(peer, answering::PROTOCOL_NAME);
        let asked = Instant::now();
        async move { (asked, ping::once(stream).await) }
    }
}

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
