//! A place for others: keeps frames in queues until their owners collect them.
//!
//! What it keeps is ciphertext already, so its file `relay.redb` is not encrypted once more. It learns queue names,
//! times, and that frames came and went; not who or what.
//!
//! | part | does |
//! |---|---|
//! | `shelf` | the file: tables, reads, what can be wrong with it |
//! | `books` | one request inside a transaction, by the rules of [`autonomy_messaging::queue`] |
//! | `writer` | the one thread that writes: requests that come together share a commit |
//! | `subscription` | pushes what lies there, then what comes |
//! | [`metrics`] | what is counted |
//!
//! What must stay true:
//!
//! * **`Done` means durable.** The answer is given after the commit, never before.
//! * **A refusal changes nothing**, and costs no write: what can be refused by reading is.
//! * **Bounded.** Queues, frames of each and of all, requests that wait, frames read ahead, work of one sweep.
//! * **Memory does not grow with queues.** Records are on disk; in memory are the pages in use and who listens.

mod books;
pub mod metrics;
mod shelf;
mod subscription;
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
    wire::{Refusal, Request, Response},
};
use tokio::sync::{mpsc, oneshot, watch};

use self::{
    metrics::{Metrics, Snapshot},
    shelf::Shelf,
    subscription::Ears,
    writer::{Job, Writer},
};
pub use self::{shelf::RelayError, subscription::Subscription};

/// Requests that wait to be written; at 16 KiB each 16 MiB. Whoever comes then waits a moment, and is sent away after.
const MAX_JOBS: usize = 1024;
/// That moment.
const JOB_WAIT: Duration = Duration::from_secs(10);
/// When somebody sent away should come again, seconds.
const COME_AGAIN: u32 = 10;

/// The time, in seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a relay takes, and from whom.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Queues and frames.
    pub limits: QueueLimits,
    /// Hashes of invitation tokens: whoever shows one may make a queue.
    pub tokens: Vec<CapabilityHash>,
    /// Whether others may too, against work when the relay fills.
    pub strangers: bool,
    /// Bytes of disk left to others: with less free than this, nothing more is taken.
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

struct Inner {
    shelf: Arc<Shelf>,
    ears: Arc<Ears>,
    metrics: Arc<Metrics>,
    pressure: Arc<Pressure>,
    config: RelayConfig,
    clock: Clock,
    /// `None` only while it is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    failed: watch::Receiver<Option<String>>,
}

