//! The server for peers: a swarm under a key of ours whose streams are handed out.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use futures::StreamExt as _;
use libp2p::{
    PeerId, StreamProtocol, Swarm,
    connection_limits::{self, ConnectionLimits},
    identity::Keypair,
    ping,
    swarm::{ConnectionId, NetworkBehaviour, SwarmEvent},
};
use tokio::{
    sync::mpsc,
    time::{Instant, interval},
};
use zeroize::Zeroizing;

use super::{
    CircuitRole, PeerStream,
    behaviour::{Arrived, Streams},
    lane::BoxedTransport,
    stream::Usage,
};
use crate::{
    DialPolicy, PortListener,
    task::OwnedTask,
    transport::{OnionTransport, authenticated, swarm_config},
};

/// Connections of callers. At 0.1 to 0.3 MB each at most 120 MB, when all are filled on purpose. A
/// pod with a thousand contacts is called by few of them at a time.
pub const MAX_CONNECTIONS: usize = 384;
/// Handshakes under way; further callers are rejected. At some 10 kB each 2.5 MB. One that hangs ends after 15 s, so that
/// 17 of them in a second would keep others out: more than rendezvous are made in that time.
const MAX_HANDSHAKES: u32 = 256;
/// Streams of one connection: 32 requests are in flight on a lane, and some subscriptions stay open.
pub const MAX_STREAMS: usize = 64;
/// Streams a connection may open a second in the long run. A circuit carries about a hundred frames a second.
const STREAMS_A_SECOND: f64 = 128.0;
/// Streams it may open at once.
const BURST: f64 = 256.0;
/// Streams that wait to be served; further ones are reset.
const MAX_WAITING: usize = 256;
/// Time for a caller to open its first stream; a connection without one after that is closed.
const FIRST_STREAM_LIMIT: Duration = Duration::from_secs(60);
/// A connection without a stream for this long ends. Callers end theirs earlier.
const IDLE_LIMIT: Duration = Duration::from_secs(10 * 60);
/// Interval at which connections to be closed are looked for.
const SWEEP: Duration = Duration::from_secs(15);
/// Callers ping by themselves. These pings only find callers that are gone, so they may be slow.
const PING_INTERVAL: Duration = Duration::from_secs(60);
/// Time for the answer to such a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(30);

/// Accepts streams that peers open. Dropping it ends all their connections.
pub struct PeerServer {
    arrivals: mpsc::Receiver<Arrival>,
    _task: OwnedTask,
}

/// A stream that a peer opened.
#[derive(Debug)]
pub struct Arrival {
    /// The connection that carries it: a number that is never used again. Who is behind it is not
    /// known.
    pub connection: u64,
    /// The stream.
    pub stream: PeerStream,
}

/// Why the server does not start.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the peer service cannot start: {0}")]
pub struct PeerServerError(String);

impl PeerServer {
    /// Serves `protocol` on `listener` as the peer with this Ed25519 seed.
    ///
    /// # Errors
    /// libp2p refuses the key or the listener.
    pub fn start(
        listener: PortListener,
        seed: &Zeroizing<[u8; 32]>,
        protocol: &'static str,
    ) -> Result<Self, PeerServerError> {
        let refused = |error: &dyn fmt::Display| PeerServerError(error.to_string());
        let keypair = keypair(seed)?;
        let tor = listener.service().tor().clone();
        // It dials nobody: what is left of the limit is the time for a handshake.
        let policy =
            DialPolicy { total_limit: Duration::ZERO, ..DialPolicy::new(CircuitRole::named("peer")) };
        let mut onion = OnionTransport::new(tor, policy);
        let address = onion.serve(listener);
        let wire = authenticated(onion, &keypair).map_err(|error| refused(&error))?;
        let mut swarm = swarm(wire, &keypair, StreamProtocol::new(protocol));
        swarm.listen_on(address).map_err(|error| refused(&error))?;
        Ok(Self::over(swarm))
    }

    /// The same over a swarm that listens already.
    pub(super) fn over(swarm: Swarm<Behaviour>) -> Self {
        let (out, arrivals) = mpsc::channel(MAX_WAITING);
        Self { arrivals, _task: OwnedTask::spawn(AcceptLoop::new(swarm, out).serve()) }
    }

    /// The next stream; `None` once the onion service has ended.
    pub async fn accept(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }
}

/// libp2p's form of an Ed25519 seed.
fn keypair(seed: &Zeroizing<[u8; 32]>) -> Result<Keypair, PeerServerError> {
    let mut seed = Zeroizing::new(**seed);
    Keypair::ed25519_from_bytes(&mut *seed).map_err(|error| PeerServerError(error.to_string()))
}

/// What the swarm does with a connection: limits handshakes, accepts streams, answers and sends
/// pings.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    streams: Streams,
    ping: ping::Behaviour,
}

/// A swarm that accepts streams of `protocol`.
pub(super) fn swarm(wire: BoxedTransport, keypair: &Keypair, protocol: StreamProtocol) -> Swarm<Behaviour> {
    let limits = ConnectionLimits::default().with_max_pending_incoming(Some(MAX_HANDSHAKES));
    let ping = ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT);
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        streams: Streams::new(Some(protocol)),
        ping: ping::Behaviour::new(ping),
    };
    Swarm::new(wire, behaviour, PeerId::from(keypair.public()), swarm_config())
}

