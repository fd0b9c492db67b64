//! What a relay counts: sums since its start, and what is there. Nothing about any person or queue.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use autonomy_messaging::{frame::BLOB_LEN, wire::PlaceRefusal};
use serde::{Deserialize, Serialize};

/// The counters. They start at zero with each start of the relay, and are updated after commits
/// only.
///
/// Each counter is updated by itself; a snapshot may show one request in one counter and not yet in
/// another.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    opened: AtomicU64,
    closed: AtomicU64,
    redeemed: AtomicU64,
    deposits: AtomicU64,
    repeats: AtomicU64,
    pushed: AtomicU64,
    acked: AtomicU64,
    expired_frames: AtomicU64,
    expired_queues: AtomicU64,
    commits: AtomicU64,
    refused: [AtomicU64; REASONS.len()],
}

/// What one transaction did; added to [`Metrics`] once it is durable.
#[derive(Debug, Default)]
pub(super) struct RequestCounts {
    /// Queues opened.
    pub(super) opened: u64,
    /// Queues closed by their owners.
    pub(super) closed: u64,
    /// Frames stored.
    pub(super) deposits: u64,
    /// Deposits of frames that were there already.
    pub(super) repeats: u64,
    /// Frames removed because they were collected.
    pub(super) acked: u64,
    /// Frames removed because they were too old.
    pub(super) expired_frames: u64,
    /// Queues removed because their owners did not come.
    pub(super) expired_queues: u64,
}

/// Names of refusals, in the order of their counters.
///
/// They are part of the interface: the metrics page and `GET /v1/relay` use them.
const REASONS: [&str; 8] = [
    "unknown_queue",
    "queue_full",
    "place_full",
    "too_many_queues",
    "work_needed",
    "bad_ticket",
    "busy",
    "malformed",
];

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Queues there are.
    pub queues: u64,
    /// Frames there are.
    pub frames: u64,
    /// Queues with a subscriber.
    pub subscribed: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Queues opened.
    pub opened: u64,
    /// Queues closed by their owners.
    pub closed: u64,
    /// Notices read by redeemers of invites.
    pub redeemed: u64,
    /// Frames stored.
    pub deposits: u64,
    /// Bytes of the stored frames.
    pub deposited_bytes: u64,
    /// Deposits of frames that were there already.
    pub repeats: u64,
    /// Frames pushed to subscribers.
    pub pushed: u64,
    /// Frames acknowledged.
    pub acked: u64,
    /// Frames removed because they were too old.
    pub expired_frames: u64,
    /// Queues removed because their owners did not come.
    pub expired_queues: u64,
    /// Transactions committed: fewer than requests, since requests share them.
    pub commits: u64,
    /// Refusals by reason.
    pub refused: std::collections::BTreeMap<String, u64>,
}

impl Metrics {
    /// Adds what a transaction did. Called once it is durable.
    pub(super) fn add(&self, counts: &RequestCounts) {
        let pairs = [
            (&self.opened, counts.opened),
            (&self.closed, counts.closed),
            (&self.deposits, counts.deposits),
            (&self.repeats, counts.repeats),
            (&self.acked, counts.acked),
            (&self.expired_frames, counts.expired_frames),
            (&self.expired_queues, counts.expired_queues),
        ];
        for (counter, count) in pairs {
            counter.fetch_add(count, Relaxed);
        }
    }

    /// Counts a notice that was read.
    pub(super) fn redeemed(&self) {
        self.redeemed.fetch_add(1, Relaxed);
    }

    /// Counts a frame that was pushed.
    pub(super) fn pushed(&self) {
        self.pushed.fetch_add(1, Relaxed);
    }

    /// Counts a commit.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Relaxed);
    }

    /// Counts a refusal by its reason.
    pub(super) fn refused(&self, refusal: &PlaceRefusal) {
        let reason = match refusal {
            PlaceRefusal::UnknownQueue => 0,
            PlaceRefusal::QueueFull => 1,
            PlaceRefusal::PlaceFull => 2,
            PlaceRefusal::TooManyQueues => 3,
            PlaceRefusal::WorkNeeded { .. } => 4,
            PlaceRefusal::BadTicket => 5,
            PlaceRefusal::Busy { .. } => 6,
            PlaceRefusal::Malformed => 7,
        };
        self.refused[reason].fetch_add(1, Relaxed);
    }

    /// The counters now, with the numbers of what is there, which the caller has read from the
    /// file.
    pub(super) fn snapshot(&self, queues: u64, frames: u64, subscribed: u64, file_bytes: u64) -> Snapshot {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let refused = REASONS.iter().zip(&self.refused);
        Snapshot {
            queues,
            frames,
            subscribed,
            file_bytes,
            opened: of(&self.opened),
            closed: of(&self.closed),
            redeemed: of(&self.redeemed),
            deposits: of(&self.deposits),
            deposited_bytes: of(&self.deposits) * BLOB_LEN as u64,
            repeats: of(&self.repeats),
            pushed: of(&self.pushed),
            acked: of(&self.acked),
            expired_frames: of(&self.expired_frames),
            expired_queues: of(&self.expired_queues),
            commits: of(&self.commits),
            refused: refused.map(|(reason, counter)| ((*reason).to_owned(), of(counter))).collect(),
        }
    }
}

impl Snapshot {
    /// The counters as a text page in Prometheus' format.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        let gauges = [
            ("queues", self.queues),
            ("frames", self.frames),
            ("subscribed_queues", self.subscribed),
            ("file_bytes", self.file_bytes),
        ];
        let sums = [
            ("opened", self.opened),
            ("closed", self.closed),
            ("redeemed", self.redeemed),
            ("deposits", self.deposits),
            ("deposited_bytes", self.deposited_bytes),
            ("repeats", self.repeats),
            ("pushed", self.pushed),
            ("acked", self.acked),
            ("expired_frames", self.expired_frames),
            ("expired_queues", self.expired_queues),
            ("commits", self.commits),
        ];
        for (name, value) in gauges {
            let _ = writeln!(page, "# TYPE autonomy_relay_{name} gauge\nautonomy_relay_{name} {value}");
        }
        for (name, value) in sums {
            let _ = writeln!(
                page,
                "# TYPE autonomy_relay_{name}_total counter\nautonomy_relay_{name}_total {value}"
            );
        }
        let _ = writeln!(page, "# TYPE autonomy_relay_refused_total counter");
        for (reason, value) in &self.refused {
            let _ = writeln!(page, "autonomy_relay_refused_total{{reason=\"{reason}\"}} {value}");
        }
        page
    }
}
