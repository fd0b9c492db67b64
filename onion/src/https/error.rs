//! What a failed request means to whoever made it.

use std::{error::Error, io, time::Duration};

use rustls::AlertDescription;

use crate::{DialError, chain};

/// Why a request got no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HttpsError {
    /// No connection to the onion service.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The server's key is not the pinned one. Nothing was sent to it.
    #[error(
        "the server behind this onion address has another key than the one expected; nothing was sent to it"
    )]
    WrongServer,
    /// The server does not accept our key: it was revoked, or never added.
    #[error("the server refused this client's certificate: its key was revoked or never added")]
    CertificateRefused,
    /// TLS failed otherwise.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
    /// The connection ended before the answer was complete. The request may or may not have been
    /// carried out.
    #[error("the connection was lost before the answer came ({0})")]
    Lost(String),
    /// No answer within the limit. The request may or may not have been carried out.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The request cannot be sent as it is.
    #[error("the request is not usable: {0}")]
    Request(String),
}

impl HttpsError {
    /// After how long the same request may succeed; `None` if only a change of keys or of the
    /// request helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Dial(dial) => dial.retry_after(),
            Self::WrongServer | Self::CertificateRefused | Self::Request(_) => None,
            Self::Handshake(_) => Some(Duration::from_secs(5)),
            Self::Lost(_) | Self::TimedOut(_) => Some(Duration::from_secs(1)),
        }
    }

    /// Finds what went wrong in an error of hyper's, also in one that occurs while a body is read.
    #[must_use]
    pub fn classify(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(known) = known(cause) {
                return known;
            }
            next = cause.source();
        }
        Self::Lost(chain(error))
    }

    /// Whether the connection, and perhaps its circuit, must not be used again.
    pub(crate) fn connection_is_dead(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::TimedOut(_) | Self::Handshake(_))
    }
}

/// The meaning of one error in the chain, if it is one of this crate's or of TLS.
fn known(cause: &(dyn Error + 'static)) -> Option<HttpsError> {
    if let Some(error) = cause.downcast_ref::<HttpsError>() {
        return Some(error.clone());
    }
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    // An io::Error does not show what it wraps as its source, but that one's source.
    known(cause.downcast_ref::<io::Error>()?.get_ref()?)
}

/// What an error of TLS says about the two keys.
fn of_tls(error: &rustls::Error) -> HttpsError {
    use AlertDescription as A;
    match error {
        rustls::Error::InvalidCertificate(_) => HttpsError::WrongServer,
        rustls::Error::AlertReceived(A::AccessDenied | A::CertificateRequired | A::BadCertificate) => {
            HttpsError::CertificateRefused
        }
        other => HttpsError::Handshake(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alert_is_found_in_any_depth_of_causes() {
        let alert = rustls::Error::AlertReceived(AlertDescription::AccessDenied);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, alert));
        assert!(matches!(HttpsError::classify(&wrapped), HttpsError::CertificateRefused));
    }

    #[test]
    fn unknown_error_is_a_lost_connection_with_causes() {
        let error = io::Error::other("the circuit is gone");
        let HttpsError::Lost(text) = HttpsError::classify(&error) else { panic!() };
        assert!(text.contains("circuit"));
    }

    #[test]
    fn wrong_server_is_not_retried() {
        let error =
            rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure);
        let error = HttpsError::classify(&error);
        assert!(matches!(error, HttpsError::WrongServer));
        assert_eq!(error.retry_after(), None);
    }
}
