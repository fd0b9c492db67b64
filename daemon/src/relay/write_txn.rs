//! One request inside a write transaction.
//!
//! The rules are those of [`autonomy_messaging::queue`], which knows nothing of tables; here they
//! are applied to rows. A function that returns a [`PlaceRefusal`] has written nothing. A [`Fault`]
//! makes the whole transaction fail, so nothing half-done is ever committed.

use std::ops::Range;

use autonomy_messaging::{
    frame::{BLOB_LEN, Frame},
    place::{Capability, CapabilityHash, QueueId},
    queue::{Deposited, Expired, Pressure, QueueLimits, QueueRecord},
    wire::{PlaceRefusal, QueueNotice, Request, Response, Ticket},
};
use redb::{ReadableTable as _, ReadableTableMetadata as _, Table, WriteTransaction};

use super::{
    db::{DUE, FRAME_KEY_LEN, FRAMES, Fault, NOTICES, QUEUES, VALUE_LEN, due_key, frame_key, parse, value},
    metrics::RequestCounts,
};

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Most queues that one sweep looks at.
const SWEPT_QUEUES: usize = 512;
/// A sweep ends after it has removed this many frames: half a second of writing.
const SWEPT_FRAMES: u64 = 4_096;

/// The tables of one write transaction, and what was done to them.
///
/// It borrows the transaction; whoever holds the transaction commits or aborts it afterwards.
pub(super) struct WriteTxn<'t> {
    /// Records by queue.
    queues: Table<'t, [u8; 32], &'static [u8; VALUE_LEN]>,
    /// Frames by queue and number.
    frames: Table<'t, [u8; FRAME_KEY_LEN], &'static [u8; BLOB_LEN]>,
    /// Notices by queue.
    notices: Table<'t, [u8; 32], &'static [u8]>,
    /// When each queue is looked at next.
    due: Table<'t, [u8; FRAME_KEY_LEN], ()>,
    /// By what requests are judged.
    pub(super) rules: &'t Rules<'t>,
    /// Queues that got a frame; their subscribers are notified after the commit.
    pub(super) filled: Vec<QueueId>,
    /// Whether anything was written: a transaction without changes is not committed.
    pub(super) changed: bool,
    /// What was done, for the metrics.
    pub(super) counts: RequestCounts,
}

/// By what requests are judged.
pub(super) struct Rules<'t> {
    /// The operator's limits.
    pub(super) limits: &'t QueueLimits,
    /// Who may open a queue as the relay fills up.
    pub(super) pressure: &'t Pressure,
    /// Seconds since 1970.
    pub(super) now: u64,
    /// Whether the disk has no room: then only requests that free room are carried out.
    pub(super) full: bool,
}

impl<'t> WriteTxn<'t> {
    /// Opens the tables.
    ///
    /// # Errors
    /// The file is damaged or the disk fails.
    pub(super) fn open(transaction: &'t WriteTransaction, rules: &'t Rules<'t>) -> Result<Self, Fault> {
        Ok(Self {
            queues: transaction.open_table(QUEUES)?,
            frames: transaction.open_table(FRAMES)?,
            notices: transaction.open_table(NOTICES)?,
            due: transaction.open_table(DUE)?,
            rules,
            filled: Vec::new(),
            changed: false,
            counts: RequestCounts::default(),
        })
    }

    /// Carries out a request. Requests that reading answers are refused as malformed: they do not
    /// come here.
    ///
    /// # Errors
    /// The disk fails or the file is damaged; the transaction must be aborted.
    pub(super) fn apply(&mut self, request: Request) -> Result<Response, Fault> {
        let outcome = match request {
            Request::Open { queue, deposit, collect, ticket, notice } => {
                self.open_queue(queue, [deposit, collect], &ticket, notice)?
            }
            Request::Deposit(frame) => self.deposit(&frame)?,
            Request::Ack { queue, collect, up_to } => self.ack(&queue, &collect, up_to)?,
            Request::Close { queue, collect } => self.close(&queue, &collect)?,
            // Answered by reading.
            Request::Redeem { .. } | Request::Subscribe(_) => Err(PlaceRefusal::Malformed),
        };
        Ok(outcome.map_or_else(Response::Refused, |()| Response::Done))
    }

