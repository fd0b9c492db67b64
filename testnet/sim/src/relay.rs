//! A relay: the real rules of queues (`autonomy_messaging::queue`) over a map in place of a disk.
//!
//! What a relay of the daemon has in its database a relay here has in memory, and it never loses anything by itself:
//! losses are faults, made by [`Relay::wipe`] and [`Conduct`]. Requests are answered by the same `QueueRecord` and
//! `Pressure` as in the daemon, so refusals, tickets and limits are the real ones.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use autonomy_messaging::frame::{Blob, Frame};
use autonomy_messaging::place::{Capability, Place, QueueId};
use autonomy_messaging::queue::{Deposited, Expired, Pressure, QueueLimits, QueueRecord};
use autonomy_messaging::wire::{PlaceRefusal, QueueNotice, Request, Response};

use super::pod::SubscriptionId;

/// How a relay behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// As it should.
    Honest,
    /// It accepts frames, acknowledges them, and never delivers one.
    Withholding,
    /// It delivers frames again that it delivered before, now and long ago.
    Repeating,
    /// It answers nobody.
    Dead,
    /// It accepts no more frames and makes no more queues.
    Full,
    /// It refuses every request for the moment, acknowledgements too.
    Busy,
}

/// What a busy relay answers.
const BUSY: PlaceRefusal = PlaceRefusal::Busy { retry_after: 5 };

/// A relay and everything that it stores.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) place: Place,
    pub(super) conduct: Conduct,
    /// Its operator's token: where there is one, nobody gets a queue without it.
    pub(super) token: Option<Capability>,
    queues: BTreeMap<QueueId, StoredQueue>,
    /// Frames in all queues, counted along: `is_sound` compares.
    frames: u64,
    limits: QueueLimits,
    pressure: Pressure,
    /// Seconds by which its clock is ahead.
    pub(super) clock: i64,
    /// The backup that will take the place of its queues.
    backup: Option<BTreeMap<QueueId, StoredQueue>>,
    /// Frames that it delivered, for a time when it repeats them: at most [`MAX_RECORDED`].
    recorded: VecDeque<Recorded>,
}

/// A frame that was delivered.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) pod: usize,
    pub(super) queue: QueueId,
    pub(super) number: u64,
    pub(super) blob: Blob,
}

/// Frames that a relay remembers to repeat: of 16 KiB, 2 MiB.
const MAX_RECORDED: usize = 128;

/// A queue with its frames by number.
#[derive(Debug, Clone)]
struct StoredQueue {
    record: QueueRecord,
    notice: Option<QueueNotice>,
    frames: BTreeMap<u64, Blob>,
    /// The subscription that frames are pushed to.
    listener: Option<SubscriptionId>,
}

/// A frame that is to be pushed to a subscriber.
pub(super) struct NewFrame {
    pub(super) listener: SubscriptionId,
    pub(super) queue: QueueId,
    pub(super) number: u64,
}

impl Relay {
    /// An honest relay without queues. `secret` makes its challenges.
    pub(super) fn new(
        place: Place,
        limits: QueueLimits,
        secret: [u8; 32],
        token: Option<Capability>,
    ) -> Self {
        let hashes = token.iter().map(Capability::hash).collect();
        let pressure = Pressure::new(secret, hashes, token.is_none());
        Self {
            place,
            conduct: Conduct::Honest,
            token,
            queues: BTreeMap::new(),
            frames: 0,
            limits,
            pressure,
            clock: 0,
            backup: None,
            recorded: VecDeque::new(),
        }
    }

