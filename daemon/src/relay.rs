//! A relay: it keeps frames in queues for their owners until these collect them.
//!
//! The frames are ciphertext already, so its file `relay.redb` is not encrypted once more. A relay
//! learns queue names, times, and that frames came and went, but neither people nor contents.
//!
//! | part | does |
//! |---|---|
//! | `db` | the file: tables, reads, and the errors it can have |
//! | `write_txn` | one request inside a transaction, by the rules of [`autonomy_messaging::queue`] |
//! | `writer` | the one thread that writes: requests that arrive together share a commit |
//! | `subscription` | pushes the frames there are, then those that arrive |
//! | [`metrics`] | what is counted |
//!
//! What must stay true:
//!
//! * **`Done` means durable.** The answer is sent after the commit, never before.
//! * **A refusal changes nothing** and costs no write: what reading shows to be refused is not
//!   written.
//! * **Bounded.** Queues, frames of each and of all, requests that wait, frames read ahead, work of
//!   a sweep.
//! * **Memory does not grow with queues.** Records are on disk; in memory are the pages in use and
//!   the subscribers.

mod clock;
mod db;
pub mod metrics;
mod subscription;
mod write_txn;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use autonomy_messaging::{
    place::{Capability, CapabilityHash, QueueId},
    queue::{Pressure, QueueLimits},
    wire::{PlaceRefusal, Request, Response},
};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::{
    clock::{CheckedClock, Clock},
    db::RelayError,
    subscription::Subscription,
};
use self::{
    db::RelayDb,
    metrics::{Metrics, Snapshot},
    subscription::Subscribers,
    writer::{Job, Writer},
};

/// Requests that wait to be written; at 16 KiB each 16 MiB. Further requests wait up to
/// [`JOB_WAIT`], then get `Busy`.
const MAX_JOBS: usize = 1024;
/// Longest wait for room among the requests to be written.
const JOB_WAIT: Duration = Duration::from_secs(10);
/// Seconds after which a caller that got `Busy` should ask again.
const RETRY_AFTER: u32 = 10;

/// How much a relay keeps, and for whom.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Limits of queues and frames.
    pub limits: QueueLimits,
    /// Hashes of invitation tokens: whoever shows one may open queues.
    pub tokens: Vec<CapabilityHash>,
    /// Whether others may open queues too, for proof of work when the relay fills up.
    pub strangers: bool,
    /// Bytes of the disk left to other programs: with less free than this, the relay stores nothing
    /// new.
    pub free_disk: u64,
}

impl Default for RelayConfig {
    /// Open to all; 256 MiB of the disk are left free.
    fn default() -> Self {
        Self { limits: QueueLimits::default(), tokens: Vec::new(), strangers: true, free_disk: 256 << 20 }
    }
}

/// An open relay. Cheap to clone; the file is closed when the last clone and the last subscription are dropped.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

/// What the clones of a relay share.
struct Inner {
    /// The file, for reads.
    db: Arc<RelayDb>,
    /// Subscribers to new frames.
    subscribers: Arc<Subscribers>,
    metrics: Arc<Metrics>,
    /// Decides who may open a queue as the relay fills up.
    pressure: Arc<Pressure>,
    config: RelayConfig,
    clock: Clock,
    /// To the writer. `None` only while the relay is being dropped, which ends the thread.
    jobs: Option<mpsc::Sender<Job>>,
    /// The writer's thread, joined when the relay is dropped.
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Why the writer ended for good.
    failed: watch::Receiver<Option<String>>,
}

impl Relay {
    /// Opens the relay in the file `path`, or creates it.
    ///
    /// # Errors
    /// The file is something else, is damaged, or in use; or the disk fails.
    pub fn open(path: &Path, config: RelayConfig, clock: Clock) -> Result<Self, RelayError> {
        let db = Arc::new(RelayDb::open(path)?);
        let pressure = Arc::new(Pressure::new(db.secret()?, config.tokens.clone(), config.strangers));
        let (subscribers, metrics) = (Arc::new(Subscribers::default()), Arc::new(Metrics::default()));
        let (jobs, orders) = mpsc::channel(MAX_JOBS);
        let (fail, failed) = watch::channel(None);
        let writer = Writer {
            db: db.clone(),
            subscribers: subscribers.clone(),
            metrics: metrics.clone(),
            pressure: pressure.clone(),
            config: config.clone(),
            clock: clock.clone(),
            fail,
            full_since: None,
        };
        let thread = std::thread::Builder::new()
            .name("relay".into())
            .spawn(move || writer.run(orders))
            .map_err(|error| RelayError::system(path, &error))?;
        Ok(Self(Arc::new(Inner {
            db,
            subscribers,
            metrics,
            pressure,
            config,
            clock,
            jobs: Some(jobs),
            thread: Mutex::new(Some(thread)),
            failed,
        })))
    }

    /// Answers a request. `Done` is answered when the change is durable. A [`Request::Subscribe`]
    /// is refused here; it is for [`subscribe`](Self::subscribe).
    pub async fn handle(&self, request: Request) -> Response {
        let (asked, request) = self.blocking(move |inner| (inner.answer_by_reading(&request), request)).await;
        let response = match asked {
            Some(response) => response,
            None => self.write(request).await,
        };
        if let Response::Refused(refusal) = &response {
            self.0.metrics.refused(refusal);
        }
        response
    }

