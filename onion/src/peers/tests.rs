//! Lanes and the server over libp2p's memory transport: the rules, without Tor.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
};

use libp2p::{
    Multiaddr, StreamProtocol, Transport as _,
    core::{
        muxing::StreamMuxerBox,
        transport::{ListenerId, MemoryTransport},
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise, yamux,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Duration, sleep},
};

use super::{
    lane::{BoxedTransport, LaneNetwork},
    server::swarm,
    *,
};
use crate::task::OwnedTask;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/test/1");

fn memory(keypair: &Keypair) -> BoxedTransport {
    let transport = MemoryTransport::new().upgrade(Version::V1Lazy);
    let noise = noise::Config::new(keypair).unwrap();
    let muxed = transport.authenticate(noise).multiplex(yamux::Config::default());
    muxed.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))).boxed()
}

/// Remembers who dialled, and what was given up.
#[derive(Default)]
struct Memory {
    identities: Mutex<HashSet<PeerId>>,
    given_up: Mutex<Vec<CircuitRole>>,
}

impl LaneNetwork for Memory {
    fn transport(&self, keypair: &Keypair, _: CircuitRole) -> Result<BoxedTransport, PeerError> {
        assert!(
            self.identities.lock().unwrap().insert(keypair.public().to_peer_id()),
            "an identity is used twice"
        );
        Ok(memory(keypair))
    }

    fn address(&self, to: &PeerAddress) -> Multiaddr {
        Multiaddr::empty().with(Protocol::Memory(to.port.into()))
    }

    fn discard_circuits(&self, _: &PeerAddress, role: CircuitRole) {
        self.given_up.lock().unwrap().push(role);
    }
}

fn peers() -> (Arc<Memory>, Peers) {
    let network = Arc::new(Memory::default());
    (network.clone(), Peers::over(network, PROTOCOL))
}

/// A server that no other test has.
fn start_server() -> (PeerAddress, PeerServer) {
    static NEXT: AtomicU16 = AtomicU16::new(1000);
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    let keypair = Keypair::generate_ed25519();
    let mut swarm = swarm(memory(&keypair), &keypair, PROTOCOL);
    swarm.listen_on(Multiaddr::empty().with(Protocol::Memory(port.into()))).unwrap();
    let key = keypair.public().try_into_ed25519().unwrap().to_bytes();
    let onion = OnionAddress::from_public_key([9; 32]);
    (PeerAddress { onion, port, key }, PeerServer::over(swarm))
}

/// A server that says in 8 bytes over which connection it was asked.
fn telling() -> (PeerAddress, OwnedTask) {
    let (address, mut server) = start_server();
    let task = OwnedTask::spawn(async move {
        while let Some(Arrival { connection, mut stream }) = server.accept().await {
            tokio::runtime::Handle::current().spawn(async move {
                let mut asked = [0];
                if stream.read_exact(&mut asked).await.is_err() {
                    return;
                }
                stream.write_all(&connection.to_be_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    (address, task)
}

async fn ask(peers: &Peers, to: &PeerAddress, lane: CircuitRole) -> Result<u64, PeerError> {
    let mut stream = peers.open(to, lane).await?;
    stream.write_all(&[1]).await.unwrap();
    stream.shutdown().await.unwrap();
    Ok(stream.read_u64().await.unwrap())
}

fn party(n: u8) -> CircuitRole {
    CircuitRole::DEPOSIT.of([n; 16])
}

#[tokio::test]
async fn lane_keeps_its_connection_and_shares_it_with_none() {
    let (network, peers) = peers();
    let (to, _task) = telling();
    let one = ask(&peers, &to, party(1)).await.unwrap();
    assert_eq!(ask(&peers, &to, party(1)).await.unwrap(), one);
    assert_ne!(ask(&peers, &to, party(2)).await.unwrap(), one);
    assert_ne!(ask(&peers, &to, CircuitRole::COLLECT.of([1; 16])).await.unwrap(), one);
    assert_eq!(network.identities.lock().unwrap().len(), 3);
    assert_eq!(peers.connections(), 3);
}

#[tokio::test]
async fn requests_for_one_lane_share_one_dial() {
    let (network, peers) = peers();
    let (to, _task) = telling();
    let asks = (0..40).map(|_| ask(&peers, &to, party(1)));
    let answers = futures::future::join_all(asks).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == answers[0].as_ref().unwrap()));
    assert_eq!(network.identities.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn failed_dial_is_reported_to_all_waiting_requests() {
    let (_, peers) = peers();
    let (to, _task) = telling();
    let nobody = PeerAddress { port: 9, ..to };
    let outcomes = futures::future::join_all((0..5).map(|_| peers.open(&nobody, party(1)))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(PeerError::Dial(_)))), "{outcomes:?}");
    let key = Keypair::generate_ed25519().public().try_into_ed25519().unwrap().to_bytes();
    let somebody_else = PeerAddress { key, ..to };
    assert!(matches!(peers.open(&somebody_else, party(1)).await, Err(PeerError::WrongPeer)));
    while peers.connections() > 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

/// A lane whose request has not arrived yet must not end for lack of one: the request might be lost in its channel.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_request_is_answered_by_the_lane_made_for_it() {
    let (_, peers) = peers();
    let (to, _task) = telling();
    let nobody = PeerAddress { port: 9, ..to };
    for round in 0..500u16 {
        let lane = |n: u8| {
            CircuitRole::DEPOSIT.of([round.to_be_bytes(), [0, n]].concat().repeat(4).try_into().unwrap())
        };
        let outcomes = futures::future::join_all((0..4).map(|n| peers.open(&nobody, lane(n)))).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(PeerError::Dial(_)))), "{outcomes:?}");
    }
}

#[tokio::test]
async fn lane_reconnects_when_the_server_is_back() {
    let (_, peers) = peers();
    let (to, task) = telling();
    ask(&peers, &to, party(1)).await.unwrap();
    drop(task);
    while peers.connections() > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(peers.open(&to, party(1)).await, Err(PeerError::Dial(_))));
}

