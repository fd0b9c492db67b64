//! One contact: who it is, its queues, and how the conversation stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    conversation::{Conversation, ThreadRecord},
    files::Files,
    flight::FirstFlight,
    item_key::ItemKey,
    stage::ContactRecord,
    states::Timestamp,
};
use crate::{
    Certificate, RoleKind, UnverifiedCertificate,
    card::Card,
    courier::{Courier, RelayAudit},
    place::QueueId,
    ratchet::Session,
};

/// A contact in memory.
pub(super) struct Contact {
    pub(super) record: ContactRecord,
    pub(super) conversation: Conversation,
    /// Files to and from them.
    pub(super) files: Files,
    /// Their card, read from the record.
    pub(super) card: Option<Card>,
    pub(super) volatile: ContactVolatile,
}

/// What of a contact is true only now.
pub(super) struct ContactVolatile {
    pub(super) courier: Courier<ItemKey>,
    /// The group, while it is in use: written through, so it may be dropped at any time.
    pub(super) session: Option<Box<Session>>,
    /// When this contact is to be looked at next.
    pub(super) wake: Option<Timestamp>,
    /// Frames in a row that could not be opened, and since when.
    pub(super) unreadable: Option<(Timestamp, u32)>,
    /// When queues that are not open yet are asked for again.
    pub(super) open_at: Timestamp,
    pub(super) open_tries: u32,
    /// Queues being opened.
    pub(super) opening: u32,
    /// Queues that their places have lost: to be opened again under the same names.
    pub(super) lost: BTreeSet<QueueId>,
    /// What they say our relays took, against what we collected there.
    pub(super) audits: BTreeMap<QueueId, RelayAudit>,
    /// Whether our card for them was looked at since something in it may have changed.
    pub(super) card_checked: bool,
    /// The hello or reset that waits for their answer.
    pub(super) first_flight: FirstFlight,
    /// When we last answered a stale reset with one of our own.
    pub(super) last_reset: Timestamp,
}

impl Contact {
    /// How the conversation stands, for its row.
    pub(super) fn thread_record(&mut self) -> &ThreadRecord {
        let counts = self.volatile.audits.iter().map(|(queue, audit)| {
            let (claimed, collected) = audit.counts();
            (*queue.as_bytes(), claimed, collected)
        });
        self.conversation.record(counts.collect())
    }

    /// The newest certificate of their pod that we have seen.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        let of_card = self.card.as_ref().map(|card| *card.certificate());
        let of_reset =
            self.record.pair().and_then(|pair| UnverifiedCertificate::parse(&pair.certificate).ok());
        let of_reset = of_reset.and_then(|it| it.verify_kept(&self.record.root(), RoleKind::Pod).ok());
        of_card.into_iter().chain(of_reset).max_by_key(Certificate::epoch)
    }

    /// Whether a card says something newer than the one we have.
    pub(super) fn is_newer(&self, card: &Card) -> bool {
        self.card.as_ref().is_none_or(|known| card.version() > known.version())
    }

    /// Whether a certificate may stand where the newest one stands.
    pub(super) fn accepts(&self, certificate: &Certificate) -> bool {
        self.certificate().is_none_or(|newest| certificate.replaces(&newest).is_ok())
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact")
            .field("record", &self.record)
            .field("conversation", &self.conversation)
            .finish_non_exhaustive()
    }
}
