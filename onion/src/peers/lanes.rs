//! All lanes: which there are, who may dial, who has to go.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use libp2p::{Multiaddr, StreamProtocol, identity::Keypair};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::{
    PeerAddress, PeerError, PeerStream, Role,
    lane::{End, Ground, Lane, Waiting, Wire},
    stream::Usage,
    wake,
};
use crate::{
    DialPolicy, Tor,
    task::OwnedTask,
    transport::{OnionTransport, authenticated},
};

/// Connections at once, those under way included. One holds 0.1 to 0.3 MB with its circuits, so at most 40 MB.
pub const MAX_LANES: usize = 128;
/// Connections that do not stand yet. The rest of the room is for those that do.
pub const MAX_UNCONNECTED: usize = 64;
/// Room among those for peers that did not answer the last time: the others have as much left.
const MAX_DOUBTFUL: usize = 32;
/// Dials at once to peers that answered the last time. A dial has up to three attempts in flight.
pub const MAX_DIALS: usize = 24;
/// Dials at once to peers that did not. They cannot keep others waiting.
const MAX_DOUBTFUL_DIALS: usize = 8;
/// A connection nobody used for this long ends. A conversation pauses for less, and a pause that is longer is worth
/// the seconds of a dial.
pub const KEEP_WARM: Duration = Duration::from_secs(5 * 60);
/// Who waits for one lane's connection.
const MAX_WAITING: usize = 64;
/// Peers remembered as not answering, at 72 bytes each; beyond it the memory starts over.
const MAX_DOUBTED: usize = 4096;
/// Limit of a lane's dial: with the handshake it ends within the minute that a request is given.
const DIAL_LIMIT: Duration = Duration::from_secs(45);

/// Connections to peers, made on demand. Cheap to clone; they end when the last clone is dropped.
#[derive(Clone)]
pub struct Peers(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    _watch: OwnedTask,
}

struct Shared {
    ground: Arc<dyn Ground>,
    protocol: StreamProtocol,
    lanes: Mutex<Lanes>,
    dials: Arc<Semaphore>,
    doubtful_dials: Arc<Semaphore>,
    doubted: Mutex<HashSet<PeerAddress>>,
    woken: watch::Sender<u64>,
}

#[derive(Default)]
struct Lanes {
    by_key: HashMap<(PeerAddress, Role), Running>,
    made: u64,
}

/// A lane's task, from outside.
struct Running {
    number: u64,
    waiting: mpsc::Sender<Waiting>,
    usage: Arc<Usage>,
    _task: OwnedTask,
}

impl Peers {
    /// Connections over `tor`, for streams of `protocol` (which begins with a slash).
    #[must_use]
    pub fn new(tor: &Tor, protocol: &'static str) -> Self {
        Self::over(Arc::new(OverTor(tor.clone())), StreamProtocol::new(protocol))
    }

    pub(super) fn over(ground: Arc<dyn Ground>, protocol: StreamProtocol) -> Self {
        let (woken, _) = watch::channel(0);
        let shared = Arc::new(Shared {
            ground,
            protocol,
            lanes: Mutex::default(),
            dials: Arc::new(Semaphore::new(MAX_DIALS)),
            doubtful_dials: Arc::new(Semaphore::new(MAX_DOUBTFUL_DIALS)),
            doubted: Mutex::default(),
            woken: woken.clone(),
        });
        Self(Arc::new(Inner { shared, _watch: OwnedTask::spawn(wake::watch(woken)) }))
    }

