//! Introductions: a person redeemed one of our invites, and becomes a contact once the owner confirms them.

use super::{
    ContactId, InviteId, Notice, RefusalReason, RefusedBecause,
    contact::Contact,
    context::CommandResult,
    effect::ContactChange,
    invites::Introduction,
    pair::Pair,
    parcels::conflict,
    redemption::{Side, pair_keys},
    stage::{Asking, ContactRecord, Joining, Stage},
    turn::Turn,
};
use crate::{
    Name,
    card::{Card, UnverifiedCard},
    frame::Blob,
    invite::Invite,
    ratchet::{OwnKeyPackage, Session},
};

/// Most people who may wait for confirmation of one invite: each costs a group, about a millisecond and 60 kB on disk.
const MAX_ASKING: usize = 8;

impl Turn<'_> {
    /// Redeems the invite of another person.
    pub(super) fn accept(&mut self, invite: &Invite, name: Option<Name>) -> CommandResult {
        let own = self.own()?;
        invite
            .check(self.now)
            .map_err(|error| RefusedBecause::Invalid { field: "invite", rule: error.to_string() })?;
        if invite.root() == own.root {
            return Err(RefusedBecause::Conflict(
                "this is an invite of your own: give it to somebody else".into(),
            ));
        }
        let id = ContactId::of(&invite.root());
        let stage = Stage::Joining(Joining::new(invite.to_bytes().to_vec()));
        let mut record = match self.messenger.contacts.get(&id).map(|known| &known.record) {
            None => {
                self.messenger.check_room_for_contact()?;
                ContactRecord::new(&invite.root(), stage, self.now)
            }
            Some(known) => match &known.stage {
                Stage::Known => ContactRecord { profile: known.profile.clone(), stage },
                Stage::Joining(joining) if joining.invite == *invite.to_bytes() => {
                    return self.on(id, |it| it.view());
                }
                Stage::Joining(_) => {
                    return Err(conflict(
                        "another invite of this person is being redeemed: remove them first to use this one",
                    ));
                }
                Stage::Asking(_) => {
                    return Err(conflict("this person waits to be confirmed: confirm them"));
                }
                Stage::Active(_) | Stage::Blocked(_) => {
                    return Err(conflict("this person is a contact already"));
                }
            },
        };
        if let Some(name) = name {
            name.as_str().clone_into(&mut record.profile.name);
        }
        self.insert_contact(id, record, None);
        self.on(id, |it| {
            it.make_queues();
            it.view()
        })
    }

    /// A frame in the queue of an invite: somebody introduces themselves.
    pub(super) fn introduced(&mut self, id: InviteId, blob: &Blob) {
        let introduction = self.messenger.invites.read_introduction(&id, blob);
        let introduction = match introduction {
            Ok(introduction) => introduction,
            Err(reason) => return self.cx.refuse(reason),
        };
        let met = match introduction.is_open {
            true => self.first_introduction(id, &introduction),
            false => self.introduced_again(id, &introduction),
        };
        if met.is_none() {
            self.cx.refuse(RefusalReason::Malformed);
        }
    }

    /// Takes up one who asks. None if what they say does not hold.
    fn first_introduction(&mut self, invite: InviteId, introduction: &Introduction) -> Option<()> {
        let Introduction { hello, package, psk, .. } = introduction;
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
        let others = self.messenger.contacts.iter().filter(|(id, _)| **id != contact);
        if others.filter(|(_, other)| other.record.asks_by(invite)).count() >= MAX_ASKING {
            return None;
        }
        let known = self.messenger.contacts.get(&contact);
        let profile = known.map(|known| known.record.profile.clone());
        match known {
            Some(Contact { record: ContactRecord { stage: Stage::Known, .. }, .. }) => {}
            Some(known) if self.asks_anew(known, invite, &card) => self.forget_contact(contact),
            Some(known) if self.begins_over(known, invite, &card) => {
                self.begin_over(contact, invite, package, session, card, card_bytes.to_vec());
                return Some(());
            }
            // A repeat, or somebody we know already: nothing to do.
            Some(_) => {
                self.cx.refuse(RefusalReason::Repeat);
                return Some(());
            }
            None if self.messenger.check_room_for_contact().is_err() => {
                self.cx.refuse(RefusalReason::NoRoom);
                return Some(());
            }
            None => {}
        }
        let pair = Pair::new(package.to_bytes().to_vec(), pair_keys(&session, Side::Joiner));
        let stage = Stage::Asking(Asking { invite, pair, their_card: card_bytes.to_vec() });
        let mut record = ContactRecord::new(&root, stage, self.now);
        if let Some(profile) = profile {
            record.profile = profile;
        }
        self.insert_contact(contact, record, Some(card));
        self.with(contact, |it| it.begin_group(Box::new(session)));
        self.cx.notify(Notice::Asked(contact));
        Some(())
    }

    /// Whether one who waits to be confirmed says something newer. By the same invite that is a newer card: their places
    /// changed, or they came back from a backup and gave up the keys of what they asked before. So they did where they
    /// took another invite: an answer to the first would reach nobody. Queues of two invites may be read in any order: the
    /// later invite counts.
    fn asks_anew(&self, known: &Contact, invite: InviteId, card: &Card) -> bool {
        match &known.record.stage {
            Stage::Asking(asking) if asking.invite == invite => known.is_newer(card),
            Stage::Asking(asking) => self.messenger.invites.is_later(&invite, Some(&asking.invite)),
            _ => false,
        }
    }

    /// Whether one who was confirmed, and not heard from since, took another invite: they gave up before they heard of it,
    /// or came back from a backup without the keys of the first.
    fn begins_over(&self, known: &Contact, invite: InviteId, card: &Card) -> bool {
        let redeemed = known.record.active().and_then(|active| active.awaited_by);
        redeemed.is_some_and(|redeemed| redeemed != invite)
            && self.messenger.invites.is_later(&invite, redeemed.as_ref())
            && known.accepts(card.certificate())
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
        let package = package.to_bytes().to_vec();
        let before = self.with(id, |it| {
            // It is loaded by the key package that belongs to it.
            it.drop_session();
            let active = it.contact.record.active_mut()?;
            active.pair.own_package = package;
            let before = active.awaited_by.replace(invite);
            it.begin_anew(session, card, card_bytes);
            before
        });
        if let Some(before) = before.flatten() {
            self.close_confirmed_invite(before);
        }
        self.invite_confirmed(invite);
        self.decline_other_requests(invite);
    }

    /// One who was confirmed, and has heard nothing of it, introduces themselves once more. What they say is a message in
    /// the group that goes on here: their card with the places of today. None if what they say does not hold.
    fn introduced_again(&mut self, invite: InviteId, introduction: &Introduction) -> Option<()> {
        let awaited = |contact: &Contact| {
            contact.record.active().is_some_and(|active| active.awaited_by == Some(invite))
        };
        let contact = self.messenger.contacts.iter().find(|(_, contact)| awaited(contact));
        let id = contact.map(|(id, _)| *id)?;
        self.with(id, |it| it.introduced_again(introduction))?
    }

    pub(super) fn confirm(&mut self, id: ContactId) -> CommandResult {
        let invite = self.on(id, |it| it.confirm())?;
        self.invite_confirmed(invite);
        self.decline_other_requests(invite);
        self.cx.notify(Notice::Connected(id));
        self.cx.contact_changed(id, ContactChange::Connected);
        self.on(id, |it| it.view())
    }

    /// An invite is for one: whoever else redeemed it is declined.
    fn decline_other_requests(&mut self, invite: InviteId) {
        let others = self.messenger.contacts.iter().filter(|(_, other)| other.record.asks_by(invite));
        let others: Vec<ContactId> = others.map(|(id, _)| *id).collect();
        for other in others {
            self.forget_attempt(other);
        }
    }
}
