//! The thread that writes.
//!
//! Requests that wait share one commit, since a commit costs the same for one as for many. A fault
//! makes all requests of the batch fail: their callers try again. The relay ends for good only
//! where its file is damaged or cannot be reopened.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use autonomy_messaging::{
    place::QueueId,
    queue::Pressure,
    wire::{PlaceRefusal, Request, Response},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    Clock, RETRY_AFTER, RelayConfig,
    db::{Fault, RelayDb},
    metrics::{Metrics, RequestCounts},
    subscription::Subscribers,
    write_txn::{Rules, WriteTxn},
};

/// Requests of one commit: 256 frames are 4 MiB.
const BATCH: usize = 256;
/// While requests keep arriving, each commit waits this long for more of them.
const BATCH_WINDOW: Duration = Duration::from_millis(5);
/// A relay that wrote nothing for this long commits a single request at once.
const QUIET_AFTER: Duration = Duration::from_millis(50);

/// After the disk was found full, nothing new is stored for this long.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(30);

/// Work for the writer.
pub(super) enum Job {
    /// Carry out a request and send the response once it is durable.
    Request(Box<Request>, oneshot::Sender<Response>),
    /// Record a visit of these queues' owners.
    Touch(Vec<QueueId>),
    /// Remove what is too old; answer whether there may be more.
    Sweep(oneshot::Sender<bool>),
}

/// What the writer's thread owns.
pub(super) struct Writer {
    /// The file.
    pub(super) db: Arc<RelayDb>,
    /// Notified after each commit.
    pub(super) subscribers: Arc<Subscribers>,
    /// Updated after each commit.
    pub(super) metrics: Arc<Metrics>,
    /// Decides who may open a queue.
    pub(super) pressure: Arc<Pressure>,
    /// The operator's limits.
    pub(super) config: RelayConfig,
    /// Gives the time of each batch.
    pub(super) clock: Clock,
    /// Set when the relay ends for good.
    pub(super) fail: watch::Sender<Option<String>>,
    /// When a write last found no room.
    pub(super) full_since: Option<Instant>,
}

/// What is sent once the batch is durable, or has failed.
#[derive(Default)]
struct Replies {
    /// The response to each request.
    requests: Vec<(oneshot::Sender<Response>, Response)>,
    /// The answer to each sweep.
    sweeps: Vec<(oneshot::Sender<bool>, bool)>,
    /// Queues with new frames.
    filled: Vec<QueueId>,
    /// What was done.
    counts: RequestCounts,
}

