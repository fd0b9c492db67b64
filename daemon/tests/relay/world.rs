//! A relay whose clock the test sets, and users with queues at it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use autonomy_daemon::relay::{Clock, Relay, RelayConfig, RelayError, Subscription, file_in};
use autonomy_messaging::{
    frame::{BLOB_LEN, Blob, DepositId, Frame},
    place::{Capability, QueueId},
    queue::QueueLimits,
    wire::{PlaceRefusal, QueueNotice, Request, Response, Ticket},
};
use autonomy_node::clock::Moment;
use rand::{RngCore as _, rngs::OsRng};
use tempfile::TempDir;

/// The longest that anything here may take on a loaded machine.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const DAY: u64 = 86_400;
/// When the tests begin.
pub(crate) const NOW: u64 = 1_800_000_000;

/// A folder with a relay's file.
pub(crate) struct Site {
    folder: TempDir,
    now: Arc<AtomicU64>,
    /// Whether something outside confirms the clock.
    is_right: Arc<AtomicBool>,
    pub(crate) config: RelayConfig,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(QueueLimits::default())
    }

    pub(crate) fn with(limits: QueueLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = RelayConfig { limits, free_disk: 0, ..RelayConfig::default() };
        let (now, is_right) = (Arc::new(AtomicU64::new(NOW)), Arc::new(AtomicBool::new(true)));
        Self { folder, now, is_right, config }
    }

    pub(crate) fn file(&self) -> PathBuf {
        file_in(self.folder.path())
    }

    pub(crate) fn try_open(&self) -> Result<Relay, RelayError> {
        let (now, is_right) = (self.now.clone(), self.is_right.clone());
        let clock: Clock =
            Arc::new(move || Moment { is_right: is_right.load(SeqCst), ..confirmed(now.load(SeqCst)) });
        Relay::open(&self.file(), self.config.clone(), clock)
    }

    pub(crate) fn open(&self) -> Relay {
        self.try_open().unwrap()
    }

    /// From now on something outside confirms the clock, or nothing does.
    pub(crate) fn confirm_clock(&self, is_right: bool) {
        self.is_right.store(is_right, SeqCst);
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.now.fetch_add(seconds, SeqCst);
    }
}

/// A clock that something outside confirms.
pub(crate) fn confirmed(now: u64) -> Moment {
    Moment { now, is_right: true, off_by: None }
}

/// A queue, seen by its owner.
#[derive(Clone)]
pub(crate) struct Mailbox {
    pub(crate) queue: QueueId,
    pub(crate) deposit: Capability,
    pub(crate) collect: Capability,
}

impl Mailbox {
    pub(crate) fn draw() -> Self {
        let rng = &mut OsRng;
        Self {
            queue: QueueId::generate(rng),
            deposit: Capability::generate(rng),
            collect: Capability::generate(rng),
        }
    }

    /// One that is open at `relay`.
    pub(crate) async fn at(relay: &Relay) -> Self {
        let own = Self::draw();
        assert_eq!(relay.handle(own.open(Ticket::Open)).await, Response::Done);
        own
    }

    pub(crate) fn open(&self, ticket: Ticket) -> Request {
        self.open_with(ticket, None)
    }

    pub(crate) fn open_with(&self, ticket: Ticket, notice: Option<&[u8]>) -> Request {
        let notice = notice.map(|notice| QueueNotice::new(notice.to_vec()).unwrap());
        let (deposit, collect) = (self.deposit.hash(), self.collect.hash());
        Request::Open { queue: self.queue, deposit, collect, ticket, notice }
    }

    /// A deposit that begins with `number`.
    pub(crate) fn frame(&self, number: u64) -> Request {
        let mut blob = vec![0; BLOB_LEN];
        OsRng.fill_bytes(&mut blob);
        blob[..8].copy_from_slice(&number.to_be_bytes());
        Request::Deposit(Frame {
            deposit: DepositId::from_bytes(u128::from(number).to_be_bytes()),
            queue: self.queue,
            capability: self.deposit.clone(),
            blob: Blob::from_slice(&blob).unwrap(),
        })
    }

    pub(crate) fn ack(&self, up_to: u64) -> Request {
        Request::Ack { queue: self.queue, collect: self.collect.clone(), up_to }
    }

    pub(crate) fn close(&self) -> Request {
        Request::Close { queue: self.queue, collect: self.collect.clone() }
    }

    pub(crate) fn redeem(&self) -> Request {
        Request::Redeem { queue: self.queue, deposit: self.deposit.clone() }
    }

    pub(crate) async fn subscribe(&self, relay: &Relay) -> Result<Subscription, PlaceRefusal> {
        relay.subscribe(vec![(self.queue, self.collect.clone())]).await
    }

    /// What lies here, as a new subscriber gets it: numbers of the place, and of the frames.
    pub(crate) async fn content(&self, relay: &Relay, frames: usize) -> Vec<(u64, u64)> {
        let mut subscription = self.subscribe(relay).await.unwrap();
        let mut content = Vec::new();
        for _ in 0..frames {
            content.push(next(&mut subscription).await);
        }
        nothing_more(&mut subscription).await;
        content
    }
}

pub(crate) fn refused(refusal: PlaceRefusal) -> Response {
    Response::Refused(refusal)
}

/// The next pushed frame: its number at the place, and the one it begins with.
pub(crate) async fn next(subscription: &mut Subscription) -> (u64, u64) {
    let pushed = tokio::time::timeout(TEST_TIMEOUT, subscription.next()).await.expect("a frame is pushed");
    let Some(Response::Pushed { number, blob, .. }) = pushed else { panic!("not a frame: {pushed:?}") };
    (number, u64::from_be_bytes(*blob.as_bytes().first_chunk().unwrap()))
}

/// What lies there is pushed at once: what does not come within a moment is not there.
pub(crate) async fn nothing_more(subscription: &mut Subscription) {
    let more = tokio::time::timeout(Duration::from_millis(100), subscription.next()).await;
    assert!(more.is_err(), "one more was pushed");
}
