//! Two whole pods but for Tor: nodes, encrypted databases, drivers, and the network shell over TCP on this machine.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use autonomy_api::{ContactId, Event, EventKind};
use autonomy_daemon::{
    chain::NoChain,
    driver::{self, Handle},
    peers::{
        self, Dial, Duplex, NetworkHandle,
        server::{RequestRouter, Share},
    },
};
use autonomy_messaging::{
    lane::{Lane, Unreached},
    messenger::Command as Mail,
    payload::Text,
    place::Place,
};
use autonomy_node::{Caller, Command, Input, Node, Request, Row};
use autonomy_store::{RowChange, Store, Unlock};
use futures::{StreamExt as _, future::BoxFuture, stream};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{broadcast, mpsc, watch},
};

use crate::{
    bench_node::{BenchNode, befriend},
    p50_p95, place_of,
};

/// Messages said one after the other, and as fast as they are taken.
const ONE_BY_ONE: usize = 300;
const BURST: usize = 5_000;
/// Who say them at once: commits are shared.
const AT_ONCE: usize = 64;

pub(crate) fn measure() {
    let (mut alice, mut bob) = (BenchNode::adopted(1), BenchNode::adopted(2));
    befriend(&mut alice, &mut bob, &HashSet::new());
    let to = alice.only_contact();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (alice_place, bob_place) = (place_of(&mut alice), place_of(&mut bob));
        let (alice_listener, bob_listener) = (listen().await, listen().await);
        let lines = Arc::new(Lines {
            servers: HashMap::from([
                (alice_place, alice_listener.local_addr().unwrap()),
                (bob_place, bob_listener.local_addr().unwrap()),
            ]),
            woken: watch::Sender::new(0),
        });
        let (alice, _alice_network) =
            start(alice, &folder.path().join("alice"), alice_listener, lines.clone());
        let (bob, _bob_network) = start(bob, &folder.path().join("bob"), bob_listener, lines);
        let mut heard = bob.events();
        let mut took = Vec::new();
        for _ in 0..ONE_BY_ONE {
            let since = Instant::now();
            respond(&alice, to, "a line of some words").await;
            shown(&mut heard, 1).await;
            took.push(since.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (p50, p95) = p50_p95(&mut took);
        println!("loopback, one message after the other: shown after {p50:.1?} (p50), {p95:.1?} (p95)");
        let since = Instant::now();
        let talk = stream::iter(0..BURST).map(|_| respond(&alice, to, "a line of some words"));
        tokio::join!(talk.buffer_unordered(AT_ONCE).count(), shown(&mut heard, BURST));
        let a_second = BURST as f64 / since.elapsed().as_secs_f64();
        println!(
            "loopback, as fast as they are taken: {a_second:.0} messages a second, durable at both ends"
        );
    });
}

async fn listen() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

/// Lets a bench_node run as a pod does.
fn start(
    bench_node: BenchNode,
    file: &Path,
    listener: TcpListener,
    lines: Arc<Lines>,
) -> (Handle, NetworkHandle) {
    let known = bench_node.rows.iter().filter(|(key, _)| !Row::is_cold_key(key));
    let (node, effects_due) =
        Node::restore(known.map(|(key, value)| Row::found(key.clone(), value.clone()))).unwrap();
    let rows: Vec<RowChange> =
        bench_node.rows.into_iter().map(|(key, value)| RowChange::put(key, value)).collect();
    let store = Store::create_with(file, &Unlock::key([7; 32]), &rows).unwrap();
    let (post, mut effects) = mpsc::unbounded_channel();
    let handle = driver::start(node, store, effects_due, Arc::new(NoChain), post).unwrap();
    let runtime = tokio::runtime::Handle::current();
    let (network, mut told) = peers::start(&runtime);
    let request_router = RequestRouter::new(Some(&network), None);
    network.attach(Some(lines));
    let carrier = network.clone();
    runtime.spawn(async move {
        while let Some(effect) = effects.recv().await {
            carrier.carry_out(effect);
        }
    });
    let node = handle.clone();
    runtime.spawn(async move {
        while let Some(input) = told.recv().await {
            if !node.deliver(Input::Mail(input)).await {
                return;
            }
        }
    });
    let servers = runtime.clone();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let request_router = request_router.clone();
            servers.spawn(async move { request_router.serve(&Share::default(), stream).await });
        }
    });
    (handle, network)
}

async fn respond(pod: &Handle, to: ContactId, text: &str) {
    loop {
        let command = Command::Mail(Mail::Send { contact: to, text: Text::new(text).unwrap() });
        let request = Request { caller: Caller::Owner, idempotency_key: None, command };
        if pod.ask(request).await.unwrap().is_ok() {
            return;
        }
        // As many wait as may.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until so many messages were shown.
async fn shown(events: &mut broadcast::Receiver<Event>, mut count: usize) {
    while count > 0 {
        match events.recv().await {
            Ok(Event { kind: EventKind::MessageReceived { .. }, .. }) => count -= 1,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => panic!("events were missed"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Streams to servers on this machine.
struct Lines {
    servers: HashMap<Place, SocketAddr>,
    woken: watch::Sender<u64>,
}

impl Dial for Lines {
    fn open<'a>(&'a self, place: &'a Place, _: Lane) -> BoxFuture<'a, Result<Box<dyn Duplex>, Unreached>> {
        Box::pin(async move {
            let stream = match self.servers.get(place) {
                Some(listener) => TcpStream::connect(listener).await.map_err(|error| error.to_string()),
                None => Err("nobody there".into()),
            };
            let stream = stream.map_err(|detail| Unreached { detail })?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.woken.subscribe()
    }
}
