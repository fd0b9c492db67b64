//! A person: a pod, and a device that reaches it through Tor.

use std::time::Duration;

use autonomy_testnet::{
    clock,
    party::{CommandError, Device, Done, Pod},
    steps::Step,
};
use serde_json::Value;

use super::{
    DemoError,
    stage::{Stage, must, text},
};

/// The longest that anything here may take.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(120);
/// Exit status of `autonomy` when the pod cannot be reached.
const UNREACHABLE: i32 = 4;

/// A person with a pod and a device.
pub(super) struct Person {
    pub(super) pod: Pod,
    pub(super) device: Device,
}

/// A pod that was created and has no owner yet.
pub(super) struct Fresh {
    /// The request that the device answers.
    pub(super) request: String,
    /// The pod's key in hex.
    pub(super) key: String,
}

/// The device's answer to a pod's request.
pub(super) struct Provision {
    /// The owner's root key.
    pub(super) identity: String,
    /// The bundle that gives the pod its owner.
    pub(super) bundle: String,
    /// The address that the pod will have.
    pub(super) onion: String,
}

impl Person {
    /// Sets up the folders. Nothing runs yet.
    pub(super) fn new(stage: &Stage<'_>, pod: &str, device: &str) -> Result<Self, DemoError> {
        let pod = Pod::new(stage.world, &stage.autonomy, pod)?;
        Ok(Self { pod, device: stage.another_device(device)? })
    }

    /// `pod init`.
    pub(super) fn init_pod(&self) -> Result<Fresh, DemoError> {
        let made = self.pod.cli(&["pod", "init", "--network", "regtest"])?.value;
        Ok(Fresh { request: text(&made, "request")?, key: text(&made, "pod_key")? })
    }

    /// Runs `init` and `provision` on the device.
    pub(super) fn provision(&self, request: &str) -> Result<Provision, DemoError> {
        let identity = text(&self.device.cli(&["init"])?.value, "identity")?;
        let answered = self.device.cli(&["provision", request, "--yes"])?.value;
        Ok(Provision { identity, bundle: text(&answered, "bundle")?, onion: text(&answered, "onion")? })
    }

    /// Runs `pod adopt` and `pod run`, and waits until the pod is reachable at the promised
    /// address.
    pub(super) fn adopt(&self, provision: &Provision, step: &Step) -> Result<(), DemoError> {
        self.pod.cli(&["pod", "adopt", &provision.bundle])?;
        self.pod.run()?;
        let onion = text(&self.reachable(step)?["onion"]["app"], "address")?;
        must(onion == provision.onion, || {
            format!("the device expects it at {}, it is at {onion}", provision.onion)
        })
    }

    /// The pod's status once its app service can be reached.
    pub(super) fn reachable(&self, step: &Step) -> Result<Value, DemoError> {
        let ready = |status: &Value| {
            #[expect(clippy::cast_possible_truncation, reason = "a percentage on a bar")]
            let percent = status["onion"]["bootstrap_percent"].as_f64().unwrap_or(0.0) as f32;
            step.progress(percent / 110.0, "Tor starts, then the pod dials itself");
            status["onion"]["app"]["state"] == "reachable"
        };
        Ok(self.pod.wait("its app service is reachable", STEP_TIMEOUT, ready)?)
    }

    /// Waits until the device's answer to `args` satisfies `ready`.
    pub(super) fn device_sees(
        &self,
        what: &str,
        args: &[&str],
        ready: impl Fn(&Value) -> bool,
    ) -> Result<Value, DemoError> {
        let mut last = Value::Null;
        let outcome = clock::wait_for(STEP_TIMEOUT, || {
            last = self.device.cli(args)?.value;
            Ok::<_, CommandError>(ready(&last).then_some(()))
        })?;
        match outcome {
            Ok(()) => Ok(last),
            Err(cause) => Err(DemoError::Waited { what: what.into(), cause, seen: last.to_string() }),
        }
    }

    /// The device's answer to `args`, repeated while the pod cannot be reached, and the number of
    /// failures.
    pub(super) fn once_reached(&self, args: &[&str]) -> Result<(Done, u32), DemoError> {
        let (mut last, mut failed) = (String::new(), 0);
        let outcome = clock::wait_for(STEP_TIMEOUT, || match self.device.cli(args) {
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
}
