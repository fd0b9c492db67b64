//! How many requests of one caller wait for the node at once.
//!
//! The node works on one request after the other. Without this, a caller who asks for much at once would fill the line,
//! and all others would wait behind it. Whoever has its share in the line waits before it, in the order of asking, and
//! others pass.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::INBOX;
use autonomy_node::{Caller, Class, Command};

/// Reads of a caller in the line: one is worked on while the next waits. A device and 63 others that read the costliest
/// lists (about 1 ms each) all the time wait 0.13 s at worst, and a pod with one such reader 2 ms.
const READS: usize = 2;
/// Changes of a caller in the line: half of it, so that many share a commit and others still find room.
const CHANGES: usize = INBOX / 2;
/// Questions for the status, which every client asks again and again: they cost nothing, and do not wait behind lists.
const STATUS: usize = 8;
/// Event streams of a caller: an app, its agent and some scripts. 64 devices and the owner with 16 each are 1,040 tasks of
/// some 5 kB.
pub const MAX_STREAMS: usize = 16;
/// Lists of a caller that are answered at once, until their JSON is written: two processors are enough for one reader.
const LISTS: usize = 2;
/// Large bodies of a caller at once.
const LARGE_BODIES: usize = 1;
/// Large bodies of all callers at once. One is held as it came (16.7 MB) and as it was read (as much again): 134 MB.
const LARGE_BODIES_OF_ALL: usize = 4;
/// Callers whose places are remembered. Those with nothing in the line are forgotten before there are more.
const REMEMBERED: usize = 256;

/// What is limited apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Read,
    Change,
    Status,
    Stream,
    List,
    LargeBody,
}

/// The right to send one large body.
#[derive(Debug)]
pub struct LargeBodyPlace {
    _of_caller: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// The places of all callers.
#[derive(Debug)]
pub(super) struct Turns {
    by_caller: Mutex<BTreeMap<(Caller, Kind), Arc<Semaphore>>>,
    large_bodies: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { by_caller: Mutex::default(), large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_OF_ALL)) }
    }
}

impl Turns {
    /// Waits for a place in the line. It is given back when it is dropped.
    pub(super) async fn wait(&self, caller: Caller, command: &Command) -> Option<OwnedSemaphorePermit> {
        self.places(caller, Kind::of(command)).acquire_owned().await.ok()
    }

    /// The right to one more event stream; `None` where the caller has all that it may have.
    pub(super) fn stream(&self, caller: Caller) -> Option<OwnedSemaphorePermit> {
        self.places(caller, Kind::Stream).try_acquire_owned().ok()
    }

    /// Waits until one more list may be answered.
    pub(super) async fn list(&self, caller: Caller) -> Option<OwnedSemaphorePermit> {
        self.places(caller, Kind::List).acquire_owned().await.ok()
    }

    /// The right to send a large body; `None` where the caller, or all callers together, have as many as may be.
    pub(super) fn large_body(&self, caller: Caller) -> Option<LargeBodyPlace> {
        Some(LargeBodyPlace {
            _of_caller: self.places(caller, Kind::LargeBody).try_acquire_owned().ok()?,
            _of_all: self.large_bodies.clone().try_acquire_owned().ok()?,
        })
    }

    fn places(&self, caller: Caller, kind: Kind) -> Arc<Semaphore> {
        let mut places = self.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= REMEMBERED {
            places.retain(|(_, kind), free| {
                free.available_permits() < kind.most() || Arc::strong_count(free) > 1
            });
        }
        places.entry((caller, kind)).or_insert_with(|| Arc::new(Semaphore::new(kind.most()))).clone()
    }
}

impl Kind {
    const fn of(command: &Command) -> Self {
        match (command, command.class()) {
            (Command::Status, _) => Self::Status,
            (_, Class::Read) => Self::Read,
            _ => Self::Change,
        }
    }

    const fn most(self) -> usize {
        match self {
            Self::Read => READS,
            Self::Change => CHANGES,
            Self::Status => STATUS,
            Self::Stream => MAX_STREAMS,
            Self::List => LISTS,
            Self::LargeBody => LARGE_BODIES,
        }
    }
}
