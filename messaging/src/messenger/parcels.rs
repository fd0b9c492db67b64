//! Messages that travel without a network: everything that waits for a contact, sealed as for a place, to be handed over
//! as a file or shown as codes; and the same taken in.
//!
//! A parcel goes beside the network and changes nothing there: what is in it is still sent until its receipt comes, by
//! whichever way. It is made anew each time it is asked for.

use super::{
    answer::{MailAnswer, RefusedBecause},
    contact_turn::ContactTurn,
    context::CommandResult,
    item_key::ItemKey,
    refusals::RefusalReason,
    stage::JoinStep,
    states::ContactState,
};
use crate::{
    SHIPMENT_BYTES,
    carrier::{MAX_BLOBS, Parcel, ParcelEntry},
    courier::ITEM_BYTES,
    frame::DepositId,
    packet::{Item, MAX_ITEMS},
};

impl ContactTurn<'_, '_> {
    /// Everything that a contact waits for, as a parcel.
    ///
    /// # Errors
    /// [`RefusedBecause::Conflict`] in a stage in which nothing can be sealed for them, or where nothing is.
    pub(super) fn export_parcel(&mut self) -> CommandResult {
        let contact = &mut *self.contact;
        let entries = match contact.record().state() {
            ContactState::Active if contact.record().pending_reset().is_some() => {
                self.pack_reset().into_iter().collect()
            }
            ContactState::Active => self.pack_messages(),
            ContactState::Joining => self.pack_hello()?,
            ContactState::Asking => return Err(conflict("confirm this contact first")),
            ContactState::Blocked => return Err(conflict("this contact is blocked; unblock it first")),
            ContactState::Known => {
                return Err(conflict("this person is known only by a card; invite them first"));
            }
        };
        parcel(entries)
    }

    /// The reset that waits to be answered, as one entry.
    fn pack_reset(&mut self) -> Option<ParcelEntry> {
        let content = self.signed_reset()?;
        self.pack(&content)
    }

    /// Packets with all that is unacknowledged; one with the receipts alone if nothing is.
    fn pack_messages(&mut self) -> Vec<ParcelEntry> {
        let mut entries = Vec::new();
        for keys in self.bundles() {
            if entries.len() == MAX_BLOBS {
                break;
            }
            let items: Vec<Item> = keys.into_iter().filter_map(|key| self.item(key)).collect();
            let content = self.seal_packet(items);
            match content.and_then(|content| self.pack(&content)) {
                Some(entry) => entries.push(entry),
                None => self.cx.refuse(RefusalReason::NotSent),
            }
        }
        entries
    }

    /// What waits, as much together as one frame takes.
    fn bundles(&self) -> Vec<Vec<ItemKey>> {
        let (mut bundles, mut last) = (Vec::new(), Vec::new());
        let mut room = SHIPMENT_BYTES;
        for item in self.contact.pending() {
            let len = item.len + ITEM_BYTES;
            if len > room || last.len() >= MAX_ITEMS {
                bundles.push(std::mem::take(&mut last));
                room = SHIPMENT_BYTES;
            }
            last.push(item.key);
            room = room.saturating_sub(len);
        }
        bundles.push(last);
        bundles
    }

    /// Seals an envelope for the first of the contact's places: their own pod, if they have one.
    fn pack(&mut self, content: &[u8]) -> Option<ParcelEntry> {
        let contact = &*self.contact;
        let queue = contact.address(0)?.queue;
        let blob = contact.record().pair()?.seals().seal(&queue, content, self.cx.rng).ok()?;
        Some(ParcelEntry { queue, deposit: DepositId::generate(self.cx.rng), blob })
    }

    /// Our introduction. From now on it may be with the inviter.
    ///
    /// # Errors
    /// [`RefusedBecause::Conflict`] where the inviter's key package is not here yet.
    fn pack_hello(&mut self) -> Result<Vec<ParcelEntry>, RefusedBecause> {
        let invite = self.contact.redeemed_invite().ok_or_else(|| conflict("no invite is being redeemed"))?;
        let package = self.contact.record().joining().and_then(|joining| match &joining.step {
            JoinStep::Queues(package, _) => Some(package.clone()),
            JoinStep::Redeem | JoinStep::Introduced(_) => None,
        });
        if let Some(package) = package {
            self.introduce(&invite, &package);
        }
        let hello = self.carried_hello().ok_or_else(|| {
            conflict(
                "the inviter's key package is not here yet: reach the invite's place, or import a parcel of the \
                 invite",
            )
        })?;
        let queue = invite.address().queue;
        let blob = invite.hello_key().seal(&queue, &hello, self.cx.rng).ok();
        let entry = blob.map(|blob| ParcelEntry { queue, deposit: DepositId::generate(self.cx.rng), blob });
        Ok(entry.into_iter().collect())
    }
}

/// An answer with these entries.
/// # Errors
/// [`RefusedBecause::Conflict`] without any.
pub(super) fn parcel(entries: Vec<ParcelEntry>) -> CommandResult {
    let parcel =
        Parcel::new(entries).map_err(|_| conflict("there is nothing that can be sealed for them"))?;
    Ok(MailAnswer::Parcel(parcel.to_bytes()))
}

/// Something is not so that the command can be carried out.
pub(super) fn conflict(why: &str) -> RefusedBecause {
    RefusedBecause::Conflict(why.to_owned())
}
