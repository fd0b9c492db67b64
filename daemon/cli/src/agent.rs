//! `autonomy agent`: the background helper, as a person sees it.

use serde_json::json;

use super::{
    Failure,
    context::Context,
    output::{Answer, pairs},
};
use autonomy_client::{
    CallError, Transport,
    agent::{self, Phase},
    connect::agent_socket,
};

/// Becomes the agent. Its setup comes by standard input from the command that started it.
pub(super) async fn serve() -> Result<(), Failure> {
    agent::run::run().await.map_err(|error| Failure::other("agent", error))
}

/// Tells the agent of this profile to end.
pub(super) async fn stop(context: &Context) -> Result<Answer, Failure> {
    let transport = transport(context);
    if agent::start::status(&transport).await.is_err() {
        return Ok(Answer::new(&json!({ "running": false }), "no agent runs for this profile"));
    }
    context.spinner.during("ending the agent", agent::start::stop(&transport)).await?;
    Ok(Answer::new(&json!({ "running": false }), "the agent has ended"))
}

/// How the agent of this profile is.
pub(super) async fn status(context: &Context) -> Result<Answer, Failure> {
    let status = match agent::start::status(&transport(context)).await {
        Ok(status) => status,
        Err(CallError::Unreachable { .. }) => {
            return Ok(Answer::new(&json!({ "running": false }), "no agent runs for this profile"));
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
    Ok(Answer::new(&json!({ "running": true, "agent": status }), text))
}

fn transport(context: &Context) -> Transport {
    Transport::agent(&agent_socket(&context.profile_dir()))
}
