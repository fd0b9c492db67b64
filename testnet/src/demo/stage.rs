//! Who is on stage, and the small moves that acts are made of.

use std::{fs, time::Duration};

use autonomy_testnet::{
    bitcoind::Bitcoind,
    clock,
    party::{Autonomy, CommandError, Device, Pod},
    steps::{Step, Steps},
    world::World,
};
use serde_json::Value;

use super::DemoError;

/// The longest a person would wait for anything here to come about.
const PATIENCE: Duration = Duration::from_secs(120);

/// A world with one pod and one device.
pub(super) struct Stage<'a> {
    pub(super) world: &'a World,
    pub(super) steps: &'a Steps,
    pub(super) autonomy: Autonomy,
    pub(super) pod: Pod,
    pub(super) device: Device,
}

impl<'a> Stage<'a> {
    pub(super) fn set(world: &'a World, steps: &'a Steps) -> Result<Self, DemoError> {
        let autonomy = Autonomy::find()?;
        let pod = Pod::new(world, &autonomy, "pod")?;
        let device = Device::new(world, &autonomy, "device")?;
        Ok(Self { world, steps, autonomy, pod, device })
    }

    pub(super) fn bitcoind(&self) -> Result<&Bitcoind, DemoError> {
        Ok(self.world.bitcoind()?)
    }

    /// One step of the act.
    pub(super) fn step<T>(
        &self,
        name: &str,
        act: impl FnOnce(&Step) -> Result<T, DemoError>,
    ) -> Result<T, DemoError> {
        self.steps.run(name, act)
    }

    /// Waits until what the device sees is as `ready` wants it.
    pub(super) fn device_sees(
        &self,
        what: &str,
        args: &[&str],
        ready: impl Fn(&Value) -> bool,
    ) -> Result<Value, DemoError> {
        let mut last = Value::Null;
        let outcome = clock::wait_for(PATIENCE, || {
            last = self.device.cli(args)?.value;
            Ok::<_, CommandError>(ready(&last).then_some(()))
        })?;
        match outcome {
            Ok(()) => Ok(last),
            Err(cause) => Err(DemoError::Waited { what: what.into(), cause, seen: last.to_string() }),
        }
    }

    /// The pod's status once its app service can be reached.
    pub(super) fn reachable(&self, step: &Step) -> Result<Value, DemoError> {
        let ready = |status: &Value| {
            let percent = status["onion"]["bootstrap_percent"].as_f64().unwrap_or(0.0);
            step.progress((percent / 110.0) as f32, "Tor starts, then the pod dials itself");
            status["onion"]["app"]["state"] == "reachable"
        };
        Ok(self.pod.wait("its app service is reachable", PATIENCE, ready)?)
    }

    /// What a person types to go on playing.
    pub(super) fn instructions(&self) -> String {
        let (pod, device) = (self.pod.script(), self.device.script());
        format!(
            "\nThe world stays up. From another terminal, as the device:\n  {device} status\n  {device} receive\n  \
             {device} pay ADDRESS 0.1 BTC\nand on the pod's machine:\n  {pod} pod status\nCtrl-C ends it.",
            device = device.display(),
            pod = pod.display()
        )
    }
}

/// The first value under `key`, however deep.
pub(super) fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => {
            fields.get(key).or_else(|| fields.values().find_map(|inner| find(inner, key)))
        }
        Value::Array(items) => items.iter().find_map(|inner| find(inner, key)),
        _ => None,
    }
}

/// The text under `key`, which must be there.
pub(super) fn text(value: &Value, key: &str) -> Result<String, DemoError> {
    let found = find(value, key).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| DemoError::Wrong(format!("`{key}` is missing in {value}")))
}

/// The number of satoshi under `key`.
pub(super) fn sat(value: &Value, key: &str) -> u64 {
    find(value, key).and_then(Value::as_u64).unwrap_or(0)
}

/// Fails with `why` unless `holds`.
pub(super) fn must(holds: bool, why: impl FnOnce() -> String) -> Result<(), DemoError> {
    if holds { Ok(()) } else { Err(DemoError::Wrong(why())) }
}

/// Median and 95th percentile of a list of seconds, in milliseconds.
pub(super) fn percentiles(seconds: &Value) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = seconds.as_array()?.iter().filter_map(Value::as_f64).collect();
    values.sort_by(f64::total_cmp);
    let at =
        |share: usize| values.get((values.len() * share / 100).min(values.len().saturating_sub(1))).copied();
    let milliseconds = |seconds: f64| (seconds * 10_000.0).round() / 10.0;
    Some((milliseconds(at(50)?), milliseconds(at(95)?)))
}

/// Resident memory of a process, in megabytes.
pub(super) fn resident_megabytes(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((kilobytes / 100.0).round() / 10.0)
}
