//! The command's side: finds the agent of a profile, starts one where none runs, replaces one that is outdated.

use std::{
    fs::OpenOptions,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{AgentStatus, Phase, Setup, status::Progress};
use crate::{CallError, Transport, call::Call};

/// How often a starting agent is asked how far it is.
const POLL: Duration = Duration::from_millis(100);

/// Time for a started process to open its socket, and for one that was told to end to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time for an agent to say how it is: it is on this machine and waits for nothing.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Largest status.
const MAX_STATUS: usize = 16 * 1024;

/// Bytes of the log's end that are shown when an agent dies.
const LAST_WORDS: usize = 400;

/// Gives the way to the pod through the agent that belongs to `setup`, started where needed. `progress` hears how
/// far Tor is.
///
/// # Errors
/// [`StartError`]: Tor does not start, the program cannot be run, or the agent ended at once.
pub async fn ensure(setup: &Setup, progress: impl Fn(&Progress)) -> Result<Transport, StartError> {
    let transport = Transport::agent(&setup.socket);
    let mut child = match status(&transport).await {
        Ok(status) if status.setup == setup.fingerprint() && status.phase != Phase::Failed => None,
        Ok(_) => {
            stop(&transport).await?;
            Some(spawn(setup)?)
        }
        Err(_) => Some(spawn(setup)?),
    };
    let mut waited = Duration::ZERO;
    loop {
        match status(&transport).await {
            Ok(status) => match status.phase {
                Phase::Ready => return Ok(transport),
                Phase::Failed => return Err(StartError::Tor { why: status.text }),
                Phase::Starting => progress(&Progress::starting(status.bootstrap_percent, status.text)),
            },
            Err(_) => {
                waited += POLL;
                has_ended(child.as_mut(), &setup.socket)?;
                if waited > PATIENCE {
                    return Err(StartError::Silent { seconds: PATIENCE.as_secs() });
                }
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Asks an agent how it is.
///
/// # Errors
/// [`CallError::Unreachable`] where none runs.
pub async fn status(transport: &Transport) -> Result<AgentStatus, CallError> {
    let asked = Call::get("/agent/status", MAX_STATUS);
    let answer = tokio::time::timeout(ANSWERS_WITHIN, asked.send(transport)).await;
    answer.unwrap_or(Err(CallError::TooSlow { seconds: ANSWERS_WITHIN.as_secs() }))
}

/// Tells an agent to end, and waits until it is gone.
///
/// # Errors
/// [`StartError::Stays`] where it does not go.
pub async fn stop(transport: &Transport) -> Result<(), StartError> {
    // An agent that is gone already needs no telling; one that stays is found out below.
    let _ = Call::post("/agent/stop", &serde_json::json!({}), MAX_STATUS).send_for_bytes(transport).await;
    let gone = async {
        while status(transport).await.is_ok() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.map_err(|_| StartError::Stays)
}

/// Starts `autonomy agent` in the background and hands it its setup by a pipe.
fn spawn(setup: &Setup) -> Result<Child, StartError> {
    let failed = |source| StartError::Spawn { source };
    let program = std::env::current_exe().map_err(failed)?;
    let log = setup.socket.with_extension("log");
    let log =
        OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(log).map_err(failed)?;
    let mut child = Command::new(program)
        .arg("agent")
        .current_dir("/")
        .env_remove("AUTONOMY_PASSPHRASE")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(&setup.to_bytes()).map_err(failed)?;
    }
    Ok(child)
}

fn has_ended(child: Option<&mut Child>, socket: &Path) -> Result<(), StartError> {
    let Some(child) = child else { return Ok(()) };
    match child.try_wait() {
        // Ended because another command was faster: that one's agent will answer.
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(_)) => Err(StartError::Ended { why: last_words(socket) }),
        _ => Ok(()),
    }
}

fn last_words(socket: &Path) -> String {
    let mut text = String::new();
    let read = std::fs::File::open(socket.with_extension("log"))
        .and_then(|file| file.take(1024 * 1024).read_to_string(&mut text));
    let text = crate::printable(text.trim());
    let skip = text.chars().count().saturating_sub(LAST_WORDS);
    match read {
        Ok(_) if !text.is_empty() => text.chars().skip(skip).collect(),
        _ => "it left no word".to_owned(),
    }
}

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Tor did not start.
    #[error("Tor did not start: {why}")]
    Tor {
        /// What Tor says.
        why: String,
    },
    /// The program could not be started.
    #[error("cannot start the agent: {source}; with --no-agent Tor runs inside the command")]
    Spawn {
        /// What the system says.
        source: io::Error,
    },
    /// It ended before it answered.
    #[error("the agent ended at once: {why}")]
    Ended {
        /// The end of its log.
        why: String,
    },
    /// It runs and does not answer.
    #[error("the agent does not answer since {seconds} s; see agent.log in the profile folder")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// It was told to end and did not.
    #[error("an outdated agent does not end; end the process that `autonomy agent status` names")]
    Stays,
}