impl Relay {
    /// Opens the relay in the file `path`, or makes it.
    ///
    /// # Errors
    /// The file is something else, is damaged, or in use; or the disk fails.
    pub fn open(path: &Path, config: RelayConfig, clock: Clock) -> Result<Self, RelayError> {
        let shelf = Arc::new(Shelf::open(path)?);
        let pressure = Arc::new(Pressure::new(shelf.secret()?, config.tokens.clone(), config.strangers));
        let (ears, metrics) = (Arc::new(Ears::default()), Arc::new(Metrics::default()));
        let (jobs, orders) = mpsc::channel(MAX_JOBS);
        let (fail, failed) = watch::channel(None);
        let writer = Writer {
            shelf: shelf.clone(),
            ears: ears.clone(),
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
            shelf,
            ears,
            metrics,
            pressure,
            config,
            clock,
            jobs: Some(jobs),
            thread: Mutex::new(Some(thread)),
            failed,
        })))
    }

    /// Answers a request; [`Request::Subscribe`] is for [`subscribe`](Self::subscribe). `Done` comes when it is durable.
    pub async fn handle(&self, request: Request) -> Response {
        let (asked, request) = self.blocking(move |inner| (inner.look(&request), request)).await;
        let response = match asked {
            Some(response) => response,
            None => self.write(request).await,
        };
        if let Response::Refused(refusal) = &response {
            self.0.metrics.refused(refusal);
        }
        response
    }

    /// Pushes the frames of these queues, oldest first, and then those that come.
    ///
    /// # Errors
    /// One of the queues is unknown, or its capability is not its own.
    pub async fn subscribe(&self, queues: Vec<(QueueId, Capability)>) -> Result<Subscription, Refusal> {
        let names: Vec<QueueId> = queues.iter().map(|(queue, _)| *queue).collect();
        let subscription = Subscription::new(self.clone(), &names);
        let touched = self.blocking(move |inner| inner.may_collect(&queues)).await;
        match touched {
            Ok(true) => drop(self.send(Job::Touch(names)).await),
            Ok(false) => {}
            Err(refusal) => {
                self.0.metrics.refused(&refusal);
                return Err(refusal);
            }
        }
        Ok(subscription)
    }

    /// Looks for what is too old, and removes a bounded part of it. True when there may be more.
    pub async fn sweep(&self) -> bool {
        let (answer, swept) = oneshot::channel();
        self.send(Job::Sweep(answer)).await.is_ok() && swept.await.unwrap_or(false)
    }

    /// What was counted, and what is there.
    pub async fn snapshot(&self) -> Snapshot {
        self.blocking(|inner| {
            let (queues, frames) = inner.shelf.counts().unwrap_or_default();
            let bytes = inner.shelf.path().metadata().map_or(0, |file| file.len());
            inner.metrics.snapshot(queues, frames, inner.ears.count(), bytes)
        })
        .await
    }

    /// Waits until the relay fails for good, and says why.
    pub async fn failed(&self) -> String {
        let mut failed = self.0.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "its thread ended".into(),
        }
    }

    /// Counts a request that was none.
    pub fn malformed(&self) {
        self.0.metrics.refused(&Refusal::Malformed);
    }

    async fn write(&self, request: Request) -> Response {
        let (answer, answered) = oneshot::channel();
        let busy = Response::Refused(Refusal::Busy { retry_after: COME_AGAIN });
        match self.send(Job::Request(Box::new(request), answer)).await {
            Ok(()) => answered.await.unwrap_or(busy),
            Err(()) => busy,
        }
    }

    async fn send(&self, job: Job) -> Result<(), ()> {
        let jobs = self.0.jobs.as_ref().ok_or(())?;
        jobs.send_timeout(job, JOB_WAIT).await.map_err(drop)
    }

    /// Reads may wait for the disk.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> T {
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

impl Inner {
    /// The answer where reading is enough for one.
    fn look(&self, request: &Request) -> Option<Response> {
        let refused = |refusal| Some(Response::Refused(refusal));
        let record = |queue| self.shelf.record(queue);
        let known = match request {
            Request::Subscribe(_) => return refused(Refusal::Malformed),
            Request::Redeem { queue, deposit } => return Some(self.redeem(queue, deposit)),
            Request::Open { queue, ticket, .. } => {
                let Ok(None) = record(queue) else { return None };
                let (queues, _) = self.shelf.counts().ok()?;
                let admitted =
                    self.pressure.admit((self.clock)(), queues, &self.config.limits, queue, ticket);
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
            Ok(false) => refused(Refusal::UnknownQueue),
            Err(_) => refused(Refusal::Busy { retry_after: COME_AGAIN }),
        }
    }

    fn redeem(&self, queue: &QueueId, deposit: &Capability) -> Response {
        let found = self.shelf.record(queue).and_then(|record| match record {
            Some(record) if record.may_deposit(deposit) => self.shelf.notice(queue),
            _ => Ok(None),
        });
        match found {
            Ok(Some(notice)) => {
                self.metrics.redeemed();
                Response::Notice(notice)
            }
            Ok(None) => Response::Refused(Refusal::UnknownQueue),
            Err(_) => Response::Refused(Refusal::Busy { retry_after: COME_AGAIN }),
        }
    }

    /// Whether the owner's presence is to be noted.
    fn may_collect(&self, queues: &[(QueueId, Capability)]) -> Result<bool, Refusal> {
        let mut to_touch = false;
        for (queue, capability) in queues {
            let record = self.shelf.record(queue).map_err(|_| Refusal::Busy { retry_after: COME_AGAIN })?;
            let mut record =
                record.filter(|record| record.may_collect(capability)).ok_or(Refusal::UnknownQueue)?;
            to_touch |= record.touch((self.clock)());
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
        f.debug_struct("Relay").field("path", &self.0.shelf.path()).finish_non_exhaustive()
    }
}

/// The relay's file in a folder.
#[must_use]
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join("relay.redb")
}