    /// Answers a request, and says whom a frame is to be pushed to. `now` is the right time.
    pub(super) fn answer(&mut self, now: u64, request: Request) -> (Response, Option<NewFrame>) {
        let now = self.clock(now);
        if self.conduct == Conduct::Busy {
            return (Response::Refused(BUSY), None);
        }
        let answered = match request {
            Request::Deposit(frame) => return self.deposit(now, frame),
            Request::Open { queue, deposit, collect, ticket, notice } => {
                let limits = self.present_limits();
                match self.queues.get_mut(&queue) {
                    Some(stored) => {
                        let reopened = stored.record.reopen(&deposit, &collect, notice.is_some(), now);
                        stored.notice = stored.notice.take().filter(|_| stored.record.has_notice());
                        reopened
                    }
                    None => self.pressure.admit(now, self.queues.len() as u64, &limits, &queue, &ticket).map(
                        |()| {
                            let record = QueueRecord::open(deposit, collect, notice.is_some(), now);
                            let stored =
                                StoredQueue { record, notice, frames: BTreeMap::new(), listener: None };
                            self.queues.insert(queue, stored);
                        },
                    ),
                }
            }
            Request::Redeem { queue, deposit } => return (self.redeem(&queue, &deposit), None),
            Request::Ack { queue, collect, up_to } => self.ack(now, queue, &collect, up_to),
            Request::Close { queue, collect } => self.close(queue, &collect),
            // Subscriptions are asked for with `listen`.
            Request::Subscribe(_) => Err(PlaceRefusal::Malformed),
        };
        (answered.map_or_else(Response::Refused, |()| Response::Done), None)
    }

    /// The limits as they are now: one that is full has room for nothing.
    fn present_limits(&self) -> QueueLimits {
        match self.conduct {
            Conduct::Full => QueueLimits { max_queues: 0, max_frames: 0, ..self.limits },
            _ => self.limits,
        }
    }

    /// Stores a frame, where queue, capability and limits allow it. A repeat is acknowledged and not stored twice.
    /// What is pushed stays stored until it is acknowledged.
    fn deposit(&mut self, now: u64, frame: Frame) -> (Response, Option<NewFrame>) {
        self.expire(now, frame.queue);
        let limits = self.present_limits();
        let Some(stored) = self.queues.get_mut(&frame.queue) else {
            return (Response::Refused(PlaceRefusal::UnknownQueue), None);
        };
        match stored.record.deposit(now, &frame.capability, frame.deposit, &limits, self.frames) {
            Ok(Deposited::Repeat) => (Response::Done, None),
            Ok(Deposited::New(number)) => {
                self.frames += 1;
                stored.frames.insert(number, frame.blob);
                let lies = self.conduct == Conduct::Withholding;
                let new_frame = stored.listener.filter(|_| !lies);
                (Response::Done, new_frame.map(|listener| NewFrame { listener, queue: frame.queue, number }))
            }
            Err(refusal) => (Response::Refused(refusal), None),
        }
    }

    /// Gives out the key package of an invite to whoever may leave frames in its queue.
    fn redeem(&self, queue: &QueueId, deposit: &Capability) -> Response {
        let stored = self.queues.get(queue).filter(|stored| stored.record.may_deposit(deposit));
        let notice = stored.and_then(|stored| stored.notice.clone());
        notice.map_or(Response::Refused(PlaceRefusal::UnknownQueue), Response::Notice)
    }

    /// Drops the frames up to one that the collector has on disk. Only the collector's capability allows it.
    fn ack(
        &mut self,
        now: u64,
        queue: QueueId,
        collect: &Capability,
        up_to: u64,
    ) -> Result<(), PlaceRefusal> {
        let stored = self.queues.get_mut(&queue).ok_or(PlaceRefusal::UnknownQueue)?;
        let gone = stored.record.ack(now, collect, up_to)?;
        self.drop_frames(queue, gone);
        Ok(())
    }

    /// Drops a queue.
    fn close(&mut self, queue: QueueId, collect: &Capability) -> Result<(), PlaceRefusal> {
        let stored = self.queues.get(&queue).filter(|stored| stored.record.may_collect(collect));
        let kept = stored.ok_or(PlaceRefusal::UnknownQueue)?.frames.len();
        self.queues.remove(&queue);
        self.frames -= kept as u64;
        Ok(())
    }

    /// A subscription begins to collect a queue. Gives the numbers of the frames that wait, oldest first.
    ///
    /// # Errors
    /// The queue is unknown, or the capability is not that of its collector; or the relay is busy.
    pub(super) fn listen(
        &mut self,
        now: u64,
        queue: QueueId,
        collect: &Capability,
        listener: SubscriptionId,
    ) -> Result<Vec<u64>, PlaceRefusal> {
        if self.conduct == Conduct::Busy {
            return Err(BUSY);
        }
        let now = self.clock(now);
        self.expire(now, queue);
        let stored = self.queues.get_mut(&queue).filter(|stored| stored.record.may_collect(collect));
        let stored = stored.ok_or(PlaceRefusal::UnknownQueue)?;
        stored.record.touch(now);
        stored.listener = Some(listener);
        let lies = self.conduct == Conduct::Withholding;
        Ok(if lies { Vec::new() } else { stored.frames.keys().copied().collect() })
    }

