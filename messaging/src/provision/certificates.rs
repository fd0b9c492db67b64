//! Reading the two certificates that every answer starts with.

use autonomy_codec::Reader;

use super::AnswerError;
use crate::{CERTIFICATE_LEN, Certificate, PublicKey, RoleKind, RootPublic, UnverifiedCertificate};

/// The pod's certificate and the device's, both of one root.
pub(super) struct Certificates {
    pub(super) pod: Certificate,
    pub(super) device: Certificate,
}

/// The same two before anything was checked.
pub(super) struct UnverifiedCertificates {
    pod: UnverifiedCertificate,
    device: UnverifiedCertificate,
}

/// Bytes of both.
pub(super) const LEN: usize = 2 * CERTIFICATE_LEN;

impl UnverifiedCertificates {
    /// Reads both, and checks neither.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, AnswerError> {
        Ok(Self { pod: read(reader, RoleKind::Pod)?, device: read(reader, RoleKind::Device)? })
    }

    /// Who the answer says to be from.
    pub(super) fn claimed_root(&self) -> RootPublic {
        self.pod.claimed_root()
    }

    /// Both against one root, which is the pod certificate's: an answer is one owner's word.
    pub(super) fn verify(&self, now: u64) -> Result<Certificates, AnswerError> {
        let root = self.claimed_root();
        let check = |certificate: &UnverifiedCertificate, which| {
            certificate.verify(&root, which, now).map_err(|error| AnswerError::Certificate { which, error })
        };
        Ok(Certificates {
            pod: check(&self.pod, RoleKind::Pod)?,
            device: check(&self.device, RoleKind::Device)?,
        })
    }
}

impl Certificates {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [self.pod.to_bytes(), self.device.to_bytes()].concat()
    }
}

/// # Errors
/// [`AnswerError::Field`] if bytes are missing, [`AnswerError::Malformed`] with the role where they are no
/// certificate.
fn read(reader: &mut Reader<'_>, which: RoleKind) -> Result<UnverifiedCertificate, AnswerError> {
    let bytes = reader.take(CERTIFICATE_LEN).ok_or(AnswerError::Field("a certificate is missing"))?;
    UnverifiedCertificate::parse(bytes).map_err(|error| AnswerError::Malformed { which, error })
}

/// The one who asked must be the one who is certified.
pub(super) fn subject_is(certificate: &Certificate, expected: PublicKey) -> Result<(), AnswerError> {
    let found = certificate.subject();
    if found != expected {
        return Err(AnswerError::Subject { which: certificate.role().kind(), expected, found });
    }
    Ok(())
}
