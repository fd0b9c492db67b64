//! Callers who want more than their share, and what others notice of them.

use std::sync::Arc;

use autonomy_daemon::{
    peers::server::{MAX_REQUESTS, MAX_SUBSCRIPTIONS, RequestRouter, Share},
    relay::Relay,
};
use autonomy_messaging::wire::{PlaceRefusal, Request, Response};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    time::timeout,
};

use crate::world::{Mailbox, Site, TEST_TIMEOUT, next};

/// One connection to a place; its streams are Unix sockets.
struct Caller {
    router: RequestRouter,
    share: Arc<Share>,
    folder: tempfile::TempDir,
    listener: UnixListener,
}

impl Caller {
    fn of(relay: &Relay) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("place")).unwrap();
        let router = RequestRouter::new(None, Some(relay.clone()));
        Self { router, share: Arc::default(), folder, listener }
    }

    async fn stream(&self) -> UnixStream {
        let stream = UnixStream::connect(self.folder.path().join("place")).await.unwrap();
        let (served, _) = self.listener.accept().await.unwrap();
        let (router, share) = (self.router.clone(), self.share.clone());
        tokio::runtime::Handle::current().spawn(async move { router.serve(&share, served).await });
        stream
    }

    async fn send(&self, request: &Request) -> UnixStream {
        let mut stream = self.stream().await;
        let bytes = request.to_bytes();
        stream.write_u32(u32::try_from(bytes.len()).unwrap()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream
    }

    async fn ask(&self, request: &Request) -> Response {
        answer(&mut self.send(request).await).await
    }

    /// A stream whose request never arrives as a whole.
    async fn stall(&self) -> UnixStream {
        let mut stream = self.stream().await;
        stream.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
        stream
    }
}

async fn answer(stream: &mut UnixStream) -> Response {
    let read = async {
        let mut bytes = vec![0; stream.read_u32().await.unwrap() as usize];
        stream.read_exact(&mut bytes).await.unwrap();
        Response::parse(&bytes).unwrap()
    };
    timeout(TEST_TIMEOUT, read).await.expect("the place answers")
}

async fn ends(stream: &mut UnixStream) {
    let rest = timeout(TEST_TIMEOUT, stream.read(&mut [0])).await.expect("the stream ends");
    assert!(matches!(rest, Ok(0) | Err(_)));
}

fn subscription(to: &Mailbox) -> Request {
    Request::Subscribe(vec![(to.queue, to.collect.clone())])
}

fn is_busy(response: &Response) -> bool {
    matches!(response, Response::Refused(PlaceRefusal::Busy { .. }))
}

#[tokio::test]
async fn a_subscription_to_nothing_is_refused() {
    let site = Site::new();
    let caller = Caller::of(&site.open());
    assert_eq!(caller.ask(&Request::Subscribe(Vec::new())).await, Response::Refused(PlaceRefusal::Malformed));
}

#[tokio::test]
async fn stalled_requests_leave_room_for_subscriptions_and_others() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    let caller = Caller::of(&relay);
    let mut stalled = Vec::new();
    for _ in 0..MAX_REQUESTS {
        stalled.push(caller.stall().await);
    }
    // The first streams are served before the next one is: each has taken its part.
    assert!(is_busy(&caller.ask(&own.frame(1)).await));
    let another = Caller::of(&relay);
    assert_eq!(another.ask(&own.frame(1)).await, Response::Done);
    stalled.pop();
    while is_busy(&caller.ask(&own.frame(2)).await) {}
}

#[tokio::test]
async fn subscriptions_beyond_the_share_are_refused_and_requests_go_on() {
    let site = Site::new();
    let relay = site.open();
    let caller = Caller::of(&relay);
    let mut held = Vec::new();
    for _ in 0..MAX_SUBSCRIPTIONS {
        let own = Mailbox::at(&relay).await;
        let mut stream = caller.send(&subscription(&own)).await;
        assert_eq!(answer(&mut stream).await, Response::Done);
        held.push(stream);
    }
    let own = Mailbox::at(&relay).await;
    assert!(is_busy(&caller.ask(&subscription(&own)).await));
    assert_eq!(caller.ask(&own.frame(1)).await, Response::Done);
    assert_eq!(Caller::of(&relay).ask(&subscription(&own)).await, Response::Done);
    // What a stream does that is given up: nothing more of it counts.
    held.pop().unwrap().write_all(&[0]).await.unwrap();
    while is_busy(&caller.ask(&subscription(&own)).await) {}
}

#[tokio::test]
async fn the_newest_subscription_of_a_queue_takes_it() {
    let site = Site::new();
    let relay = site.open();
    let (one, two) = (Mailbox::at(&relay).await, Mailbox::at(&relay).await);
    let both = vec![(one.queue, one.collect.clone()), (two.queue, two.collect.clone())];
    let mut older = relay.subscribe(both).await.unwrap();
    let mut newer = one.subscribe(&relay).await.unwrap();
    relay.handle(one.frame(1)).await;
    relay.handle(two.frame(2)).await;
    assert_eq!(next(&mut newer).await.1, 1);
    assert_eq!(next(&mut older).await.1, 2, "only of the queue it still has");
    let _newest = two.subscribe(&relay).await.unwrap();
    assert_eq!(timeout(TEST_TIMEOUT, older.next()).await.expect("it ends"), None);
    assert_eq!(relay.snapshot().await.subscribed, 2);
}

#[tokio::test]
async fn a_wrong_capability_takes_no_queue_from_its_subscriber() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    let mut subscription = own.subscribe(&relay).await.unwrap();
    let thief = Mailbox { collect: Mailbox::draw().collect, ..own.clone() };
    assert_eq!(thief.subscribe(&relay).await.unwrap_err(), PlaceRefusal::UnknownQueue);
    relay.handle(own.frame(7)).await;
    assert_eq!(next(&mut subscription).await.1, 7);
}

/// Nobody empties the buffers of a connection after a request.
#[tokio::test]
async fn who_speaks_on_after_a_request_is_dropped() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    let caller = Caller::of(&relay);
    let mut stream = caller.send(&subscription(&own)).await;
    assert_eq!(answer(&mut stream).await, Response::Done);
    stream.write_all(b"more").await.unwrap();
    ends(&mut stream).await;
}
