//! Dials our own service, heals it, and tells how it is.

use std::time::{Duration, SystemTime};

use tokio::{
    sync::watch::{self, Receiver},
    time::{Instant, sleep_until, timeout},
};

use super::health::{Heal, Health, State};
use crate::{DialErrorKind, DialPolicy, LaunchError, OnionService, Role, dial::DialError, task::OwnedTask};

/// How often Arti is asked whether the descriptor is published, while it is not.
const ASK_ARTI: Duration = Duration::from_secs(1);
/// Limit of one self-dial: what a caller would wait.
const DIAL_LIMIT: Duration = Duration::from_secs(30);
/// The port dialled. Nobody listens there: to be turned away by our own door is the proof that callers reach
/// it, and disturbs no listener.
const NOBODYS_PORT: u16 = 1;

/// What the world is told about an onion service.
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
        /// What the last dial said.
        reason: String,
    },
}

/// The watch over a service; it ends when this value is dropped.
#[derive(Debug)]
pub struct Report {
    state: Receiver<Reachability>,
    _watch: OwnedTask,
}

impl Report {
    /// What is known now.
    pub fn now(&self) -> Reachability {
        self.state.borrow().clone()
    }

    /// A receiver that is told each change.
    pub fn subscribe(&self) -> Receiver<Reachability> {
        self.state.clone()
    }

    /// Waits until the service has been reached.
    pub async fn reachable(&self) {
        let mut state = self.state.clone();
        // The sender lives in the task this value owns.
        let _ = state.wait_for(|state| *state == Reachability::Reachable).await;
    }
}

/// Watches over a service: dials it through Tor on circuits of its own, publishes it again and at last launches
/// it again when it cannot be reached.
pub fn watch(service: OnionService) -> Report {
    let (sender, state) = watch::channel(Reachability::Unpublished);
    let watcher = Watcher { service, born: Instant::now(), health: Health::default(), sender };
    Report { state, _watch: OwnedTask::spawn(watcher.run()) }
}

struct Watcher {
    service: OnionService,
    born: Instant,
    health: Health,
    sender: watch::Sender<Reachability>,
}

impl Watcher {
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
            self.tell(&reason);
            if let Err(error) = self.heal(heal).await {
                tracing::warn!(%error, "an onion service could not be healed");
            }
        }
    }

    /// Waits for the next dial; while the service is new, also for Arti to say that it is published.
    async fn wait(&mut self) {
        loop {
            let due = self.born + self.health.next_dial();
            if self.health.state() != State::Unpublished {
                return sleep_until(due).await;
            }
            if timeout(ASK_ARTI, sleep_until(due)).await.is_ok() {
                return;
            }
            if self.service.is_published() {
                let now = self.now();
                self.health.published(now);
                self.tell("");
            }
        }
    }

    /// One dial on circuits nothing else uses, with a descriptor fetched for it.
    async fn dial(&self) -> Result<(), DialError> {
        const ROLE: Role = Role::named("self-dial");
        let policy = DialPolicy {
            attempt_limit: DIAL_LIMIT,
            total_limit: DIAL_LIMIT,
            attempts: 2,
            ..DialPolicy::new(ROLE)
        };
        let (tor, address) = (self.service.tor(), self.service.address());
        let answer = tor.connect(&address, NOBODYS_PORT, &policy).await;
        tor.rotate_role(&address, ROLE);
        match answer {
            Err(error) if error.kind != DialErrorKind::Refused => Err(error),
            _ => Ok(()),
        }
    }

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

    fn tell(&self, reason: &str) {
        let told = match self.health.state() {
            State::Unpublished => Reachability::Unpublished,
            State::Published => Reachability::Published,
            State::Reachable => Reachability::Reachable,
            State::Unreachable { since } => {
                let ago = self.now().saturating_sub(since);
                Reachability::Unreachable { since: wall_clock() - ago, reason: reason.to_owned() }
            }
        };
        self.sender.send_if_modified(|state| {
            let change = !same(state, &told);
            if change {
                *state = told;
            }
            change
        });
    }

    fn now(&self) -> Duration {
        self.born.elapsed()
    }
}

/// An outage is told once, not again with each failed dial.
fn same(a: &Reachability, b: &Reachability) -> bool {
    matches!((a, b), (Reachability::Unreachable { .. }, Reachability::Unreachable { .. })) || a == b
}

#[expect(clippy::disallowed_methods, reason = "the report is for people, who read the wall clock")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
