//! What the root says about a key: "this is my pod", "this is my device, and it may go so far".
//!
//! A certificate answers one question: does this person's root say that this key is their pod, or their device with
//! so much access? Revocation is by replacement: each role has an epoch, and whoever has seen a higher one takes no
//! lower one any more. There is no list to fetch and nobody to ask, so a certificate also ends by itself.

use std::fmt;

use autonomy_codec::Reader;

use crate::{Access, CertificateRole, PublicKey, RoleKind, RootKey, RootPublic, Validity};

/// Length of every certificate: magic (4), version, role (1 each), subject (32), epoch, first and last second
/// (8 each), root (32), signature (64).
pub const CERTIFICATE_LEN: usize = SIGNED_LEN + 64;

/// What every certificate begins with.
const MAGIC: &[u8; 4] = b"acrt";
const VERSION: u8 = 1;
/// Bytes before the signature.
const SIGNED_LEN: usize = 4 + 1 + 1 + 32 + 3 * 8 + 32;
/// What the signed bytes begin with, so that no other signature of a root passes for a certificate.
const DOMAIN: &[u8] = b"autonomy certificate v1\0";

/// A certificate whose root, signature, role and time were checked, or that was just signed.
///
/// Time passes: check again what was checked long ago, by going through [`UnverifiedCertificate`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Certificate(Fields);

/// A well-formed certificate that nobody has checked yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnverifiedCertificate(Fields);

/// What both kinds hold; only the type around it says whether it was checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Fields {
    role: CertificateRole,
    /// The key that is certified.
    subject: PublicKey,
    /// Which of the owner's decisions it is: the highest counts.
    epoch: u64,
    validity: Validity,
    root: RootPublic,
    /// The root's, over the domain and all bytes before it.
    signature: [u8; 64],
}

/// Why bytes are no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedCertificate {
    /// Another length than [`CERTIFICATE_LEN`].
    #[error("a certificate has {CERTIFICATE_LEN} bytes, this has {0}")]
    Length(usize),
    /// Something else.
    #[error("this is not a certificate")]
    NotACertificate,
    /// A format this program does not know.
    #[error("certificate format {0} is not known here: a newer program wrote it, update this one")]
    Version(u8),
    /// A role this program does not know.
    #[error("role {0} in the certificate is not known")]
    CertificateRole(u8),
    /// The certified key is none.
    #[error("the certified key is not a usable key")]
    Subject,
    /// The root key is none.
    #[error("the root key in the certificate is not a usable key")]
    Root,
    /// It ends before it begins.
    #[error("the certificate ends before it begins")]
    Validity,
}

/// Why a well-formed certificate does not convince.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Another person signed it.
    #[error("the certificate is from {found}, not from the pinned {expected}")]
    WrongRoot {
        /// Whose certificate was asked for.
        expected: RootPublic,
        /// Whose it says to be.
        found: RootPublic,
    },
    /// The signature is not the root's.
    #[error("the signature of the certificate is wrong: it was changed or forged")]
    BadSignature,
    /// For a pod where a device was asked for, or the other way round.
    #[error("this is the certificate of a {found}, not of a {expected}")]
    WrongRole {
        /// What was asked for.
        expected: RoleKind,
        /// What it certifies.
        found: RoleKind,
    },
    /// It is over.
    #[error("the certificate ended at {not_after}, it is {now} (seconds since 1970): certify the key again")]
    Expired {
        /// Its last second.
        not_after: u64,
        /// The time here.
        now: u64,
    },
    /// It has not begun, even with [`CLOCK_SKEW`](crate::CLOCK_SKEW) granted.
    #[error("the certificate begins at {not_before}, it is {now} (seconds since 1970): check this clock")]
    NotYetValid {
        /// Its first second.
        not_before: u64,
        /// The time here.
        now: u64,
    },
    /// A newer one is known.
    #[error("a certificate of epoch {pinned} is known, this one is of epoch {found}: it was replaced")]
    OlderEpoch {
        /// The epoch known.
        pinned: u64,
        /// The epoch of this one.
        found: u64,
    },
    /// Two different keys in one epoch: the root never signs that.
    /// Whoever sees this has met a stolen or restored root.
    #[error("another key was certified in the same epoch {0}: do not trust either before asking the owner")]
    SameEpoch(u64),
}

impl UnverifiedCertificate {
    /// Reads what [`Certificate::to_bytes`] wrote, and nothing else.
    ///
    /// # Errors
    /// [`MalformedCertificate`] says what: the length, magic, version, role, a key, or the validity. Nothing is
    /// verified.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedCertificate> {
        let bytes: &[u8; CERTIFICATE_LEN] =
            bytes.try_into().map_err(|_| MalformedCertificate::Length(bytes.len()))?;
        if !bytes.starts_with(MAGIC) {
            return Err(MalformedCertificate::NotACertificate);
        }
        if bytes[4] != VERSION {
            return Err(MalformedCertificate::Version(bytes[4]));
        }
        let role =
            CertificateRole::from_byte(bytes[5]).ok_or(MalformedCertificate::CertificateRole(bytes[5]))?;
        Fields::read(role, &bytes[6..]).map(Self)
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn to_bytes(self) -> [u8; CERTIFICATE_LEN] {
        self.0.to_bytes()
    }

    /// Who it says to be from. A claim, for those who do not know a root yet.
    #[must_use]
    pub fn claimed_root(&self) -> RootPublic {
        self.0.root
    }

