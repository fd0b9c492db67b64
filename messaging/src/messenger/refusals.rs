//! What came in, or was due, and changed nothing: counted by reason, so that an operator sees it.
//!
//! Most of what a pod gets from others is refused without an answer: that is what keeps hostile input cheap.
//! The counters are how an operator can still see it, so nothing may be dropped without one. A counter that grows
//! says where to look: many `foreign` frames mean that somebody knows a queue's address who should not; `lost_row`
//! and `damaged_row` mean the store.

use serde::{Deserialize, Serialize};

// Its word in the API is its `name`, which a test holds.
/// Why something changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RefusalReason {
    /// A frame for a queue that is not ours, or with another capability.
    ///
    /// Anybody may cause it who can reach the pod.
    UnknownQueue,
    /// A frame that was not sealed by the contact whose queue it is.
    ///
    /// Whoever has the address of a queue may cause it: a contact, or a thief of their card.
    Foreign,
    /// Sealed right and badly made inside.
    ///
    /// Only the contact (or who had the invite) can cause it: their program, or they, break the rules.
    Malformed,
    /// Seen before.
    ///
    /// Normal: several relays get copies, and an answer may be lost.
    #[serde(rename = "repeats")]
    Repeat,
    /// For keys that are gone or not there yet.
    ///
    /// A few after a reset are normal; if it goes on, a new group is made.
    Unreadable,
    /// A receipt for what was never sent.
    ///
    /// The contact breaks the rules, or our state is older than what we sent.
    #[serde(rename = "forged_receipts")]
    ForgedReceipt,
    /// Something came for a contact that is gone by now.
    ///
    /// Normal for a moment after a removal.
    NoContact,
    /// Something came for an invite that is gone by now.
    ///
    /// Normal for a moment after its end.
    NoInvite,
    /// No new group could be made with a contact: their card or our keys for them are missing or damaged.
    NoGroup,
    /// Something was due and could not be sealed: the group, the card or the keys are missing.
    NotSent,
    /// Something of our own could not be queued: too much waits for the contact.
    OutboxFull,
    /// Somebody asks to become a contact, and there is no room for another.
    NoRoom,
    /// A row that should be there is missing: an entry, or a part of a message.
    LostRow,
    /// A stored key package cannot be used: the rows are damaged.
    BadKeys,
    /// A long payload of a session that no session here takes, or for which there was no room.
    #[serde(rename = "declined_payloads")]
    DeclinedPayload,
    /// Something came in before the pod has an owner: there is nobody that it could be for.
    NoOwner,
    /// A later event made it void: the outcome of a call that nothing depends on any more, a reset that loses against one of
    /// ours, the end of a file that has ended.
    Superseded,
    /// A part or chunk too far ahead of what has arrived: it is not kept, and its sender sends it again.
    TooFar,
    /// A chunk of a file that was not offered. Its offer may be late; where none comes, the sender is asked to stop.
    #[serde(rename = "unoffered_chunks")]
    Unoffered,
    /// A row is there and cannot be read: the store, or the program that wrote it, is at fault.
    DamagedRow,
    /// A part or chunk for which there is no room: the conversation is full of entries that were not read, or the disk is
    /// nearly full. It is not kept, and its sender sends it again.
    #[serde(rename = "full_stores")]
    Full,
    /// A frame of a contact who is blocked. It was answered like any other, so that they do not learn of it, and dropped.
    Blocked,
}

impl RefusalReason {
    /// All reasons, in the order of their names on a status page.
    pub const ALL: [Self; 22] = [
        Self::UnknownQueue,
        Self::Foreign,
        Self::Malformed,
        Self::Repeat,
        Self::Unreadable,
        Self::ForgedReceipt,
        Self::NoContact,
        Self::NoInvite,
        Self::NoGroup,
        Self::NotSent,
        Self::OutboxFull,
        Self::NoRoom,
        Self::LostRow,
        Self::BadKeys,
        Self::DeclinedPayload,
        Self::NoOwner,
        Self::Superseded,
        Self::TooFar,
        Self::Unoffered,
        Self::DamagedRow,
        Self::Full,
        Self::Blocked,
    ];

    /// A name for status pages and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownQueue => "unknown_queue",
            Self::Foreign => "foreign",
            Self::Malformed => "malformed",
            Self::Repeat => "repeats",
            Self::Unreadable => "unreadable",
            Self::ForgedReceipt => "forged_receipts",
            Self::NoContact => "no_contact",
            Self::NoInvite => "no_invite",
            Self::NoGroup => "no_group",
            Self::NotSent => "not_sent",
            Self::OutboxFull => "outbox_full",
            Self::NoRoom => "no_room",
            Self::LostRow => "lost_row",
            Self::BadKeys => "bad_keys",
            Self::DeclinedPayload => "declined_payloads",
            Self::NoOwner => "no_owner",
            Self::Superseded => "superseded",
            Self::TooFar => "too_far",
            Self::Unoffered => "unoffered_chunks",
            Self::DamagedRow => "damaged_row",
            Self::Full => "full_stores",
            Self::Blocked => "blocked",
        }
    }
}

/// How often each reason occurred since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefusalCounts([u64; RefusalReason::ALL.len()]);

impl RefusalCounts {
    /// How often this reason occurred.
    #[must_use]
    pub fn of(&self, reason: RefusalReason) -> u64 {
        self.0[reason as usize]
    }

    /// All reasons with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (RefusalReason, u64)> + '_ {
        RefusalReason::ALL.into_iter().map(|reason| (reason, self.of(reason)))
    }

    /// One more of this reason.
    pub(super) fn count(&mut self, reason: RefusalReason) {
        self.0[reason as usize] += 1;
    }

    /// Adds those of a turn.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }

    /// Whether this differs from `before` in nothing but repeats.
    ///
    /// By this a parcel is recognised that holds nothing new.
    pub(super) fn only_repeats_since(mut self, before: &Self) -> bool {
        self.0[RefusalReason::Repeat as usize] = before.of(RefusalReason::Repeat);
        self == *before
    }
}

const _: () = {
    // `of` and `count` index by discriminant.
    let mut n = 0;
    while n < RefusalReason::ALL.len() {
        assert!(RefusalReason::ALL[n] as usize == n);
        n += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_and_a_count_of_its_own() {
        let names: std::collections::BTreeSet<&str> = RefusalReason::ALL.map(RefusalReason::name).into();
        assert_eq!(names.len(), RefusalReason::ALL.len());
        for reason in RefusalReason::ALL {
            let mut counts = RefusalCounts::default();
            counts.count(reason);
            assert!(counts.iter().all(|(other, count)| count == u64::from(other == reason)));
            let mut word = Vec::new();
            ciborium::into_writer(&reason, &mut word).unwrap();
            assert_eq!(ciborium::from_reader::<String, _>(&word[..]).unwrap(), reason.name());
        }
    }
}
