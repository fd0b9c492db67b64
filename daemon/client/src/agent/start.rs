//! The command's side: finds the agent of a profile, starts one where none runs, replaces an
//! outdated one.

use std::{
    fs::OpenOptions,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{AgentStatus, Phase, Setup, kept::MAX_KEPT, status::Progress};
use crate::{CallError, Transport, call::Call};
use zeroize::Zeroizing;

/// How often a starting agent is asked for its status.
const POLL: Duration = Duration::from_millis(100);

/// Time for a started process to open its socket, and for a stopped one to end.
const AGENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for an agent to answer a status request: it is on this machine and waits for nothing.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Largest status that is read, bytes.
const MAX_STATUS: usize = 16 * 1024;

/// Characters from the end of the log that are shown when an agent fails.
const LOG_TAIL_CHARS: usize = 400;

/// Connects through the agent that belongs to `setup`, started if needed. `progress` is called
/// while Tor starts.
///
/// # Errors
/// Tor does not start, the program cannot be run, or the agent ended at once.
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
                if waited > AGENT_TIMEOUT {
                    return Err(StartError::Silent { seconds: AGENT_TIMEOUT.as_secs() });
                }
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Asks an agent for its status.
///
/// # Errors
/// [`CallError::Unreachable`] where none runs, [`CallError::TooSlow`] where it does not answer.
pub async fn status(transport: &Transport) -> Result<AgentStatus, CallError> {
    let asked = Call::get("/agent/status", MAX_STATUS);
    let answer = tokio::time::timeout(ANSWERS_WITHIN, asked.send(transport)).await;
    answer.unwrap_or(Err(CallError::TooSlow { seconds: ANSWERS_WITHIN.as_secs() }))
}

/// The passphrase that an agent holds; `None` where it holds none, or none runs.
pub async fn kept_passphrase(transport: &Transport) -> Option<Zeroizing<String>> {
    let asked = Call::get("/agent/passphrase", MAX_KEPT);
    let answer = tokio::time::timeout(ANSWERS_WITHIN, asked.send_for_bytes(transport)).await.ok()?.ok()?;
    String::from_utf8(answer.to_vec()).ok().map(Zeroizing::new)
}

/// Has an agent hold the passphrase for so long.
///
/// # Errors
/// It does not answer.
pub async fn keep_passphrase(
    transport: &Transport,
    passphrase: &str,
    time: Duration,
) -> Result<(), CallError> {
    let path = format!("/agent/passphrase?seconds={}", time.as_secs());
    let body = hyper::body::Bytes::copy_from_slice(passphrase.as_bytes());
    Call::put_bytes(path, body, MAX_STATUS).send_for_bytes(transport).await.map(drop)
}

/// Stops an agent and waits until it has ended.
///
/// # Errors
/// [`StartError::Stays`] where it does not end.
pub async fn stop(transport: &Transport) -> Result<(), StartError> {
    // An agent that has ended needs no request to stop; one that stays is noticed below.
    let _ = Call::post("/agent/stop", &serde_json::json!({}), MAX_STATUS).send_for_bytes(transport).await;
    let gone = async {
        while status(transport).await.is_ok() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(AGENT_TIMEOUT, gone).await.map_err(|_| StartError::Stays)
}

/// Starts `autonomy agent` in the background and passes it the setup through a pipe.
///
/// # Errors
/// The program or its log cannot be opened.
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

/// Fails where the started process has ended with an error. One that ended with success found
/// another agent.
fn has_ended(child: Option<&mut Child>, socket: &Path) -> Result<(), StartError> {
    let Some(child) = child else { return Ok(()) };
    match child.try_wait() {
        // Ended because another command was faster: that one's agent will answer.
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(_)) => Err(StartError::Ended { why: log_tail(socket) }),
        _ => Ok(()),
    }
}

/// The end of the agent's log, without control characters.
fn log_tail(socket: &Path) -> String {
    let mut text = String::new();
    let read = std::fs::File::open(socket.with_extension("log"))
        .and_then(|file| file.take(1024 * 1024).read_to_string(&mut text));
    let text = crate::printable(text.trim());
    let skip = text.chars().count().saturating_sub(LOG_TAIL_CHARS);
    match read {
        Ok(_) if !text.is_empty() => text.chars().skip(skip).collect(),
        _ => "its log is empty".to_owned(),
    }
}

/// Why there is no connection through an agent.
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
    #[error("the agent has not answered for {seconds} s; see agent.log in the profile folder")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// It was asked to stop and did not.
    #[error("an outdated agent does not stop; end the process that `autonomy agent status` names")]
    Stays,
}
