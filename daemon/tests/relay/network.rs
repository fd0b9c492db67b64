//! The network shell over streams within this process.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use autonomy_daemon::{
    peers::{
        self, Collection, Dial, Duplex, NetworkHandle,
        server::{RequestRouter, Share},
    },
    relay::Relay,
};
use autonomy_messaging::{
    PublicKey, SigningKey,
    lane::{CallId, Lane, LaneRole, Unreached},
    messenger::Input,
    place::Place,
    queue::QUEUE_RECORD_LEN,
    wire::{PlaceRefusal, Request, Response, Ticket},
};
use futures::future::BoxFuture;
use redb::TableDefinition;
use tokio::{
    io::AsyncWriteExt as _,
    sync::{mpsc, watch},
    task::AbortHandle,
    time::timeout,
};

use crate::world::{Mailbox, Site, TEST_TIMEOUT};

/// Places that are reached at once, or not at all.
#[derive(Default)]
struct Lines {
    places: Mutex<HashMap<Place, RequestRouter>>,
    open: Mutex<Vec<(Place, AbortHandle)>>,
    dials: AtomicUsize,
    woken: watch::Sender<u64>,
}

impl Dial for Lines {
    fn open<'a>(&'a self, place: &'a Place, _: Lane) -> BoxFuture<'a, Result<Box<dyn Duplex>, Unreached>> {
        Box::pin(async move {
            self.dials.fetch_add(1, SeqCst);
            let request_router = self.places.lock().unwrap().get(place).cloned();
            let Some(request_router) = request_router else {
                return Err(Unreached { detail: "nobody there".into() });
            };
            let (near, far) = tokio::io::duplex(64 * 1024);
            let task = tokio::runtime::Handle::current()
                .spawn(async move { request_router.serve(&Share::default(), far).await });
            self.open.lock().unwrap().push((*place, task.abort_handle()));
            Ok(Box::new(near) as Box<dyn Duplex>)
        })
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.woken.subscribe()
    }
}

impl Lines {
    /// Cuts all connections to a place.
    fn cut(&self, place: Place) {
        self.open.lock().unwrap().retain(|(at, task)| {
            if *at == place {
                task.abort();
            }
            *at != place
        });
    }

    fn put(&self, place: Place, relay: &Relay) {
        self.places.lock().unwrap().insert(place, RequestRouter::new(None, Some(relay.clone())));
    }

    fn wake(&self) {
        self.woken.send_modify(|count| *count += 1);
    }
}

fn place(n: u8) -> Place {
    let key = SigningKey::from_bytes(&[n; 32]).verifying_key();
    Place::new(key.to_bytes(), PublicKey::from_bytes(&key.to_bytes()).unwrap())
}

fn lane(n: u8) -> Lane {
    Lane { role: LaneRole::Collect, party: [n; 16] }
}

struct Node {
    lines: Arc<Lines>,
    network: NetworkHandle,
    events: mpsc::Receiver<Input>,
    frames: VecDeque<u64>,
    subscriptions: VecDeque<(Place, bool)>,
}

impl Node {
    fn start() -> Self {
        let (network, events) = peers::start(&tokio::runtime::Handle::current());
        let lines = Arc::new(Lines::default());
        network.attach(Some(lines.clone()));
        Self { lines, network, events, frames: VecDeque::new(), subscriptions: VecDeque::new() }
    }

    async fn event(&mut self) -> Input {
        timeout(TEST_TIMEOUT, self.events.recv()).await.expect("something happens").unwrap()
    }

    /// The next frame. That a subscription came up may be told before it or after.
    async fn frame(&mut self) -> u64 {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            self.learn().await;
        }
    }

    async fn becomes(&mut self, place: Place, up: bool) {
        loop {
            if let Some(told) = self.subscriptions.pop_front() {
                return assert_eq!(told, (place, up));
            }
            self.learn().await;
        }
    }

    async fn learn(&mut self) {
        match self.event().await {
            Input::Collected { blob, .. } => {
                self.frames.push_back(u64::from_be_bytes(*blob.as_bytes().first_chunk().unwrap()));
            }
            Input::Subscribed { place, up } => self.subscriptions.push_back((place, up)),
            other => panic!("neither a frame nor a subscription: {other:?}"),
        }
    }
}

fn collection(at: Place, own: &Mailbox, n: u8) -> Collection {
    Collection { place: at, lane: lane(n), queue: own.queue, capability: own.collect.clone() }
}

