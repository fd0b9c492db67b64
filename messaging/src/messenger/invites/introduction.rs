//! Introductions left in the queue of an invite: opened with the invite's key, then joined and checked.

use zeroize::Zeroizing;

use super::{InviteId, Invites, OwnKeyPackage, RefusalReason, Timestamp};
use crate::{
    card::{Card, UnverifiedCard},
    envelope::{Envelope, Hello},
    frame::Blob,
    ratchet::{Psk, Session},
};

/// An introduction that was left in the queue of an invite, opened with the invite's key. Whoever had the invite can have
/// written it: who they are is known only from what [`open`](Self::open) finds.
pub(in crate::messenger) struct Introduction {
    pub(in crate::messenger) hello: Hello,
    /// What to open the hello with.
    pub(in crate::messenger) package: OwnKeyPackage,
    psk: Psk,
    /// Whether anybody may still redeem the invite; otherwise it is the confirmed redeemer's alone.
    pub(in crate::messenger) is_open: bool,
}

/// An introduction whose group was joined, and whose card was verified and signs in that group.
pub(in crate::messenger) struct Opened {
    pub(in crate::messenger) session: Session,
    pub(in crate::messenger) card: Card,
    pub(in crate::messenger) card_bytes: Zeroizing<Vec<u8>>,
}

impl Introduction {
    /// Joins the group of the introduction, and verifies the card that is its first message: signed by a pod that the root in
    /// it certifies at `now` (seconds since 1970), with the key that signs in the group. Which root that is, the caller decides
    /// about.
    ///
    /// # Errors
    /// [`RefusalReason::Malformed`] if any of it does not hold.
    pub(in crate::messenger) fn open(&self, now: Timestamp) -> Result<Opened, RefusalReason> {
        self.try_open(now).ok_or(RefusalReason::Malformed)
    }

    fn try_open(&self, now: Timestamp) -> Option<Opened> {
        let mut session = Session::join(&self.package, &self.hello.welcome, &self.psk).ok()?;
        let card_bytes = session.open(None, &self.hello.message).ok()?;
        let card = UnverifiedCard::parse(&card_bytes).ok()?;
        let root = card.claimed_root();
        let card = card.verify(&root, now).ok()?;
        (card.leaf_key() == session.peer_leaf_key()).then_some(Opened { session, card, card_bytes })
    }
}

impl Invites {
    /// Opens a frame in the queue of an invite.
    ///
    /// # Errors
    /// The queue is not read any more, our key package for it is damaged, the frame was sealed without the invite, or it
    /// carries something else than an introduction.
    pub(in crate::messenger) fn read_introduction(
        &self,
        id: &InviteId,
        blob: &Blob,
    ) -> Result<Introduction, RefusalReason> {
        let record = self.records.get(id).filter(|record| record.is_read());
        let record = record.ok_or(RefusalReason::UnknownQueue)?;
        let package = OwnKeyPackage::from_bytes(&record.package).map_err(|_| RefusalReason::BadKeys)?;
        let invite = record.invite();
        let content = invite.hello_key().open(&record.queue.id(), blob).ok_or(RefusalReason::Foreign)?;
        match Envelope::parse(&content) {
            Ok(Envelope::Hello(hello)) => {
                let (psk, is_open) = (invite.mls_psk(), record.is_open());
                Ok(Introduction { hello, package, psk, is_open })
            }
            _ => Err(RefusalReason::Malformed),
        }
    }
}
