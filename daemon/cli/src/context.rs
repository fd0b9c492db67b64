//! What every verb needs: settings, output, the passphrase, and a connection to the pod.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use autonomy_messaging::RootPublic;

use super::{Failure, args::Global, output::Output, wait::Spinner};
use autonomy_client::{
    Device, LinkSettings, Mailbox, PodClient, Profile, Transport,
    agent::{self, run::progress_of, setup::BridgeProgram, status::Progress},
    connect::agent_socket,
    tor,
};
use autonomy_daemon::{
    config::{Config, TransportSection},
    pod::PodDir,
};
use autonomy_store::{Unlock, UnlockSources};
use zeroize::Zeroizing;

/// Flags and settings of one command, and how it prints.
#[derive(Debug)]
pub(super) struct Context {
    /// The flags as typed.
    pub(super) flags: Global,
    /// The settings, with the flags applied.
    pub(super) config: Config,
    /// How results are printed.
    pub(super) out: Output,
    /// Shows what is being waited for.
    pub(super) spinner: Spinner,
    /// The passphrase of the profile, until the agent has it.
    typed: Mutex<Option<Zeroizing<String>>>,
}

/// Who talks to the pod.
#[derive(Debug)]
pub(super) enum Session {
    /// A device with its profile: it checks the pod's answers.
    Device(Box<Device>),
    /// The owner of the pod's machine, without a profile: the pod's answers are shown unchecked.
    Owner(PodClient),
}

impl Session {
    /// The connection, for requests whose answers need no check.
    pub(super) fn pod(&self) -> &PodClient {
        match self {
            Self::Device(device) => &device.pod,
            Self::Owner(pod) => pod,
        }
    }
}

/// The connection to the pod and its owner's identity, with the profile closed again: other
/// commands need the profile while this one waits.
#[derive(Debug)]
pub(super) struct Mail {
    /// The connection.
    pub(super) pod: PodClient,
    /// The owner's root key; `None` without a profile.
    pub(super) own: Option<RootPublic>,
}

impl Mail {
    /// The owner's mailbox at the pod.
    pub(super) fn mailbox(&self) -> Mailbox<'_> {
        Mailbox::new(&self.pod, self.own)
    }
}

impl Context {
    /// Reads the settings and applies the flags over them.
    ///
    /// # Errors
    /// The settings cannot be read or used.
    pub(super) fn new(flags: Global) -> Result<Self, Failure> {
        let mut config =
            Config::load(flags.config.as_deref()).map_err(|error| Failure::usage(error.to_string()))?;
        let overlay = |setting: &mut Option<PathBuf>, flag: &Option<PathBuf>| {
            if flag.is_some() {
                setting.clone_from(flag);
            }
        };
        overlay(&mut config.data_dir, &flags.data_dir);
        overlay(&mut config.profile_dir, &flags.profile_dir);
        overlay(&mut config.tor.network_file, &flags.tor_network);
        if flags.passphrase_file.is_some() || flags.key_file.is_some() {
            config.passphrase_file.clone_from(&flags.passphrase_file);
            config.key_file.clone_from(&flags.key_file);
        }
        let out = Output { json: flags.json, qr: flags.qr };
        for warning in &config.warnings {
            out.note(&format!("warning: {warning}"));
        }
        Ok(Self { config, out, spinner: Spinner::new(flags.json), flags, typed: Mutex::default() })
    }

    /// The folder of the pod on this machine.
    pub(super) fn pod_dir(&self) -> PodDir {
        PodDir::new(absolute(&self.config.data_dir()))
    }

    /// The folder of this device's profile. Absolute, since the agent runs in another folder.
    pub(super) fn profile_dir(&self) -> PathBuf {
        absolute(&self.config.profile_dir())
    }

    /// The secret that opens a store. The person is asked only where no file, environment variable
    /// or service manager provides one. `new` asks twice.
    ///
    /// # Errors
    /// There is no secret and nobody to ask, or a file of it cannot be read.
    pub(super) fn unlock(&self, whose: &str, new: bool) -> Result<Unlock, Failure> {
        let unlock = Unlock::discover(self.sources(whose, new))
            .map_err(|error| Failure::other("passphrase", error))?;
        if new {
            self.warn_if_ambiguous(&unlock);
        }
        Ok(unlock)
    }