#[tokio::test]
async fn each_call_has_exactly_one_outcome() {
    let (site, mut node) = (Site::new(), Node::start());
    node.lines.put(place(1), &site.open());
    let own = Mailbox::draw();
    node.network.call(CallId(1), place(1), lane(1), own.open(Ticket::Open));
    let Input::Called { call, outcome } = node.event().await else { panic!() };
    assert_eq!((call, outcome), (CallId(1), Ok(Response::Done)));
    node.network.call(CallId(2), place(1), lane(1), Mailbox::draw().frame(1));
    let Input::Called { outcome, .. } = node.event().await else { panic!() };
    assert_eq!(outcome, Ok(Response::Refused(PlaceRefusal::UnknownQueue)));
    node.network.call(CallId(3), place(2), lane(1), own.frame(1));
    let Input::Called { call, outcome } = node.event().await else { panic!() };
    assert_eq!((call, outcome.unwrap_err().detail.as_str()), (CallId(3), "nobody there"));
}

#[tokio::test]
async fn hanging_place_delays_no_other() {
    let (site, mut node) = (Site::new(), Node::start());
    let relay = site.open();
    node.lines.put(place(1), &relay);
    // A pod whose node never answers.
    let (silent, _events) = peers::start(&tokio::runtime::Handle::current());
    let own = Mailbox::draw();
    silent.serve([own.queue]);
    node.lines.places.lock().unwrap().insert(place(2), RequestRouter::new(Some(&silent), None));
    for n in 0..100 {
        node.network.call(CallId(n), place(2), lane(1), own.frame(n));
    }
    let open = Mailbox::at(&relay).await;
    node.network.call(CallId(1_000), place(1), lane(1), open.frame(1));
    let Input::Called { call, outcome } = node.event().await else { panic!() };
    assert_eq!((call, outcome), (CallId(1_000), Ok(Response::Done)));
}

#[tokio::test]
async fn frames_are_collected_again_after_a_broken_connection() {
    let (site, mut node) = (Site::new(), Node::start());
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    relay.handle(own.frame(1)).await;
    node.network.collect(vec![collection(place(1), &own, 1)]);
    // Nobody is there yet.
    while node.lines.dials.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    node.lines.put(place(1), &relay);
    node.lines.wake();
    node.becomes(place(1), true).await;
    assert_eq!(node.frame().await, 1);
    relay.handle(own.frame(2)).await;
    assert_eq!(node.frame().await, 2);
    node.lines.cut(place(1));
    node.becomes(place(1), false).await;
    node.becomes(place(1), true).await;
    assert_eq!((node.frame().await, node.frame().await), (1, 2), "what was not acknowledged comes again");
    node.network.collect(Vec::new());
    node.becomes(place(1), false).await;
}

