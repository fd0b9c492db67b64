//! Notices that the machine slept: the wall clock went on while the monotonic clock stood still.

use std::time::{Duration, SystemTime};

use tokio::{sync::watch, time::Instant};

use crate::clock::wall_clock;

/// Gap between the two clocks that counts. Time servers correct less than this at once.
const GAP: Duration = Duration::from_secs(30);
/// Interval at which the clocks are compared.
const LOOK: Duration = Duration::from_secs(1);

/// The two clocks when they were last compared.
struct Clocks {
    /// The time of day, which goes on during a sleep and which people can set.
    wall: SystemTime,
    /// The monotonic clock, which stands still during a sleep.
    steady: Instant,
}

impl Clocks {
    /// Whether the clocks diverged by more than [`GAP`] since the last call, in either direction.
    fn jumped(&mut self, wall: SystemTime, steady: Instant) -> bool {
        let by_steady = steady.duration_since(self.steady);
        let gap = match wall.duration_since(self.wall) {
            Ok(by_wall) => by_wall.abs_diff(by_steady),
            Err(back) => back.duration() + by_steady,
        };
        (self.wall, self.steady) = (wall, steady);
        gap > GAP
    }
}

/// Counts sleeps and jumps of the clock into `woken`. Never returns.
pub(super) async fn watch(woken: watch::Sender<u64>) {
    let mut clocks = Clocks { wall: wall_clock(), steady: Instant::now() };
    loop {
        tokio::time::sleep(LOOK).await;
        if clocks.jumped(wall_clock(), Instant::now()) {
            tracing::info!("the clock jumped, or the machine slept: connections are looked at anew");
            woken.send_modify(|count| *count += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[tokio::test]
    async fn sleep_and_clock_jumps_are_noticed() {
        let (wall, steady) = (SystemTime::UNIX_EPOCH + s(1_000_000), Instant::now());
        let mut clocks = Clocks { wall, steady };
        assert!(!clocks.jumped(wall + s(100), steady + s(100)), "both went on");
        assert!(!clocks.jumped(wall + s(129), steady + s(101)), "a correction");
        assert!(clocks.jumped(wall + s(3_700), steady + s(102)), "an hour's sleep");
        assert!(!clocks.jumped(wall + s(3_701), steady + s(103)), "told once");
        assert!(clocks.jumped(wall, steady + s(104)), "set back");
    }
}
