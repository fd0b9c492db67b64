//! What came in, or was due, and changed nothing: counted by reason, so that an operator sees it.

use serde::{Deserialize, Serialize};

// Its word in the API is its `name`, which a test holds.
/// Why something changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RefusalReason {
    /// A frame for a queue that is not ours, or with another capability.
    UnknownQueue,
    /// A frame that was not sealed by the contact whose queue it is.
    Foreign,
    /// Sealed right and badly made inside.
    Malformed,
    /// Seen before: repeats are part of delivery.
    #[serde(rename = "repeats")]
    Repeat,
    /// For keys that are gone or not there yet.
    Unreadable,
    /// A receipt for what was never sent.
    #[serde(rename = "forged_receipts")]
    ForgedReceipt,
    /// Something came for a contact that is gone by now.
    NoContact,
    /// Something came for an invite that is gone by now.
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
}

impl RefusalReason {
    /// All reasons, in the order of their names on a status page.
    pub const ALL: [Self; 15] = [
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

    pub(super) fn count(&mut self, reason: RefusalReason) {
        self.0[reason as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }

    /// Whether this differs from `before` in nothing but repeats.
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