impl Writer {
    /// Runs until every [`Relay`](super::Relay) is dropped, or the file cannot be used any more.
    ///
    /// The first request after a pause is committed at once; while requests keep arriving, each
    /// commit waits [`BATCH_WINDOW`] to collect more of them. So a lone sender has the latency of
    /// one commit, and many share its cost.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut last: Option<Instant> = None;
        while let Some(first) = jobs.blocking_recv() {
            if last.is_some_and(|last| last.elapsed() < QUIET_AFTER) {
                thread::sleep(BATCH_WINDOW);
            }
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            if let Err(fault) = self.commit(batch)
                && let Err(why) = self.recover(fault)
            {
                tracing::error!("the relay ends: {why}");
                self.fail.send_replace(Some(why));
                return;
            }
            last = Some(Instant::now());
        }
    }

    /// Commits a batch and sends the replies. On a fault no request of it is carried out and every
    /// caller gets an error that says to ask again.
    ///
    /// A panic of the database counts as damage: its state in memory can no longer be trusted.
    fn commit(&self, batch: Vec<Job>) -> Result<(), Fault> {
        let mut replies = Replies::default();
        let written = catch_unwind(AssertUnwindSafe(|| self.write(batch, &mut replies)))
            .unwrap_or_else(|_| Err(Fault::Damaged("a page does not fit".into())));
        if let Err(fault) = &written {
            let refusal = match fault {
                Fault::Full => PlaceRefusal::PlaceFull,
                _ => PlaceRefusal::Busy { retry_after: RETRY_AFTER },
            };
            replies.requests.iter_mut().for_each(|(_, response)| *response = Response::Refused(refusal));
            replies.sweeps.iter_mut().for_each(|(_, more)| *more = false);
            replies.filled.clear();
            replies.counts = RequestCounts::default();
        }
        self.metrics.add(&replies.counts);
        replies.filled.iter().for_each(|queue| self.subscribers.filled(queue));
        // Whoever asked may have gone.
        for (to, response) in replies.requests {
            let _ = to.send(response);
        }
        for (to, more) in replies.sweeps {
            let _ = to.send(more);
        }
        written
    }

    /// Carries out the jobs in one transaction and commits it, if anything changed. After the first
    /// fault the remaining jobs are carried out too, but nothing is committed.
    ///
    /// All jobs of a batch see the same time, and the changes of the jobs before them.
    fn write(&self, batch: Vec<Job>, replies: &mut Replies) -> Result<(), Fault> {
        let moment = (self.clock)();
        let rules = Rules {
            limits: &self.config.limits,
            pressure: &self.pressure,
            now: moment.now,
            full: self.disk_is_full(),
        };
        let mut fault = None;
        let transaction = match self.db.begin_write() {
            Ok(transaction) => transaction,
            Err(error) => {
                refuse(batch, replies);
                return Err(error);
            }
        };
        let mut changed = false;
        match WriteTxn::open(&transaction, &rules) {
            Ok(mut txn) => {
                for job in batch {
                    let job = match job {
                        // Nothing is too old by a clock that nothing confirms.
                        Job::Sweep(to) if !moment.is_right => {
                            replies.sweeps.push((to, false));
                            continue;
                        }
                        job => job,
                    };
                    fault = fault.or(carry_out(&mut txn, job, replies).err());
                }
                changed = txn.changed;
                replies.filled = std::mem::take(&mut txn.filled);
                replies.counts = std::mem::take(&mut txn.counts);
            }
            Err(error) => {
                refuse(batch, replies);
                fault = Some(error);
            }
        }
        match fault {
            Some(fault) => Err(fault),
            None if changed => {
                transaction.commit()?;
                self.metrics.committed();
                Ok(())
            }
            None => Ok(transaction.abort()?),
        }
    }

    /// Reopens the file after a fault.
    ///
    /// # Errors
    /// The file is damaged or does not open: the relay ends with this reason.
    fn recover(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Damaged(what) => {
                return Err(format!(
                    "{} is damaged: {what}; move the file away and start the relay again",
                    self.db.path().display()
                ));
            }
            Fault::Full => {
                tracing::warn!("the relay's disk is full: nothing is taken until there is room");
                self.full_since = Some(Instant::now());
            }
            Fault::Disk(why) => tracing::warn!("the relay's disk fails: {why}"),
        }
        self.db.reopen().map_err(|error| error.to_string())
    }

    /// Whether the disk has no room, by a recent write or by the free bytes of the file system.
    ///
    /// Where the file system cannot be asked, the disk counts as having room: a failed write
    /// reports the opposite.
    fn disk_is_full(&self) -> bool {
        if self.full_since.is_some_and(|since| since.elapsed() < FULL_DISK_PAUSE) {
            return true;
        }
        let folder = self.db.path().parent().unwrap_or(self.db.path());
        crate::free_space::free_bytes(folder).is_some_and(|free| free < self.config.free_disk)
    }
}

/// Carries out one job and notes its reply.
fn carry_out(txn: &mut WriteTxn<'_>, job: Job, replies: &mut Replies) -> Result<(), Fault> {
    match job {
        Job::Request(request, to) => {
            let done = txn.apply(*request);
            let fallback = Response::Refused(PlaceRefusal::Busy { retry_after: RETRY_AFTER });
            let (response, fault) = match done {
                Ok(response) => (response, None),
                Err(fault) => (fallback, Some(fault)),
            };
            replies.requests.push((to, response));
            fault.map_or(Ok(()), Err)
        }
        Job::Touch(queues) => txn.touch(&queues),
        Job::Sweep(to) => {
            let swept = txn.sweep();
            replies.sweeps.push((to, *swept.as_ref().unwrap_or(&false)));
            swept.map(drop)
        }
    }
}

/// Notes a `Busy` for every caller of a batch that could not be started.
fn refuse(batch: Vec<Job>, replies: &mut Replies) {
    let busy = Response::Refused(PlaceRefusal::Busy { retry_after: RETRY_AFTER });
    for job in batch {
        match job {
            Job::Request(_, to) => replies.requests.push((to, busy.clone())),
            Job::Sweep(to) => replies.sweeps.push((to, false)),
            Job::Touch(_) => {}
        }
    }
}