    /// Warns of a new passphrase that another keyboard may write otherwise.
    pub(super) fn warn_if_ambiguous(&self, unlock: &Unlock) {
        if unlock.is_ambiguous() {
            self.out.note(
                "warning: the passphrase has letters beyond ASCII, which another keyboard or system may write in other \
                 bytes: try it there before you rely on it",
            );
        }
    }

    /// Whether a file, the environment or the service manager gives the secret, and not a person.
    pub(super) fn names_secret(&self) -> bool {
        !self.sources("device", false).asks()
    }

    /// Fails where this device has no profile.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn needs_profile(&self) -> Result<(), Failure> {
        let dir = self.profile_dir();
        if Profile::exists(&dir) {
            return Ok(());
        }
        Err(Failure::other("no-profile", format!("there is no profile in {}", dir.display()))
            .help("make one with `autonomy init`, or name its folder with --profile-dir"))
    }

    /// Where a secret may come from.
    fn sources(&self, whose: &str, new: bool) -> UnlockSources {
        UnlockSources {
            passphrase_file: self.config.passphrase_file.clone(),
            key_file: self.config.key_file.clone(),
            prompt: Some(format!("Passphrase of the {whose}")),
            confirm: new,
            ..UnlockSources::of_process()
        }
    }

    /// Opens this device's profile.
    ///
    /// # Errors
    /// There is none, it is in use, or the secret is wrong.
    pub(super) async fn profile(&self) -> Result<Profile, Failure> {
        let dir = self.profile_dir();
        self.needs_profile()?;
        // Its time counts from when it was typed: what the agent gave is not given back.
        let (unlock, may_hold) = match self.held_passphrase().await {
            Some(unlock) => (unlock, false),
            None => (self.unlock("device", false)?, self.may_hold()),
        };
        let profile = self.spinner.during("opening the profile", Profile::open(&dir, &unlock)).await?;
        if may_hold {
            let typed = unlock.as_passphrase().map(|text| Zeroizing::new(text.to_owned()));
            *self.typed.lock().unwrap_or_else(PoisonError::into_inner) = typed;
        }
        Ok(profile)
    }

    /// Whether the agent holds what is typed: the settings say so, and nothing else gives a secret.
    fn may_hold(&self) -> bool {
        !self.config.passphrase_time().is_zero() && self.sources("device", false).asks()
    }

    /// The passphrase that the agent of this profile holds.
    async fn held_passphrase(&self) -> Option<Unlock> {
        if !self.may_hold() {
            return None;
        }
        let agent = Transport::agent(&agent_socket(&self.profile_dir()));
        Unlock::passphrase(agent::start::kept_passphrase(&agent).await?).ok()
    }

    /// Has the agent of this profile forget the passphrase, which is another by now.
    pub(super) async fn forget_passphrase(&self) {
        let agent = Transport::agent(&agent_socket(&self.profile_dir()));
        // Where none runs, nothing is held.
        let _ = agent::start::keep_passphrase(&agent, "gone", Duration::ZERO).await;
    }

    /// Gives the agent what was typed.
    async fn hold_passphrase(&self, agent: &Transport) {
        let typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(passphrase) = typed {
            // Where the agent does not take it, the next command asks again.
            let _ = agent::start::keep_passphrase(agent, &passphrase, self.config.passphrase_time()).await;
        }
    }

    /// Connects to the pod: as a device where there is a profile, else through the pod's own
    /// socket.
    ///
    /// # Errors
    /// There is neither a profile nor a socket; or the connection cannot be made.
    pub(super) async fn session(&self) -> Result<Session, Failure> {
        let socket = self.flags.pod_socket.clone().unwrap_or_else(|| self.pod_dir().socket());
        if !Profile::exists(&self.profile_dir()) {
            if self.flags.pod_socket.is_some() || socket.exists() {
                return Ok(Session::Owner(PodClient::new(Transport::socket(&socket))));
            }
            self.profile().await?;
        }
        let profile = self.profile().await?;
        let transport = match self.flags.pod_socket {
            Some(_) => Transport::socket(&socket),
            None => self.over_tor(&profile).await?,
        };
        Ok(Session::Device(Box::new(Device { profile, pod: PodClient::new(transport) })))
    }

    /// Connects to the owner's mailbox at the pod, and closes the profile.
    ///
    /// # Errors
    /// As [`session`](Self::session).
    pub(super) async fn mail(&self) -> Result<Mail, Failure> {
        Ok(match self.session().await? {
            Session::Device(device) => {
                let own = device.profile.pod().map(|pod| pod.root());
                Mail { own, pod: device.pod }
            }
            Session::Owner(pod) => Mail { own: None, pod },
        })
    }

    /// Connects as a device, for verbs that need its keys. `what` completes the sentence "only a
    /// device can …".
    ///
    /// # Errors
    /// As [`session`](Self::session); or there is no profile.
    pub(super) async fn device(&self, what: &str) -> Result<Device, Failure> {
        match self.session().await? {
            Session::Device(device) => Ok(*device),
            Session::Owner(_) => {
                Err(Failure::other("no-profile", format!("only a device can {what}: it holds the keys"))
                    .help("run this where the device's profile is, or name its folder with --profile-dir"))
            }
        }
    }

    /// How this device reaches Tor.
    pub(super) fn link_settings(&self) -> LinkSettings {
        let program = |transport: TransportSection| BridgeProgram {
            protocols: transport.protocols,
            program: transport.program,
            arguments: transport.arguments,
        };
        LinkSettings {
            network_file: self.config.tor.network_file.clone(),
            bridges: self.config.tor.bridges.clone(),
            bridge_programs: self.config.tor.transports.iter().cloned().map(program).collect(),
            bootstrap_seconds: self.config.tor.bootstrap_seconds,
            agent_idle: self.config.agent_idle(),
        }
    }

    /// Connects through Tor, by the agent or inside this command.
    async fn over_tor(&self, profile: &Profile) -> Result<Transport, Failure> {
        let setup = profile.setup(&self.link_settings())?;
        if self.flags.no_agent {
            let progress = |news| self.say_progress(&progress_of(&news));
            let link = tor::link(&setup, progress);
            return Ok(self.spinner.during("starting Tor", link).await?);
        }
        let found = agent::start::ensure(&setup, |progress| self.say_progress(progress));
        let agent = self.spinner.during("starting Tor", found).await?;
        self.hold_passphrase(&agent).await;
        Ok(agent)
    }

    /// Shows how far Tor's start is.
    fn say_progress(&self, progress: &Progress) {
        self.spinner.say(&format!("starting Tor: {} %, {}", progress.percent, progress.text));
    }
}