    /// A subscription ends. A newer one of the same queue stays.
    pub(super) fn hang_up(&mut self, queue: QueueId, listener: SubscriptionId) {
        if let Some(stored) = self.queues.get_mut(&queue).filter(|stored| stored.listener == Some(listener)) {
            stored.listener = None;
        }
    }

    /// A frame that is about to be delivered. None if it was acknowledged or dropped since.
    pub(super) fn frame(&self, queue: QueueId, number: u64) -> Option<Blob> {
        self.queues.get(&queue)?.frames.get(&number).cloned()
    }

    /// What its clock shows, seconds since 1970, when this is right.
    fn clock(&self, now: u64) -> u64 {
        now.saturating_add_signed(self.clock)
    }

    /// Copies its queues, for [`restore_backup`](Self::restore_backup).
    pub(super) fn back_up(&mut self) {
        self.backup = Some(self.queues.clone());
    }

    /// Its queues are as they were at the last backup. False where there is none.
    pub(super) fn restore_backup(&mut self) -> bool {
        let Some(queues) = self.backup.take() else { return false };
        self.queues = queues;
        self.queues.values_mut().for_each(|stored| stored.listener = None);
        self.frames = self.queues.values().map(|stored| stored.frames.len() as u64).sum();
        true
    }

    /// Its clock is right and it has no backup to go back to.
    pub(super) fn end_faults(&mut self) {
        self.clock = 0;
        self.backup = None;
    }

    /// Remembers a frame that was delivered.
    pub(super) fn record(&mut self, frame: Recorded) {
        if self.recorded.len() >= MAX_RECORDED {
            self.recorded.pop_front();
        }
        self.recorded.push_back(frame);
    }

    /// The frames that it delivered, oldest first.
    pub(super) fn recorded(&self) -> &VecDeque<Recorded> {
        &self.recorded
    }

    /// Loses all queues and frames.
    pub(super) fn wipe(&mut self) {
        self.queues.clear();
        self.frames = 0;
    }

    /// Drops what is too old, in all queues.
    pub(super) fn sweep(&mut self, now: u64) {
        let now = self.clock(now);
        let all: Vec<QueueId> = self.queues.keys().copied().collect();
        all.into_iter().for_each(|queue| self.expire(now, queue));
    }

    /// Drops what is too old in one queue, and the queue if nobody used it.
    fn expire(&mut self, now: u64, queue: QueueId) {
        let Some(stored) = self.queues.get_mut(&queue) else { return };
        match stored.record.expire(now, &self.limits) {
            Expired::Nothing => {}
            Expired::Frames(gone) => self.drop_frames(queue, gone),
            Expired::Queue => {
                self.frames -= stored.frames.len() as u64;
                self.queues.remove(&queue);
            }
        }
    }

    /// Drops frames that are acknowledged or too old.
    fn drop_frames(&mut self, queue: QueueId, gone: Range<u64>) {
        let Some(stored) = self.queues.get_mut(&queue) else { return };
        let before = stored.frames.len();
        stored.frames = stored.frames.split_off(&gone.end.max(stored.record.kept().start));
        self.frames -= (before - stored.frames.len()) as u64;
    }

    /// Whether the counts are right and within the limits.
    pub(super) fn is_sound(&self) -> bool {
        let kept = |stored: &StoredQueue| {
            let kept = stored.record.kept();
            stored.frames.keys().copied().eq(kept)
                && stored.frames.len() <= self.limits.frames_per_queue as usize
        };
        let frames: usize = self.queues.values().map(|stored| stored.frames.len()).sum();
        self.queues.values().all(kept)
            && frames as u64 == self.frames
            && self.frames <= self.limits.max_frames
            && self.queues.len() as u64 <= self.limits.max_queues
    }

    /// Frames that wait in queues which somebody collects: in the end there are none.
    pub(super) fn backlog(&self) -> u64 {
        let heard = self.queues.values().filter(|stored| stored.listener.is_some());
        heard.map(|stored| stored.frames.len() as u64).sum()
    }

    /// Frames in all queues.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }
}
