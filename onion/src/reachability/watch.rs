//! Dials our own service, repairs it, and reports its state.

use std::time::{Duration, SystemTime};

use tokio::{
    sync::watch::{self, Receiver},
    time::{Instant, sleep_until, timeout},
};

use super::health::{Heal, Health, State};
use crate::{
    CircuitRole, DialErrorKind, DialPolicy, LaunchError, OnionService, dial::DialError, task::OwnedTask,
};

/// How often Arti is asked whether the descriptor is published, until it is.
const PUBLISH_POLL: Duration = Duration::from_secs(1);
/// Limit of one self-dial: as long as a caller would wait.
const DIAL_LIMIT: Duration = Duration::from_secs(30);
/// The port dialled. It has no listener: the rejection proves that callers reach the service, and
/// no listener is disturbed.
const UNUSED_PORT: u16 = 1;

/// The reachability of an onion service, as reported to its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reachability {
    /// Launched, not yet published.
    Unpublished,
    /// Published, not yet reached.
    Published,
    /// Reached by a dial through Tor.
    Reachable,
    /// Dials fail.
    Unreachable {
        /// Since when, by this machine's clock.
        since: SystemTime,
        /// The error of the last dial.
        reason: String,
    },
}

/// The reports about a watched service. The watch ends when this value is dropped.
#[derive(Debug)]
pub struct Report {
    state: Receiver<Reachability>,
    _watch: OwnedTask,
}

impl Report {
    /// What is known now.
    #[must_use]
    pub fn now(&self) -> Reachability {
        self.state.borrow().clone()
    }

    /// A receiver that gets each change.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<Reachability> {
        self.state.clone()
    }

    /// Waits until the service has been reached by a dial.
    pub async fn reachable(&self) {
        let mut state = self.state.clone();
        // The sender lives in the task this value owns.
        let _ = state.wait_for(|state| *state == Reachability::Reachable).await;
    }
}

/// Watches a service: dials it through Tor on circuits of its own, and publishes or relaunches it
/// when it cannot be reached.
#[must_use]
pub fn watch(service: OnionService) -> Report {
    let (sender, state) = watch::channel(Reachability::Unpublished);
    let watcher = Watcher { service, started: Instant::now(), health: Health::default(), sender };
    Report { state, _watch: OwnedTask::spawn(watcher.run()) }
}

/// The task behind a [`Report`].
struct Watcher {
    service: OnionService,
    /// When the watch began: the zero of [`Health`]'s times.
    started: Instant,
    health: Health,
    sender: watch::Sender<Reachability>,
}

impl Watcher {
    /// Dials, repairs and reports until the report is dropped.
    async fn run(mut self) {
        loop {
            self.wait().await;
            let dialled = self.dial().await;
            let now = self.now();
            let (heal, reason) = match dialled {
                Ok(()) => {
                    self.health.reached(now);
                    (Heal::Nothing, String::new())
                }
                Err(error) if error.kind == DialErrorKind::TorNotReady => {
                    self.health.not_tried(now);
                    (Heal::Nothing, error.to_string())
                }
                Err(error) => (self.health.failed(now), error.to_string()),
            };
            self.publish(&reason);
            if let Err(error) = self.heal(heal).await {
                tracing::warn!(%error, "an onion service could not be healed");
            }
        }
    }

    /// Waits for the next dial; while the service is new, also for Arti to say that it is published.
    async fn wait(&mut self) {
        loop {
            let due = self.started + self.health.next_dial();
            if self.health.state() != State::Unpublished {
                return sleep_until(due).await;
            }
            if timeout(PUBLISH_POLL, sleep_until(due)).await.is_ok() {
                return;
            }
            if self.service.is_published() {
                let now = self.now();
                self.health.published(now);
                self.publish("");
            }
        }
    }

    /// One dial on circuits nothing else uses, with a descriptor fetched for it.
    async fn dial(&self) -> Result<(), DialError> {
        const ROLE: CircuitRole = CircuitRole::named("self-dial");
        let policy = DialPolicy {
            attempt_limit: DIAL_LIMIT,
            total_limit: DIAL_LIMIT,
            attempts: 2,
            ..DialPolicy::new(ROLE)
        };
        let (tor, address) = (self.service.tor(), self.service.address());
        let answer = tor.connect(&address, UNUSED_PORT, &policy).await;
        tor.rotate_role(&address, ROLE);
        match answer {
            Err(error) if error.kind != DialErrorKind::Refused => Err(error),
            _ => Ok(()),
        }
    }

    /// Carries out a repair.
    ///
    /// # Errors
    /// Arti refused; the next failed dial asks for a repair again.
    async fn heal(&self, heal: Heal) -> Result<(), LaunchError> {
        let address = self.service.address();
        match heal {
            Heal::Nothing => Ok(()),
            Heal::Republish => {
                tracing::warn!(address = %address.scrubbed(), "onion service unreachable: publishing again");
                self.service.republish()
            }
            Heal::Relaunch => {
                tracing::warn!(address = %address.scrubbed(), "onion service unreachable: launching again");
                self.service.relaunch().await
            }
        }
    }

    /// Sends the state to the subscribers if it changed.
    fn publish(&self, reason: &str) {
        let new_state = match self.health.state() {
            State::Unpublished => Reachability::Unpublished,
            State::Published => Reachability::Published,
            State::Reachable => Reachability::Reachable,
            State::Unreachable { since } => {
                let ago = self.now().saturating_sub(since);
                Reachability::Unreachable { since: wall_clock() - ago, reason: reason.to_owned() }
            }
        };
        self.sender.send_if_modified(|state| {
            let change = !same(state, &new_state);
            if change {
                *state = new_state;
            }
            change
        });
    }

    /// Time since the watch began.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// An outage is reported once, not again with each failed dial.
fn same(a: &Reachability, b: &Reachability) -> bool {
    matches!((a, b), (Reachability::Unreachable { .. }, Reachability::Unreachable { .. })) || a == b
}

/// The time of day at which an outage began, for people.
#[expect(clippy::disallowed_methods, reason = "the report is for people, who read the wall clock")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
