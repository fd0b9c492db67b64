//! Numbers that a step adds to its line, rounded to what is worth reading.

use std::fs;
use std::time::Duration;

use serde_json::Value;

/// Seconds with two decimals.
pub(super) fn seconds(took: Duration) -> f64 {
    rounded(took.as_secs_f64(), 2)
}

/// Bytes as megabytes (10^6) with one decimal.
#[expect(clippy::cast_precision_loss, reason = "exact far beyond the size of any program")]
pub(super) fn megabytes(bytes: u64) -> f64 {
    rounded(bytes as f64 / 1e6, 1)
}

/// Times that were measured, in seconds.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<f64>);

/// Median and 95th percentile, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// The median in milliseconds.
    pub(super) p50_ms: f64,
    /// The 95th percentile in milliseconds.
    pub(super) p95_ms: f64,
}

impl Times {
    /// Adds a JSON list of seconds. `None` when it is no list of numbers.
    pub(super) fn add(&mut self, list: &Value) -> Option<()> {
        let more: Vec<f64> = list.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
        self.0.extend(more);
        Some(())
    }

    /// Adds one.
    pub(super) fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64());
    }

    /// The longest; 0 when nothing was measured.
    pub(super) fn slowest_ms(&self) -> f64 {
        rounded(self.0.iter().copied().fold(0.0, f64::max) * 1e3, 1)
    }

    /// `None` when nothing was measured.
    pub(super) fn spread(mut self) -> Option<Spread> {
        self.0.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (self.0.len() * percent).div_ceil(100);
            self.0.get(rank.checked_sub(1)?).map(|seconds| rounded(seconds * 1e3, 1))
        };
        Some(Spread { p50_ms: at(50)?, p95_ms: at(95)? })
    }
}

/// How many times longer `one` takes than `other`, by their medians.
pub(super) fn ratio(one: Spread, other: Spread) -> f64 {
    rounded(one.p50_ms / other.p50_ms.max(0.1), 2)
}

/// How many a second, with two decimals.
pub(super) fn rate(many: f64, took: Duration) -> f64 {
    rounded(many / took.as_secs_f64().max(1e-3), 2)
}

/// Resident memory of process `pid`, in megabytes. `None` when it has ended.
pub(super) fn resident(pid: u32) -> Option<f64> {
    resident_in(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The resident memory in the text of `/proc/PID/status`, in megabytes.
fn resident_in(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(megabytes(kibibytes * 1024))
}

/// A value rounded to so many decimals.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spread(lists: &[Value]) -> Option<Spread> {
        let mut times = Times::default();
        lists.iter().try_for_each(|list| times.add(list))?;
        times.spread()
    }

    #[test]
    fn spread_uses_nearest_rank_over_all_lists() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let (high, low) = hundred.split_at(50);
        let all = spread(&[json!(high), json!(low)]).unwrap();
        assert_eq!(all, Spread { p50_ms: 50_000.0, p95_ms: 95_000.0 });
        let two = spread(&[json!([0.2, 0.1])]).unwrap();
        assert_eq!(two, Spread { p50_ms: 100.0, p95_ms: 200.0 });
        assert_eq!(ratio(all, two), 500.0);
        let mut three = Times::default();
        [2, 5, 1].map(Duration::from_secs).into_iter().for_each(|took| three.push(took));
        assert_eq!(three.slowest_ms(), 5_000.0);
        assert_eq!(rate(200.0, Duration::from_secs(8)), 25.0);
    }

    #[test]
    fn empty_list_has_no_spread() {
        for list in [json!([]), json!(null), json!(["a"]), json!([1.0, null])] {
            assert_eq!(spread(std::slice::from_ref(&list)), None, "{list}");
        }
    }

    #[test]
    fn memory_parses_from_proc_status() {
        assert_eq!(resident_in("Name:\tautonomy\nVmRSS:\t   57344 kB\nRssAnon:\t1 kB\n"), Some(58.7));
        assert_eq!(resident_in("Name:\tkthreadd\n"), None);
        assert!(resident(std::process::id()).unwrap() > 0.5);
    }
}
