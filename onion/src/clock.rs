//! Is this machine's clock right? Tor depends on it and tells only half of the time.
//!
//! Measured by starting clients under a shifted clock: one that is ahead by up to three days does no harm. One
//! further ahead, or behind by more than a day, never gets a valid directory, and Arti tries on for ever. One
//! that is behind by less gets a directory from the future and is content, but its services and its callers are
//! not where the others look for them.

use std::time::{Duration, SystemTime};

use arti_client::TorClient;
use tor_netdir::Timeliness;
use tor_proto::ClockSkew;
use tor_rtcompat::PreferredRuntime;

use crate::BootstrapError;

const HOUR: Duration = Duration::from_secs(3600);
/// Two hours behind, services were launched and reached as ever; five hours behind, never.
const BEHIND_TOLERANCE: Duration = Duration::from_secs(2 * 3600);
/// Arti takes directories that expired less than three days ago …
const MOST_AHEAD: Duration = Duration::from_secs(3 * 24 * 3600);
/// … and such as become valid within a day.
const MOST_BEHIND: Duration = Duration::from_secs(24 * 3600);

/// An error if the clock is behind the directory that was taken.
pub(crate) fn behind_directory(client: &TorClient<PreferredRuntime>) -> Option<BootstrapError> {
    let directory = client.dirmgr().ok()?.netdir(Timeliness::Unchecked).ok()?;
    behind(wall_clock(), directory.lifetime().valid_after())
}

/// An error if, by what relays say, no directory can be valid for this clock: there is nothing to wait for.
pub(crate) fn hopeless(client: &TorClient<PreferredRuntime>) -> Option<BootstrapError> {
    by_relays(client, too_far_off)
}

/// An error if relays disagree with the clock by more than a quarter of an hour.
pub(crate) fn skewed(client: &TorClient<PreferredRuntime>) -> Option<BootstrapError> {
    by_relays(client, |_| true)
}

fn by_relays(
    client: &TorClient<PreferredRuntime>,
    counts: impl Fn(ClockSkew) -> bool,
) -> Option<BootstrapError> {
    let estimate = client.circmgr().ok()?.skew_events().get().filter(|estimate| estimate.noteworthy())?;
    counts(estimate.skew()).then(|| BootstrapError::ClockSkew(format!("it is {estimate}")))
}

fn too_far_off(skew: ClockSkew) -> bool {
    match skew {
        ClockSkew::Fast(ahead) => ahead > MOST_AHEAD,
        ClockSkew::Slow(behind) => behind > MOST_BEHIND,
        ClockSkew::None => false,
    }
}

fn behind(now: SystemTime, directory_from: SystemTime) -> Option<BootstrapError> {
    let behind = directory_from.duration_since(now).ok().filter(|behind| *behind > BEHIND_TOLERANCE)?;
    let hours = behind.as_secs_f64() / HOUR.as_secs_f64();
    Some(BootstrapError::ClockSkew(format!("it is {hours:.1} hours behind the Tor network's directory")))
}

#[expect(clippy::disallowed_methods, reason = "the wall clock itself is what is looked at")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_behind_the_directory_is_told_one_ahead_is_not() {
        let directory = SystemTime::UNIX_EPOCH + 500_000 * HOUR;
        assert!(behind(directory - BEHIND_TOLERANCE, directory).is_none());
        assert!(behind(directory + 48 * HOUR, directory).is_none());
        let error = behind(directory - 24 * HOUR, directory).unwrap().to_string();
        assert!(error.contains("24.0 hours behind") && error.contains("set the date"), "{error}");
    }

    #[test]
    fn only_a_clock_no_directory_fits_is_hopeless() {
        assert!(!too_far_off(ClockSkew::None));
        assert!(!too_far_off(ClockSkew::Fast(MOST_AHEAD)) && !too_far_off(ClockSkew::Slow(MOST_BEHIND)));
        assert!(too_far_off(ClockSkew::Fast(MOST_AHEAD + HOUR)));
        assert!(too_far_off(ClockSkew::Slow(MOST_BEHIND + HOUR)));
    }
}