    /// Opens a queue, or repeats an earlier opening of the same one, which changes at most its
    /// notice.
    ///
    /// A new queue is the only request whose admission depends on how full the relay is: see
    /// [`Pressure`](autonomy_messaging::queue::Pressure).
    fn open_queue(
        &mut self,
        queue: QueueId,
        [deposit, collect]: [CapabilityHash; 2],
        ticket: &Ticket,
        notice: Option<QueueNotice>,
    ) -> Result<Result<(), PlaceRefusal>, Fault> {
        let Rules { limits, pressure, now, full, .. } = *self.rules;
        if let Some((mut record, due)) = self.record(&queue)? {
            let reopened = record.reopen(&deposit, &collect, notice.is_some(), now);
            if reopened.is_ok() {
                if !record.has_notice() {
                    self.notices.remove(*queue.as_bytes())?;
                }
                self.put(&queue, &record, due)?;
            }
            return Ok(reopened);
        }
        if let Err(refusal) = pressure.admit(now, self.queues.len()?, limits, &queue, ticket) {
            return Ok(Err(refusal));
        }
        if full {
            return Ok(Err(PlaceRefusal::PlaceFull));
        }
        let record = QueueRecord::open(deposit, collect, notice.is_some(), now);
        if let Some(notice) = notice {
            self.notices.insert(*queue.as_bytes(), notice.as_bytes())?;
        }
        let due = now.saturating_add(limits.queue_age).saturating_add(1);
        self.due.insert(due_key(due, &queue), ())?;
        self.put(&queue, &record, due)?;
        self.counts.opened += 1;
        Ok(Ok(()))
    }

