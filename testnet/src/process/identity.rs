//! Which process is meant. Process ids are reused; an id together with a start time is not.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock;

/// A process: its id and the moment it started, in clock ticks since boot (`/proc/PID/stat`, field 22).
/// Written as `PID:TICKS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pid: u32,
    started: u64,
}

impl Identity {
    /// The process with the id `pid` now; if there is none, an identity that no process ever has.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self { pid, started: start_ticks(pid).unwrap_or(u64::MAX) }
    }

    /// The current process.
    #[must_use]
    pub fn own() -> Self {
        Self::of(std::process::id())
    }

    /// The process id.
    #[must_use]
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Whether exactly this process still exists. A zombie, which has ended and was not waited for
    /// by its parent, does not count.
    #[must_use]
    pub fn is_alive(self) -> bool {
        start_ticks(self.pid) == Some(self.started)
    }

    /// Sends `signal` if exactly this process still exists.
    pub(crate) fn signal(self, signal: Signal) {
        if !self.is_alive() {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may end between the look and the signal: nothing is lost.
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks the process to end, waits up to `grace`, then kills it and waits until it is gone.
    pub(crate) fn end(self, grace: Duration) {
        self.signal(Signal::TERM);
        let _ = clock::wait_until(grace, || !self.is_alive());
        self.signal(Signal::KILL);
        let _ = clock::wait_until(super::KILL_LIMIT, || !self.is_alive());
    }
}

/// The start time, or `None` if there is no such process or it is a zombie. The second field of the
/// file is the program's name in parentheses and may itself contain some, so fields are counted
/// from the last one.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    // The state is field 3, so field 22 is the 19th of those that remain.
    fields.nth(18)?.parse().ok()
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pid, self.started)
    }
}

/// The text is not `PID:TICKS`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a process identity (PID:TICKS)")]
pub struct ParseIdentityError;

impl FromStr for Identity {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pid, started) = text.split_once(':').ok_or(ParseIdentityError)?;
        let pid = pid.parse().map_err(|_| ParseIdentityError)?;
        let started = started.parse().map_err(|_| ParseIdentityError)?;
        Ok(Self { pid, started })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_holds_process_id_and_start_time() {
        let own = Identity::own();
        assert!(own.is_alive());
        assert_eq!(own.to_string().parse(), Ok(own));
    }

    #[test]
    fn reused_process_id_is_another_identity() {
        let own = Identity::own();
        let earlier = Identity { pid: own.pid, started: own.started - 1 };
        assert!(!earlier.is_alive());
        // Were it taken for us, this would end the test run.
        earlier.end(Duration::ZERO);
    }

    #[test]
    fn malformed_identity_is_refused() {
        for text in ["", "1", "1:", ":1", "x:1", "-1:1", "1:1:1", "99999999999:1"] {
            assert_eq!(text.parse::<Identity>(), Err(ParseIdentityError), "{text:?}");
        }
    }
}
