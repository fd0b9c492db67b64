//! How two people become contacts who may never be online together: one line of text from one to the other.
//!
//! ```text
//! inviter   opens a one-time queue at a place, leaves its key package there as a sealed notice, and hands over the invite
//! invited   redeems the notice, checks it against the hash in the invite, leaves a hello in the queue
//! inviter   collects the hello, sees who came, confirms, takes the notice away; closes the queue when both have talked
//! ```
//!
//! Whoever reads the line can come in its holder's stead: it travels by a way that both trust, once, and it ends.
//!
//! The secret is the pre-shared key, from which the keys of hello and notice and the key that enters the group are
//! derived. The place sees queue, capability and sealed blobs; without the line it can neither read who invites nor
//! answer in the inviter's stead.

use std::fmt;

use autonomy_codec::{Reader, TextKind, armour};
use rand_core::CryptoRngCore;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::frame::{Blob, QueueKey};
use crate::keys::derive_key;
use crate::place::{Capability, PLACE_LEN, Place, QueueAddress, QueueId};
use crate::ratchet::{MAX_KEY_PACKAGE, Psk};
use crate::wire::QueueNotice;
use crate::{RootPublic, TextError};

/// Bytes of every invite: version (1), flags (2), end (4), root (32), pre-shared key (32), hash of the key package (32),
/// place (64), queue (32), capability (32). As text 394 characters: a QR code of version 10 takes 395 of upper case.
pub const INVITE_LEN: usize = 1 + 2 + 4 + 3 * 32 + PLACE_LEN + 2 * 32;

const _: () = assert!(INVITE_LEN == 231 && armour::text_len(TextKind::Invite, INVITE_LEN) <= 395);

const VERSION: u8 = 1;
/// The end is counted in minutes: four bytes of them last for eight thousand years.
const MINUTE: u64 = 60;

/// An invitation to become a contact, for one person and one use. Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// Minutes since 1970.
    expires_minutes: u32,
    /// The inviter: pinned by whoever redeems it.
    root: RootPublic,
    psk: Zeroizing<[u8; 32]>,
    /// SHA-256 of the key package that waits, so that the place cannot give another.
    key_package: [u8; 32],
    address: QueueAddress,
}

/// Why a text is no invite, or none any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// The text is not one line of this kind.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A protocol this program does not know.
    #[error("invites of version {0} are not known here: a newer program wrote it, update this one")]
    Version(u8),
    /// It asks for something this program does not know.
    /// Refused, never passed over: a flag may stand for a rule that protects somebody.
    #[error(
        "the invite asks for what is not known here ({0:#06x}): a newer program wrote it, update this one"
    )]
    Flags(u16),
    /// Another length, or a key in it is none.
    #[error("the invite is malformed: its length or a key is wrong")]
    Field,
    /// It is over.
    #[error("the invite ended at {expired}, it is {now} (seconds since 1970): ask for a new one")]
    Expired {
        /// When it ended.
        expired: u64,
        /// The time here.
        now: u64,
    },
}

/// Why a key package is not the invite's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// It does not open: the place gave something else.
    /// Worth another try where the place is honest: the inviter may have moved the invite.
    #[error("the place holds something else than what the invite speaks of")]
    NotTheInvites,
    /// Its hash is not the one in the invite.
    #[error("the key package is not the one that the invite speaks of")]
    WrongKeyPackage,
}

impl Invite {
    /// Invites somebody to the person of `root`, until `expires` (seconds since 1970; counted up to the next minute).
    /// `psk` is drawn for this invite alone, `key_package` is the SHA-256 of the encoded MLS KeyPackage, and `address`
    /// is a queue for this invite alone.
    #[must_use]
    pub fn new(
        expires: u64,
        root: RootPublic,
        psk: [u8; 32],
        key_package: [u8; 32],
        address: QueueAddress,
    ) -> Self {
        let expires_minutes = u32::try_from(expires.div_ceil(MINUTE)).unwrap_or(u32::MAX);
        Self { expires_minutes, root, psk: Zeroizing::new(psk), key_package, address }
    }

    /// The same invite without its pre-shared key: it says whose and when it was, and opens nothing.
    #[must_use]
    pub fn without_secret(&self) -> Self {
        Self { psk: Zeroizing::new([0; 32]), ..self.clone() }
    }

    /// Its last second.
    #[must_use]
    pub fn expires(&self) -> u64 {
        u64::from(self.expires_minutes) * MINUTE
    }

    /// Whose contact one becomes.
    #[must_use]
    pub fn root(&self) -> RootPublic {
        self.root
    }

    /// SHA-256 of the key package that waits in the notice.
    #[must_use]
    pub fn key_package_hash(&self) -> &[u8; 32] {
        &self.key_package
    }

    /// The queue for the hello, with the notice.
    #[must_use]
    pub fn address(&self) -> &QueueAddress {
        &self.address
    }

