//! The thread that writes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use autonomy_messaging::{
    place::QueueId,
    queue::Pressure,
    wire::{Refusal, Request, Response},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    COME_AGAIN, Clock, RelayConfig,
    books::{Books, Rules},
    metrics::{Metrics, Tally},
    shelf::{Fault, Shelf},
    subscription::Ears,
};

/// Requests of one commit: 256 frames are 4 MiB.
const BATCH: usize = 256;
/// While requests keep coming, each commit waits so long for more of them.
const WINDOW: Duration = Duration::from_millis(5);
/// A relay that wrote nothing for this long writes at once.
const QUIET: Duration = Duration::from_millis(50);

/// A disk that was found full is not tried with anything new for so long.
const FULL: Duration = Duration::from_secs(30);

/// Something to be written.
pub(super) enum Job {
    Request(Box<Request>, oneshot::Sender<Response>),
    Touch(Vec<QueueId>),
    Sweep(oneshot::Sender<bool>),
}

/// What the thread owns.
pub(super) struct Writer {
    pub(super) shelf: Arc<Shelf>,
    pub(super) ears: Arc<Ears>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pressure: Arc<Pressure>,
    pub(super) config: RelayConfig,
    pub(super) clock: Clock,
    pub(super) fail: watch::Sender<Option<String>>,
    /// When a write found no room.
    pub(super) full_since: Option<Instant>,
}

/// Who hears what once it is durable.
#[derive(Default)]
struct Answers {
    requests: Vec<(oneshot::Sender<Response>, Response)>,
    sweeps: Vec<(oneshot::Sender<bool>, bool)>,
    filled: Vec<QueueId>,
    tally: Tally,
}

impl Writer {
    /// Until every [`Relay`](super::Relay) is dropped, or the file is beyond use.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut last: Option<Instant> = None;
        while let Some(first) = jobs.blocking_recv() {
            if last.is_some_and(|last| last.elapsed() < QUIET) {
                thread::sleep(WINDOW);
            }
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            if let Err(fault) = self.commit(batch)
                && let Err(why) = self.mend(fault)
            {
                tracing::error!("the relay ends: {why}");
                self.fail.send_replace(Some(why));
                return;
            }
            last = Some(Instant::now());
        }
    }

    /// Writes a batch; on a fault nobody's request is written, and everybody is told to come again.
    fn commit(&self, batch: Vec<Job>) -> Result<(), Fault> {
        let mut answers = Answers::default();
        let written = catch_unwind(AssertUnwindSafe(|| self.write(batch, &mut answers)))
            .unwrap_or_else(|_| Err(Fault::Damaged("a page does not fit".into())));
        if let Err(fault) = &written {
            let refusal = match fault {
                Fault::Full => Refusal::PlaceFull,
                _ => Refusal::Busy { retry_after: COME_AGAIN },
            };
            answers.requests.iter_mut().for_each(|(_, response)| *response = Response::Refused(refusal));
            answers.sweeps.iter_mut().for_each(|(_, more)| *more = false);
            answers.filled.clear();
            answers.tally = Tally::default();
        }
        self.metrics.add(&answers.tally);
        answers.filled.iter().for_each(|queue| self.ears.filled(queue));
        // Whoever asked may have gone.
        for (to, response) in answers.requests {
            let _ = to.send(response);
        }
        for (to, more) in answers.sweeps {
            let _ = to.send(more);
        }
        written
    }

    fn write(&self, batch: Vec<Job>, answers: &mut Answers) -> Result<(), Fault> {
        let rules = Rules {
            limits: &self.config.limits,
            pressure: &self.pressure,
            now: (self.clock)(),
            full: self.disk_is_full(),
        };
        let mut fault = None;
        let transaction = match self.shelf.begin_write() {
            Ok(transaction) => transaction,
            Err(error) => {
                refuse(batch, answers);
                return Err(error);
            }
        };
        let mut changed = false;
        match Books::open(&transaction, &rules) {
            Ok(mut books) => {
                for job in batch {
                    fault = fault.or(carry_out(&mut books, job, answers).err());
                }
                changed = books.changed;
                answers.filled = std::mem::take(&mut books.filled);
                answers.tally = std::mem::take(&mut books.tally);
            }
            Err(error) => {
                refuse(batch, answers);
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

    /// After a fault of the disk the file is opened again. One that is damaged stays closed.
    fn mend(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Damaged(what) => {
                return Err(format!(
                    "{} is damaged: {what}; move the file away and start anew",
                    self.shelf.path().display()
                ));
            }
            Fault::Full => {
                tracing::warn!("the relay's disk is full: nothing is taken until there is room");
                self.full_since = Some(Instant::now());
            }
            Fault::Disk(why) => tracing::warn!("the relay's disk fails: {why}"),
        }
        self.shelf.reopen().map_err(|error| error.to_string())
    }

    /// Then only what makes room is written.
    fn disk_is_full(&self) -> bool {
        if self.full_since.is_some_and(|since| since.elapsed() < FULL) {
            return true;
        }
        let folder = self.shelf.path().parent().unwrap_or(self.shelf.path());
        let Ok(disk) = rustix::fs::statvfs(folder) else { return false };
        disk.f_bavail.saturating_mul(disk.f_frsize) < self.config.free_disk
    }
}

fn carry_out(books: &mut Books<'_>, job: Job, answers: &mut Answers) -> Result<(), Fault> {
    match job {
        Job::Request(request, to) => {
            let done = books.apply(*request);
            let fallback = Response::Refused(Refusal::Busy { retry_after: COME_AGAIN });
            let (response, fault) = match done {
                Ok(response) => (response, None),
                Err(fault) => (fallback, Some(fault)),
            };
            answers.requests.push((to, response));
            fault.map_or(Ok(()), Err)
        }
        Job::Touch(queues) => books.touch(&queues),
        Job::Sweep(to) => {
            let swept = books.sweep();
            answers.sweeps.push((to, *swept.as_ref().unwrap_or(&false)));
            swept.map(drop)
        }
    }
}

/// Takes note of who waits, so that they hear of the fault.
fn refuse(batch: Vec<Job>, answers: &mut Answers) {
    let busy = Response::Refused(Refusal::Busy { retry_after: COME_AGAIN });
    for job in batch {
        match job {
            Job::Request(_, to) => answers.requests.push((to, busy.clone())),
            Job::Sweep(to) => answers.sweeps.push((to, false)),
            Job::Touch(_) => {}
        }
    }
}
