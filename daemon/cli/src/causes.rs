//! Translates the errors of the libraries into failures: kind, exit status and advice.
//!
//! Each error enum is matched here once, so that a new variant makes the compiler ask for its
//! advice.

use autonomy_shards::DealError;

use super::{Exit, Failure};
use autonomy_client::{
    ConnectError, DeviceError, Distrust, ProfileError, ProvisionError, agent::start::StartError,
    decks::DeckError, files::FileError, tor::LinkError,
};
use autonomy_daemon::pod::PodError;
use autonomy_store::{CreateError, OpenError, RenewError};

/// A pod's answer that this device does not believe: always a refused check, never an ordinary
/// failure.
impl From<Distrust> for Failure {
    fn from(error: Distrust) -> Self {
        Self::check(error.kind(), &error).help(error.help())
    }
}

/// What the device library reports while it works with a pod.
///
/// Errors of the person's input become wrong usage, refused checks keep their own identifiers, and
/// an outcome that is unknown gets exit status 6 with a warning not to repeat it.
impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Call(error) => error.into(),
            DeviceError::Distrust(error) => error.into(),
            DeviceError::Profile(error) => error.into(),
            DeviceError::File(error) => error.into(),
            DeviceError::Intent(error) => Self::usage(error),
            DeviceError::Map(_) => Self::check("unsafe-account", error),
            DeviceError::PaidBefore { ref payment, .. } => {
                let help = format!("see `autonomy payment show {payment}`; without --yes you are asked whether to pay this one besides");
                Self::check("paid-before", error).help(help)
            }
            DeviceError::NameTaken { .. }
            | DeviceError::Decks(DeckError::Name(_) | DeckError::Deal(DealError::SameName(_))) => Self::usage(error),
            DeviceError::NoPod => super::context::no_pod(),
            DeviceError::NoPaymentKey { .. } => Self::other("no-payment-key", error)
                .help("do this on the device that was made with `autonomy init`"),
            DeviceError::NoAuthSeed { .. } => Self::other("no-identity", error)
                .help("do this on the device that was made with `autonomy init`"),
            DeviceError::UnknownAccount { .. } => Self::check("unknown-account", error).help(
                "take its map from the device that made it: `autonomy account export` there, `autonomy account import` here; \
                 where that device is lost, `autonomy account import --from-pod`",
            ),
            DeviceError::UnknownAddress { .. } => Self::check("unknown-address", error).help(
                "give an address that somebody has paid to, or that you have noted; if it is right, the pod offers another \
                 account than yours: do not receive there",
            ),
            DeviceError::NotADraft { .. } => Self::usage(error).help("see `autonomy payment list`"),
            DeviceError::AddressNotSeen { .. } => Self::check("address-not-seen", error)
                .help("where another device of yours has given it out, repeat it with --trust-index"),
            DeviceError::MaybePaid { ref payment, .. } => {
                let help = format!(
                    "do NOT pay again before you know: see `autonomy payment show {payment}`, and look for the \
                     transaction elsewhere too. A draft ends by `autonomy payment cancel {payment}`"
                );
                Self::new(Exit::InDoubt, "maybe-paid", error).help(help)
            }
            DeviceError::Entropy(_) | DeviceError::Decks(_) => Self::check("ceremony", error),
            DeviceError::Account(_) | DeviceError::Key(_) => Self::check("unsafe-account", error),
        }
    }
}

/// A profile that does not open, exists already, or cannot be written. A profile in use has an
/// identifier of its own, since waiting helps.
impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        match &error {
            ProfileError::Open(OpenError::WrongPassphrase { .. } | OpenError::WrongKeyFile { .. }) => {
                Self::other("passphrase", error)
            }
            ProfileError::Open(OpenError::InUse { .. }) => Self::other("profile-in-use", error),
            ProfileError::Create(CreateError::Exists { .. }) => Self::other("profile-exists", error)
                .help("it holds keys: it is never overwritten. Another --profile-dir makes another device"),
            ProfileError::Renew(RenewError::InDoubt { .. }) => {
                Self::new(Exit::InDoubt, "passphrase-in-doubt", error)
            }
            ProfileError::Map(_) => Self::check("unsafe-account", error)
                .help("nothing is kept: take the map from a device that holds the same words as this one"),
            _ => Self::other("profile", error),
        }
    }
}

/// A bundle or grant that cannot be made or accepted. A malformed text is wrong usage; a text for
/// somebody else is a refused check.
impl From<ProvisionError> for Failure {
    fn from(error: ProvisionError) -> Self {
        match error {
            ProvisionError::Profile(error) => error.into(),
            ProvisionError::Device(error) => error.into(),
            ProvisionError::NoAuthSeed => Self::other("no-identity", error)
                .help("do this on the device that was made with `autonomy init`"),
            ProvisionError::NoSpareKey => Self::other("no-spare-key", error),
            ProvisionError::Request(_) | ProvisionError::Text(_) | ProvisionError::Name(_) => {
                Self::usage(error)
            }
            _ => Self::check("provisioning", error),
        }
    }
}

/// A pod on this machine that cannot be created, opened, changed or run.
impl From<PodError> for Failure {
    fn from(error: PodError) -> Self {
        let kind = match &error {
            PodError::Exists(_) => "pod-exists",
            PodError::Missing(_) => "no-pod",
            PodError::Open(OpenError::WrongPassphrase { .. } | OpenError::WrongKeyFile { .. }) => {
                "passphrase"
            }
            PodError::Open(OpenError::InUse { .. }) => "pod-in-use",
            PodError::Renew(RenewError::InDoubt { .. }) => {
                return Self::new(Exit::InDoubt, "passphrase-in-doubt", error);
            }
            PodError::Refused(_) => return Self::new(Exit::PodRefused, "refused", error),
            PodError::Config(_) => return Self::usage(error),
            _ => "pod",
        };
        Self::other(kind, error)
    }
}

/// An agent that does not start. Where Tor is the reason, the pod counts as not reachable.
impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Tor { .. } => Self::new(Exit::Unreachable, "tor", error)
                .help("check that this machine is online and its clock is right"),
            _ => Self::other("agent", error).help("with --no-agent Tor runs inside the command"),
        }
    }
}

/// Tor inside this command that does not start.
impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self::new(Exit::Unreachable, "tor", error)
    }
}

/// A connection that could not be made, for lack of a pod or of Tor.
impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NoPod => super::context::no_pod(),
            ConnectError::Link(error) => error.into(),
        }
    }
}

/// A file of this device that cannot be written.
impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::other("file", error)
    }
}