    /// Whether it may still be used at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`InviteError::Expired`] after its last second.
    pub fn check(&self, now: u64) -> Result<(), InviteError> {
        let expired = self.expires();
        if now > expired {
            return Err(InviteError::Expired { expired, now });
        }
        Ok(())
    }

    /// Seals and opens the hello in the invite's queue.
    #[must_use]
    pub fn hello_key(&self) -> QueueKey {
        QueueKey::from_bytes(*self.derive("hello"))
    }

    /// Seals and opens the notice of the invite's queue.
    #[must_use]
    pub fn notice_key(&self) -> QueueKey {
        QueueKey::from_bytes(*self.derive("notice"))
    }

    /// What enters the session's first commit.
    #[must_use]
    pub fn mls_psk(&self) -> Psk {
        Psk::from_bytes(&self.derive("mls psk"))
    }

    /// Seals the key package for the invite's queue. All notices have one size.
    ///
    /// # Errors
    /// [`NoticeError::WrongKeyPackage`] if it is not the one whose hash is in the invite.
    pub fn seal_notice(
        &self,
        key_package: &[u8],
        rng: &mut dyn CryptoRngCore,
    ) -> Result<QueueNotice, NoticeError> {
        self.check_key_package(key_package)?;
        let blob = self.notice_key().seal(&self.address.queue, key_package, rng);
        let blob = blob.map_err(|_| NoticeError::WrongKeyPackage)?;
        QueueNotice::new(blob.as_bytes().to_vec()).ok_or(NoticeError::WrongKeyPackage)
    }

    /// Opens what the place gave, and checks that it is the key package whose hash is in the invite.
    ///
    /// # Errors
    /// [`NoticeError::NotTheInvites`] if it was not sealed with this invite's key for its queue,
    /// [`NoticeError::WrongKeyPackage`] if what is in it has another hash.
    pub fn open_notice(&self, notice: &QueueNotice) -> Result<Vec<u8>, NoticeError> {
        let blob = Blob::from_slice(notice.as_bytes()).ok_or(NoticeError::NotTheInvites)?;
        let opened = self.notice_key().open(&self.address.queue, &blob).ok_or(NoticeError::NotTheInvites)?;
        self.check_key_package(&opened)?;
        Ok(opened.to_vec())
    }

    /// The hash is compared before anything is parsed.
    fn check_key_package(&self, bytes: &[u8]) -> Result<(), NoticeError> {
        let fits = bytes.len() <= MAX_KEY_PACKAGE && Sha256::digest(bytes)[..] == self.key_package;
        fits.then_some(()).ok_or(NoticeError::WrongKeyPackage)
    }

    /// The line that is handed over; in upper case it fits the alphanumeric mode of a QR code.
    #[must_use]
    pub fn to_text(&self) -> String {
        armour::encode(TextKind::Invite, &self.to_bytes())
    }

    /// Reads the line. Whether it has ended, [`check`](Self::check) says.
    ///
    /// # Errors
    /// [`InviteError::Text`] if it is not one line of this kind, otherwise as [`from_bytes`](Self::from_bytes).
    pub fn from_text(text: &str) -> Result<Self, InviteError> {
        Self::from_bytes(&armour::decode(TextKind::Invite, text, INVITE_LEN)?)
    }

    /// The canonical bytes, to be stored; secret.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(INVITE_LEN));
        out.push(VERSION);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.expires_minutes.to_be_bytes());
        out.extend_from_slice(self.root.as_bytes());
        out.extend_from_slice(self.psk.as_slice());
        out.extend_from_slice(&self.key_package);
        out.extend_from_slice(&self.address.place.to_bytes());
        out.extend_from_slice(self.address.queue.as_bytes());
        out.extend_from_slice(self.address.deposit.as_bytes());
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else: what is not known is refused, never passed over.
    ///
    /// # Errors
    /// [`InviteError`] says whether it is the version, a flag, or a field. A key that is not usable is a field.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InviteError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8().ok_or(InviteError::Field)?;
        if version != VERSION {
            return Err(InviteError::Version(version));
        }
        let flags = reader.u16().ok_or(InviteError::Field)?;
        if flags != 0 {
            return Err(InviteError::Flags(flags));
        }
        Self::read(&mut reader).filter(|_| reader.is_empty()).ok_or(InviteError::Field)
    }

    /// The fields behind version and flags.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            expires_minutes: reader.u32()?,
            root: RootPublic::from_bytes(&reader.array()?).ok()?,
            psk: Zeroizing::new(reader.array()?),
            key_package: reader.array()?,
            address: QueueAddress {
                place: Place::from_bytes(&reader.array()?)?,
                queue: QueueId::from_bytes(reader.array()?),
                deposit: Capability::from_bytes(reader.array()?),
            },
        })
    }

    /// HKDF-SHA256(salt "autonomy invite v1", pre-shared key, label): none of the keys tells of another.
    fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        derive_key(b"autonomy invite v1", &self.psk, &[label.as_bytes()])
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite")
            .field("expires", &self.expires())
            .field("root", &self.root)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
