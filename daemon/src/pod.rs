//! A pod on this machine: created, adopted, run, backed up.
//!
//! | module | does |
//! |---|---|
//! | `start` | [`Pod::start`]: starts all parts in order with what the process provides, and stops them in order |
//! | `handle` | the running pod, for the code that started it |
//! | `run` | the process of one pod: one caller of `start` |
//! | `tor` | a Tor client that pods share |
//! | `services` | the onion services: launched, kept current, watched |
//! | `peer_services` | the peer service at each of its addresses |
//! | `relay` | the relay beside the pod: opened, watched |
//! | `discovery` | which devices find the app service |
//! | `disk` | looks how much of the disk is free |
//! | `mail` | passes effects and inputs between the node and the network |
//! | `report` | state changes, for the code that started the pod |
//!
//! All functions here that take a folder work on a pod that is not running: the database's lock
//! makes them fail while it runs.

mod discovery;
mod handle;
mod mail;
mod peer_services;
mod relay;
mod report;
mod run;
mod services;
mod start;
mod tor;

use std::path::{Path, PathBuf};

use autonomy_messaging::provision::{PodRequest, SealedBundle};
use autonomy_wallet::bitcoin::Network;

pub use self::{
    handle::PodHandle,
    report::{RunEvent, RunObserver},
    run::run,
    services::ECHO_PORT,
    start::{Deps, Pod, PodSettings},
    tor::SharedTor,
};
use crate::{
    config::ConfigError,
    driver::{self, StoreFailed},
    socket_path::{self, SocketPathTooLong},
};
use autonomy_node::{
    Answer, Caller, Command, Effect, Identity, Input, Node, Refusal, Request, RestoreError, Row, RowError,
};
use autonomy_store::{self, Store, Unlock};

/// The files of a pod.
#[derive(Debug, Clone)]
pub struct PodDir(PathBuf);

impl PodDir {
    /// The pod in this folder. Nothing is created or checked.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The encrypted database, `pod.redb`.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.0.join("pod.redb")
    }

    /// The Unix socket of the running pod, `pod.sock`.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("pod.sock")
    }

    /// The folder of Tor's guards and directory cache. No keys are in it.
    #[must_use]
    pub fn tor(&self) -> PathBuf {
        self.0.join("tor")
    }

    /// Creates the folder with mode 0700.
    ///
    /// # Errors
    /// It cannot be created, or existed with a mode that lets others in.
    fn create(&self) -> Result<(), PodError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|error| PodError::Folder { path: self.0.clone(), why: error.to_string() })?;
        self.check_private()
    }

    /// Checks that nobody but the owner can enter the folder: whoever reaches the socket in it acts
    /// as the pod's owner.
    ///
    /// # Errors
    /// Others can enter the folder; the error says how to change that.
    fn check_private(&self) -> Result<(), PodError> {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = std::fs::metadata(&self.0);
        let metadata =
            metadata.map_err(|error| PodError::Folder { path: self.0.clone(), why: error.to_string() })?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(PodError::Exposed { path: self.0.clone() });
        }
        Ok(())
    }
}

