//! A new session in the place of a lost one, in the name of the contact's pod.
//!
//! Whoever controls a pod can write one at any time, so a reset is signed by the pod key under the root's certificate
//! and bound to both persons: a stolen queue key alone begins nothing. The first message of the new session is in it,
//! so that one frame is enough to go on.
//!
//! What is *not* covered by the signature is the message: the Welcome that is covered leads to the session in which
//! alone it opens.

use autonomy_codec::{Reader, put_bytes_u16};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use super::{read_message, read_welcome};
use crate::{CERTIFICATE_LEN, Certificate, CertificateError, RoleKind, RootPublic, UnverifiedCertificate};

/// Generation (8), certificate (158), signature (64).
/// Bytes before Welcome and message: generation, certificate, signature.
pub(super) const HEAD_LEN: usize = 8 + CERTIFICATE_LEN + 64;

/// What the signed bytes begin with, so that no other signature of a pod passes for one of a reset.
const DOMAIN: &[u8] = b"autonomy reset v1\0";

/// A new session, as it came: nobody has checked yet who begins it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reset {
    generation: u64,
    certificate: UnverifiedCertificate,
    signature: [u8; 64],
    welcome: Vec<u8>,
    message: Vec<u8>,
}

/// A new session that the contact's pod begins with us.
///
/// The Welcome is not opened yet: that the contact's session key made it is for the caller to compare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedReset {
    /// Counts the resets between the two: only a higher one than the last counts.
    pub generation: u64,
    /// Who the contact's pod is now. Against the one known before, ask [`Certificate::replaces`] too.
    pub certificate: Certificate,
    /// The MLS Welcome into the new session.
    pub welcome: Vec<u8>,
    /// The first message of it.
    pub message: Vec<u8>,
}

/// Why a reset is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// The certificate of the pod does not hold.
    #[error("the certificate in the reset does not hold: {0}")]
    Certificate(#[from] CertificateError),
    /// The pod did not sign it for us.
    /// Also where it was signed for somebody else, or by a key that another certificate is for.
    #[error("the pod did not sign this reset for us: it was forged, or meant for somebody else")]
    BadSignature,
}

impl Reset {
    /// Begins the `generation`-th session with the person of `peer_root`, in the name of the pod that `certificate`
    /// certifies and whose key is `pod`. With another key nobody takes it.
    ///
    /// Welcome and message must fit: [`MAX_RESET_PACKET`](super::MAX_RESET_PACKET) bounds the packet in the message.
    #[must_use]
    pub fn sign(
        pod: &SigningKey,
        certificate: &Certificate,
        peer_root: &RootPublic,
        generation: u64,
        welcome: Vec<u8>,
        message: Vec<u8>,
    ) -> Self {
        let signed = signed_bytes(generation, &certificate.root(), peer_root, &welcome);
        let signature = pod.sign(&signed).to_bytes();
        Self { generation, certificate: (*certificate).into(), signature, welcome, message }
    }

    /// The same session, in the name of the pod as it is certified now.
    ///
    /// The session stays the same, so a contact who took it before sees a repeat.
    #[must_use]
    pub(crate) fn signed_anew(
        &self,
        pod: &SigningKey,
        certificate: &Certificate,
        peer_root: &RootPublic,
    ) -> Self {
        let Self { generation, welcome, message, .. } = self.clone();
        Self::sign(pod, certificate, peer_root, generation, welcome, message)
    }

    /// Which it says to be. A claim, to drop old ones cheaply.
    #[must_use]
    pub fn claimed_generation(&self) -> u64 {
        self.generation
    }

    /// Checks that the pod of the person of `peer_root` signed it for the person of `own_root`, at `now` (seconds since
    /// 1970).
    ///
    /// # Errors
    /// [`ResetError::Certificate`] if the certificate is not of `peer_root`, not of a pod, or not valid at `now`;
    /// [`ResetError::BadSignature`] if the certified pod did not sign exactly this for `own_root`.
    pub fn verify(
        &self,
        peer_root: &RootPublic,
        own_root: &RootPublic,
        now: u64,
    ) -> Result<VerifiedReset, ResetError> {
        let certificate = self.certificate.verify(peer_root, RoleKind::Pod, now)?;
        let signed = signed_bytes(self.generation, peer_root, own_root, &self.welcome);
        if !certificate.subject().signed(&signed, &self.signature) {
            return Err(ResetError::BadSignature);
        }
        Ok(VerifiedReset {
            generation: self.generation,
            certificate,
            welcome: self.welcome.clone(),
            message: self.message.clone(),
        })
    }

    /// Bytes of Welcome and message, without their lengths.
    pub(super) fn bytes_len(&self) -> usize {
        self.welcome.len() + self.message.len()
    }

    /// Appends all fields behind version and kind.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.certificate.to_bytes());
        out.extend_from_slice(&self.signature);
        put_bytes_u16(out, &self.welcome);
        put_bytes_u16(out, &self.message);
    }

    /// Reads what `write` wrote. None if a field is missing or out of its bounds, or the certificate is malformed.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            generation: reader.u64()?,
            certificate: UnverifiedCertificate::parse(reader.take(CERTIFICATE_LEN)?).ok()?,
            signature: reader.array()?,
            welcome: read_welcome(reader)?,
            message: read_message(reader)?,
        })
    }
}

/// From whom to whom: neither can a third one pass it on as meant for itself, nor the receiver send it back.
///
/// Domain, generation, both roots and the hash of the Welcome.
fn signed_bytes(generation: u64, from: &RootPublic, to: &RootPublic, welcome: &[u8]) -> Vec<u8> {
    let welcome = Sha256::digest(welcome);
    [DOMAIN, &generation.to_be_bytes(), from.as_bytes(), to.as_bytes(), &welcome].concat()
}
