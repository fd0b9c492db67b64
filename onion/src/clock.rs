//! Whether this machine's clock is right. Tor depends on it, and reports only some of the errors.
//!
//! Measured by starting clients under a shifted clock:
//!
//! | clock | effect |
//! |---|---|
//! | up to three days ahead | no harm |
//! | further ahead, or more than a day behind | no valid directory ever; Arti tries for ever |
//! | behind by less | a directory from the future is accepted, but services and callers do not find each other |

use std::time::{Duration, SystemTime};

use arti_client::TorClient;
use tor_netdir::Timeliness;
use tor_proto::ClockSkew;
use tor_rtcompat::PreferredRuntime;

use crate::BootstrapError;

const HOUR: Duration = Duration::from_secs(3600);
/// Largest lag that is accepted. Two hours behind, services were launched and reached as usual;
/// five hours behind, never.
const BEHIND_TOLERANCE: Duration = Duration::from_secs(2 * 3600);
/// Arti accepts directories that expired less than three days ago …
const MOST_AHEAD: Duration = Duration::from_secs(3 * 24 * 3600);
/// … and those that become valid within a day.
const MOST_BEHIND: Duration = Duration::from_secs(24 * 3600);

/// From when until when the directory is valid that Arti works with.
pub(crate) fn consensus(client: &TorClient<PreferredRuntime>) -> Option<(SystemTime, SystemTime)> {
    let directory = client.dirmgr().ok()?.netdir(Timeliness::Unchecked).ok()?;
    Some((directory.lifetime().valid_after(), directory.lifetime().valid_until()))
}

/// The error of a clock that is behind the directory Arti accepted by more than
/// [`BEHIND_TOLERANCE`].
pub(crate) fn behind_directory(client: &TorClient<PreferredRuntime>) -> Option<BootstrapError> {
    let directory = client.dirmgr().ok()?.netdir(Timeliness::Unchecked).ok()?;
    behind(wall_clock(), directory.lifetime().valid_after())
}

/// The error of a clock for which, by what relays report, no directory can be valid: waiting is
/// useless.
pub(crate) fn hopeless(client: &TorClient<PreferredRuntime>) -> Option<BootstrapError> {
    by_relays(client, too_far_off)
}

/// The error of a clock that relays disagree with by more than a quarter of an hour.
pub(crate) fn skewed(client: &TorClient<PreferredRuntime>) -> Option<BootstrapError> {
    by_relays(client, |_| true)
}

/// The clock's error by what relays report, where there are reports enough and `counts` accepts the
/// skew.
fn by_relays(
    client: &TorClient<PreferredRuntime>,
    counts: impl Fn(ClockSkew) -> bool,
) -> Option<BootstrapError> {
    let estimate = client.circmgr().ok()?.skew_events().get().filter(|estimate| estimate.noteworthy())?;
    counts(estimate.skew()).then(|| BootstrapError::ClockSkew(format!("it is {estimate}")))
}

/// Whether a skew leaves no valid directory.
fn too_far_off(skew: ClockSkew) -> bool {
    match skew {
        ClockSkew::Fast(ahead) => ahead > MOST_AHEAD,
        ClockSkew::Slow(behind) => behind > MOST_BEHIND,
        ClockSkew::None => false,
    }
}

/// The error where `now` lies more than [`BEHIND_TOLERANCE`] before the directory's first valid
/// moment.
fn behind(now: SystemTime, directory_from: SystemTime) -> Option<BootstrapError> {
    let behind = directory_from.duration_since(now).ok().filter(|behind| *behind > BEHIND_TOLERANCE)?;
    let hours = behind.as_secs_f64() / HOUR.as_secs_f64();
    Some(BootstrapError::ClockSkew(format!("it is {hours:.1} hours behind the Tor network's directory")))
}

/// The wall clock of this machine.
#[expect(clippy::disallowed_methods, reason = "the wall clock itself is what is looked at")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_behind_the_directory_is_an_error() {
        let directory = SystemTime::UNIX_EPOCH + 500_000 * HOUR;
        assert!(behind(directory - BEHIND_TOLERANCE, directory).is_none());
        assert!(behind(directory + 48 * HOUR, directory).is_none());
        let error = behind(directory - 24 * HOUR, directory).unwrap().to_string();
        assert!(error.contains("24.0 hours behind") && error.contains("set the date"), "{error}");
    }

    #[test]
    fn only_a_clock_without_valid_directory_is_hopeless() {
        assert!(!too_far_off(ClockSkew::None));
        assert!(!too_far_off(ClockSkew::Fast(MOST_AHEAD)) && !too_far_off(ClockSkew::Slow(MOST_BEHIND)));
        assert!(too_far_off(ClockSkew::Fast(MOST_AHEAD + HOUR)));
        assert!(too_far_off(ClockSkew::Slow(MOST_BEHIND + HOUR)));
    }
}
