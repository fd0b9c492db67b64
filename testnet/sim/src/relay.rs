//! A relay of the world: the real rules of queues over a map in place of a disk.

use std::collections::BTreeMap;
use std::ops::Range;

use autonomy_messaging::frame::{Blob, Frame};
use autonomy_messaging::place::{Capability, Place, QueueId};
use autonomy_messaging::queue::{Deposited, Expired, Pressure, QueueLimits, QueueRecord};
use autonomy_messaging::wire::{QueueNotice, Refusal, Request, Response};

use super::pod::SubscriptionId;

/// What a relay does, and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// What it should.
    Honest,
    /// It takes frames, says that they are safe, and never gives one out.
    Liar,
    /// It answers nobody.
    Dead,
    /// It takes no more frames and makes no more queues.
    Full,
}

/// A relay.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) place: Place,
    pub(super) conduct: Conduct,
    /// Without it nobody gets a queue here, where there is one.
    pub(super) token: Option<Capability>,
    queues: BTreeMap<QueueId, Shelf>,
    frames: u64,
    limits: QueueLimits,
    pressure: Pressure,
}

#[derive(Debug)]
struct Shelf {
    record: QueueRecord,
    notice: Option<QueueNotice>,
    frames: BTreeMap<u64, Blob>,
    listener: Option<SubscriptionId>,
}

/// A frame came for somebody who listens.
pub(super) struct Fresh {
    pub(super) listener: SubscriptionId,
    pub(super) queue: QueueId,
    pub(super) number: u64,
}

impl Relay {
    pub(super) fn new(
        place: Place,
        limits: QueueLimits,
        secret: [u8; 32],
        token: Option<Capability>,
    ) -> Self {
        let hashes = token.iter().map(Capability::hash).collect();
        let pressure = Pressure::new(secret, hashes, token.is_none());
        Self { place, conduct: Conduct::Honest, token, queues: BTreeMap::new(), frames: 0, limits, pressure }
    }

    /// Answers one request, and says whom a frame is to be pushed to.
    pub(super) fn answer(&mut self, now: u64, request: Request) -> (Response, Option<Fresh>) {
        let answered = match request {
            Request::Deposit(frame) => return self.deposit(now, frame),
            Request::Open { queue, deposit, collect, ticket, notice } => {
                let limits = self.present_limits();
                match self.queues.get_mut(&queue) {
                    Some(shelf) => {
                        let reopened = shelf.record.reopen(&deposit, &collect, notice.is_some(), now);
                        shelf.notice = shelf.notice.take().filter(|_| shelf.record.has_notice());
                        reopened
                    }
                    None => self.pressure.admit(now, self.queues.len() as u64, &limits, &queue, &ticket).map(
                        |()| {
                            let record = QueueRecord::open(deposit, collect, notice.is_some(), now);
                            let shelf = Shelf { record, notice, frames: BTreeMap::new(), listener: None };
                            self.queues.insert(queue, shelf);
                        },
                    ),
                }
            }
            Request::Redeem { queue, deposit } => return (self.redeem(&queue, &deposit), None),
            Request::Ack { queue, collect, up_to } => self.ack(now, queue, &collect, up_to),
            Request::Close { queue, collect } => self.close(queue, &collect),
            // Subscriptions are asked for with `listen`.
            Request::Subscribe(_) => Err(Refusal::Malformed),
        };
        (answered.map_or_else(Response::Refused, |()| Response::Done), None)
    }

    fn present_limits(&self) -> QueueLimits {
        match self.conduct {
            Conduct::Full => QueueLimits { max_queues: 0, max_frames: 0, ..self.limits },
            _ => self.limits,
        }
    }

    fn deposit(&mut self, now: u64, frame: Frame) -> (Response, Option<Fresh>) {
        self.expire(now, frame.queue);
        let limits = self.present_limits();
        let Some(shelf) = self.queues.get_mut(&frame.queue) else {
            return (Response::Refused(Refusal::UnknownQueue), None);
        };
        match shelf.record.deposit(now, &frame.capability, frame.deposit, &limits, self.frames) {
            Ok(Deposited::Repeat) => (Response::Done, None),
            Ok(Deposited::New(number)) => {
                self.frames += 1;
                shelf.frames.insert(number, frame.blob);
                let lies = self.conduct == Conduct::Liar;
                let fresh = shelf.listener.filter(|_| !lies);
                (Response::Done, fresh.map(|listener| Fresh { listener, queue: frame.queue, number }))
            }
            Err(refusal) => (Response::Refused(refusal), None),
        }
    }

