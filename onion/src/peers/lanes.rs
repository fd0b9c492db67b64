//! All lanes: which exist, which may dial, which is closed when there are too many.
//!
//! A peer that did not answer its last dial counts as unresponsive. Unresponsive peers have dials
//! and room of their own, so that they cannot keep the others waiting.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use libp2p::{Multiaddr, StreamProtocol, identity::Keypair};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::{
    CircuitRole, PeerAddress, PeerError, PeerStream,
    lane::{BoxedTransport, LaneEnd, LaneNetwork, LaneTask, Waiting},
    stream::Usage,
    wake,
};
use crate::{
    DialPolicy, Tor,
    task::OwnedTask,
    transport::{OnionTransport, authenticated},
};

/// Connections at once, those being made included. One holds 0.1 to 0.3 MB with its circuits, so at
/// most 40 MB.
pub const MAX_LANES: usize = 128;
/// Connections being made, at most. The rest of the room belongs to established ones.
pub const MAX_UNCONNECTED: usize = 64;
/// The share of them for unresponsive peers: the others have as much left.
const MAX_UNCONNECTED_UNRESPONSIVE: usize = 32;
/// Dials at once to peers that answered the last time. A dial has up to three attempts in flight.
pub const MAX_DIALS: usize = 24;
/// Unresponsive peers remembered, at 72 bytes each; beyond it all are forgotten.
const MAX_UNRESPONSIVE_DIALS: usize = 8;
/// A connection that nobody used for this long ends. A conversation rarely pauses longer, and after
/// a longer pause a dial of some seconds is acceptable.
pub const KEEP_WARM: Duration = Duration::from_secs(5 * 60);
/// Requests for a stream that wait for one lane's connection.
const MAX_WAITING: usize = 64;
/// Peers remembered as not answering, at 72 bytes each; beyond it the memory starts over.
const MAX_UNRESPONSIVE: usize = 4096;
/// Limit of a lane's dial: with the handshake it ends within the minute that a request is given.
const DIAL_LIMIT: Duration = Duration::from_secs(45);

/// Connections to peers, made on demand. Cheap to clone; they end when the last clone is dropped.
#[derive(Clone)]
pub struct Peers(Arc<Inner>);

/// What the clones of a [`Peers`] share.
struct Inner {
    shared: Arc<Shared>,
    _watch: OwnedTask,
}

/// What lanes and their users share.
struct Shared {
    /// What connections are made over.
    network: Arc<dyn LaneNetwork>,
    /// The protocol of every stream.
    protocol: StreamProtocol,
    /// The lanes there are.
    lanes: Mutex<Lanes>,
    /// Permits for dials to peers that answered the last time.
    dials: Arc<Semaphore>,
    /// Permits for dials to unresponsive peers.
    unresponsive_dials: Arc<Semaphore>,
    /// Peers whose last dial failed.
    unresponsive: Mutex<HashSet<PeerAddress>>,
    /// Counts sleeps of the machine; every lane pings when it changes.
    woken: watch::Sender<u64>,
}

/// The lanes by peer and role.
#[derive(Default)]
struct Lanes {
    by_key: HashMap<(PeerAddress, CircuitRole), LaneHandle>,
    /// Lanes made so far: numbers a lane, so that an old task cannot remove its successor.
    made: u64,
}

/// A lane as its users see it. Dropping it aborts the lane's task.
struct LaneHandle {
    /// The lane's number among all that were made.
    number: u64,
    /// Where requests for a stream go.
    waiting: mpsc::Sender<Waiting>,
    /// Its open streams and when it was last used.
    usage: Arc<Usage>,
    _task: OwnedTask,
}

/// The lane for a request.
enum Asked {
    /// A new one, which holds the request.
    New(Arc<Usage>),
    /// One that runs: the request, and where it is to be sent.
    Running(Waiting, mpsc::Sender<Waiting>, Arc<Usage>),
}

