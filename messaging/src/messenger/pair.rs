//! What two pods have in common from their first group on, but for the group itself.
//!
//! A [`Pair`] outlives every MLS group between the two: it is in backups, groups are not. From it and the contact's card a
//! new group can be made (a *reset*) by either side at any time, and the outer seal of frames keeps its keys meanwhile, so
//! that frames left before a reset still open afterwards.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    Certificate, RoleKind, RootPublic, UnverifiedCertificate,
    envelope::VerifiedReset,
    frame::QueueKey,
    ratchet::{KeyPackageError, OwnKeyPackage, Psk, Session},
};

/// Resets of a contact that are remembered: it makes one when its pod was restored from a backup, so these are years.
const MAX_RESETS: usize = 16;

/// Who made the first group of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The redeemer of the invite.
    Creator,
    /// The inviter.
    Joiner,
}

/// What two pods have in common from their first group on. It is in backups.
///
/// The generation only grows, and a generation that had an effect is never taken again: a replayed reset changes nothing.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Pair {
    /// Own key package for this contact, with its private parts.
    own_package: Vec<u8>,
    keys: PairKeys,
    /// The newest generation of the group that was accepted or made.
    generation: u64,
    /// The certificate of their pod in the newest reset; the one in their card may be newer. None if there was none.
    #[zeroize(skip)]
    #[serde(with = "certificate_bytes")]
    certificate: Option<Box<UnverifiedCertificate>>,
    /// Generations of their resets that had an effect, the highest [`MAX_RESETS`], in order: a replay has none.
    resets: Vec<u64>,
}

/// Keys that last as long as the contact: they come from the first group. Each side seals with a key of its own, so no two
/// frames of different directions are ever sealed with one key.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct PairKeys {
    /// Opens their frames.
    seal_in: [u8; 32],
    /// Seals ours.
    seal_out: [u8; 32],
    /// The pre-shared key of every later group: whoever does not have it can neither begin nor join one.
    reset_psk: [u8; 32],
}

impl Pair {
    /// From the first group, begun with this key package of our own.
    pub(super) fn new(own_package: &OwnKeyPackage, keys: PairKeys) -> Self {
        let own_package = own_package.to_bytes().to_vec();
        Self { own_package, keys, generation: 0, certificate: None, resets: Vec::new() }
    }

    /// Our key package for this contact.
    ///
    /// # Errors
    /// The row is damaged: no group can be loaded or made with this contact.
    pub(super) fn own_package(&self) -> Result<OwnKeyPackage, KeyPackageError> {
        OwnKeyPackage::from_bytes(&self.own_package)
    }

    /// Takes another key package of our own into use. The group that was begun with the one before cannot be loaded any
    /// more: drop it first.
    pub(super) fn replace_own_package(&mut self, own_package: &OwnKeyPackage) {
        self.own_package.zeroize();
        self.own_package = own_package.to_bytes().to_vec();
    }

    /// Takes the keys of a newer first group into use. Frames sealed with those before do not open any more.
    pub(super) fn replace_keys(&mut self, keys: PairKeys) {
        self.keys = keys;
    }

    /// Opens the frames that they leave for us.
    pub(super) fn opens(&self) -> QueueKey {
        QueueKey::from_bytes(self.keys.seal_in)
    }

    /// Seals the frames that we leave for them.
    pub(super) fn seals(&self) -> QueueKey {
        QueueKey::from_bytes(self.keys.seal_out)
    }

    /// The pre-shared key of a new group.
    pub(super) fn reset_psk(&self) -> Psk {
        Psk::from_bytes(&self.keys.reset_psk)
    }

    /// The newest generation of the group that was accepted or made; 0 for the first group.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// A reset of ours begins this generation. One that is not newer leaves the generation as it is.
    pub(super) fn begin_generation(&mut self, generation: u64) {
        self.generation = self.generation.max(generation);
    }

    /// A reset of theirs had an effect: its generation, and the certificate that came with it.
    pub(super) fn take_reset(&mut self, reset: &VerifiedReset) {
        self.begin_generation(reset.generation);
        self.note_reset(reset.generation);
        self.certificate = Some(Box::new(reset.certificate.into()));
    }

    /// The certificate of their pod in the newest reset, if it is of this root: what another root signed counts for nothing.
    pub(super) fn certificate(&self, root: &RootPublic) -> Option<Certificate> {
        self.certificate.as_ref().and_then(|it| it.verify_kept(root, RoleKind::Pod).ok())
    }

    /// Whether a reset of theirs of this generation had an effect. One older than all that are remembered counts as such: who
    /// kept many could repeat them in turn, each when it is forgotten.
    pub(super) fn knows_reset(&self, generation: u64) -> bool {
        let is_full = self.resets.len() >= MAX_RESETS;
        self.resets.contains(&generation) || is_full && self.resets.iter().all(|known| generation < *known)
    }

    /// A reset of theirs had an effect, if only that we answered it with one of our own.
    pub(super) fn note_reset(&mut self, generation: u64) {
        self.resets.push(generation);
        self.resets.sort_unstable();
        let surplus = self.resets.len().saturating_sub(MAX_RESETS);
        self.resets.drain(..surplus);
    }
}

impl PairKeys {
    /// The lasting keys of a pair, from its first group: exported secrets of that group (RFC 9420, section 8.5), one for each
    /// direction and one for resets. Both sides get the same, with the directions exchanged.
    pub(super) fn of(session: &Session, side: Side) -> Self {
        let (by_creator, by_joiner) = (session.export("seal by creator"), session.export("seal by joiner"));
        let (seal_in, seal_out) = match side {
            Side::Creator => (by_joiner, by_creator),
            Side::Joiner => (by_creator, by_joiner),
        };
        Self { seal_in: *seal_in, seal_out: *seal_out, reset_psk: *session.export("reset") }
    }
}

/// A certificate within a row, as its bytes; none as no bytes. Bytes that are no certificate make the row unreadable.
mod certificate_bytes {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::UnverifiedCertificate;

    pub(crate) fn serialize<S: Serializer>(
        certificate: &Option<Box<UnverifiedCertificate>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        certificate.as_ref().map_or_else(Vec::new, |it| it.to_bytes().to_vec()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Box<UnverifiedCertificate>>, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let read = (!bytes.is_empty()).then(|| UnverifiedCertificate::parse(&bytes).map(Box::new));
        read.transpose().map_err(D::Error::custom)
    }
}
