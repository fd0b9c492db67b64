//! Cards: the one each contact has of us, kept true, and the newest that came from them.
//!
//! A card for a contact is made when something in it has changed, never on a schedule: it is compared by digest with
//! the last one. It travels as a message, so it is repeated until it is acknowledged, and it has room in the outbox
//! that texts cannot take.

use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};

use super::{
    Notice, RefusalReason, collect_lanes::SPREAD, contact_turn::ContactTurn, flight::FirstFlight,
    stage::OurCard,
};
use crate::{
    card::{Card, CardPlace, UnverifiedCard},
    payload::Payload,
    ratchet::OwnKeyPackage,
};

/// The highest number that a card takes from the clock: of the year 2105. A clock that is ahead of that leaves room for 16
/// million later cards.
const LAST_CLOCK_VERSION: u32 = u32::MAX - (1 << 24);
/// The highest number that we believe a card of ours to have: of 8 million after the last of a clock. That leaves room for as
/// many above it.
pub(super) const LAST_CARD_VERSION: u32 = LAST_CLOCK_VERSION + (1 << 23);

impl ContactTurn<'_, '_> {
    /// Our card for this contact with a key package of ours, signed.
    ///
    /// What it says is remembered by its digest, so that the next is made only when that changes. None while no queue
    /// of ours is open.
    pub(super) fn sign_card_with(&mut self, package: &OwnKeyPackage, version: u32) -> Option<Vec<u8>> {
        let version = version.max(1);
        let card = self.card_for(package, version)?;
        let own = self.own;
        let digest = digest(&self.card_for(package, 0)?, &own.pod_key)?;
        let bytes = card.sign(&own.pod_key).ok()?.into_bytes();
        *self.contact.record_mut().our_card_mut()? = OurCard { version, digest };
        self.record_changed();
        Some(bytes)
    }

    /// Names the queues that are open, the pod's own first. None while there is none.
    fn card_for(&self, package: &OwnKeyPackage, version: u32) -> Option<Card> {
        let own = self.own;
        let places = self
            .contact
            .card_queues(own)
            .map(|queue| CardPlace { own: queue.place == own.place, address: queue.address() });
        Card::new(
            version,
            self.name.clone(),
            own.certificate,
            package.leaf_key(),
            places.collect(),
            package.public().to_vec(),
        )
        .ok()
    }

    /// Our card may say something else now.
    pub(super) fn recheck_card(&mut self) {
        self.contact.volatile.card_checked = false;
        self.touch();
    }

    /// The same for the cards of all contacts: each leaves at a moment of its own, or a relay that several of them use would see
    /// that they are known to one pod.
    pub(super) fn recheck_card_in_turn(&mut self) {
        if self.has_company {
            self.contact.volatile.card_from = self.cx.now + self.cx.rng.next_u64() % SPREAD;
        }
        self.recheck_card();
    }

    /// When a card that waits for its moment leaves.
    pub(super) fn next_card(&self) -> Option<u64> {
        Some(self.contact.volatile.card_from).filter(|at| *at > self.cx.now)
    }

    /// A card of ours was given up, since they were away for too long. If it was the newest, they still need one.
    pub(super) fn card_was_given_up(&mut self, card: &[u8]) {
        let own = self.own;
        let card = UnverifiedCard::parse(card).ok().and_then(|card| card.verify_kept(&own.root).ok());
        let Some(card) = card else { return self.cx.refuse(RefusalReason::DamagedRow) };
        if card.version() == self.contact.record().our_card().version {
            self.card_is_needed();
        }
    }

    /// The contact may not have our newest card: it is made again.
    pub(super) fn card_is_needed(&mut self) {
        if let Some(ours) = self.contact.record_mut().our_card_mut() {
            ours.digest = [0; 32];
            self.record_changed();
            self.recheck_card();
        }
    }

    /// Whether our card says something else by now than the one they have. Looks once after each
    /// [`recheck_card`](Self::recheck_card).
    pub(super) fn card_is_outdated(&mut self) -> bool {
        let own = self.own;
        if std::mem::replace(&mut self.contact.volatile.card_checked, true) {
            return false;
        }
        let now = self
            .own_package()
            .and_then(|package| self.card_for(&package, 0))
            .and_then(|card| digest(&card, &own.pod_key));
        now.is_some_and(|now| now != self.contact.record().our_card().digest)
    }

    /// Our card, numbered above the one they have.
    ///
    /// None while no queue of ours is open, or where our keys are damaged.
    pub(super) fn sign_newer_card(&mut self) -> Option<Vec<u8>> {
        let version = self.next_card_version();
        self.sign_card_with(&self.own_package()?, version)
    }

    /// Numbers a new card: above the last, and by the clock. So a pod from an old backup does not give a number to another
    /// card than before: the contact would take it for the one they have, and say that they have it.
    pub(super) fn next_card_version(&self) -> u32 {
        let clock = self.cx.now.min(LAST_CLOCK_VERSION.into()) as u32;
        self.contact.record().our_card().version.saturating_add(1).max(clock)
    }

    /// Sends our card where the one they have no longer says what is so.
    pub(super) fn refresh_card(&mut self) {
        // A clock that was set back holds nothing up.
        let waits = self.next_card().is_some_and(|at| at <= self.cx.now.saturating_add(SPREAD));
        let has_room = self.contact.conversation.has_room_for_card();
        if has_room && !waits && self.card_is_outdated() {
            match self.sign_newer_card() {
                Some(card) => drop(self.queue_payload(&Payload::Card(card))),
                None => self.cx.refuse(RefusalReason::NotSent),
            }
        }
    }

    /// A contact's new card. What is wrong with it leaves the old one in force.
    ///
    /// It must be signed with the key that signs in the group, so a stolen pod key alone cannot replace a card.
    pub(super) fn card(&mut self, bytes: &[u8]) {
        let Some(session) = self.take_session() else { return self.cx.refuse(RefusalReason::Unreadable) };
        let leaf = session.peer_leaf_key();
        self.keep_session(session);
        let root = self.contact.record().root();
        let card = UnverifiedCard::parse(bytes).ok().and_then(|card| card.verify(&root, self.cx.now).ok());
        let Some(card) = card.filter(|card| card.leaf_key() == leaf) else {
            self.cx.refuse(RefusalReason::Malformed);
            return;
        };
        if !self.take_newer_card(card, bytes) {
            self.cx.refuse(RefusalReason::Malformed);
        }
    }

    /// Takes a card of theirs that was verified, unless the one we have is as new or its certificate newer.
    ///
    /// Says whether it was taken.
    pub(super) fn take_newer_card(&mut self, card: Card, bytes: &[u8]) -> bool {
        let contact = &mut *self.contact;
        if !contact.is_newer(&card) || !contact.accepts(card.certificate()) {
            return false;
        }
        let confirmed = contact.take_card(card, bytes);
        if contact.record().pending_reset().is_some() {
            // It goes to the places of today, and soon.
            contact.volatile.first_flight = FirstFlight::default();
        }
        self.record_changed();
        if confirmed {
            self.confirmed();
        } else {
            self.cx.notify(Notice::CardChanged(self.id));
        }
        true
    }
}

/// What a card says: of version 0, so that only the rest counts.
///
/// A signature of Ed25519 is determined by key and message (RFC 8032), so equal cards have equal digests.
fn digest(card: &Card, pod_key: &SigningKey) -> Option<[u8; 32]> {
    Some(Sha256::digest(card.sign(pod_key).ok()?.as_bytes()).into())
}