#[tokio::test]
async fn longest_idle_connection_makes_room() {
    let (_, peers) = peers();
    let (to, _task) = telling();
    let lane = |n: usize| CircuitRole::DEPOSIT.of((n as u128).to_be_bytes());
    let mut held = Vec::new();
    for n in 0..MAX_LANES {
        let stream = peers.open(&to, lane(n)).await.unwrap();
        if n != 5 {
            held.push(stream);
        }
    }
    held.push(peers.open(&to, lane(1000)).await.unwrap());
    assert_eq!(peers.connections(), MAX_LANES);
    assert!(matches!(peers.open(&to, lane(1001)).await, Err(PeerError::NoRoom)));
    held.push(peers.open(&to, lane(7)).await.unwrap());
}

fn silent(port: u16) -> u64 {
    u64::MAX - u64::from(port)
}

/// Dials never end, except at one port.
struct Silent(Arc<Memory>, u16);

impl LaneNetwork for Silent {
    fn transport(&self, keypair: &Keypair, role: CircuitRole) -> Result<BoxedTransport, PeerError> {
        self.0.transport(keypair, role)
    }

    fn address(&self, to: &PeerAddress) -> Multiaddr {
        // A listener that nobody polls: the handshake waits for ever.
        let port = if to.port == self.1 { to.port.into() } else { silent(self.1) };
        Multiaddr::empty().with(Protocol::Memory(port))
    }

    fn discard_circuits(&self, to: &PeerAddress, role: CircuitRole) {
        self.0.discard_circuits(to, role);
    }
}

#[tokio::test]
async fn hanging_peers_leave_room_for_responsive_ones() {
    let (to, _task) = telling();
    let mut hole = MemoryTransport::new().boxed();
    let at = Multiaddr::empty().with(Protocol::Memory(silent(to.port)));
    hole.listen_on(ListenerId::next(), at).unwrap();
    let peers = Peers::over(Arc::new(Silent(Arc::default(), to.port)), PROTOCOL);
    let warm = ask(&peers, &to, party(1)).await.unwrap();
    let hanging = PeerAddress { port: 9, ..to };
    let mut waiting = Vec::new();
    for n in 0..MAX_UNCONNECTED as u8 {
        let peers = peers.clone();
        waiting.push(OwnedTask::spawn(async move { drop(peers.open(&hanging, party(n)).await) }));
    }
    while peers.connections() < MAX_UNCONNECTED + 1 {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(peers.open(&hanging, party(200)).await, Err(PeerError::NoRoom)));
    assert_eq!(ask(&peers, &to, party(1)).await.unwrap(), warm, "who is connected stays so");
    drop(waiting);
}

#[tokio::test]
async fn streams_of_one_caller_are_limited() {
    let (_, peers) = peers();
    let (to, mut server) = start_server();
    let mut kept = Vec::new();
    for _ in 0..MAX_STREAMS {
        let mut stream = peers.open(&to, party(1)).await.unwrap();
        stream.write_all(&[1]).await.unwrap();
        stream.flush().await.unwrap();
        kept.push((stream, server.accept().await.unwrap()));
    }
    let mut surplus = peers.open(&to, party(1)).await.unwrap();
    surplus.write_all(&[1]).await.unwrap();
    drop(surplus.flush().await);
    assert_eq!(surplus.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    kept.pop();
    let mut stream = peers.open(&to, party(1)).await.unwrap();
    stream.write_all(&[1]).await.unwrap();
    stream.flush().await.unwrap();
    server.accept().await.unwrap();
}

/// As many connections as the server keeps, each with a stream that stays silent; more cannot come without one ending.
#[tokio::test]
async fn silent_streams_on_every_connection_keep_no_newcomer_out() {
    let (to, _task) = telling();
    let mut callers = Vec::new();
    let mut silent = Vec::new();
    for n in 0..MAX_CONNECTIONS {
        if n % MAX_LANES == 0 {
            callers.push(peers().1);
        }
        let lane = CircuitRole::DEPOSIT.of((n as u128).to_be_bytes());
        let mut stream = callers[n / MAX_LANES].open(&to, lane).await.unwrap();
        stream.flush().await.unwrap();
        silent.push(stream);
    }
    let open: usize = callers.iter().map(Peers::connections).sum();
    assert_eq!(open, MAX_CONNECTIONS);
    let (_, newcomer) = peers();
    ask(&newcomer, &to, party(1)).await.unwrap();
    assert!(silent[0].read_u8().await.is_err(), "the one that was silent longest made room");
    ask(&newcomer, &to, party(1)).await.unwrap();
}

#[test]
fn peer_address_round_trips_as_text() {
    let keypair = Keypair::ed25519_from_bytes([3; 32]).unwrap();
    let key = keypair.public().try_into_ed25519().unwrap().to_bytes();
    let address = PeerAddress { onion: OnionAddress::from_public_key(key), port: 4001, key };
    let text = address.to_string();
    assert!(text.starts_with("/onion3/") && text.contains(":4001/p2p/12D3KooW"), "{text}");
    assert_eq!(text.parse(), Ok(address));
    let (onion, _) = text.split_once("/p2p/").unwrap();
    assert_eq!(onion.parse::<PeerAddress>(), Err(PeerAddressError::Peer));
    assert!("/ip4/1.2.3.4/tcp/1".parse::<PeerAddress>().is_err());
    assert!("nonsense".parse::<PeerAddress>().is_err());
    assert!(!format!("{address:?}").contains(&address.onion.to_string()));
}
