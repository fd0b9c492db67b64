//! One entry of a conversation: how it is kept, and what people see of it; and messages put together from parts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{
    messenger::{
        answer::EntryView,
        context::Context,
        ids::ContactId,
        refusals::RefusalReason,
        row::{Kept, Key, MailRow, unpack},
        states::{Direction, EntryState, Timestamp},
    },
    payload::{Payload, PayloadRange},
};

/// One entry of a conversation, as it is kept.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::messenger) struct Entry {
    /// Who said it.
    pub(super) direction: Direction,
    /// When it was said or arrived, by our clock.
    pub(super) at: Timestamp,
    /// How it stands.
    pub(super) state: EntryState,
    /// The encoded [`Payload`].
    pub(super) payload: Vec<u8>,
}

impl Kept for Entry {}

impl Entry {
    /// What people see of it: none where it is none of theirs. A payload of a session is shown only where no session took
    /// it in: then a newer program of the contact sent it.
    pub(super) fn shown(&self) -> Option<Payload> {
        let payload = Payload::parse(&self.payload).ok()?;
        let is_shown = match payload.range() {
            PayloadRange::Conversation => true,
            PayloadRange::Control => false,
            PayloadRange::Application => self.direction == Direction::Incoming,
        };
        is_shown.then_some(payload)
    }

    /// The entry as its owner sees it; none where it is none of theirs.
    pub(super) fn view(&self, number: u64) -> Option<EntryView> {
        let payload = self.shown()?;
        Some(EntryView { number, direction: self.direction, at: self.at, state: self.state, payload })
    }
}

impl MailRow {
    /// The entry of a conversation that this row writes, and whose; none for any other row. What an owner is shown
    /// changes by these and nothing else.
    #[must_use]
    pub fn entry(&self) -> Option<(ContactId, EntryView)> {
        let Key::Entry(contact, number) = Key::parse(&self.key)? else { return None };
        let entry: Entry = unpack(self.value.as_ref()?).ok()?;
        Some((contact, entry.view(number)?))
    }
}

/// The bytes of a part, from the entry of its message.
/// None if the entry is gone, or shorter than the outbox says.
pub(super) fn read_part(cx: &Context<'_>, id: ContactId, part: &crate::PartRef) -> Option<Vec<u8>> {
    let entry = cx.read::<Entry>(Key::Entry(id, part.log))?;
    let from = part.offset as usize;
    Some(entry.payload.get(from..from + part.len as usize)?.to_vec())
}

/// The bytes of a message from its parts, the last of which may be in hand.
///
/// None, and counted, if the row of a part is lost: the message cannot be shown.
pub(super) fn assemble(
    cx: &mut Context<'_>,
    id: ContactId,
    seqs: &Range<u64>,
    in_hand: Option<&(u64, Vec<u8>)>,
) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    for seq in seqs.clone() {
        match in_hand.filter(|(number, _)| *number == seq) {
            Some((_, bytes)) => message.extend_from_slice(bytes),
            None => match cx.read::<Vec<u8>>(Key::Part(id, seq)) {
                Some(bytes) => message.extend_from_slice(&bytes),
                None => {
                    cx.refuse(RefusalReason::LostRow);
                    return None;
                }
            },
        }
    }
    Some(message)
}
