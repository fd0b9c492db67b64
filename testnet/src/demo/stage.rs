//! Who is on stage, and the small moves that acts are made of.

use std::time::Duration;

use autonomy_testnet::{
    bitcoind::Bitcoind,
    clock,
    party::{Autonomy, CommandError, Device, Done, Pod},
    steps::{Step, Steps},
    world::World,
};
use serde_json::Value;

use super::DemoError;

/// The longest a person would wait for anything here to come about.
const PATIENCE: Duration = Duration::from_secs(120);

/// A world with one pod and one device.
pub(super) struct Stage<'a> {
    world: &'a World,
    steps: &'a Steps,
    pub(super) autonomy: Autonomy,
    pub(super) pod: Pod,
    pub(super) device: Device,
}

impl<'a> Stage<'a> {
    pub(super) fn set(world: &'a World, autonomy: Autonomy, steps: &'a Steps) -> Result<Self, DemoError> {
        let pod = Pod::new(world, &autonomy, "pod")?;
        let device = Device::new(world, &autonomy, "device")?;
        Ok(Self { world, steps, autonomy, pod, device })
    }

    pub(super) fn bitcoind(&self) -> Result<&Bitcoind, DemoError> {
        Ok(self.world.bitcoind()?)
    }

    /// One more device of this world, with a folder of its own.
    pub(super) fn another_device(&self, name: &str) -> Result<Device, DemoError> {
        Ok(Device::new(self.world, &self.autonomy, name)?)
    }

    /// One step of the act.
    pub(super) fn step<T>(
        &self,
        name: &str,
        act: impl FnOnce(&Step) -> Result<T, DemoError>,
    ) -> Result<T, DemoError> {
        self.steps.run(name, act)
    }

    /// Waits until the device's answer to `args` is as `ready` wants it.
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

    /// The device's answer to `args`, asked again while the pod cannot be reached, and how often it was not.
    pub(super) fn once_reached(&self, args: &[&str]) -> Result<(Done, u32), DemoError> {
        let (mut last, mut failed) = (String::new(), 0);
        let outcome = clock::wait_for(PATIENCE, || match self.device.cli(args) {
            Ok(done) => Ok(Some(done)),
            Err(error) if error.refusal().is_some_and(|(code, _)| code == UNREACHABLE) => {
                (last, failed) = (error.to_string(), failed + 1);
                Ok(None)
            }
            Err(error) => Err(error),
        })?;
        let waited = |cause| DemoError::Waited { what: "the pod is reached".into(), cause, seen: last };
        Ok((outcome.map_err(waited)?, failed))
    }

    /// The pod's status once its app service can be reached.
    pub(super) fn reachable(&self, step: &Step) -> Result<Value, DemoError> {
        let ready = |status: &Value| {
            #[expect(clippy::cast_possible_truncation, reason = "a percentage on a bar")]
            let percent = status["onion"]["bootstrap_percent"].as_f64().unwrap_or(0.0) as f32;
            step.progress(percent / 110.0, "Tor starts, then the pod dials itself");
            status["onion"]["app"]["state"] == "reachable"
        };
        Ok(self.pod.wait("its app service is reachable", PATIENCE, ready)?)
    }

    /// Tells programs and people how to go on playing.
    pub(super) fn hand_over(&self) {
        let (pod, device) = (self.pod.script(), self.device.script());
        let (pod, device) = (pod.display(), device.display());
        let _ = self.step("the world stays up", |step| {
            step.figure("device", device.to_string());
            step.figure("pod", pod.to_string());
            Ok(())
        });
        self.steps.say(&format!(
            "\nIn another terminal, as the device:\n  {device} status\n  {device} receive\n  \
             {device} pay ADDRESS 0.1 BTC\n  {device} --help\nand on the pod's machine:\n  {pod} pod status\n\
             Ctrl-C ends it all."
        ));
    }
}

/// Exit status of `autonomy` when the pod cannot be reached.
const UNREACHABLE: i32 = 4;

/// A refusal that is as it should be: the word for it, and the words.
///
/// # Errors
/// When it was no refusal, or one of another kind.
pub(super) fn refusal(
    outcome: Result<Done, CommandError>,
    kinds: &[&str],
) -> Result<(String, String), DemoError> {
    match outcome {
        Err(CommandError::Failed { kind, detail, .. }) if kinds.contains(&kind.as_str()) => {
            Ok((kind, detail))
        }
        Err(error) => Err(DemoError::Wrong(format!("it failed, but not by {}: {error}", kinds.join(" or ")))),
        Ok(done) => Err(DemoError::Wrong(format!("it was let in: {}", done.value))),
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
    found.ok_or_else(|| missing(value, key))
}

/// The whole number under `key`, which must be there.
pub(super) fn number(value: &Value, key: &str) -> Result<u64, DemoError> {
    find(value, key).and_then(Value::as_u64).ok_or_else(|| missing(value, key))
}

pub(super) fn missing(value: &Value, key: &str) -> DemoError {
    DemoError::Wrong(format!("`{key}` is missing in {value}"))
}

/// Fails with `why` unless `holds`.
pub(super) fn must(holds: bool, why: impl FnOnce() -> String) -> Result<(), DemoError> {
    if holds { Ok(()) } else { Err(DemoError::Wrong(why())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn failed(kind: &str) -> Result<Done, CommandError> {
        let (command, detail) = ("status".to_owned(), "no".to_owned());
        Err(CommandError::Failed { command, code: 4, kind: kind.to_owned(), detail })
    }

    #[test]
    fn only_the_refusal_that_was_meant_counts() {
        assert_eq!(refusal(failed("certificate"), &["certificate"]).unwrap().0, "certificate");
        // A pod that is away refuses no one.
        assert!(refusal(failed("unreachable"), &["certificate", "descriptor-key"]).is_err());
        let let_in = Ok(Done { value: json!({}), took: Duration::ZERO });
        assert!(refusal(let_in, &["certificate"]).unwrap_err().to_string().contains("let in"));
    }

    #[test]
    fn what_a_command_said_is_found_however_deep() {
        let said = json!({ "accounts": [{ "name": "main", "balance": { "confirmed_sat": 5 } }] });
        assert_eq!(number(&said, "confirmed_sat").unwrap(), 5);
        assert_eq!(text(&said, "name").unwrap(), "main");
        assert!(number(&said, "total_sat").unwrap_err().to_string().contains("total_sat"));
    }
}
