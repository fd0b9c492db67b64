//! Why a dial failed, and whether to try again.

use std::time::Duration;

use arti_client::{ErrorKind, HasKind};

use crate::{OnionAddress, chain};

/// What went wrong, as far as the caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialErrorKind {
    /// No descriptor: the service is not running, has not published yet, or does not exist.
    NotFound,
    /// The service is restricted and this client has no descriptor key for it.
    KeyRequired,
    /// The service is restricted and this client's descriptor key is not among those it knows.
    KeyWrong,
    /// The service is there but has no listener on this port.
    Refused,
    /// The service, or the network on the way, does not answer: its introduction points are gone or
    /// fail.
    Unreachable,
    /// A time limit passed.
    TimedOut,
    /// This client's Tor is not working: no directory, no connection to the network.
    TorNotReady,
}

impl DialErrorKind {
    /// After how long another dial may help; `None` if only a change of keys or address can.
    ///
    /// A service that was just launched or given new keys needs at most a minute for its next
    /// descriptor.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::KeyRequired => None,
            Self::KeyWrong | Self::NotFound => Some(Duration::from_secs(30)),
            Self::Refused => Some(Duration::from_secs(60)),
            Self::Unreachable | Self::TimedOut => Some(Duration::from_secs(5)),
            Self::TorNotReady => Some(Duration::from_secs(10)),
        }
    }

    /// What a person should know or check, for the error's text.
    fn advice(self) -> &'static str {
        match self {
            Self::NotFound => "the service is not published; is the pod running, and the address right?",
            Self::KeyRequired => "the service is restricted and this client has no descriptor key for it",
            Self::KeyWrong => "the service does not know this client's descriptor key (yet, or any more)",
            Self::Refused => "the service does not listen on this port",
            Self::Unreachable => "the service does not answer; the pod may be restarting",
            Self::TimedOut => "no answer within the time limit",
            Self::TorNotReady => "Tor on this machine is not ready",
        }
    }

    /// The kind of an error of Arti's. Kinds that Arti may add count as
    /// [`Unreachable`](Self::Unreachable), which is retried soonest.
    fn of(error: &arti_client::Error) -> Self {
        match error.kind() {
            ErrorKind::OnionServiceNotFound => Self::NotFound,
            ErrorKind::OnionServiceMissingClientAuth => Self::KeyRequired,
            ErrorKind::OnionServiceWrongClientAuth => Self::KeyWrong,
            ErrorKind::RemoteStreamClosed | ErrorKind::RemoteConnectionRefused => Self::Refused,
            ErrorKind::RemoteNetworkTimeout | ErrorKind::TorNetworkTimeout | ErrorKind::ExitTimeout => {
                Self::TimedOut
            }
            ErrorKind::BootstrapRequired
            | ErrorKind::DirectoryExpired
            | ErrorKind::LocalNetworkError
            | ErrorKind::TorAccessFailed
            | ErrorKind::ArtiShuttingDown
            | ErrorKind::ClockSkew => Self::TorNotReady,
            // "Bad API usage: stream not connected" is what a dial gets in the moment its circuit dies.
            _ => Self::Unreachable,
        }
    }

    /// Whether an attempt on fresh circuits that failed so settles the dial: others would end the
    /// same way.
    pub(super) fn settled_by_fresh_attempt(self) -> bool {
        matches!(self, Self::NotFound | Self::KeyRequired | Self::KeyWrong | Self::Refused)
    }
}

/// A dial that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot connect to {}, port {port}: {} ({detail}; {attempts} attempts, {:.1} s)", to.scrubbed(), kind.advice(), elapsed.as_secs_f32())]
pub struct DialError {
    /// What went wrong.
    pub kind: DialErrorKind,
    /// The service dialled; scrubbed when printed.
    pub to: OnionAddress,
    /// The port.
    pub port: u16,
    /// What Arti said last, with its causes.
    pub detail: String,
    /// Attempts made, hedges included.
    pub attempts: u32,
    /// Time from the start of the dial to its end.
    pub elapsed: Duration,
}

impl DialError {
    /// After how long another dial may help; `None` if only a change of keys or address can.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.kind.retry_after()
    }
}

/// Why one attempt failed.
#[derive(Clone, Debug)]
pub(crate) struct AttemptError {
    pub(crate) kind: DialErrorKind,
    /// What Arti said, with its causes.
    pub(crate) detail: String,
}

impl From<arti_client::Error> for AttemptError {
    fn from(error: arti_client::Error) -> Self {
        Self { kind: DialErrorKind::of(&error), detail: chain(&error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_give_advice_and_no_address() {
        let to = crate::OnionKey::from_seed([1; 32]).address();
        let error = DialError {
            kind: DialErrorKind::KeyRequired,
            to,
            port: 443,
            detail: "authentication required".to_owned(),
            attempts: 1,
            elapsed: Duration::from_millis(900),
        };
        let text = error.to_string();
        assert!(text.contains("no descriptor key") && text.contains("443"), "{text}");
        assert!(!text.contains(&to.to_string()), "{text}");
        assert_eq!(error.retry_after(), None);
    }
}
