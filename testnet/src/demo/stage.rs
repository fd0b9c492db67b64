//! What all acts share: the world, the report, and how answers are read and compared.

use std::{fmt::Write as _, path::PathBuf};

use autonomy_testnet::{
    bitcoind::Bitcoind,
    party::{Autonomy, CommandError, Device, Done},
    steps::{Step, Steps},
    tor_network::TorNetwork,
    world::World,
};
use serde_json::Value;

use super::{DemoError, person::Person};

/// The world that acts are played on.
pub(super) struct Stage<'a> {
    /// The running world.
    pub(super) world: &'a World,
    /// The report.
    steps: &'a Steps,
    /// The program under demonstration.
    pub(super) autonomy: Autonomy,
}

impl<'a> Stage<'a> {
    /// The world with the program, before the first act.
    pub(super) fn set(world: &'a World, autonomy: Autonomy, steps: &'a Steps) -> Self {
        Self { world, steps, autonomy }
    }

    /// The world's bitcoind.
    pub(super) fn bitcoind(&self) -> Result<&Bitcoind, DemoError> {
        Ok(self.world.bitcoind()?)
    }

    /// The world's Tor network.
    pub(super) fn tor(&self) -> Result<&TorNetwork, DemoError> {
        Ok(self.world.tor()?)
    }

    /// A further device of this world, with a folder of its own.
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

    /// Prints the scripts of all people whose pods still run, for use from another terminal.
    pub(super) fn hand_over(&self, people: &[Person]) {
        let script = |path: PathBuf| path.display().to_string();
        let mut text = String::from("\nIn another terminal:\n");
        let _ = self.step("the world stays up", |step| {
            for person in people {
                let (device, pod) = (script(person.device.script()), script(person.pod.script()));
                let _ = writeln!(text, "  {device} --help    as the device {}", person.device.name());
                let _ = writeln!(text, "  {pod} pod status    on the machine of {}", person.pod.name());
                step.figure(person.device.name(), device);
                step.figure(person.pod.name(), pod);
            }
            Ok(())
        });
        self.steps.say(&format!("{text}Ctrl-C ends it all."));
    }
}

/// The identifier and text of a refusal that has one of the expected kinds.
///
/// # Errors
/// The command succeeded, or failed otherwise.
pub(super) fn refusal(
    outcome: Result<Done, CommandError>,
    kinds: &[&str],
) -> Result<(String, String), DemoError> {
    match outcome {
        Err(CommandError::Failed { kind, detail, .. }) if kinds.contains(&kind.as_str()) => {
            Ok((kind, detail))
        }
        Err(error) => Err(DemoError::Wrong(format!("it failed, but not by {}: {error}", kinds.join(" or ")))),
        Ok(done) => Err(DemoError::Wrong(format!("it was accepted: {}", done.value))),
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

/// The error of an answer without an expected field.
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
    use std::time::Duration;

    fn failed(kind: &str) -> Result<Done, CommandError> {
        let (command, detail) = ("status".to_owned(), "no".to_owned());
        Err(CommandError::Failed { command, code: 4, kind: kind.to_owned(), detail })
    }

    #[test]
    fn only_the_expected_refusal_counts() {
        assert_eq!(refusal(failed("certificate"), &["certificate"]).unwrap().0, "certificate");
        // A pod that is away refuses no one.
        assert!(refusal(failed("unreachable"), &["certificate", "descriptor-key"]).is_err());
        let let_in = Ok(Done { value: json!({}), took: Duration::ZERO });
        assert!(refusal(let_in, &["certificate"]).unwrap_err().to_string().contains("accepted"));
    }

    #[test]
    fn find_searches_nested_values() {
        let said = json!({ "accounts": [{ "name": "main", "balance": { "confirmed_sat": 5 } }] });
        assert_eq!(number(&said, "confirmed_sat").unwrap(), 5);
        assert_eq!(text(&said, "name").unwrap(), "main");
        assert!(number(&said, "total_sat").unwrap_err().to_string().contains("total_sat"));
    }
}