/// The task that drives the swarm, and the connections it has accepted.
struct AcceptLoop {
    swarm: Swarm<Behaviour>,
    /// Open connections.
    callers: HashMap<ConnectionId, Caller>,
    /// The number of the newest connection.
    last_number: u64,
    /// Where streams are handed out.
    out: mpsc::Sender<Arrival>,
}

/// One open connection.
struct Caller {
    /// The number that names it to the server's user.
    number: u64,
    /// Its open streams and when it was last used; shared with the streams.
    usage: Arc<Usage>,
    /// When the handshake was done.
    since: Instant,
    /// Whether it has opened a stream yet.
    opened_stream: bool,
    /// How many streams it may open now.
    budget: Budget,
}

impl AcceptLoop {
    fn new(swarm: Swarm<Behaviour>, out: mpsc::Sender<Arrival>) -> Self {
        Self { swarm, callers: HashMap::new(), last_number: 0, out }
    }

    /// Runs until the server is dropped or the onion service ends.
    async fn serve(mut self) {
        let mut sweep = interval(SWEEP);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => match event {
                    SwarmEvent::ListenerClosed { .. } => return,
                    event => self.on(event),
                },
                _ = sweep.tick() => self.sweep(),
                () = self.out.closed() => return,
            }
        }
    }

    /// Handles one event of the swarm.
    fn on(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { connection_id, .. } => self.add_caller(connection_id),
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.callers.remove(&connection_id);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Streams(arrived)) => self.hand_out(arrived),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(error),
                ..
            })) => {
                tracing::debug!(%error, "a caller gives no sign of life");
                self.swarm.close_connection(connection);
            }
            _ => {}
        }
    }

    /// Accepts a connection. At the limit another is closed for it: the one without a stream that was idle longest, or
    /// where all have streams, the one whose streams carried nothing for longest.
    ///
    /// So connections that hold streams and say nothing keep no newcomer out. A quiet subscriber that is closed comes
    /// again, and is then the newest; whoever wants to keep it out has to make [`MAX_CONNECTIONS`] connections in the
    /// time that one request takes.
    fn add_caller(&mut self, connection: ConnectionId) {
        if self.callers.len() >= MAX_CONNECTIONS {
            let least_used = |(_, caller): &(&ConnectionId, &Caller)| {
                (caller.usage.streams() > 0, caller.usage.last_moved(), caller.number)
            };
            if let Some(longest) = self.callers.iter().min_by_key(least_used).map(|(id, _)| *id) {
                self.close(longest);
            }
        }
        self.last_number += 1;
        let caller = Caller {
            number: self.last_number,
            usage: Usage::new(),
            since: Instant::now(),
            opened_stream: false,
            budget: Budget::new(),
        };
        self.callers.insert(connection, caller);
    }

    /// Hands out a stream, or drops it where its connection has too many or opens them too fast.
    fn hand_out(&mut self, Arrived { connection, stream }: Arrived) {
        let Some(caller) = self.callers.get_mut(&connection) else { return };
        if caller.usage.streams() >= MAX_STREAMS || !caller.budget.take(Instant::now()) {
            return tracing::debug!("a caller opens too many streams");
        }
        caller.opened_stream = true;
        let stream = PeerStream::new(stream, caller.usage.clone());
        if self.out.try_send(Arrival { connection: caller.number, stream }).is_err() {
            tracing::debug!("too many streams wait to be served");
        }
    }

    /// Closes connections that were idle for [`IDLE_LIMIT`] or never opened a stream.
    fn sweep(&mut self) {
        let surplus = |caller: &Caller| {
            caller.usage.streams() == 0
                && if caller.opened_stream {
                    caller.usage.last_use().elapsed() > IDLE_LIMIT
                } else {
                    caller.since.elapsed() > FIRST_STREAM_LIMIT
                }
        };
        let idle: Vec<_> =
            self.callers.iter().filter(|(_, caller)| surplus(caller)).map(|(id, _)| *id).collect();
        for connection in idle {
            self.close(connection);
        }
    }

    /// Closes a connection and forgets it at once: its streams end by themselves.
    fn close(&mut self, connection: ConnectionId) {
        self.callers.remove(&connection);
        self.swarm.close_connection(connection);
    }
}

/// A token bucket: how many streams a connection may open now.
struct Budget {
    /// Streams left.
    left: f64,
    /// When `left` was computed.
    at: Instant,
}

impl Budget {
    fn new() -> Self {
        Self { left: BURST, at: Instant::now() }
    }

    /// Takes one stream. False where there is none left.
    fn take(&mut self, now: Instant) -> bool {
        let gained = now.duration_since(self.at).as_secs_f64() * STREAMS_A_SECOND;
        self.left = (self.left + gained).min(BURST);
        self.at = now;
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

impl fmt::Debug for PeerServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerServer").finish_non_exhaustive()
    }
}
