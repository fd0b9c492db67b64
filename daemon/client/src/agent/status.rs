//! What an agent reports about itself at `GET /agent/status`.

use serde::{Deserialize, Serialize};

/// How far an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Tor is starting.
    Starting,
    /// Requests are passed to the pod.
    Ready,
    /// Tor did not start; the agent is about to end.
    Failed,
}

/// The status of an agent, as a command sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Names what the agent was set up with, see [`Setup::fingerprint`](super::Setup::fingerprint).
    pub setup: String,
    /// How far it is.
    pub phase: Phase,
    /// Tor bootstrap, 0 to 100.
    pub bootstrap_percent: u8,
    /// The current step, or why it failed.
    pub text: String,
    /// Process id.
    pub pid: u32,
}

/// How far the connection to the pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// How far.
    pub phase: Phase,
    /// Tor bootstrap, 0 to 100.
    pub percent: u8,
    /// What is being done, or why it failed.
    pub text: String,
}

impl Progress {
    /// As before the first step.
    #[must_use]
    pub fn begin() -> Self {
        Self { phase: Phase::Starting, percent: 0, text: "starting Tor".to_owned() }
    }

    /// Tor is starting.
    #[must_use]
    pub fn starting(percent: u8, text: String) -> Self {
        Self { phase: Phase::Starting, percent, text }
    }
}