    /// A stream to `to` in a lane of its own: over its connection if that is warm, else over a new one. Whoever asks
    /// for the same lane meanwhile waits for the same dial.
    ///
    /// A stream costs no round trip. That the peer lives, and speaks the protocol, is known from its first answer.
    ///
    /// # Errors
    /// The peer is not reached, or is somebody else; or all connections are in use.
    pub async fn open(&self, to: &PeerAddress, lane: Role) -> Result<PeerStream, PeerError> {
        // A lane may end in the moment it is asked; then another is made.
        for _ in 0..2 {
            let (asks, usage) = self.0.shared.lane(to, lane)?;
            let (answer, answered) = oneshot::channel();
            if asks.send(answer).await.is_err() {
                continue;
            }
            match answered.await {
                Ok(Ok(opening)) => {
                    if let Ok(stream) = opening.await {
                        return Ok(PeerStream::new(stream, usage));
                    }
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Err(PeerError::Ended)
    }

    /// Connections there are, those being made included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.shared.lanes().by_key.len()
    }

    /// Looks at all connections at once, as after a sleep of the machine: those that are dead are gone ten seconds
    /// later.
    pub fn probe(&self) {
        self.0.shared.woken.send_modify(|count| *count += 1);
    }

    /// Changes when the machine slept or its clock jumped: what waits for a time may look again.
    #[must_use]
    pub fn woken(&self) -> watch::Receiver<u64> {
        self.0.shared.woken.subscribe()
    }
}

impl Shared {
    /// The lane there is, or a new one.
    fn lane(
        self: &Arc<Self>,
        to: &PeerAddress,
        role: Role,
    ) -> Result<(mpsc::Sender<Waiting>, Arc<Usage>), PeerError> {
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.by_key.get(&(*to, role))
            && !lane.waiting.is_closed()
        {
            return Ok((lane.waiting.clone(), lane.usage.clone()));
        }
        let peer = to.peer_id().ok_or(PeerError::Key)?;
        lanes.by_key.remove(&(*to, role));
        let doubted = self.doubted().contains(to);
        lanes.make_room(if doubted { MAX_DOUBTFUL } else { MAX_UNCONNECTED })?;
        let (waiting, asked) = mpsc::channel(MAX_WAITING);
        let usage = Usage::new();
        let number = lanes.made;
        lanes.made += 1;
        let lane = Lane {
            ground: self.ground.clone(),
            to: *to,
            peer,
            role,
            protocol: self.protocol.clone(),
            usage: usage.clone(),
            waiting: asked,
            first: Vec::new(),
            woken: self.woken.subscribe(),
        };
        let task = OwnedTask::spawn(self.clone().keep(lane, number));
        let running = Running { number, waiting: waiting.clone(), usage: usage.clone(), _task: task };
        lanes.by_key.insert((*to, role), running);
        Ok((waiting, usage))
    }

    /// A lane's whole life.
    async fn keep(self: Arc<Self>, mut lane: Lane, number: u64) {
        let end = self.live(&mut lane).await;
        if end == End::Dead {
            lane.ground.give_up(&lane.to, lane.role);
        }
        tracing::debug!(to = ?lane.to, role = ?lane.role, ?end, "a connection to a peer ended");
        let mut lanes = self.lanes();
        if lanes.by_key.get(&(lane.to, lane.role)).is_some_and(|running| running.number == number) {
            lanes.by_key.remove(&(lane.to, lane.role));
        }
    }

    async fn live(&self, lane: &mut Lane) -> End {
        let doubted = self.doubted().contains(&lane.to);
        let permits = if doubted { &self.doubtful_dials } else { &self.dials };
        let Ok(permit) = permits.acquire().await else { return End::NotConnected };
        if !lane.is_wanted() {
            return End::NotConnected;
        }
        let connected = Box::pin(lane.connect()).await;
        drop(permit);
        self.learn(&lane.to, connected.is_ok());
        match connected {
            Ok(connected) => Box::pin(lane.serve(connected)).await,
            Err(error) => {
                tracing::debug!(to = ?lane.to, role = ?lane.role, %error, "a peer was not reached");
                End::NotConnected
            }
        }
    }

    fn learn(&self, to: &PeerAddress, answers: bool) {
        let mut doubted = self.doubted();
        if answers {
            doubted.remove(to);
            return;
        }
        if doubted.len() >= MAX_DOUBTED {
            doubted.clear();
        }
        doubted.insert(*to);
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubted(&self) -> MutexGuard<'_, HashSet<PeerAddress>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// Ends the connection that was idle longest if there is no room for another. Those that do not stand yet, `most`
    /// of which there may be, take no room from those that do.
    fn make_room(&mut self, most: usize) -> Result<(), PeerError> {
        let unconnected = self.by_key.values().filter(|lane| !lane.usage.is_connected()).count();
        if unconnected >= most {
            return Err(PeerError::NoRoom);
        }
        if self.by_key.len() < MAX_LANES {
            return Ok(());
        }
        let idle = self.by_key.iter().filter(|(_, lane)| lane.is_idle());
        let longest = idle.min_by_key(|(_, lane)| lane.usage.last_use()).map(|(key, _)| *key);
        let longest = longest.ok_or(PeerError::NoRoom)?;
        self.by_key.remove(&longest);
        Ok(())
    }
}

impl Running {
    /// Nobody has a stream, and nobody waits for one.
    fn is_idle(&self) -> bool {
        self.usage.is_connected() && self.usage.streams() == 0 && self.waiting.capacity() == MAX_WAITING
    }
}

/// Connections through Tor.
struct OverTor(Tor);

impl Ground for OverTor {
    fn wire(&self, keypair: &Keypair, role: Role) -> Result<Wire, PeerError> {
        let policy = DialPolicy { total_limit: DIAL_LIMIT, ..DialPolicy::new(role) };
        authenticated(OnionTransport::new(self.0.clone(), policy), keypair)
            .map_err(|error| PeerError::Dial(error.to_string()))
    }

    fn address(&self, to: &PeerAddress) -> Multiaddr {
        to.onion.multiaddr(to.port)
    }

    fn give_up(&self, to: &PeerAddress, role: Role) {
        self.0.rotate_role(&to.onion, role);
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("connections", &self.connections()).finish_non_exhaustive()
    }
}