impl Peers {
    /// Connections over `tor`, for streams of `protocol` (which begins with a slash).
    #[must_use]
    pub fn new(tor: &Tor, protocol: &'static str) -> Self {
        Self::over(Arc::new(OverTor(tor.clone())), StreamProtocol::new(protocol))
    }

    /// The same over any network.
    pub(super) fn over(network: Arc<dyn LaneNetwork>, protocol: StreamProtocol) -> Self {
        let (woken, _) = watch::channel(0);
        let shared = Arc::new(Shared {
            network,
            protocol,
            lanes: Mutex::default(),
            dials: Arc::new(Semaphore::new(MAX_DIALS)),
            unresponsive_dials: Arc::new(Semaphore::new(MAX_UNRESPONSIVE_DIALS)),
            unresponsive: Mutex::default(),
            woken: woken.clone(),
        });
        Self(Arc::new(Inner { shared, _watch: OwnedTask::spawn(wake::watch(woken)) }))
    }

    /// A stream to `to` in the lane `lane`: over its connection if that is established, else over a
    /// new one. Requests for the same lane meanwhile wait for the same dial.
    ///
    /// A stream costs no round trip. Whether the peer lives and speaks the protocol is known from
    /// its first answer.
    ///
    /// # Errors
    /// The peer is not reached or has another key; or all connections are in use.
    pub async fn open(&self, to: &PeerAddress, lane: CircuitRole) -> Result<PeerStream, PeerError> {
        // A lane may end in the moment it is asked; then another is made.
        for _ in 0..2 {
            let (answer, answered) = oneshot::channel();
            let usage = self.0.shared.ask(to, lane, answer).await?;
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

    /// Number of connections, those being made included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.shared.lanes().by_key.len()
    }

    /// Pings all connections at once, as after a sleep of the machine: dead ones are closed ten
    /// seconds later.
    pub fn probe(&self) {
        self.0.shared.woken.send_modify(|count| *count += 1);
    }

    /// Changes when the machine slept or its clock jumped: whoever waits for a time should look
    /// again.
    #[must_use]
    pub fn woken(&self) -> watch::Receiver<u64> {
        self.0.shared.woken.subscribe()
    }
}

impl Shared {
    /// Asks the lane that exists, or a new one, for a stream. `waiting` is answered or dropped.
    ///
    /// The lane's sender is given back before the answer is awaited: a request that was sent while
    /// the lane ended stays in the channel, and is dropped with the last sender only.
    ///
    /// # Errors
    /// There is no room for a new lane, or the peer's key is not an Ed25519 key.
    async fn ask(
        self: &Arc<Self>,
        to: &PeerAddress,
        role: CircuitRole,
        waiting: Waiting,
    ) -> Result<Arc<Usage>, PeerError> {
        let (waiting, lane, usage) = match self.lane_or_new(to, role, waiting)? {
            Asked::New(usage) => return Ok(usage),
            Asked::Running(waiting, lane, usage) => (waiting, lane, usage),
        };
        // Fails where the lane has ended; then the request is dropped, which says so.
        drop(lane.send(waiting).await);
        Ok(usage)
    }

    /// The lane that exists; or a new one, which holds the request from the start: it ends when
    /// nobody wants it.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    fn lane_or_new(
        self: &Arc<Self>,
        to: &PeerAddress,
        role: CircuitRole,
        request: Waiting,
    ) -> Result<Asked, PeerError> {
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.by_key.get(&(*to, role))
            && !lane.waiting.is_closed()
        {
            return Ok(Asked::Running(request, lane.waiting.clone(), lane.usage.clone()));
        }
        let peer = to.peer_id().ok_or(PeerError::Key)?;
        lanes.by_key.remove(&(*to, role));
        let unresponsive = self.unresponsive().contains(to);
        lanes.make_room(if unresponsive { MAX_UNCONNECTED_UNRESPONSIVE } else { MAX_UNCONNECTED })?;
        let (waiting, asked) = mpsc::channel(MAX_WAITING);
        let usage = Usage::new();
        let number = lanes.made;
        lanes.made += 1;
        let lane = LaneTask {
            network: self.network.clone(),
            to: *to,
            peer,
            role,
            protocol: self.protocol.clone(),
            usage: usage.clone(),
            waiting: asked,
            first: vec![request],
            woken: self.woken.subscribe(),
        };
        let task = OwnedTask::spawn(self.clone().run_lane(lane, number));
        let running = LaneHandle { number, waiting, usage: usage.clone(), _task: task };
        lanes.by_key.insert((*to, role), running);
        Ok(Asked::New(usage))
    }

