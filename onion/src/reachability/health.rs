//! The rule of reachability, without clock and network. Times are durations since the service was
//! launched.

use std::time::Duration;

/// First dial after a launch: a descriptor takes about this long.
const FIRST_DIAL: Duration = Duration::from_millis(500);
/// Pause after a dial that succeeded. A dial costs a few circuits; 5 minutes find a lost descriptor
/// well before callers stop trying.
const WHILE_REACHABLE: Duration = Duration::from_secs(300);
/// Pause after a dial that failed, by how many failed in a row: short at first, since after a
/// launch the next one may succeed, then longer so that an outage of Tor costs little.
const WHILE_NOT: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
    Duration::from_secs(30),
];
/// Failures in a row after which a service that was reachable is called unreachable: a single one
/// may be chance, for Tor's onion circuits fail now and then.
const FAILURES_UNTIL_UNREACHABLE: u32 = 2;
/// A service that was never reached gets this long after launch before it is called unreachable.
const GRACE_AFTER_LAUNCH: Duration = Duration::from_secs(90);
/// Unreachable for this long: publish again. Uploads are limited to one a minute, hence not sooner.
const REPUBLISH_AFTER: Duration = Duration::from_secs(60);
/// Unreachable for this long: relaunch, and once more each time this long has passed since.
const RELAUNCH_AFTER: Duration = Duration::from_secs(300);

/// What is known about a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Launched; its descriptor is not known to be published.
    Unpublished,
    /// Arti reports the descriptor as published; no dial has succeeded yet.
    Published,
    /// The last dial succeeded.
    Reachable,
    /// Dials fail, since this time after the launch.
    Unreachable {
        /// The first failure in the row.
        since: Duration,
    },
}

/// The repair for a service that cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heal {
    /// None now.
    Nothing,
    /// Publish a new descriptor with another introduction point.
    Republish,
    /// End the service and launch it again.
    Relaunch,
}

/// The state machine of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    state: State,
    /// Failures in a row, and when the first was.
    failures: u32,
    /// When the first of the failures in a row was.
    failing_since: Duration,
    /// When the next dial is due.
    next_dial: Duration,
    /// Whether a new descriptor was published since the service became unreachable.
    republished: bool,
    /// When the service was last launched.
    launched: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            state: State::Unpublished,
            failures: 0,
            failing_since: Duration::ZERO,
            next_dial: FIRST_DIAL,
            republished: false,
            launched: Duration::ZERO,
        }
    }
}

impl Health {
    /// What is known about the service.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// When the next dial is due.
    #[must_use]
    pub fn next_dial(&self) -> Duration {
        self.next_dial
    }

    /// Arti reports the descriptor as published: a dial is due now.
    pub fn published(&mut self, now: Duration) {
        if self.state == State::Unpublished {
            self.state = State::Published;
            self.next_dial = now;
        }
    }

    /// A dial succeeded: the service is reachable, and the counts start anew.
    pub fn reached(&mut self, now: Duration) {
        self.state = State::Reachable;
        self.failures = 0;
        self.republished = false;
        self.next_dial = now + WHILE_REACHABLE;
    }

    /// A dial failed because of the service or the way to it. Returns the repair that is due.
    pub fn failed(&mut self, now: Duration) -> Heal {
        if self.failures == 0 {
            self.failing_since = now;
        }
        let pause = WHILE_NOT[(self.failures as usize).min(WHILE_NOT.len() - 1)];
        self.failures = self.failures.saturating_add(1);
        self.next_dial = now + pause;
        if self.counts_as_unreachable(now) {
            self.state = State::Unreachable { since: self.failing_since };
        }
        self.healing(now)
    }

    /// A dial failed because Tor on this machine does not work. That says nothing about the
    /// service, and no repair of the service would help.
    pub fn not_tried(&mut self, now: Duration) {
        self.next_dial = now + WHILE_NOT[WHILE_NOT.len() - 1];
    }

    /// Whether the failures so far make the service unreachable.
    fn counts_as_unreachable(&self, now: Duration) -> bool {
        match self.state {
            State::Reachable => self.failures >= FAILURES_UNTIL_UNREACHABLE,
            State::Unreachable { .. } => true,
            State::Unpublished | State::Published => now >= GRACE_AFTER_LAUNCH,
        }
    }

