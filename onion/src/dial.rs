//! Dialling an onion service: limited in time, hedged, and with an error that says what to do.
//!
//! A dial to an onion service is the least reliable part of Tor: an attempt may hang on an
//! introduction point that answers for a service that is gone. So a slow attempt is joined by
//! another on fresh circuits; the first success wins and the others are dropped. Each attempt has a
//! limit, and so has the whole. The rules are tested by themselves, with attempts that do not use
//! Tor ([`race`]).

mod error;

use std::{future::Future, time::Duration};

use arti_client::IsolationToken;
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;

use crate::isolation::CircuitRole;
pub(crate) use error::AttemptError;
pub use error::{DialError, DialErrorKind};

/// Limits of one dial. All times are wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialPolicy {
    /// What the connection is for; circuits are shared within a role only.
    pub role: CircuitRole,
    /// Limit of one attempt. A cold dial over slow circuits needs six crossings of the network at about a
    /// second each, and a dead guard costs one circuit timeout of ten seconds before another is tried.
    pub attempt_limit: Duration,
    /// Limit of all attempts together, whether they ran one after the other or side by side.
    pub total_limit: Duration,
    /// Longest time that an attempt may take before another on fresh circuits joins it; the time is
    /// shorter on a network whose dials are usually quick. A dial on kept circuits takes one round
    /// trip (about a second), one on fresh circuits three to five. The time doubles with each
    /// attempt.
    pub hedge_after: Duration,
    /// Most attempts, hedges included. At least 1.
    pub attempts: u32,
}

impl DialPolicy {
    /// The usual limits for a role: 30 s an attempt, 60 s in all, a hedge after 6 s, 4 attempts.
    #[must_use]
    pub const fn new(role: CircuitRole) -> Self {
        Self {
            role,
            attempt_limit: Duration::from_secs(30),
            total_limit: Duration::from_secs(60),
            hedge_after: Duration::from_secs(6),
            attempts: 4,
        }
    }
}

/// The attempt that won a [`race`].
#[derive(Debug)]
pub(crate) struct Winner<S> {
    /// The connection.
    pub(crate) stream: S,
    /// The circuits it uses.
    pub(crate) token: IsolationToken,
    /// How long this attempt alone took, if it was on fresh circuits.
    pub(crate) took_fresh: Option<Duration>,
}

/// What a [`race`] ended with: the winner, or the last error with the number of attempts.
pub(crate) type RaceResult<S> = Result<Winner<S>, (AttemptError, u32)>;

/// Most attempts in flight: one may hang on the dead circuits of a service that restarted, and the
/// next on its old descriptor.
const MAX_IN_FLIGHT: usize = 3;

/// Runs attempts by the rules of `policy`: the first on the circuits of `kept`, if given, every
/// other on fresh circuits. An attempt that failed is followed by another at once. An attempt that
/// is slow, which means `hedge` for the first and twice as long for each one after it, is joined by
/// another.
///
/// A failure that fresh circuits cannot change ends the race at once, if the attempt had fresh
/// circuits.
///
/// # Errors
/// The last attempt's error with the number of attempts made.
pub(crate) async fn race<S, F: Future<Output = Result<S, AttemptError>>>(
    policy: &DialPolicy,
    mut hedge: Duration,
    kept: Option<IsolationToken>,
    attempt: impl Fn(IsolationToken) -> F,
) -> RaceResult<S> {
    let end = Instant::now() + policy.total_limit;
    let run = |token: IsolationToken, fresh: bool| {
        let begin = Instant::now();
        let attempt = tokio::time::timeout(policy.attempt_limit, attempt(token));
        async move {
            let result = attempt.await;
            (token, fresh.then(|| begin.elapsed()), result)
        }
    };
    let mut running =
        FuturesUnordered::from_iter([run(kept.unwrap_or_else(IsolationToken::new), kept.is_none())]);
    let mut made = 1;
    let mut hedge_at = Instant::now() + hedge;
    let mut last = AttemptError { kind: DialErrorKind::TimedOut, detail: "no answer".to_owned() };
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(end) => return Err((last, made)),
            () = tokio::time::sleep_until(hedge_at), if running.len() < MAX_IN_FLIGHT && made < policy.attempts => {}
            Some((token, took_fresh, result)) = running.next() => {
                last = match result {
                    Ok(Ok(stream)) => return Ok(Winner { stream, token, took_fresh }),
                    Ok(Err(error)) => error,
                    Err(_) => timed_out(policy.attempt_limit),
                };
                if took_fresh.is_some() && last.kind.settled_by_fresh_attempt() || running.is_empty() && made >= policy.attempts {
                    return Err((last, made));
                }
                if made >= policy.attempts {
                    continue;
                }
            }
        }
        running.push(run(IsolationToken::new(), true));
        made += 1;
        hedge *= 2;
        hedge_at = Instant::now() + hedge;
    }
}

