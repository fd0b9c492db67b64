//! How a pod gets its owner, and a further device gets in: no shared secret, and no blind trust.
//!
//! ```text
//! pod     ── PodRequest ───► device      keys of the pod, in clear, signed by the pod key
//! pod     ◄── SealedBundle ─ device      certificate, onion keys, first device; sealed to the pod
//! device2 ── DeviceRequest ► device      keys of the new device, in clear, signed by the device key
//! device2 ◄── SealedGrant ── device      certificates, address, descriptor key, maps; sealed to the new device
//! ```
//!
//! A request may be read by anybody; whoever *changes* one is found out, for its own key signs all of it. An
//! answer is signed by the root over the whole of it **and** the request it answers, then sealed (libsodium's
//! sealed box) to the key in that request: nobody else reads it, nobody can put another owner's parts into it,
//! and it serves no other request.
//!
//! What remains to people: that the request shown at the pod is the one that reaches the device. It is carried
//! by the owner's own hands (a terminal, a QR code).
//!
//! Every line begins with what it is (`autonomy-pod-request1…`), so one that is pasted for another is named in the
//! error.

mod bundle;
mod certificates;
mod device_request;
mod grant;
mod pod_request;
mod sealed;

pub use bundle::{Bundle, BundleTerms, SPARE_KEYS, SealedBundle};
pub use device_request::DeviceRequest;
pub use grant::{BadGrant, Grant, GrantTerms, MAX_MAP_LEN, MAX_MAPS, SealedGrant, SpareKey};
pub use pod_request::PodRequest;
pub use sealed::AnswerError;

/// Why a text is not a request that can be answered.
///
/// Nothing was answered; ask for the request again where it was damaged on the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The text is not one line of the right kind.
    #[error(transparent)]
    Text(#[from] crate::TextError),
    /// A format this program does not know.
    #[error("format {0} of the request is not known here: a newer program wrote it, update this one")]
    Version(u8),
    /// A field is missing, too long, or no key.
    #[error("the request is malformed: {0}")]
    Field(&'static str),
    /// The key that asks did not sign this.
    #[error("the signature of the request is wrong: it was changed after it was made, ask for a new one")]
    BadSignature,
}
