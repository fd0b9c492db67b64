//! A relay of the small world: keeps everything it is given, in memory.

use std::collections::BTreeMap;

use autonomy_messaging::{
    frame::Blob,
    place::{Capability, CapabilityHash, QueueId},
    wire::{PlaceRefusal, QueueNotice, Request, Response},
};

/// A relay that keeps everything it is given.
#[derive(Clone, Default)]
pub(crate) struct Relay {
    pub(crate) dead: bool,
    /// Takes frames and gives none out.
    pub(crate) lying: bool,
    /// Makes no more queues.
    pub(crate) full: bool,
    /// Takes no acknowledgements for the moment, as one whose disk is full.
    pub(crate) busy: bool,
    pub(crate) queues: BTreeMap<QueueId, Queue>,
}

#[derive(Clone)]
pub(crate) struct Queue {
    deposit: CapabilityHash,
    collect: CapabilityHash,
    notice: Option<QueueNotice>,
    next: u64,
    frames: BTreeMap<u64, Blob>,
    pub(crate) pushed: u64,
}

impl Relay {
    /// Frames that wait in all queues.
    pub(crate) fn frames(&self) -> usize {
        self.queues.values().map(|queue| queue.frames.len()).sum()
    }

    pub(crate) fn answer(&mut self, request: Request) -> Response {
        match request {
            Request::Open { queue, .. } if self.full && !self.queues.contains_key(&queue) => {
                Response::Refused(PlaceRefusal::TooManyQueues)
            }
            Request::Open { queue, deposit, collect, notice, .. } => {
                let kept = notice.is_some();
                let queue = self.queues.entry(queue).or_insert_with(|| Queue {
                    deposit,
                    collect,
                    notice,
                    next: 1,
                    frames: BTreeMap::new(),
                    pushed: 0,
                });
                queue.notice = queue.notice.take().filter(|_| kept);
                Response::Done
            }
            Request::Deposit(frame) => match self.queues.get_mut(&frame.queue) {
                Some(queue) if queue.deposit.admits(&frame.capability) => {
                    queue.frames.insert(queue.next, frame.blob);
                    queue.next += 1;
                    Response::Done
                }
                _ => Response::Refused(PlaceRefusal::UnknownQueue),
            },
            Request::Redeem { queue, deposit } => match self.queues.get(&queue) {
                Some(found) if found.deposit.admits(&deposit) => found
                    .notice
                    .clone()
                    .map_or(Response::Refused(PlaceRefusal::UnknownQueue), Response::Notice),
                _ => Response::Refused(PlaceRefusal::UnknownQueue),
            },
            Request::Ack { .. } if self.busy => Response::Refused(PlaceRefusal::Busy { retry_after: 30 }),
            Request::Ack { queue, collect, up_to } => {
                if let Some(queue) =
                    self.queues.get_mut(&queue).filter(|queue| queue.collect.admits(&collect))
                {
                    queue.frames.retain(|number, _| *number > up_to);
                }
                Response::Done
            }
            Request::Close { queue, .. } => {
                self.queues.remove(&queue);
                Response::Done
            }
            Request::Subscribe(_) => Response::Refused(PlaceRefusal::Malformed),
        }
    }

    pub(crate) fn push(&mut self, queue: QueueId, collect: &Capability) -> Option<(u64, Blob)> {
        let queue = self.queues.get_mut(&queue).filter(|queue| queue.collect.admits(collect))?;
        let (number, blob) = queue.frames.range(queue.pushed + 1..).next()?;
        queue.pushed = *number;
        Some((*number, blob.clone()))
    }
}
