//! `autonomy agent`: the background process that keeps Tor running, as seen by a person.
//!
//! Other commands start the agent when they need it and connect to it; these verbs show and stop
//! it.

use serde_json::json;

use super::{
    Failure,
    context::Context,
    output::{Report, pairs},
};
use autonomy_client::{
    CallError, Transport,
    agent::{self, Phase},
    connect::agent_socket,
};

/// Becomes the agent. The command that started it passes the setup through standard input.
///
/// # Errors
/// No command started it, or its socket cannot be opened.
pub(super) async fn serve() -> Result<(), Failure> {
    agent::run::run().await.map_err(|error| Failure::other("agent", error))
}

/// Stops the agent of this profile, if one runs.
///
/// # Errors
/// The agent does not end.
pub(super) async fn stop(context: &Context) -> Result<Report, Failure> {
    let transport = transport(context);
    if agent::start::status(&transport).await.is_err() {
        return Ok(Report::new(&json!({ "running": false }), "no agent runs for this profile"));
    }
    context.spinner.during("ending the agent", agent::start::stop(&transport)).await?;
    Ok(Report::new(&json!({ "running": false }), "the agent has ended"))
}

/// Shows the agent of this profile.
///
/// # Errors
/// An agent runs and does not answer.
pub(super) async fn status(context: &Context) -> Result<Report, Failure> {
    let status = match agent::start::status(&transport(context)).await {
        Ok(status) => status,
        Err(CallError::Unreachable { .. }) => {
            return Ok(Report::new(&json!({ "running": false }), "no agent runs for this profile"));
        }
        Err(error) => return Err(error.into()),
    };
    let phase = match status.phase {
        Phase::Starting => "starting Tor",
        Phase::Ready => "ready",
        Phase::Failed => "failed",
    };
    let text = pairs([
        ("process", status.pid.to_string()),
        ("state", phase.to_owned()),
        ("Tor", format!("{} %", status.bootstrap_percent)),
        ("detail", status.text.clone()),
    ]);
    Ok(Report::new(&json!({ "running": true, "agent": status }), text))
}

/// The connection to the agent of this profile, whether it runs or not.
fn transport(context: &Context) -> Transport {
    Transport::agent(&agent_socket(&context.profile_dir()))
}