    /// The repair that is due at `now`, noted as done.
    fn healing(&mut self, now: Duration) -> Heal {
        let State::Unreachable { since } = self.state else { return Heal::Nothing };
        if now >= since.max(self.launched) + RELAUNCH_AFTER {
            self.launched = now;
            self.republished = false;
            self.next_dial = now + FIRST_DIAL;
            return Heal::Relaunch;
        }
        if !self.republished && now >= since.max(self.launched) + REPUBLISH_AFTER {
            self.republished = true;
            return Heal::Republish;
        }
        Heal::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Fails every dial from `from` on, when it is due, until `until`; gives what was done and when.
    fn fail_on(health: &mut Health, from: Duration, until: Duration) -> Vec<(u64, Heal)> {
        let mut done = Vec::new();
        let mut now = from.max(health.next_dial());
        while now < until {
            let heal = health.failed(now);
            if heal != Heal::Nothing {
                done.push((now.as_secs(), heal));
            }
            now = health.next_dial();
        }
        done
    }

    #[test]
    fn healthy_service_goes_from_unpublished_to_reachable() {
        let mut health = Health::default();
        assert_eq!(health.state(), State::Unpublished);
        health.published(s(1));
        assert_eq!((health.state(), health.next_dial()), (State::Published, s(1)));
        health.reached(s(2));
        assert_eq!((health.state(), health.next_dial()), (State::Reachable, s(2) + WHILE_REACHABLE));
    }

    #[test]
    fn a_dial_may_succeed_before_arti_says_published() {
        let mut health = Health::default();
        health.reached(s(1));
        health.published(s(60));
        assert_eq!(health.state(), State::Reachable);
    }

    #[test]
    fn second_failure_in_a_row_means_unreachable() {
        let mut health = Health::default();
        health.reached(s(10));
        assert_eq!(health.failed(s(310)), Heal::Nothing);
        assert_eq!(health.state(), State::Reachable);
        assert_eq!(health.next_dial(), s(311));
        health.failed(s(311));
        assert_eq!(health.state(), State::Unreachable { since: s(310) });
        health.reached(s(313));
        assert_eq!(health.state(), State::Reachable);
    }

    #[test]
    fn outage_causes_republish_then_repeated_relaunch() {
        let mut health = Health::default();
        health.reached(s(0));
        let done = fail_on(&mut health, s(300), s(1210));
        let kinds: Vec<_> = done.iter().map(|(_, heal)| *heal).collect();
        use Heal::{Relaunch, Republish};
        assert_eq!(kinds, [Republish, Relaunch, Republish, Relaunch, Republish, Relaunch], "{done:?}");
        let (first, second) = (done[0].0, done[1].0);
        assert!((360..400).contains(&first) && (600..640).contains(&second), "{done:?}");
        assert_eq!(health.state(), State::Unreachable { since: s(300) }, "the outage began only once");
    }

    #[test]
    fn new_service_gets_time_to_publish() {
        let mut health = Health::default();
        fail_on(&mut health, Duration::ZERO, GRACE_AFTER_LAUNCH);
        assert_eq!(health.state(), State::Unpublished);
        let healed = fail_on(&mut health, Duration::ZERO, GRACE_AFTER_LAUNCH + s(60));
        assert!(matches!(health.state(), State::Unreachable { .. }));
        assert_eq!(healed.first().map(|(_, heal)| *heal), Some(Heal::Republish));
    }

    #[test]
    fn no_repair_while_tor_itself_is_down() {
        let mut health = Health::default();
        health.reached(s(0));
        let before = health.state();
        for n in 1..100 {
            health.not_tried(s(n * 30));
        }
        assert_eq!(health.state(), before);
    }

    proptest! {
        /// Whatever happens: the next dial is in the future but never far, launches are five minutes apart,
        /// and a success always ends an outage.
        #[test]
        fn repairs_are_bounded_and_end_with_success(steps in proptest::collection::vec((0u64..400, 0u8..4), 1..200)) {
            let mut health = Health::default();
            let (mut now, mut relaunched) = (Duration::ZERO, None);
            for (pause, what) in steps {
                now += s(pause);
                match what {
                    0 => health.reached(now),
                    1 => health.published(now),
                    2 => health.not_tried(now),
                    _ => {
                        if health.failed(now) == Heal::Relaunch {
                            let earlier = relaunched.replace(now);
                            prop_assert!(earlier.is_none_or(|earlier| now - earlier >= RELAUNCH_AFTER));
                        }
                    }
                }
                prop_assert!(health.next_dial() <= now + WHILE_REACHABLE);
                if what == 0 { prop_assert_eq!(health.state(), State::Reachable) }
                if let State::Unreachable { since } = health.state() { prop_assert!(since <= now) }
            }
        }
    }
}
