//! The agent's process: from its setup to its end.

use std::io::{self, IsTerminal};

use autonomy_onion::BootstrapProgress;
use tokio::sync::watch;

use super::{
    Setup,
    acceptor::{Acceptor, AcceptorError, AgentLock},
    serve::{Link, serve},
    setup::SetupError,
    status::Progress,
};
use crate::{files::private_dir, tor};

/// Reads the setup from standard input, starts a session of its own, and serves until it is idle.
///
/// # Errors
/// [`AgentError`]; the command that started the agent reads it from the agent's log.
pub async fn run() -> Result<(), AgentError> {
    if io::stdin().is_terminal() {
        return Err(AgentError::Terminal);
    }
    let setup = Setup::read(io::stdin().lock())?;
    // In its own session, the agent outlives the terminal. Fails only where it has one already.
    let _ = rustix::process::setsid();
    if let Some(dir) = setup.socket.parent() {
        private_dir(dir).map_err(|error| AgentError::Folder(error.to_string()))?;
    }
    let lock = match AgentLock::take(&setup.socket) {
        // Another command was faster: its agent serves both.
        Err(AcceptorError::Running) => return Ok(()),
        lock => lock?,
    };
    let acceptor = Acceptor::open(&setup.socket, &lock)?;
    let (fingerprint, idle) = (setup.fingerprint(), setup.idle());
    let (sender, link) = watch::channel(Link::begin());
    tokio::select! {
        served = serve(acceptor, fingerprint, idle, link) => served?,
        () = connect(setup, sender) => {}
    }
    drop(lock);
    Ok(())
}

/// Connects and then waits for ever: the transport must exist as long as the agent.
async fn connect(setup: Setup, sender: watch::Sender<Link>) {
    let progress = |news: BootstrapProgress| {
        sender.send_modify(|link| link.progress = progress_of(&news));
    };
    let link = match tor::link(&setup, progress).await {
        Ok(transport) => Link::ready(transport),
        Err(error) => Link::failed(error.to_string()),
    };
    drop(setup);
    sender.send_replace(link);
    std::future::pending::<()>().await;
}

/// Tor's progress in the agent's form: percent, and why it does not proceed.
#[must_use]
pub fn progress_of(news: &BootstrapProgress) -> Progress {
    let percent = (news.fraction.clamp(0.0, 1.0) * 100.0) as u8;
    let text = match &news.stuck {
        Some(stuck) => format!("{} (stuck: {stuck})", news.text),
        None => news.text.clone(),
    };
    Progress::starting(percent, text)
}

/// Why an agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A person started it.
    #[error("the agent is started by other commands when they need it; see `autonomy agent status`")]
    Terminal,
    /// Nothing usable on standard input.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Its folder cannot be made.
    #[error("{0}")]
    Folder(String),
    /// No socket.
    #[error(transparent)]
    Acceptor(#[from] AcceptorError),
    /// The socket failed.
    #[error("the agent's socket failed: {0}")]
    Socket(#[from] io::Error),
}