/// The error of an attempt that reached its own limit.
fn timed_out(limit: Duration) -> AttemptError {
    AttemptError {
        kind: DialErrorKind::TimedOut,
        detail: format!("no connection within {} s", limit.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
    };

    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Short enough for a test; nothing below asserts that something was quick.
    fn policy() -> DialPolicy {
        DialPolicy {
            attempt_limit: Duration::from_secs(20),
            total_limit: Duration::from_secs(40),
            hedge_after: ms(10),
            ..DialPolicy::new(CircuitRole::APP)
        }
    }

    /// How one attempt goes.
    #[derive(Clone, Copy)]
    enum Goes {
        Well,
        On,
        Wrong(DialErrorKind),
    }

    /// Runs a race whose attempts go as told; gives the outcome and the tokens tried.
    async fn run(
        policy: DialPolicy,
        kept: Option<IsolationToken>,
        script: &[Goes],
    ) -> (RaceResult<usize>, Vec<IsolationToken>) {
        let tried = RefCell::new(Vec::new());
        let attempt = |token| {
            tried.borrow_mut().push(token);
            let nth = tried.borrow().len() - 1;
            let goes = script[nth];
            async move {
                match goes {
                    Well => Ok(nth),
                    On => std::future::pending().await,
                    Wrong(kind) => Err(AttemptError { kind, detail: format!("attempt {nth}") }),
                }
            }
        };
        let outcome = race(&policy, policy.hedge_after, kept, attempt).await;
        (outcome, tried.into_inner())
    }

    use DialErrorKind::{KeyRequired, NotFound, TimedOut, Unreachable};
    use Goes::{On, Well, Wrong};

    #[tokio::test]
    async fn kept_circuit_is_used_first() {
        let kept = IsolationToken::new();
        let (outcome, tried) = run(policy(), Some(kept), &[Well]).await;
        let winner = outcome.unwrap();
        assert_eq!((winner.stream, winner.token, winner.took_fresh), (0, kept, None));
        assert_eq!(tried, [kept]);
    }

    #[tokio::test]
    async fn slow_attempt_is_hedged_and_first_success_wins() {
        let kept = IsolationToken::new();
        let (outcome, tried) = run(policy(), Some(kept), &[On, Well]).await;
        let winner = outcome.unwrap();
        assert_eq!((winner.stream, winner.token), (1, tried[1]));
        assert_ne!(winner.token, kept);
        assert!(winner.took_fresh.is_some());
    }

    #[tokio::test]
    async fn failed_attempt_is_followed_at_once_on_fresh_circuits() {
        let patient = DialPolicy { hedge_after: Duration::from_secs(600), ..policy() };
        let script = [Wrong(Unreachable), Wrong(TimedOut), Well];
        let (outcome, tried) = run(patient, Some(IsolationToken::new()), &script).await;
        assert_eq!(outcome.unwrap().stream, 2);
        assert!(tried[0] != tried[1] && tried[1] != tried[2]);
    }

    #[tokio::test]
    async fn refusal_counts_only_from_fresh_circuits() {
        let script = [Wrong(NotFound), Wrong(KeyRequired), Well];
        let (outcome, _) = run(policy(), Some(IsolationToken::new()), &script).await;
        let (error, made) = outcome.unwrap_err();
        assert_eq!((error.kind, made), (KeyRequired, 2));

        let (outcome, _) = run(policy(), None, &script).await;
        let (error, made) = outcome.unwrap_err();
        assert_eq!((error.kind, made), (NotFound, 1));
    }

    #[tokio::test]
    async fn attempts_are_counted() {
        let (outcome, tried) = run(policy(), None, &[Wrong(Unreachable); 9]).await;
        let (error, made) = outcome.unwrap_err();
        assert_eq!((error.kind, made, tried.len()), (Unreachable, 4, 4));
        assert_eq!(error.detail, "attempt 3", "the last error is told");
    }

    #[tokio::test]
    async fn at_most_three_in_flight_and_all_end_at_the_limit() {
        let short = DialPolicy { total_limit: ms(200), ..policy() };
        let (outcome, tried) = run(short, None, &[On; 9]).await;
        let (error, made) = outcome.unwrap_err();
        assert_eq!((error.kind, made, tried.len()), (TimedOut, 3, 3));
    }

    #[tokio::test]
    async fn each_attempt_has_its_own_limit() {
        let short = DialPolicy { attempt_limit: ms(20), hedge_after: Duration::from_secs(600), ..policy() };
        let (outcome, _) = run(short, None, &[On, Well]).await;
        assert_eq!(outcome.unwrap().stream, 1);
    }

    #[tokio::test]
    async fn losing_attempt_is_dropped() {
        struct Tell(Rc<Cell<bool>>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let (dropped, first) = (Rc::new(Cell::new(false)), Cell::new(true));
        let attempt = |_| {
            let tell = first.replace(false).then(|| Tell(dropped.clone()));
            async move {
                if let Some(_tell) = tell {
                    return std::future::pending().await;
                }
                Ok(())
            }
        };
        race(&policy(), ms(10), None, attempt).await.unwrap();
        assert!(dropped.get());
    }
}