    /// The task of a lane: from its dial to its end. It removes the lane unless a newer one has its
    /// place.
    async fn run_lane(self: Arc<Self>, mut lane: LaneTask, number: u64) {
        let end = self.dial_and_serve(&mut lane).await;
        if end == LaneEnd::Dead {
            lane.network.discard_circuits(&lane.to, lane.role);
        }
        tracing::debug!(to = ?lane.to, role = ?lane.role, ?end, "a connection to a peer ended");
        let mut lanes = self.lanes();
        if lanes.by_key.get(&(lane.to, lane.role)).is_some_and(|running| running.number == number) {
            lanes.by_key.remove(&(lane.to, lane.role));
        }
    }

    /// Waits for a permit, dials, and serves the connection until it ends. A lane that nobody waits
    /// for any more does not dial.
    async fn dial_and_serve(&self, lane: &mut LaneTask) -> LaneEnd {
        let unresponsive = self.unresponsive().contains(&lane.to);
        let permits = if unresponsive { &self.unresponsive_dials } else { &self.dials };
        let Ok(permit) = permits.acquire().await else { return LaneEnd::NotConnected };
        if !lane.is_wanted() {
            return LaneEnd::NotConnected;
        }
        let connected = Box::pin(lane.connect()).await;
        drop(permit);
        self.note_result(&lane.to, connected.is_ok());
        match connected {
            Ok(connected) => Box::pin(lane.serve(connected)).await,
            Err(error) => {
                tracing::debug!(to = ?lane.to, role = ?lane.role, %error, "a peer was not reached");
                LaneEnd::NotConnected
            }
        }
    }

    /// Remembers whether a peer answered its dial.
    fn note_result(&self, to: &PeerAddress, answers: bool) {
        let mut unresponsive = self.unresponsive();
        if answers {
            unresponsive.remove(to);
            return;
        }
        if unresponsive.len() >= MAX_UNRESPONSIVE {
            unresponsive.clear();
        }
        unresponsive.insert(*to);
    }

    /// The lanes, locked.
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The unresponsive peers, locked.
    fn unresponsive(&self) -> MutexGuard<'_, HashSet<PeerAddress>> {
        self.unresponsive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// Makes room for one more lane. At the limit of all lanes the one that was idle longest is
    /// closed. `most` limits those that are not connected yet.
    ///
    /// # Errors
    /// Too many lanes are being connected, or all connections are in use.
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

impl LaneHandle {
    /// Whether no stream is open and nobody waits for one.
    fn is_idle(&self) -> bool {
        self.usage.is_connected() && self.usage.streams() == 0 && self.waiting.capacity() == MAX_WAITING
    }
}

/// Lanes through Tor.
struct OverTor(Tor);

impl LaneNetwork for OverTor {
    fn transport(&self, keypair: &Keypair, role: CircuitRole) -> Result<BoxedTransport, PeerError> {
        let policy = DialPolicy { total_limit: DIAL_LIMIT, ..DialPolicy::new(role) };
        authenticated(OnionTransport::new(self.0.clone(), policy), keypair)
            .map_err(|error| PeerError::Dial(error.to_string()))
    }

    fn address(&self, to: &PeerAddress) -> Multiaddr {
        to.onion.multiaddr(to.port)
    }

    fn discard_circuits(&self, to: &PeerAddress, role: CircuitRole) {
        self.0.rotate_role(&to.onion, role);
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("connections", &self.connections()).finish_non_exhaustive()
    }
}
