//! Introductions: a person redeemed one of our invites, and becomes a contact once the owner confirms them.

use super::{
    ContactId, ContactState, InviteId, Notice, RefusalReason, RefusedBecause,
    contact::{Contact, ContactRecord},
    context::CommandResult,
    flight::FirstFlight,
    invites::Introduction,
    redemption::{Side, pair_keys},
    turn::Turn,
};
use crate::{
    card::{Card, UnverifiedCard},
    envelope::Hello,
    frame::Blob,
    ratchet::{OpenError, OwnKeyPackage, Psk, Session},
};

/// Most people who may wait for confirmation of one invite: each costs a group, about a millisecond and 60 kB on disk.
const MAX_ASKING: usize = 8;

impl Turn<'_> {
    /// A frame in the queue of an invite: somebody introduces themselves.
    pub(super) fn introduced(&mut self, id: InviteId, blob: &Blob) {
        let introduction = self.messenger.invites.read_introduction(&id, blob);
        let Introduction { hello, package, psk, is_open } = match introduction {
            Ok(introduction) => introduction,
            Err(reason) => return self.cx.refuse(reason),
        };
        let met = match is_open {
            true => self.first_introduction(id, &package, &psk, &hello),
            false => self.introduced_again(id, &package, &psk, &hello),
        };
        if met.is_none() {
            self.cx.refuse(RefusalReason::Malformed);
        }
    }

    /// Takes up one who asks. None if what they say does not hold.
    fn first_introduction(
        &mut self,
        invite: InviteId,
        package: &OwnKeyPackage,
        psk: &Psk,
        hello: &Hello,
    ) -> Option<()> {
        let own = self.own().ok()?;
        let mut session = Session::join(package, &hello.welcome, psk).ok()?;
        let card_bytes = session.open(None, &hello.message).ok()?;
        let card = UnverifiedCard::parse(&card_bytes).ok()?;
        let root = card.claimed_root();
        let card = card.verify(&root, self.now).ok()?;
        if root == own.root || card.leaf_key() != session.peer_leaf_key() {
            return None;
        }
        let contact = ContactId::of(&root);
        let asking = |record: &ContactRecord| record.state == ContactState::Asking;
        let others = self.messenger.contacts.iter().filter(|(id, _)| **id != contact);
        let waiting = others.filter(|(_, other)| other.record.invite == Some(invite));
        if waiting.filter(|(_, other)| asking(&other.record)).count() >= MAX_ASKING {
            return None;
        }
        let mut record = self.messenger.new_record(&root, ContactState::Asking, self.now);
        match self.messenger.contacts.get(&contact) {
            Some(known) if known.record.state == ContactState::Known => {
                record.keep_known_fields(&known.record)
            }
            Some(known) if asking(&known.record) && self.asks_anew(known, invite, &card) => {
                record.keep_known_fields(&known.record);
                self.forget_contact(contact);
            }
            Some(known) if self.begins_over(known, invite, &card) => {
                self.begin_over(contact, invite, package, session, card, card_bytes.to_vec());
                return Some(());
            }
            // A repeat, or somebody we know already: nothing to do.
            Some(_) => {
                self.cx.refuse(RefusalReason::Repeat);
                return Some(());
            }
            None => self.messenger.check_room_for_contact().ok()?,
        }
        record.invite = Some(invite);
        record.own_package = package.to_bytes().to_vec();
        record.card = card_bytes.to_vec();
        record.keys = Some(pair_keys(&session, Side::Joiner));
        self.insert_contact(contact, record, Some(card));
        self.begin_group(contact, Box::new(session));
        self.notify(Notice::Asked(contact));
        Some(())
    }

    /// Whether one who waits to be confirmed says something newer. By the same invite that is a newer card: their places
    /// changed, or they came back from a backup and gave up the keys of what they asked before. So they did where they
    /// took another invite: an answer to the first would reach nobody. Queues of two invites may be read in any order: the
    /// later invite counts.
    fn asks_anew(&self, known: &Contact, invite: InviteId, card: &Card) -> bool {
        if known.record.invite == Some(invite) {
            return known.is_newer(card);
        }
        self.is_later(invite, known)
    }

    /// Whether this invite was made after the one that a contact redeemed, or with it.
    fn is_later(&self, invite: InviteId, known: &Contact) -> bool {
        self.messenger.invites.is_later(&invite, known.record.invite.as_ref())
    }

    /// Whether one who was confirmed, and not heard from since, took another invite: they gave up before they heard of it,
    /// or came back from a backup without the keys of the first.
    fn begins_over(&self, known: &Contact, invite: InviteId, card: &Card) -> bool {
        let awaited = known.record.state == ContactState::Active
            && known.record.invite.is_some_and(|redeemed| redeemed != invite);
        awaited && self.is_later(invite, known) && known.accepts(card.certificate())
    }

    /// They were confirmed already, and need not be again.
    fn begin_over(
        &mut self,
        id: ContactId,
        invite: InviteId,
        package: &OwnKeyPackage,
        session: Session,
        card: Card,
        card_bytes: Vec<u8>,
    ) {
        // It is loaded by the key package that belongs to it.
        self.drop_session(id);
        let Ok(contact) = self.contact(id) else { return };
        contact.record.own_package = package.to_bytes().to_vec();
        let before = contact.record.invite.replace(invite);
        self.begin_anew(id, session, card, card_bytes);
        if let Some(before) = before {
            self.close_confirmed_invite(before);
        }
        self.invite_confirmed(invite);
        self.decline_other_requests(invite);
    }

    /// One who was confirmed, and has heard nothing of it, introduces themselves once more. What they say is a message in
    /// the group that goes on here: their card with the places of today. None if what they say does not hold.
    fn introduced_again(
        &mut self,
        invite: InviteId,
        package: &OwnKeyPackage,
        psk: &Psk,
        hello: &Hello,
    ) -> Option<()> {
        let awaited = |contact: &Contact| {
            contact.record.invite == Some(invite) && contact.record.state == ContactState::Active
        };
        let contact = self.messenger.contacts.iter().find(|(_, contact)| awaited(contact));
        let (id, root) = contact.map(|(id, contact)| (*id, contact.record.root()))?;
        if let Some(mut session) = self.take_session(id) {
            let opened = session.open(None, &hello.message);
            self.keep_session(id, session);
            match opened {
                Ok(card) => {
                    self.card(id, &card);
                    self.group_is_known(id);
                    return Some(());
                }
                Err(OpenError::Repeat) => {
                    self.cx.refuse(RefusalReason::Repeat);
                    return Some(());
                }
                Err(_) => {}
            }
        }
        let mut session = Session::join(package, &hello.welcome, psk).ok()?;
        let card_bytes = session.open(None, &hello.message).ok()?;
        let card = UnverifiedCard::parse(&card_bytes).ok()?.verify(&root, self.now).ok()?;
        let known = self.messenger.contacts.get(&id)?;
        let same_group = known.card.as_ref().is_some_and(|known| known.leaf_key() == card.leaf_key());
        let newer = known.is_newer(&card);
        if card.leaf_key() != session.peer_leaf_key() || !known.accepts(card.certificate()) {
            return None;
        }
        if !newer {
            self.cx.refuse(RefusalReason::Repeat);
        } else if !same_group {
            // They came back from a backup of before they made the first.
            self.begin_anew(id, session, card, card_bytes.to_vec());
        } else {
            self.take_newer_card(id, card, &card_bytes);
        }
        Some(())
    }

    /// The group of this introduction is the one that counts, in place of what was made of an earlier one. Never the other
    /// way round: a second session of one welcome would use its keys twice, and its numbers.
    fn begin_anew(&mut self, id: ContactId, session: Session, card: Card, card_bytes: Vec<u8>) {
        self.drop_session(id);
        let Ok(contact) = self.contact(id) else { return };
        contact.record.keys = Some(pair_keys(&session, Side::Joiner));
        contact.record.card = card_bytes;
        contact.record.pending_reset = None;
        contact.volatile.first_flight = FirstFlight::default();
        contact.take_card(Some(card));
        self.begin_group(id, Box::new(session));
        self.record_changed(id);
        self.recheck_card(id);
        self.notify(Notice::Rekeyed(id));
    }

    /// A confirmed contact was heard from, or will not be: they need the queue of their invite no more.
    pub(super) fn redeemer_was_heard(&mut self, id: ContactId) {
        let contact = self.messenger.contacts.get_mut(&id);
        let contact = contact.filter(|contact| contact.record.state != ContactState::Asking);
        if let Some(invite) = contact.and_then(|contact| contact.record.invite.take()) {
            self.record_changed(id);
            self.close_confirmed_invite(invite);
        }
    }

    pub(super) fn confirm(&mut self, id: ContactId) -> CommandResult {
        let invite = {
            let contact = self.contact(id)?;
            if contact.record.state != ContactState::Asking {
                return Err(RefusedBecause::Conflict("this contact does not wait to be confirmed".into()));
            }
            contact.record.state = ContactState::Active;
            contact.record.invite
        };
        self.record_changed(id);
        self.make_queues(id);
        if let Some(invite) = invite {
            self.invite_confirmed(invite);
            self.decline_other_requests(invite);
        }
        self.notify(Notice::Connected(id));
        self.view(id)
    }

    /// An invite is for one: whoever else redeemed it is declined.
    fn decline_other_requests(&mut self, invite: InviteId) {
        let asking = self
            .messenger
            .contacts
            .iter()
            .filter(|(_, contact)| contact.record.state == ContactState::Asking);
        let others = asking.filter(|(_, other)| other.record.invite == Some(invite));
        let others: Vec<ContactId> = others.map(|(id, _)| *id).collect();
        for other in others {
            self.forget_attempt(other);
        }
    }
}
