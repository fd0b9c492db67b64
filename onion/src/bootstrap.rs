//! From a configuration to a client that can dial: progress, a time limit, and errors a person can
//! act on.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arti_client::{
    BootstrapBehavior, ErrorKind, HasKind, TorClient, TorClientConfig,
    status::{BlockageKind, BootstrapStatus},
};
use futures::StreamExt as _;
use tor_rtcompat::PreferredRuntime;

use crate::{chain, clock, network::NetworkError};

/// How far the start has come.
#[derive(Clone, Debug, PartialEq)]
pub struct BootstrapProgress {
    /// From 0 to 1. It may fall again: a directory can expire.
    pub fraction: f32,
    /// The current step, as Arti describes it to people.
    pub text: String,
    /// Why the start does not proceed; `None` while it does.
    pub stuck: Option<String>,
}

/// Why Tor did not start.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// Another process uses the state folder.
    #[error("another process uses {path}; stop it, or choose another data directory")]
    Locked {
        /// The state folder.
        path: PathBuf,
    },
    /// A folder cannot be made, or not be made private.
    #[error("cannot use the folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The configuration contradicts itself.
    #[error("the Tor configuration is not usable: {0}")]
    Config(String),
    /// The private network's file is wrong.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The clock of this machine is wrong.
    #[error("this machine's clock looks wrong ({0}); set the date and time, Tor does not work without")]
    ClockSkew(String),
    /// No connection to any relay.
    #[error("cannot connect to the Tor network ({0}); check the internet connection, or configure bridges")]
    Offline(String),
    /// The time limit passed.
    #[error("Tor did not become ready within {} s; last seen: {last}", limit.as_secs())]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// The last progress, or what it was stuck on.
        last: String,
    },
    /// Anything else Arti reports.
    #[error("Tor did not start: {0}")]
    Arti(String),
}

/// Arti's client, shared by everything that dials or serves.
type Client = Arc<TorClient<PreferredRuntime>>;

/// Installs the TLS provider of this crate (aws-lc-rs) as the process's default, which Arti needs before its
/// first connection. Done once; a provider installed by someone else is left in place.
pub fn install_crypto_provider() {
    // The error means that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Creates a client and waits until it can dial.
///
/// The client is created without its own bootstrap so that progress is seen from the first step. A
/// clock for which no directory can be valid ends the start at once, since Arti would try for ever.
///
/// # Errors
/// [`BootstrapError`]; a time limit that passed is reported as its most likely cause where one is
/// known.
pub(crate) async fn start(
    config: TorClientConfig,
    limit: Duration,
    progress: impl Fn(BootstrapProgress),
) -> Result<Client, BootstrapError> {
    let runtime = PreferredRuntime::current().map_err(|e| BootstrapError::Arti(e.to_string()))?;
    let client = TorClient::with_runtime(runtime)
        .config(config)
        .bootstrap_behavior(BootstrapBehavior::Manual)
        .create_unbootstrapped_async()
        .await
        .map_err(|e| BootstrapError::Arti(chain(&e)))?;
    let mut events = client.bootstrap_events();
    let ready = Box::pin(client.bootstrap());
    let deadline = tokio::time::sleep(limit);
    tokio::pin!(ready, deadline);
    loop {
        tokio::select! {
            done = &mut ready => return match done {
                Ok(()) => {
                    clock::behind_directory(&client).map_or(Ok(()), Err)?;
                    progress(BootstrapProgress { fraction: 1.0, text: "ready".to_owned(), stuck: None });
                    Ok(client.clone())
                }
                Err(error) => Err(explain(&error, &client.bootstrap_status())),
            },
            Some(status) = events.next() => {
                progress(describe(&status));
                if let Some(error) = clock::hopeless(&client) {
                    return Err(error);
                }
            }
            () = &mut deadline => return Err(gave_up(limit, &client)),
        }
    }
}

/// Arti's status in this crate's form.
fn describe(status: &BootstrapStatus) -> BootstrapProgress {
    BootstrapProgress {
        fraction: status.as_frac().clamp(0.0, 1.0),
        text: status.to_string(),
        stuck: status.blocked().map(|blockage| blockage.message().to_string()),
    }
}

/// The error of a start that ran out of time. A wrong clock or a blocked network say more than the
/// time limit does, so they go first.
fn gave_up(limit: Duration, client: &TorClient<PreferredRuntime>) -> BootstrapError {
    let status = client.bootstrap_status();
    let known = clock::skewed(client).or_else(|| blockage(&status));
    known.unwrap_or_else(|| BootstrapError::TimedOut { limit, last: status.to_string() })
}

/// The error of a start that failed, by Arti's kind of error, or else by what blocked it.
fn explain(error: &arti_client::Error, status: &BootstrapStatus) -> BootstrapError {
    match error.kind() {
        ErrorKind::ClockSkew | ErrorKind::DirectoryExpired => BootstrapError::ClockSkew(chain(error)),
        ErrorKind::LocalNetworkError => BootstrapError::Offline(chain(error)),
        _ => blockage(status).unwrap_or_else(|| BootstrapError::Arti(chain(error))),
    }
}

/// What blocks the start, where Arti names a cause that a person can remove.
fn blockage(status: &BootstrapStatus) -> Option<BootstrapError> {
    let blocked = status.blocked()?;
    let message = blocked.message().to_string();
    match blocked.kind() {
        BlockageKind::ClockSkewed => Some(BootstrapError::ClockSkew(message)),
        BlockageKind::Offline | BlockageKind::Filtering | BlockageKind::CantReachTor => {
            Some(BootstrapError::Offline(message))
        }
        _ => None,
    }
}
