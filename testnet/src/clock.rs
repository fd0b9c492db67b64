//! The one place of this crate that looks at the clock, and the one way it waits: for a condition, with a
//! limit, never for a fixed time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Called with how far a long wait is: a fraction from 0 to 1 and what is being waited for.
pub type Progress<'a> = &'a (dyn Fn(f32, &str) + Sync);

/// A [`Progress`] that ignores its calls.
pub fn unwatched(_fraction: f32, _what: &str) {}

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// The condition did not hold within the limit.
    #[error("not so after {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Someone asked the program to stop ([`interrupt`]).
    #[error("interrupted")]
    Interrupted,
}

/// Set once; nothing resets it.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends every wait of this process, present and future, with [`NotYet::Interrupted`], so that what was
/// started is dropped, and thereby stopped, on the ordinary way out. Called from a signal handler's thread.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// Whether [`interrupt`] was called.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// The present moment, for measuring.
#[expect(clippy::disallowed_methods, reason = "this module is the crate's clock")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Whole seconds since 1970, as Tor's voting schedule counts them. A clock before 1970 counts as 0.
#[expect(clippy::disallowed_methods, reason = "this module is the crate's clock")]
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// How long to sleep between two looks at a condition: short beside what is waited for (seconds), long
/// beside what a look costs (a small file or one request on loopback).
const POLL: Duration = Duration::from_millis(50);

/// The same where the wait itself is measured: a hundredth of what a message over a private Tor network takes.
const CLOSE_POLL: Duration = Duration::from_millis(2);

/// Looks at `condition` until it gives a value, fails, or `limit` has passed.
///
/// # Errors
/// The outer error is the condition's own; the inner one says that the wait ended without a value.
pub fn wait_for<T, E>(
    limit: Duration,
    condition: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Result<T, NotYet>, E> {
    wait_looking(limit, POLL, condition)
}

/// [`wait_for`], looking so often that the time of the wait can be taken.
///
/// # Errors
/// Those of [`wait_for`].
pub fn wait_closely<T, E>(
    limit: Duration,
    condition: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Result<T, NotYet>, E> {
    wait_looking(limit, CLOSE_POLL, condition)
}

/// The loop behind both waits: condition, interruption, limit, pause.
fn wait_looking<T, E>(
    limit: Duration,
    pause: Duration,
    mut condition: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Result<T, NotYet>, E> {
    let started = now();
    loop {
        if let Some(value) = condition()? {
            return Ok(Ok(value));
        }
        if interrupted() {
            return Ok(Err(NotYet::Interrupted));
        }
        if started.elapsed() >= limit {
            return Ok(Err(NotYet::TimedOut(limit)));
        }
        std::thread::sleep(pause);
    }
}

/// [`wait_for`] a condition that is only true or false and cannot fail.
///
/// # Errors
/// When the condition did not become true within `limit`.
pub fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> Result<(), NotYet> {
    wait_for(limit, || Ok::<_, std::convert::Infallible>(condition().then_some(())))
        .unwrap_or_else(|never| match never {})
}
