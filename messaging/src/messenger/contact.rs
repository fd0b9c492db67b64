//! One contact: who it is, its queues, and how the conversation stands.
//!
//! What is remembered of a contact is its record (rarely changed), its conversation (changed by every message) and
//! its files; each has rows of its own, so that a message writes little.

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
    Certificate,
    card::Card,
    courier::{Courier, RelayAudit, Route},
    place::QueueId,
    ratchet::Session,
};

/// A contact in memory.
///
/// Their card is the one in the record, read once, and the courier knows the places on it: [`take_card`](Self::take_card) is
/// the only way to change any of the three, so they cannot fall apart.
pub(super) struct Contact {
    record: ContactRecord,
    /// Entries said and received, and what waits; guards its own state.
    pub(super) conversation: Conversation,
    /// Files to and from them; guards its own state.
    pub(super) files: Files,
    card: Option<Card>,
    /// Forgotten at every start, so nothing that must last may depend on it.
    pub(super) volatile: ContactVolatile,
}

/// What of a contact is true only now.
///
/// Everything here is learnt again after a start, by calls, and by what comes in.
pub(super) struct ContactVolatile {
    /// Decides which frame goes where, and when.
    pub(super) courier: Courier<ItemKey>,
    /// The group, while it is in use: written through, so it may be dropped at any time.
    pub(super) session: Option<Box<Session>>,
    /// When this contact is to be looked at next.
    pub(super) wake: Option<Timestamp>,
    /// Frames in a row that could not be opened, and since when.
    pub(super) unreadable: Option<(Timestamp, u32)>,
    /// When queues that are not open yet are asked for again.
    pub(super) open_at: Timestamp,
    /// Tries since one last succeeded: the pause doubles with each.
    pub(super) open_tries: u32,
    /// Queues being opened.
    pub(super) opening: u32,
    /// Queues that their places have lost: to be opened again under the same names.
    pub(super) lost: BTreeSet<QueueId>,
    /// What they say our relays took, against what we collected there.
    pub(super) audits: BTreeMap<QueueId, RelayAudit>,
    /// Whether our card for them was looked at since something in it may have changed.
    pub(super) card_checked: bool,
    /// Not before then a card of ours leaves that others get too.
    pub(super) card_from: Timestamp,
    /// Not before then is a card made again that they do not take.
    pub(super) card_repeat_at: u64,
    /// The hello or reset that waits for their answer.
    pub(super) first_flight: FirstFlight,
    /// When we last answered a stale reset with one of our own.
    pub(super) last_reset: Timestamp,
    /// Whether a run of numbers was begun since the start.
    pub(super) is_numbered: bool,
    /// When a receipt alone last began a new epoch.
    pub(super) renewed_at: Timestamp,
    /// Frames in a row that were opened before, or are too old to be.
    pub(super) stale_frames: u32,
}

impl Contact {
    /// A contact whose card is already in its record.
    pub(super) fn new(record: ContactRecord, conversation: Conversation, card: Option<Card>) -> Self {
        let volatile = ContactVolatile {
            courier: Courier::new(&[], 0),
            session: None,
            wake: None,
            unreadable: None,
            open_at: 0,
            open_tries: 0,
            opening: 0,
            lost: BTreeSet::new(),
            audits: BTreeMap::new(),
            card_checked: false,
            card_from: 0,
            card_repeat_at: 0,
            first_flight: FirstFlight::default(),
            last_reset: 0,
            is_numbered: false,
            renewed_at: 0,
            stale_frames: 0,
        };
        let mut contact = Self { record, conversation, files: Files::default(), card: None, volatile };
        contact.use_card(card);
        contact
    }

    /// What is remembered of them.
    pub(super) fn record(&self) -> &ContactRecord {
        &self.record
    }

    /// The record, to be changed: whoever does so notes it with
    /// [`record_changed`](super::contact_turn::ContactTurn::record_changed), or the change is lost with the next start.
    pub(super) fn record_mut(&mut self) -> &mut ContactRecord {
        &mut self.record
    }

    /// The record, and what of the contact is true only now.
    pub(super) fn split_mut(&mut self) -> (&mut ContactRecord, &mut ContactVolatile) {
        (&mut self.record, &mut self.volatile)
    }

    /// Their newest card that was verified; none before one came.
    pub(super) fn card(&self) -> Option<&Card> {
        self.card.as_ref()
    }

    /// Takes a card of theirs that was verified, and its bytes, in place of the one before. Says whether it is the first of
    /// an inviter, who confirms us with it.
    pub(super) fn take_card(&mut self, card: Card, bytes: &[u8]) -> bool {
        let confirmed = self.record.take_card(bytes);
        self.use_card(Some(card));
        confirmed
    }

    /// Tells the courier where frames go from now on. Places that stay keep what is known of them.
    pub(super) fn use_card(&mut self, card: Option<Card>) {
        let before: Vec<_> =
            self.card.iter().flat_map(|card| card.places()).map(|place| place.address.queue).collect();
        let was = |queue| before.iter().position(|before| *before == queue);
        let places = card.iter().flat_map(|card| card.places());
        let routes: Vec<Route> = places
            .map(|place| Route { own: place.own, was: was(place.address.queue), accepted: 0 })
            .collect();
        if before.is_empty() {
            let spread = usize::from(self.record.root().as_bytes()[0]);
            self.volatile.courier = Courier::new(&routes, spread);
        } else {
            self.volatile.courier.change_places(&routes);
        }
        self.card = card;
    }

    /// How the conversation stands, for its row.
    /// Also brings the counts of the audits into it.
    pub(super) fn thread_record(&mut self) -> &ThreadRecord {
        let counts = self.volatile.audits.iter().map(|(queue, audit)| {
            let (claimed, collected) = audit.counts();
            (*queue.as_bytes(), claimed, collected)
        });
        self.conversation.record(counts.collect())
    }

    /// The newest certificate of their pod that we have seen.
    ///
    /// Card and reset may name different ones; the higher epoch is the newer.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        let of_card = self.card.as_ref().map(|card| *card.certificate());
        let of_reset = self.record.pair().and_then(|pair| pair.certificate(&self.record.root()));
        let known = of_card.into_iter().chain(of_reset).chain(self.record.former_certificates());
        known.max_by_key(Certificate::epoch)
    }

    /// Whether a card says something newer than the one we have.
    ///
    /// By version alone: whether it may replace the other is asked apart, of its certificate.
    pub(super) fn is_newer(&self, card: &Card) -> bool {
        self.card.as_ref().is_none_or(|known| card.version() > known.version())
    }

    /// Whether a certificate may stand where the newest one stands.
    ///
    /// True where none is known yet.
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
