//! Lanes to a peer through Tor: separate from each other, kept warm, and closed when the peer is
//! dead.

use std::{sync::mpsc, time::Duration};

use autonomy_onion::{
    CircuitRole, ServiceAccess, Tor,
    peers::{PeerAddress, PeerError, PeerServer, Peers},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

use crate::world::{ECHO, UPLOAD_LIMIT, in_world, launch, reach};

const PROTOCOL: &str = "/test/telling/1";
const PORT: u16 = 4001;

/// A peer that tells over which of its connections it is asked. It runs on a thread of its own, so that a test can
/// freeze it: no goodbye, no answer to a ping, while its circuits stand.
struct Telling {
    address: PeerAddress,
    frozen: mpsc::Sender<()>,
}

impl Telling {
    async fn start(tor: &Tor, seed: u8) -> Self {
        let service = launch(tor, ServiceAccess::Open).await;
        let listener = service.listen(PORT).expect("free");
        let seed = zeroize::Zeroizing::new([seed; 32]);
        let mut bytes = seed.clone();
        let keypair =
            libp2p::identity::Keypair::ed25519_from_bytes(&mut *bytes).expect("any 32 bytes are a seed");
        let key = keypair.public().try_into_ed25519().expect("it is one").to_bytes();
        let address = PeerAddress { onion: service.address(), port: PORT, key };
        let (frozen, freezes) = mpsc::channel();
        std::thread::Builder::new()
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime starts").block_on(async {
                    let mut server = PeerServer::start(listener, &seed, PROTOCOL).expect("it serves");
                    loop {
                        tokio::select! {
                            arrival = server.accept() => {
                                let mut arrival = arrival.expect("the service stands");
                                tokio::runtime::Handle::current().spawn(async move {
                                    let mut asked = [0];
                                    while arrival.stream.read_exact(&mut asked).await.is_ok() {
                                        let _ = arrival.stream.write_all(&arrival.connection.to_be_bytes()).await;
                                        let _ = arrival.stream.flush().await;
                                    }
                                });
                            }
                            () = sleep(Duration::from_millis(20)) => {}
                        }
                        if freezes.try_recv().is_ok() {
                            // Until the test is over, and its sender gone.
                            let _ = freezes.recv();
                            return;
                        }
                    }
                });
            })
            .expect("a thread starts");
        reach(tor, &address.onion, ECHO).await;
        Self { address, frozen }
    }
}

async fn ask(peers: &Peers, to: &PeerAddress, lane: CircuitRole) -> u64 {
    let end = Instant::now() + UPLOAD_LIMIT;
    loop {
        match peers.open(to, lane).await {
            Ok(mut stream) => {
                stream.write_all(&[1]).await.expect("it is sent");
                stream.flush().await.expect("it is sent");
                return stream.read_u64().await.expect("an answer");
            }
            Err(error) => assert!(Instant::now() < end, "never reached: {error}"),
        }
        sleep(Duration::from_millis(500)).await;
    }
}

#[test]
fn each_lane_keeps_a_connection_of_its_own() {
    in_world(|world| async {
        let telling = Telling::start(&world.pod, 71).await;
        let peers = Peers::new(&world.device, PROTOCOL);
        let (alice, bob) = (CircuitRole::DEPOSIT.of([1; 16]), CircuitRole::DEPOSIT.of([2; 16]));
        let first = ask(&peers, &telling.address, alice).await;
        let others = [
            ask(&peers, &telling.address, bob).await,
            ask(&peers, &telling.address, CircuitRole::COLLECT.of([1; 16])).await,
        ];
        assert!(!others.contains(&first) && others[0] != others[1], "{first} {others:?}");
        assert_eq!(ask(&peers, &telling.address, alice).await, first, "warm");
        assert_eq!(peers.connections(), 3);

        let impostor = PeerAddress { key: libp2p_key(72), ..telling.address };
        let end = Instant::now() + UPLOAD_LIMIT;
        loop {
            match peers.open(&impostor, alice).await {
                Err(PeerError::WrongPeer) => break,
                Err(error) => assert!(Instant::now() < end, "never reached: {error}"),
                Ok(_) => panic!("an impostor was taken for a peer"),
            }
            sleep(Duration::from_millis(500)).await;
        }
    });
}

#[test]
fn unresponsive_peer_is_closed_with_its_streams() {
    in_world(|world| async {
        let telling = Telling::start(&world.pod, 73).await;
        let peers = Peers::new(&world.device, PROTOCOL);
        ask(&peers, &telling.address, CircuitRole::COLLECT).await;
        // A stream on which nothing happens for long, as on a subscription.
        let mut quiet = peers.open(&telling.address, CircuitRole::COLLECT).await.expect("warm");
        quiet.write_all(&[1]).await.expect("it is sent");
        quiet.flush().await.expect("it is sent");
        quiet.read_u64().await.expect("an answer");
        telling.frozen.send(()).expect("it runs");
        let since = Instant::now();
        let end = quiet.read_u64().await;
        assert!(end.is_err(), "a frozen peer said something");
        println!("a dead peer was found after {:.1} s", since.elapsed().as_secs_f32());
        // 4 s of silence and twice 5 s for an answer, on a machine that may be busy.
        assert!(since.elapsed() < Duration::from_secs(20), "found after {:?}", since.elapsed());
        while peers.connections() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    });
}

fn libp2p_key(seed: u8) -> [u8; 32] {
    let keypair = libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).expect("any 32 bytes are a seed");
    keypair.public().try_into_ed25519().expect("it is one").to_bytes()
}

/// What an idle lane costs: both ends, with circuits of its own. Printed and not checked, since it depends on the allocator.
#[test]
fn memory_of_idle_lanes_is_measured() {
    const LANES: u8 = 24;
    in_world(|world| async {
        let telling = Telling::start(&world.pod, 74).await;
        let peers = Peers::new(&world.device, PROTOCOL);
        ask(&peers, &telling.address, CircuitRole::DEPOSIT).await;
        let before = resident_kib();
        let lanes = (0..LANES).map(|n| ask(&peers, &telling.address, CircuitRole::DEPOSIT.of([n + 1; 16])));
        futures::future::join_all(lanes).await;
        assert_eq!(peers.connections(), usize::from(LANES) + 1);
        let each = resident_kib().saturating_sub(before) / u64::from(LANES);
        println!("{each} KiB a lane, both ends");
        assert!(each < 2_048, "{each} KiB a lane");
    });
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it tells this");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
