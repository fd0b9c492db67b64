//! Messages that travel without a network: everything that waits for a contact, sealed as for a place, to be handed over
//! as a file or shown as codes; and the same taken in.
//!
//! A parcel goes beside the network and changes nothing there: what is in it is still sent until its receipt comes, by
//! whichever way. It is made anew each time it is asked for.

use super::{
    ContactId, ContactState, InviteId, MailAnswer, RefusalReason, RefusedBecause,
    answer::Imported,
    context::CommandResult,
    deliver::ItemKey,
    network::QueueOwner,
    redemption::{JoinStep, Joining},
    turn::Turn,
};
use crate::{
    SHIPMENT_BYTES, Window,
    carrier::{MAX_BLOBS, Parcel, ParcelEntry},
    courier::ITEM_BYTES,
    frame::{Blob, DepositId},
    invite::Invite,
    packet::{Item, MAX_ITEMS},
    place::QueueId,
    wire::QueueNotice,
};

impl Turn<'_> {
    /// Everything that a contact waits for, as a parcel.
    pub(super) fn export_parcel(&mut self, id: ContactId) -> CommandResult {
        let contact = self.contact(id)?;
        let entries = match contact.record.state {
            ContactState::Active if contact.record.pending_reset.is_some() => {
                self.pack_reset(id).into_iter().collect()
            }
            ContactState::Active => self.pack_messages(id),
            ContactState::Joining => self.pack_hello(id)?,
            ContactState::Asking => return Err(conflict("confirm this contact first")),
            ContactState::Blocked => return Err(conflict("this contact is blocked; unblock it first")),
            ContactState::Known => {
                return Err(conflict("this person is known only by a card; invite them first"));
            }
        };
        parcel(entries)
    }

    /// What waits at the place of an invite, for somebody who cannot reach it.
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

    fn pack_reset(&mut self, id: ContactId) -> Option<ParcelEntry> {
        let content = self.signed_reset(id)?;
        self.pack(id, &content)
    }

    /// Packets with all that is unacknowledged; one with the receipts alone if nothing is.
    fn pack_messages(&mut self, id: ContactId) -> Vec<ParcelEntry> {
        let mut entries = Vec::new();
        for keys in self.bundles(id) {
            if entries.len() == MAX_BLOBS {
                break;
            }
            let items: Vec<Item> = keys.into_iter().filter_map(|key| self.item(id, key)).collect();
            let content = self.seal_packet(id, items);
            entries.extend(content.and_then(|content| self.pack(id, &content)));
        }
        entries
    }

    /// What waits, as much together as one frame takes.
    fn bundles(&self, id: ContactId) -> Vec<Vec<ItemKey>> {
        let mut bundles = vec![Vec::new()];
        let mut room = SHIPMENT_BYTES;
        for item in self.messenger.contacts.get(&id).map(super::contact::Contact::pending).unwrap_or_default()
        {
            let len = item.len + ITEM_BYTES;
            let last = bundles.last_mut().expect("there is one from the start");
            if len <= room && last.len() < MAX_ITEMS {
                last.push(item.key);
                room -= len;
            } else {
                bundles.push(vec![item.key]);
                room = SHIPMENT_BYTES.saturating_sub(len);
            }
        }
        bundles
    }

    /// Seals an envelope for the first of the contact's places: their own pod, if they have one.
    fn pack(&mut self, id: ContactId, content: &[u8]) -> Option<ParcelEntry> {
        let contact = self.messenger.contacts.get(&id)?;
        let queue = contact.address(0)?.queue;
        let blob = contact.record.keys.as_ref()?.seals().seal(&queue, content, self.cx.rng).ok()?;
        Some(ParcelEntry { queue, deposit: DepositId::generate(self.cx.rng), blob })
    }

    /// Our introduction. From now on it may be with the inviter.
    fn pack_hello(&mut self, id: ContactId) -> Result<Vec<ParcelEntry>, RefusedBecause> {
        if let Some((invite, JoinStep::Queues(package, _))) = self.joining(id) {
            self.introduce(id, &invite, &package);
        }
        let (invite, step) = self.joining(id).ok_or(RefusedBecause::Unknown("contact"))?;
        let hello = match step {
            JoinStep::Leave(hello) => {
                self.join_step(id, JoinStep::Left(hello.clone(), self.now));
                hello
            }
            JoinStep::Left(hello, _) => hello,
            JoinStep::Redeem | JoinStep::Queues(..) => {
                return Err(conflict(
                    "the inviter's key package is not here yet: reach the invite's place, or import a parcel \
                     of the invite",
                ));
            }
        };
        let queue = invite.address().queue;
        let blob = invite.hello_key().seal(&queue, &hello, self.cx.rng).ok();
        let entry = blob.map(|blob| ParcelEntry { queue, deposit: DepositId::generate(self.cx.rng), blob });
        Ok(entry.into_iter().collect())
    }

    fn joining(&self, id: ContactId) -> Option<(Invite, JoinStep)> {
        let Joining { invite, step } = self.messenger.contacts.get(&id)?.record.joining.as_ref()?;
        Some((Invite::from_bytes(invite).ok()?, step.clone()))
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

    fn unpack(&mut self, entry: &ParcelEntry) -> Arrived {
        if let Some(id) = self.waits_for_notice(&entry.queue) {
            let notice = QueueNotice::new(entry.blob.as_bytes().to_vec());
            let taken = notice.is_some_and(|notice| self.notice_arrived(id, &notice));
            if !taken {
                self.cx.refuse(RefusalReason::Foreign);
            }
            return if taken { Arrived::New } else { Arrived::Refused };
        }
        let before = (self.cx.refused, self.window_of(&entry.queue));
        self.frame(entry.queue, &entry.blob);
        let after = (self.cx.refused, self.window_of(&entry.queue));
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
        let waits = |id: &ContactId| {
            let (invite, step) = self.joining(*id)?;
            Some(step == JoinStep::Redeem && invite.address().queue == *queue)
        };
        self.messenger.contacts.keys().find(|id| waits(id) == Some(true)).copied()
    }

    /// What has arrived of the contact whose queue this is, and in which group.
    fn window_of(&self, queue: &QueueId) -> Option<([u8; 16], Window)> {
        let QueueOwner::Contact(id) = self.messenger.network.owner_of(queue)? else { return None };
        let inbox = &self.messenger.contacts.get(&id)?.inbox;
        Some((inbox.incarnation(), *inbox.receipt()))
    }
}

enum Arrived {
    New,
    Again,
    Refused,
}

fn parcel(entries: Vec<ParcelEntry>) -> CommandResult {
    let parcel =
        Parcel::new(entries).map_err(|_| conflict("there is nothing that can be sealed for them"))?;
    Ok(MailAnswer::Parcel(parcel.to_bytes()))
}

fn conflict(why: &str) -> RefusedBecause {
    RefusedBecause::Conflict(why.to_owned())
}
