//! Parcels that were carried here, and those of invites: each blob is taken as if it had been collected.

use super::{
    answer::{Imported, MailAnswer, RefusedBecause},
    contact::Contact,
    context::CommandResult,
    ids::{ContactId, InviteId},
    network::QueueOwner,
    parcels::{conflict, parcel},
    refusals::RefusalReason,
    stage::JoinStep,
    turn::Turn,
};
use crate::{
    Window,
    carrier::{Parcel, ParcelEntry},
    frame::{Blob, DepositId},
    part::Numbering,
    place::QueueId,
    wire::QueueNotice,
};

impl Turn<'_> {
    /// What waits at the place of an invite, for somebody who cannot reach it.
    ///
    /// # Errors
    /// [`RefusedBecause::Unknown`], or [`RefusedBecause::Conflict`] where it can be redeemed no more.
    pub(super) fn export_invite(&mut self, id: InviteId) -> CommandResult {
        if !self.messenger.invites.is_open(&id).ok_or(RefusedBecause::Unknown("invite"))? {
            return Err(conflict("this invite can be redeemed no more; make another"));
        }
        let queue = self.messenger.invites.queue(&id).ok_or(RefusedBecause::Unknown("invite"))?.id();
        let blob = self
            .messenger
            .invites
            .notice_of(&mut self.cx, id)
            .and_then(|notice| Blob::from_slice(notice.as_bytes()));
        let entry = blob.map(|blob| ParcelEntry { queue, deposit: DepositId::generate(self.cx.rng), blob });
        parcel(entry.into_iter().collect())
    }

    /// Takes in what somebody carried here. Each blob is taken as if it had been collected.
    pub(super) fn import_parcel(&mut self, parcel: &Parcel) -> CommandResult {
        let mut imported = Imported::default();
        for entry in parcel.entries() {
            let count = match self.unpack(entry) {
                Arrived::New => &mut imported.opened,
                Arrived::Again => &mut imported.repeats,
                Arrived::Refused => &mut imported.refused,
            };
            *count += 1;
        }
        Ok(MailAnswer::Imported(imported))
    }

    /// Takes one blob of a parcel. What became of it follows from what was counted and what has arrived.
    fn unpack(&mut self, entry: &ParcelEntry) -> Arrived {
        if let Some(id) = self.waits_for_notice(&entry.queue) {
            let notice = QueueNotice::new(entry.blob.as_bytes().to_vec());
            let taken = notice.and_then(|notice| self.with(id, |it| it.notice_arrived(&notice)));
            let taken = taken == Some(true);
            if !taken {
                self.cx.refuse(RefusalReason::Foreign);
            }
            return if taken { Arrived::New } else { Arrived::Refused };
        }
        let before = (self.cx.refused(), self.window_of(&entry.queue));
        self.frame(entry.queue, &entry.blob);
        let after = (self.cx.refused(), self.window_of(&entry.queue));
        if before.1 != after.1 || before.0 == after.0 {
            Arrived::New
        } else if after.0.only_repeats_since(&before.0) {
            Arrived::Again
        } else {
            Arrived::Refused
        }
    }

    /// Who redeems an invite with this queue and needs what lies there.
    fn waits_for_notice(&self, queue: &QueueId) -> Option<ContactId> {
        let waits = |contact: &Contact| {
            let waits = matches!(contact.record().joining()?.step, JoinStep::Redeem);
            Some(waits && contact.redeemed_invite()?.address().queue == *queue)
        };
        self.messenger.contacts.iter().find(|(_, contact)| waits(contact) == Some(true)).map(|(id, _)| *id)
    }

    /// What has arrived of the contact whose queue this is, and in which run of numbers.
    fn window_of(&self, queue: &QueueId) -> Option<(Numbering, Window)> {
        let QueueOwner::Contact(id) = self.messenger.network.owner_of(queue)? else { return None };
        Some(self.messenger.contacts.get(&id)?.conversation.receipt())
    }
}

/// What became of one blob.
enum Arrived {
    /// Something in it was not known.
    New,
    /// All in it was known already.
    Again,
    /// It is not for this pod, or cannot be opened.
    Refused,
}
