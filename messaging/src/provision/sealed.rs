//! What a bundle and a grant have in common: signed by the root, then sealed to the one who asked.
//!
//! A sealed box is `x25519 key (32) ‖ XSalsa20-Poly1305(body ‖ signature)`. `crypto_box` 0.9 wipes the scalar of
//! a secret key, but not the bytes it was made from: they stay on the stack of [`open`] until overwritten.

use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::{
    CertificateError, MalformedCertificate, PublicKey, RootKey, RootPublic, SealingPublic, SealingSecret,
    TextError,
};

/// Version of both answers.
const VERSION: u8 = 1;
/// Ed25519; it lies at the end of what is sealed.
const SIGNATURE_LEN: usize = 64;

/// Version, the sealed box's key and tag, and the signature: what comes on top of a body.
pub(super) const OVERHEAD: usize = 1 + 32 + 16 + SIGNATURE_LEN;

/// Why a bundle or a grant is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The text is not one line of the right kind.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A format this program does not know.
    #[error("format {0} of the answer is not known here: a newer program wrote it, update this one")]
    Version(u8),
    /// It does not open with the key of this request.
    /// The seal does not tell the two apart: what was changed does not open.
    #[error(
        "it does not open here: it answers another request, or was changed. Was a new request made since?"
    )]
    NotForUs,
    /// A field is missing, too long, repeated, or no key.
    #[error("the answer is malformed: {0}")]
    Field(&'static str),
    /// A certificate in it is none.
    #[error("the {which}'s certificate is malformed: {error}")]
    Malformed {
        /// `pod` or `device`.
        which: crate::RoleKind,
        /// What is wrong.
        error: MalformedCertificate,
    },
    /// A certificate in it does not hold.
    #[error("the {which}'s certificate does not hold: {error}")]
    Certificate {
        /// `pod` or `device`.
        which: crate::RoleKind,
        /// What is wrong.
        error: CertificateError,
    },
    /// A certificate in it is for another key than the one that asked.
    #[error("the {which}'s certificate is for {found}, not for {expected} that asked")]
    Subject {
        /// `pod` or `device`.
        which: crate::RoleKind,
        /// The key that asked.
        expected: PublicKey,
        /// The key that was certified.
        found: PublicKey,
    },
    /// The root did not sign the whole of it as an answer to this request.
    #[error("the owner did not sign this as an answer to this request: it was forged")]
    BadSignature,
}

/// Which kind of answer is signed: no signature of one passes for the other.
#[derive(Clone, Copy)]
pub(super) enum SignedAnswer {
    Bundle,
    Grant,
}

impl SignedAnswer {
    /// What the root signs: a domain for the kind, the digest of the request, the body.
    fn message(self, request: &[u8; 32], body: &[u8]) -> Zeroizing<Vec<u8>> {
        let domain: &[u8] = match self {
            Self::Bundle => b"autonomy bundle v1\0",
            Self::Grant => b"autonomy grant v1\0",
        };
        let mut out = Zeroizing::new(Vec::with_capacity(domain.len() + request.len() + body.len()));
        out.extend_from_slice(domain);
        out.extend_from_slice(request);
        out.extend_from_slice(body);
        out
    }
}

/// Signs a body as the answer to a request, and seals both to the one who asked.
#[expect(clippy::expect_used, reason = "the cipher takes 256 GiB")]
pub(super) fn close(
    answer: SignedAnswer,
    root: &RootKey,
    request: &[u8; 32],
    body: &[u8],
    to: &SealingPublic,
    rng: &mut dyn CryptoRngCore,
) -> Vec<u8> {
    let mut plain = Zeroizing::new(Vec::with_capacity(body.len() + SIGNATURE_LEN));
    plain.extend_from_slice(body);
    plain.extend_from_slice(&root.sign(&answer.message(request, body)));
    let mut rng = rng;
    let sealed = crypto_box::PublicKey::from(*to.as_bytes())
        .seal(&mut rng, &plain)
        .expect("far below the 256 GiB that the cipher takes");
    [&[VERSION], sealed.as_slice()].concat()
}

/// A body that was sealed to us; whose it is, is not known before its certificates are read.
pub(super) struct Opened {
    /// Body and signature.
    plain: Zeroizing<Vec<u8>>,
}

/// # Errors
/// [`AnswerError::Version`] for another format, [`AnswerError::NotForUs`] where it does not open,
/// [`AnswerError::Field`] where it is too short to hold a signature. Nothing is verified yet.
pub(super) fn open(bytes: &[u8], secret: &SealingSecret) -> Result<Opened, AnswerError> {
    let (&version, sealed) = bytes.split_first().ok_or(AnswerError::Field("its length"))?;
    if version != VERSION {
        return Err(AnswerError::Version(version));
    }
    let secret = crypto_box::SecretKey::from_bytes(*secret.as_bytes());
    let plain = Zeroizing::new(secret.unseal(sealed).map_err(|_| AnswerError::NotForUs)?);
    if plain.len() < SIGNATURE_LEN {
        return Err(AnswerError::Field("its length"));
    }
    Ok(Opened { plain })
}

impl Opened {
    /// All but the signature.
    pub(super) fn body(&self) -> &[u8] {
        &self.plain[..self.plain.len() - SIGNATURE_LEN]
    }

    /// Checks that `root` signed the body as this kind of answer to this request.
    ///
    /// # Errors
    /// [`AnswerError::BadSignature`].
    pub(super) fn check(
        &self,
        answer: SignedAnswer,
        root: &RootPublic,
        request: &[u8; 32],
    ) -> Result<(), AnswerError> {
        let signature = self.plain.last_chunk().ok_or(AnswerError::BadSignature)?;
        if !root.signed(&answer.message(request, self.body()), signature) {
            return Err(AnswerError::BadSignature);
        }
        Ok(())
    }
}