/// The failure of a device that belongs to no pod.
pub(super) fn no_pod() -> Failure {
    Failure::other("no-pod", "this device has no pod yet").help(
        "`autonomy provision REQUEST` with what `autonomy pod init` printed, or `autonomy device request` to join",
    )
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the command line is where the clock is read")]
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The path from the root; the path itself where the current folder is gone.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use autonomy_client::{
        agent::{
            acceptor::{Acceptor, AgentLock},
            serve::{Link, serve},
        },
        profile::NewProfile,
    };
    use tokio::sync::watch;

    use super::*;

    const PASSPHRASE: &str = "correct horse";

    /// Every command would begin its time anew.
    #[tokio::test]
    async fn passphrase_that_the_agent_holds_is_not_given_to_it_again() {
        let home = tempfile::tempdir().unwrap();
        let (dir, settings) = (home.path().join("device"), home.path().join("config.toml"));
        std::fs::write(&settings, "[agent]\npassphrase_minutes = 10\n").unwrap();
        let keys = NewProfile { name: "phone".into(), auth_seed: None, payment_seed: None };
        let unlock = Unlock::passphrase(PASSPHRASE.to_owned()).unwrap();
        drop(Profile::create(&dir, &unlock, keys).unwrap());
        let socket = agent_socket(&dir);
        let lock = AgentLock::take(&socket).unwrap();
        let acceptor = Acceptor::open(&socket, &lock).unwrap();
        let (_link, seen) = watch::channel(Link::ready(Transport::socket(&home.path().join("nobody"))));
        let long = Duration::from_secs(600);
        let agent = serve(acceptor, "the setup".into(), long, seen);
        let story = async {
            agent::start::keep_passphrase(&Transport::agent(&socket), PASSPHRASE, long).await.unwrap();
            let flags = Global { profile_dir: Some(dir), config: Some(settings), ..Global::default() };
            let context = Context::new(flags).unwrap();
            context.profile().await.expect("it is opened with what the agent holds");
            assert!(context.typed.lock().unwrap().is_none());
        };
        tokio::select! {
            _ = agent => panic!("the agent ended"),
            () = story => {}
        }
    }
}