#[tokio::test]
async fn unknown_queue_is_reported_and_others_are_collected() {
    let (site, mut node) = (Site::new(), Node::start());
    let relay = site.open();
    node.lines.put(place(1), &relay);
    let (known, lost) = (Mailbox::at(&relay).await, Mailbox::draw());
    relay.handle(known.frame(7)).await;
    node.network.collect(vec![collection(place(1), &known, 1), collection(place(1), &lost, 1)]);
    let (mut missing, mut frames) = (None, Vec::new());
    while missing.is_none() || frames.is_empty() {
        match node.event().await {
            Input::Missing { place: at, queue } => missing = Some((at, queue)),
            Input::Collected { queue, .. } => frames.push(queue),
            Input::Subscribed { up, .. } => assert!(up),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(missing, Some((place(1), lost.queue)));
    assert_eq!(frames, [known.queue]);
}

#[tokio::test]
async fn slow_node_stops_reading_and_loses_nothing() {
    let (site, mut node) = (Site::new(), Node::start());
    let relay = site.open();
    node.lines.put(place(1), &relay);
    let own = Mailbox::at(&relay).await;
    let deposits = (0..200).map(|n| relay.handle(own.frame(n)));
    futures::future::join_all(deposits).await;
    node.network.collect(vec![collection(place(1), &own, 1)]);
    node.becomes(place(1), true).await;
    // The node does nothing until the relay has nobody to push to any more.
    let mut pushed = 0;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let now = relay.snapshot().await.pushed;
        if now == pushed && now > 0 {
            break;
        }
        pushed = now;
    }
    assert!(pushed < 200, "all of {pushed} frames were read ahead");
    let mut seen = Vec::new();
    for _ in 0..200 {
        seen.push(node.frame().await);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_queues_are_split_into_several_subscriptions() {
    let (site, mut node) = (Site::new(), Node::start());
    let relay = site.open();
    node.lines.put(place(1), &relay);
    let mut boxes = Vec::new();
    for _ in 0..150 {
        boxes.push(Mailbox::at(&relay).await);
    }
    node.network.collect(boxes.iter().map(|own| collection(place(1), own, 1)).collect());
    node.becomes(place(1), true).await;
    for own in &boxes {
        relay.handle(own.frame(1)).await;
    }
    let mut collected = BTreeSet::new();
    while collected.len() < 150 {
        match node.event().await {
            Input::Collected { queue, .. } => collected.insert(queue),
            other => panic!("not a frame: {other:?}"),
        };
    }
    assert_eq!(node.lines.dials.load(SeqCst), 3, "64, 64 and 22");
}

#[tokio::test]
async fn own_queues_go_to_the_node_and_others_are_unknown() {
    let mut pod = Node::start();
    let mut caller = Node::start();
    let own = Mailbox::draw();
    pod.network.serve([own.queue]);
    caller.lines.places.lock().unwrap().insert(place(3), RequestRouter::new(Some(&pod.network), None));
    caller.network.call(CallId(1), place(3), lane(1), own.frame(5));
    let Input::Asked { ticket, request } = pod.event().await else { panic!() };
    assert!(matches!(request, Request::Deposit(frame) if frame.queue == own.queue));
    pod.network.answer(ticket, Response::Done);
    let Input::Called { outcome, .. } = caller.event().await else { panic!() };
    assert_eq!(outcome, Ok(Response::Done));
    pod.network.answer(ticket, Response::Done);
    let strange = [Mailbox::draw().frame(1), own.ack(1), own.close(), own.open(Ticket::Open)];
    for (n, request) in strange.into_iter().enumerate() {
        caller.network.call(CallId(n as u64), place(3), lane(1), request);
        let Input::Called { outcome, .. } = caller.event().await else { panic!() };
        assert_eq!(outcome, Ok(Response::Refused(PlaceRefusal::UnknownQueue)));
    }
}

#[tokio::test]
async fn malformed_requests_are_refused_and_counted() {
    let site = Site::new();
    let relay = site.open();
    let request_router = RequestRouter::new(None, Some(relay.clone()));
    let mut says = Vec::new();
    for message in [&[0, 0, 0, 1, 99][..], &[0, 0, 0, 0], &[0xff; 64], &[0, 0]] {
        let (mut near, far) = tokio::io::duplex(64 * 1024);
        near.write_all(message).await.unwrap();
        near.shutdown().await.unwrap();
        timeout(TEST_TIMEOUT, request_router.serve(&Share::default(), far)).await.expect("it ends");
        let mut answer = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut near, &mut answer).await.unwrap();
        says.push(answer);
    }
    let malformed = Response::Refused(PlaceRefusal::Malformed).to_bytes();
    assert_eq!(says[0][4..], malformed);
    assert_eq!(says[1][4..], malformed);
    assert!(
        says[2].is_empty() && says[3].is_empty(),
        "a length that lies, and a message that ends, get nothing"
    );
    assert_eq!(relay.snapshot().await.refused["malformed"], 2);
}

/// A relay that will fail: a record in its file was damaged while it was off.
async fn damaged(site: &Site) -> Relay {
    const RECORD: usize = QUEUE_RECORD_LEN + 8;
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    drop(relay);
    let file = redb::Database::open(site.file()).unwrap();
    let write = file.begin_write().unwrap();
    let queues = TableDefinition::<[u8; 32], &[u8; RECORD]>::new("queues");
    write.open_table(queues).unwrap().insert(*own.queue.as_bytes(), &[0xff; RECORD]).unwrap();
    write.commit().unwrap();
    drop(file);
    site.open()
}

/// Has a damaged relay fail for good.
async fn fail(site: &Site, relay: &Relay) {
    // Long enough for the queue to be looked at.
    site.pass(365 * 24 * 60 * 60);
    assert!(!relay.sweep().await);
    timeout(TEST_TIMEOUT, relay.failed()).await.expect("it fails");
}

/// A subscriber would wait for ever for the rest, and never turn to another relay.
#[tokio::test]
async fn a_failed_relay_ends_subscriptions_with_frames_left() {
    let site = Site::new();
    let relay = damaged(&site).await;
    let full = Mailbox::at(&relay).await;
    for n in 1..=20 {
        assert_eq!(relay.handle(full.frame(n)).await, Response::Done);
    }
    let mut subscription = full.subscribe(&relay).await.unwrap();
    assert!(subscription.next().await.is_some());
    fail(&site, &relay).await;
    let next = timeout(TEST_TIMEOUT, subscription.next()).await.expect("it ends");
    assert_eq!(next, None);
}

#[tokio::test]
async fn failed_relay_of_a_pod_answers_nobody_and_own_queues_go_on() {
    let (site, mut pod, mut caller) = (Site::new(), Node::start(), Node::start());
    let own = Mailbox::draw();
    pod.network.serve([own.queue]);
    let relay = damaged(&site).await;
    fail(&site, &relay).await;
    let router = RequestRouter::new(Some(&pod.network), Some(relay));
    caller.lines.places.lock().unwrap().insert(place(3), router);
    let other = Mailbox::draw();
    for (n, request) in [other.frame(1), other.open(Ticket::Open)].into_iter().enumerate() {
        caller.network.call(CallId(n as u64), place(3), lane(1), request);
        let Input::Called { outcome, .. } = caller.event().await else { panic!() };
        assert!(outcome.is_err(), "a relay that has ended is away, and not {outcome:?}");
    }
    caller.network.call(CallId(9), place(3), lane(1), own.frame(5));
    assert!(matches!(pod.event().await, Input::Asked { .. }));
}