/// Why a pod could not be made, changed or run.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// The data folder cannot be made.
    #[error("cannot make the folder {path}: {why}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Others on this machine can enter the data folder.
    #[error("{path} can be entered by others on this machine; run: chmod 700 {path}")]
    Exposed {
        /// The folder.
        path: PathBuf,
    },
    /// The pod's socket would have too long a path.
    #[error(transparent)]
    SocketPath(#[from] SocketPathTooLong),
    /// There is a pod in this folder already. It is never overwritten.
    #[error("there is a pod in {0} already; choose another --data-dir, or move that one away")]
    Exists(PathBuf),
    /// There is no pod in this folder.
    #[error("there is no pod in {0}; run `autonomy pod init` first, or name its folder with --data-dir")]
    Missing(PathBuf),
    /// The database cannot be made.
    #[error(transparent)]
    Create(#[from] autonomy_store::CreateError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] autonomy_store::OpenError),
    /// The database cannot be read.
    #[error(transparent)]
    Read(#[from] autonomy_store::ReadError),
    /// The database cannot be copied.
    #[error(transparent)]
    Backup(#[from] autonomy_store::BackupError),
    /// The database cannot be written anew.
    #[error(transparent)]
    Renew(#[from] autonomy_store::RenewError),
    /// A backup cannot be copied into its place.
    #[error("cannot restore the backup {path}: {why}")]
    CopyBackup {
        /// The backup.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The database cannot be written.
    #[error(transparent)]
    Store(#[from] StoreFailed),
    /// A row cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The rows do not make a pod.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The node refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system refused something.
    #[error("{doing}: {why}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        why: String,
    },
}

impl PodError {
    /// The error of something the operating system refused.
    fn system(doing: &'static str, error: impl std::fmt::Display) -> Self {
        Self::System { doing, why: error.to_string() }
    }
}

/// Creates a pod for `network` in `dir`. Returns the request that a device answers with a bundle.
///
/// # Errors
/// There is a pod already, or the folder or database cannot be created.
pub fn init(dir: &PodDir, unlock: &Unlock, network: Network) -> Result<PodRequest, PodError> {
    if dir.store().exists() {
        return Err(PodError::Exists(dir.path().to_owned()));
    }
    socket_path::check(&dir.socket())?;
    dir.create()?;
    let identity = Identity::draw(network, &mut rand::rngs::OsRng, driver::now());
    let (node, rows) = Node::create(identity);
    // In one piece: a store without a pod in it would be refused by the next `init` and by everything else.
    drop(Store::create_with(dir.store(), unlock, &driver::changes(rows))?);
    Ok(node.pod_request())
}

/// The request of a pod that was created before. It is the same each time until keys are drawn.
///
/// # Errors
/// There is no pod, or it cannot be opened.
pub fn request(dir: &PodDir, unlock: &Unlock) -> Result<PodRequest, PodError> {
    let (node, _, _) = open(dir, unlock)?;
    Ok(node.pod_request())
}

/// Draws new keys for a pod, and returns the request for them. The present keys stay in use until
/// [`adopt`] gets the bundle that answers this request.
///
/// # Errors
/// There is no pod, or it cannot be opened or written.
pub fn draw_keys(dir: &PodDir, unlock: &Unlock) -> Result<PodRequest, PodError> {
    let (mut node, store, _) = open(dir, unlock)?;
    let request = Request { caller: Caller::Owner, idempotency_key: None, command: Command::DrawKeys };
    match driver::step(&mut node, &store, Input::Request(request))? {
        Some(Ok(_)) => Ok(node.pod_request()),
        Some(Err(refusal)) => Err(refusal.into()),
        None => Err(PodError::system("drawing keys", "the node gave no answer")),
    }
}

/// Gives a pod its owner, by the bundle that answers its request. The pod must not be running.
///
/// # Errors
/// The bundle is refused, and nothing is changed; or the pod cannot be opened or written.
pub fn adopt(dir: &PodDir, unlock: &Unlock, bundle: SealedBundle) -> Result<(), PodError> {
    let (mut node, store, _) = open(dir, unlock)?;
    let command = Command::Adopt(bundle);
    let request = Request { caller: Caller::Owner, idempotency_key: None, command };
    match driver::step(&mut node, &store, Input::Request(request))? {
        Some(Ok(Answer::Adopted)) => Ok(()),
        Some(Ok(_)) | None => Err(PodError::system("adopting", "the node gave no answer")),
        Some(Err(refusal)) => Err(refusal.into()),
    }
}

/// Writes a consistent sealed copy of a pod to `file`. Ratchet states are left out: an old one
/// would encrypt two messages under one key. Contacts agree on new ones after a restore.
///
/// # Errors
/// The pod cannot be opened, or the file cannot be written; an existing file is never overwritten.
pub fn backup(dir: &PodDir, unlock: &Unlock, file: &Path) -> Result<(), PodError> {
    let (_, store, _) = open(dir, unlock)?;
    Ok(store.backup(file, Row::is_in_backup)?)
}

/// Locks a pod with `new` in place of `old`. The pod must not be running. Its key is drawn anew, so that no copy of it that
/// `old` opens is left in the file; backups made before open as before.
///
/// # Errors
/// The pod cannot be opened, or the disk does not take the change; then `old` opens it still.
pub fn relock(dir: &PodDir, old: &Unlock, new: &Unlock) -> Result<(), PodError> {
    let (_, mut store, _) = open(dir, old)?;
    Ok(store.relock(new, driver::now())?)
}

/// Places a sealed copy in a folder without a pod, after checking that it opens and holds a pod.
/// The copy is renamed into place at the end, so an interrupted restore leaves no pod.
///
/// # Errors
/// There is a pod already, or the copy does not open.
pub fn restore(dir: &PodDir, unlock: &Unlock, file: &Path) -> Result<(), PodError> {
    if dir.store().exists() {
        return Err(PodError::Exists(dir.path().to_owned()));
    }
    socket_path::check(&dir.socket())?;
    dir.create()?;
    let arriving = dir.path().join("pod.redb.arriving");
    let copied = std::fs::copy(file, &arriving).and_then(|_| std::fs::File::open(&arriving)?.sync_all());
    copied.map_err(|error| PodError::CopyBackup { path: file.to_owned(), why: error.to_string() })?;
    let opened = open_store(&arriving, unlock).map(drop);
    if let Err(error) = opened {
        // A copy that is no pod must not be found by the next command.
        let _ = std::fs::remove_file(&arriving);
        return Err(match error {
            PodError::Open(error) => PodError::Open(error.of(file)),
            error => error,
        });
    }
    std::fs::rename(&arriving, dir.store()).map_err(|error| PodError::system("placing the backup", error))
}

/// Starts a task of the running pod on the current runtime.
#[expect(clippy::disallowed_methods, reason = "the running pod is where tasks start")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(task)
}

/// Opens the pod in a folder, with the effects that its last process may not have carried out.
///
/// # Errors
/// There is no pod, others can enter the folder, or the database does not open.
fn open(dir: &PodDir, unlock: &Unlock) -> Result<(Node, Store, Vec<Effect>), PodError> {
    if !dir.store().exists() {
        return Err(PodError::Missing(dir.path().to_owned()));
    }
    dir.check_private()?;
    open_store(&dir.store(), unlock)
}

fn open_store(path: &Path, unlock: &Unlock) -> Result<(Node, Store, Vec<Effect>), PodError> {
    let store = Store::open(path, unlock)?;
    let mut rows = Vec::new();
    for row in store.rows()? {
        let (key, value) = row?;
        if !Row::is_cold_key(&key) {
            rows.push(Row::found(key, value));
        }
    }
    let (node, effects) = Node::restore(rows)?;
    Ok((node, store, effects))
}

#[cfg(test)]
mod tests;