    /// Stores a frame under the queue's next number. A frame that is there already is not stored
    /// again.
    ///
    /// A repeat is recognised by the frame's deposit id, so a sender that lost the answer may send
    /// again.
    fn deposit(&mut self, frame: &Frame) -> Result<Result<(), PlaceRefusal>, Fault> {
        let Rules { limits, now, full, .. } = *self.rules;
        let Some((mut record, due)) = self.record(&frame.queue)? else {
            return Ok(Err(PlaceRefusal::UnknownQueue));
        };
        let at_place = self.frames.len()?;
        let number = match record.deposit(now, &frame.capability, frame.deposit, limits, at_place) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(Deposited::Repeat) => {
                self.counts.repeats += 1;
                return Ok(Ok(()));
            }
            Ok(Deposited::New(_)) if full => return Ok(Err(PlaceRefusal::PlaceFull)),
            Ok(Deposited::New(number)) => number,
        };
        self.frames.insert(frame_key(&frame.queue, number), frame.blob.as_bytes())?;
        // The first frame may be due before the queue is.
        let soonest = due.min(now.saturating_add(limits.frame_age).saturating_add(DAY));
        self.move_due(&frame.queue, due, soonest)?;
        self.put(&frame.queue, &record, soonest)?;
        self.filled.push(frame.queue);
        self.counts.deposits += 1;
        Ok(Ok(()))
    }

    /// Removes the frames that their owner has collected.
    ///
    /// Acknowledging the same number again changes nothing.
    fn ack(
        &mut self,
        queue: &QueueId,
        collect: &Capability,
        up_to: u64,
    ) -> Result<Result<(), PlaceRefusal>, Fault> {
        let Some((mut record, due)) = self.record(queue)? else { return Ok(Err(PlaceRefusal::UnknownQueue)) };
        let before = record.clone();
        let gone = match record.ack(self.rules.now, collect, up_to) {
            Ok(gone) => gone,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.counts.acked += gone.end - gone.start;
        self.remove_frames(queue, gone)?;
        if record != before {
            self.put(queue, &record, due)?;
        }
        Ok(Ok(()))
    }

    /// Removes a queue with everything in it.
    ///
    /// A wrong capability is answered like an unknown queue, so that names of queues cannot be
    /// probed.
    fn close(&mut self, queue: &QueueId, collect: &Capability) -> Result<Result<(), PlaceRefusal>, Fault> {
        let Some((record, due)) = self.record(queue)? else { return Ok(Err(PlaceRefusal::UnknownQueue)) };
        if !record.may_collect(collect) {
            return Ok(Err(PlaceRefusal::UnknownQueue));
        }
        self.due.remove(due_key(due, queue))?;
        self.remove_queue(queue, &record)?;
        self.counts.closed += 1;
        Ok(Ok(()))
    }

    /// Records a visit of the owners of these queues.
    pub(super) fn touch(&mut self, queues: &[QueueId]) -> Result<(), Fault> {
        for queue in queues {
            if let Some((mut record, due)) = self.record(queue)?
                && record.touch(self.rules.now)
            {
                self.put(queue, &record, due)?;
            }
        }
        Ok(())
    }

    /// Removes what is too old, as far as one sweep goes. True when there may be more.
    ///
    /// Queues are taken in the order of their due time, so one sweep costs what is due and not what
    /// is stored.
    pub(super) fn sweep(&mut self) -> Result<bool, Fault> {
        let Rules { limits, now, .. } = *self.rules;
        let mut removed = 0;
        for _ in 0..SWEPT_QUEUES {
            let Some(queue) = self.next_due(now)? else { return Ok(false) };
            let Some((mut record, _)) = self.record(&queue)? else { continue };
            let kept = record.kept();
            match record.expire(now, limits) {
                Expired::Queue => {
                    self.remove_queue(&queue, &record)?;
                    self.counts.expired_queues += 1;
                    self.counts.expired_frames += kept.end - kept.start;
                    removed += kept.end - kept.start;
                }
                Expired::Frames(gone) => {
                    self.counts.expired_frames += gone.end - gone.start;
                    removed += gone.end - gone.start;
                    self.remove_frames(&queue, gone)?;
                    self.reschedule(&queue, &record)?;
                }
                Expired::Nothing => self.reschedule(&queue, &record)?,
            }
            if removed >= SWEPT_FRAMES {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// The queue that is due to be looked at, with its entry removed; the caller makes the next
    /// one.
    fn next_due(&mut self, now: u64) -> Result<Option<QueueId>, Fault> {
        let first = self.due.first()?.map(|(key, _)| key.value());
        let Some(key) = first else { return Ok(None) };
        let (at, queue) = key.split_at(8);
        let at = at.try_into().map_or(0, u64::from_be_bytes);
        if at > now {
            return Ok(None);
        }
        self.due.remove(key)?;
        self.changed = true;
        Ok(queue.try_into().ok().map(QueueId::from_bytes))
    }

    /// Schedules the next look at a queue: daily while it holds frames, else when its owner has
    /// been away for too long.
    fn reschedule(&mut self, queue: &QueueId, record: &QueueRecord) -> Result<(), Fault> {
        let Rules { limits, now, .. } = *self.rules;
        let gone = record.used().saturating_add(limits.queue_age).saturating_add(1);
        let due = if record.kept().is_empty() { gone } else { gone.min(now.saturating_add(DAY)) };
        let due = due.max(now.saturating_add(1));
        self.due.insert(due_key(due, queue), ())?;
        self.put(queue, record, due)
    }

    /// Changes the time at which a queue is looked at. Each queue has exactly one entry.
    fn move_due(&mut self, queue: &QueueId, from: u64, to: u64) -> Result<(), Fault> {
        if from != to {
            self.due.remove(due_key(from, queue))?;
            self.due.insert(due_key(to, queue), ())?;
        }
        Ok(())
    }

    /// A queue's record, and when it is looked at next.
    fn record(&self, queue: &QueueId) -> Result<Option<(QueueRecord, u64)>, Fault> {
        self.queues.get(*queue.as_bytes())?.map(|found| parse(found.value())).transpose()
    }

    /// Writes a queue's record.
    fn put(&mut self, queue: &QueueId, record: &QueueRecord, due: u64) -> Result<(), Fault> {
        self.queues.insert(*queue.as_bytes(), &value(record, due))?;
        self.changed = true;
        Ok(())
    }

    /// Removes a queue's record, notice and frames. Its entry in `due` is up to the caller.
    fn remove_queue(&mut self, queue: &QueueId, record: &QueueRecord) -> Result<(), Fault> {
        self.queues.remove(*queue.as_bytes())?;
        self.notices.remove(*queue.as_bytes())?;
        self.remove_frames(queue, record.kept())?;
        self.changed = true;
        Ok(())
    }

    /// Removes frames by number.
    fn remove_frames(&mut self, queue: &QueueId, numbers: Range<u64>) -> Result<(), Fault> {
        for number in numbers {
            self.frames.remove(frame_key(queue, number))?;
            self.changed = true;
        }
        Ok(())
    }
}