    fn redeem(&self, queue: &QueueId, deposit: &Capability) -> Response {
        let shelf = self.queues.get(queue).filter(|shelf| shelf.record.may_deposit(deposit));
        let notice = shelf.and_then(|shelf| shelf.notice.clone());
        notice.map_or(Response::Refused(Refusal::UnknownQueue), Response::Notice)
    }

    fn ack(&mut self, now: u64, queue: QueueId, collect: &Capability, up_to: u64) -> Result<(), Refusal> {
        let shelf = self.queues.get_mut(&queue).ok_or(Refusal::UnknownQueue)?;
        let gone = shelf.record.ack(now, collect, up_to)?;
        self.drop_frames(queue, gone);
        Ok(())
    }

    fn close(&mut self, queue: QueueId, collect: &Capability) -> Result<(), Refusal> {
        let shelf = self.queues.get(&queue).filter(|shelf| shelf.record.may_collect(collect));
        let kept = shelf.ok_or(Refusal::UnknownQueue)?.frames.len();
        self.queues.remove(&queue);
        self.frames -= kept as u64;
        Ok(())
    }

    /// Somebody collects: gives the numbers of the frames that wait, oldest first.
    pub(super) fn listen(
        &mut self,
        now: u64,
        queue: QueueId,
        collect: &Capability,
        listener: SubscriptionId,
    ) -> Result<Vec<u64>, Refusal> {
        self.expire(now, queue);
        let shelf = self.queues.get_mut(&queue).filter(|shelf| shelf.record.may_collect(collect));
        let shelf = shelf.ok_or(Refusal::UnknownQueue)?;
        shelf.record.touch(now);
        shelf.listener = Some(listener);
        let lies = self.conduct == Conduct::Liar;
        Ok(if lies { Vec::new() } else { shelf.frames.keys().copied().collect() })
    }

    /// A subscription is over.
    pub(super) fn hang_up(&mut self, queue: QueueId, listener: SubscriptionId) {
        if let Some(shelf) = self.queues.get_mut(&queue).filter(|shelf| shelf.listener == Some(listener)) {
            shelf.listener = None;
        }
    }

    /// A frame on its way to the one who listens.
    pub(super) fn frame(&self, queue: QueueId, number: u64) -> Option<Blob> {
        self.queues.get(&queue)?.frames.get(&number).cloned()
    }

    /// Loses everything.
    pub(super) fn wipe(&mut self) {
        self.queues.clear();
        self.frames = 0;
    }

    /// Forgets what is too old, in all queues.
    pub(super) fn sweep(&mut self, now: u64) {
        let all: Vec<QueueId> = self.queues.keys().copied().collect();
        all.into_iter().for_each(|queue| self.expire(now, queue));
    }

    fn expire(&mut self, now: u64, queue: QueueId) {
        let Some(shelf) = self.queues.get_mut(&queue) else { return };
        match shelf.record.expire(now, &self.limits) {
            Expired::Nothing => {}
            Expired::Frames(gone) => self.drop_frames(queue, gone),
            Expired::Queue => {
                self.frames -= shelf.frames.len() as u64;
                self.queues.remove(&queue);
            }
        }
    }

    fn drop_frames(&mut self, queue: QueueId, gone: Range<u64>) {
        let Some(shelf) = self.queues.get_mut(&queue) else { return };
        let before = shelf.frames.len();
        shelf.frames = shelf.frames.split_off(&gone.end.max(shelf.record.kept().start));
        self.frames -= (before - shelf.frames.len()) as u64;
    }

    /// Whether the books are right, and within the limits.
    pub(super) fn is_sound(&self) -> bool {
        let kept = |shelf: &Shelf| {
            let kept = shelf.record.kept();
            shelf.frames.keys().copied().eq(kept)
                && shelf.frames.len() <= self.limits.frames_per_queue as usize
        };
        let frames: usize = self.queues.values().map(|shelf| shelf.frames.len()).sum();
        self.queues.values().all(kept)
            && frames as u64 == self.frames
            && self.frames <= self.limits.max_frames
            && self.queues.len() as u64 <= self.limits.max_queues
    }

    /// Frames that wait in queues which somebody collects.
    pub(super) fn backlog(&self) -> u64 {
        let heard = self.queues.values().filter(|shelf| shelf.listener.is_some());
        heard.map(|shelf| shelf.frames.len() as u64).sum()
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames
    }
}