    /// Pushes the frames of these queues, oldest first, and then those that arrive. Subscribing
    /// also counts as a visit of the owner, which keeps the queues from expiring.
    ///
    /// # Errors
    /// One of the queues is unknown or its capability is wrong; or the file cannot be read.
    pub async fn subscribe(&self, queues: Vec<(QueueId, Capability)>) -> Result<Subscription, PlaceRefusal> {
        let names: Vec<QueueId> = queues.iter().map(|(queue, _)| *queue).collect();
        let to_touch = self.blocking(move |inner| inner.may_collect(&queues)).await;
        let to_touch = to_touch.inspect_err(|refusal| self.0.metrics.refused(refusal))?;
        // Only now: whoever may not collect takes no queue from another subscription.
        let subscription = Subscription::new(self.clone(), &names);
        if to_touch {
            let _ = self.send(Job::Touch(names)).await;
        }
        Ok(subscription)
    }

    /// Removes a bounded part of what is too old. True when there may be more.
    pub async fn sweep(&self) -> bool {
        let (answer, swept) = oneshot::channel();
        self.send(Job::Sweep(answer)).await.is_ok() && self.answer(swept).await.unwrap_or(false)
    }

    /// The counters and the present numbers of queues and frames.
    pub async fn snapshot(&self) -> Snapshot {
        self.blocking(|inner| {
            let (queues, frames) = inner.db.counts().unwrap_or_default();
            let bytes = inner.db.path().metadata().map_or(0, |file| file.len());
            inner.metrics.snapshot(queues, frames, inner.subscribers.count(), bytes)
        })
        .await
    }

    /// Waits until the relay fails for good, and returns the reason.
    pub async fn failed(&self) -> String {
        let mut failed = self.0.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "its thread ended".into(),
        }
    }

    /// Whether the relay has failed for good. It then refuses whatever has to be written, for ever.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let failed = &self.0.failed;
        failed.borrow().is_some() || failed.has_changed().is_err()
    }

    /// Counts a request that could not be parsed.
    pub fn malformed(&self) {
        self.0.metrics.refused(&PlaceRefusal::Malformed);
    }

    /// Hands a request to the writer and waits until it is durable or refused.
    async fn write(&self, request: Request) -> Response {
        let (answer, answered) = oneshot::channel();
        let busy = Response::Refused(PlaceRefusal::Busy { retry_after: RETRY_AFTER });
        match self.send(Job::Request(Box::new(request), answer)).await {
            Ok(()) => self.answer(answered).await.unwrap_or(busy),
            Err(()) => busy,
        }
    }

    /// Waits for the writer's answer; `None` where it ended without one. A job that was sent while
    /// the writer ended stays in the channel with its sender, so that waiting for the answer alone
    /// might never end.
    async fn answer<T>(&self, answer: oneshot::Receiver<T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = answer => answer.ok(),
            _ = self.failed() => None,
        }
    }

    /// Hands a job to the writer; fails where none has room in time.
    async fn send(&self, job: Job) -> Result<(), ()> {
        let jobs = self.0.jobs.as_ref().ok_or(())?;
        jobs.send_timeout(job, JOB_WAIT).await.map_err(drop)
    }

    /// Runs `work` on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> T {
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

impl Inner {
    /// The answer, where reading suffices for one: to refusals and to `Redeem`. `None` for what
    /// must be written.
    fn answer_by_reading(&self, request: &Request) -> Option<Response> {
        let refused = |refusal| Some(Response::Refused(refusal));
        let record = |queue| self.db.record(queue);
        let known = match request {
            Request::Subscribe(_) => return refused(PlaceRefusal::Malformed),
            Request::Redeem { queue, deposit } => return Some(self.redeem(queue, deposit)),
            Request::Open { queue, ticket, .. } => {
                let Ok(None) = record(queue) else { return None };
                let (queues, _) = self.db.counts().ok()?;
                let admitted =
                    self.pressure.admit((self.clock)().now, queues, &self.config.limits, queue, ticket);
                return admitted.err().and_then(refused);
            }
            Request::Deposit(frame) => record(&frame.queue)
                .map(|record| record.is_some_and(|record| record.may_deposit(&frame.capability))),
            Request::Ack { queue, collect, .. } | Request::Close { queue, collect } => {
                record(queue).map(|record| record.is_some_and(|record| record.may_collect(collect)))
            }
        };
        match known {
            Ok(true) => None,
            Ok(false) => refused(PlaceRefusal::UnknownQueue),
            Err(_) => refused(PlaceRefusal::Busy { retry_after: RETRY_AFTER }),
        }
    }

    /// The notice of a queue, for whoever may deposit there.
    fn redeem(&self, queue: &QueueId, deposit: &Capability) -> Response {
        let found = self.db.record(queue).and_then(|record| match record {
            Some(record) if record.may_deposit(deposit) => self.db.notice(queue),
            _ => Ok(None),
        });
        match found {
            Ok(Some(notice)) => {
                self.metrics.redeemed();
                Response::Notice(notice)
            }
            Ok(None) => Response::Refused(PlaceRefusal::UnknownQueue),
            Err(_) => Response::Refused(PlaceRefusal::Busy { retry_after: RETRY_AFTER }),
        }
    }

    /// Checks the right to collect each queue. True where the visit should be recorded, which is at
    /// most once a day for a queue.
    ///
    /// # Errors
    /// A queue is unknown or its capability is wrong; or the file cannot be read.
    fn may_collect(&self, queues: &[(QueueId, Capability)]) -> Result<bool, PlaceRefusal> {
        let mut to_touch = false;
        for (queue, capability) in queues {
            let record =
                self.db.record(queue).map_err(|_| PlaceRefusal::Busy { retry_after: RETRY_AFTER })?;
            let mut record =
                record.filter(|record| record.may_collect(capability)).ok_or(PlaceRefusal::UnknownQueue)?;
            to_touch |= record.touch((self.clock)().now);
        }
        Ok(to_touch)
    }
}

/// Ends the thread, so that the file can be opened again.
impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("path", &self.0.db.path()).finish_non_exhaustive()
    }
}

/// The path of a relay's file in a folder.
#[must_use]
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join("relay.redb")
}