    /// Checks that `root` signed this for a key of the `expected` role, and that it holds at `now` (seconds
    /// since 1970, UTC). Its first second may lie [`CLOCK_SKEW`](crate::CLOCK_SKEW) ahead.
    ///
    /// Against a certificate known before, ask [`Certificate::replaces`] too.
    ///
    /// # Errors
    /// [`CertificateError`] says what does not hold: the root, the signature, the role, or the time. The order is
    /// that of the enum, so a wrong root is reported before the signature is checked.
    pub fn verify(
        &self,
        root: &RootPublic,
        expected: RoleKind,
        now: u64,
    ) -> Result<Certificate, CertificateError> {
        let certificate = self.verify_kept(root, expected)?;
        certificate.0.validity.check(now)?;
        Ok(certificate)
    }

    /// As [`verify`](Self::verify), without a look at the time: for a certificate read back from a store, whose time
    /// was looked at when it came.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for the time.
    pub fn verify_kept(
        &self,
        root: &RootPublic,
        expected: RoleKind,
    ) -> Result<Certificate, CertificateError> {
        let fields = self.0;
        if fields.root != *root {
            return Err(CertificateError::WrongRoot { expected: *root, found: fields.root });
        }
        if !root.signed(&fields.message(), &fields.signature) {
            return Err(CertificateError::BadSignature);
        }
        let found = fields.role.kind();
        if found != expected {
            return Err(CertificateError::WrongRole { expected, found });
        }
        Ok(Certificate(fields))
    }
}

impl Certificate {
    /// Signs what the owner decided. Only [`RootKey::certify`] calls it.
    pub(crate) fn issue(
        root: &RootKey,
        role: CertificateRole,
        subject: &PublicKey,
        epoch: u64,
        validity: Validity,
    ) -> Self {
        let root_public = root.public();
        let mut fields =
            Fields { role, subject: *subject, epoch, validity, root: root_public, signature: [0; 64] };
        fields.signature = root.sign(&fields.message());
        Self(fields)
    }

    /// What the key is.
    #[must_use]
    pub fn role(&self) -> CertificateRole {
        self.0.role
    }

    /// How far the subject may go; `None` if it is a pod.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        match self.0.role {
            CertificateRole::Pod => None,
            CertificateRole::Device { access } => Some(access),
        }
    }

    /// The certified key.
    #[must_use]
    pub fn subject(&self) -> PublicKey {
        self.0.subject
    }

    /// Which of the owner's decisions about this role counts: the highest.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// From when to when it holds.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// Who signed it.
    #[must_use]
    pub fn root(&self) -> RootPublic {
        self.0.root
    }

    /// Whether this may stand where `pinned` stood: a higher epoch, or the same epoch and the same key.
    ///
    /// # Errors
    /// [`CertificateError::OlderEpoch`] if `pinned` is newer, [`CertificateError::SameEpoch`] if the same epoch names
    /// another key.
    pub fn replaces(&self, pinned: &Self) -> Result<(), CertificateError> {
        let found = self.epoch();
        match found.cmp(&pinned.epoch()) {
            std::cmp::Ordering::Less => Err(CertificateError::OlderEpoch { pinned: pinned.epoch(), found }),
            std::cmp::Ordering::Equal if self.subject() != pinned.subject() => {
                Err(CertificateError::SameEpoch(found))
            }
            _ => Ok(()),
        }
    }

    /// The canonical bytes. Read them again with [`UnverifiedCertificate::parse`].
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CERTIFICATE_LEN] {
        self.0.to_bytes()
    }
}

impl From<Certificate> for UnverifiedCertificate {
    /// Forgets that it was checked: what is stored today must be checked again tomorrow.
    fn from(certificate: Certificate) -> Self {
        Self(certificate.0)
    }
}

impl Fields {
    /// The fields behind the role; every bit counts, so one certificate has one encoding.
    fn read(role: CertificateRole, bytes: &[u8]) -> Result<Self, MalformedCertificate> {
        let short = MalformedCertificate::Length(bytes.len());
        let mut reader = Reader::new(bytes);
        let subject = reader.array().ok_or(short)?;
        let epoch = reader.u64().ok_or(short)?;
        let not_before = reader.u64().ok_or(short)?;
        let not_after = reader.u64().ok_or(short)?;
        let root = reader.array().ok_or(short)?;
        let signature = reader.array().ok_or(short)?;
        Ok(Self {
            role,
            subject: PublicKey::from_bytes(&subject).map_err(|_| MalformedCertificate::Subject)?,
            epoch,
            validity: Validity::new(not_before, not_after).map_err(|_| MalformedCertificate::Validity)?,
            root: RootPublic::from_bytes(&root).map_err(|_| MalformedCertificate::Root)?,
            signature,
        })
    }

    fn to_bytes(self) -> [u8; CERTIFICATE_LEN] {
        let mut out = [0; CERTIFICATE_LEN];
        out[..SIGNED_LEN].copy_from_slice(&self.signed_bytes());
        out[SIGNED_LEN..].copy_from_slice(&self.signature);
        out
    }

    /// All but the signature.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SIGNED_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, self.role.to_byte()]);
        out.extend_from_slice(self.subject.as_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.validity.not_before().to_be_bytes());
        out.extend_from_slice(&self.validity.not_after().to_be_bytes());
        out.extend_from_slice(self.root.as_bytes());
        out
    }

    /// What is signed: no other kind of message starts like this.
    fn message(&self) -> Vec<u8> {
        [DOMAIN, &self.signed_bytes()].concat()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fields")
            .field("role", &self.role)
            .field("subject", &self.subject)
            .field("epoch", &self.epoch)
            .field("validity", &self.validity)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.0).finish()
    }
}

impl fmt::Debug for UnverifiedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnverifiedCertificate").field(&self.0).finish()
    }
}
