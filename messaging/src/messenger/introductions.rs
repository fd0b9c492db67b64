//! Introductions: a person redeemed one of our invites, and becomes a contact once the owner confirms them.
//!
//! An introduction is a claim until the owner confirms it: the card in it is verified, so the root is theirs, but who
//! that is the owner decides. Up to [`MAX_ASKING`] people may ask by one invite, since it may have been read by
//! others than the one it was meant for; whoever is confirmed ends the wait of all.

use super::{
    ContactId, ContactState, InviteId, Notice, RefusalReason, RefusedBecause,
    contact::Contact,
    context::CommandResult,
    effect::ContactChange,
    invites::{Introduction, Opened},
    pair::{Pair, PairKeys, Side},
    parcels::conflict,
    stage::{Asking, ContactRecord, Joining, Stage},
    step::Own,
    stored::StoredInvite,
    turn::Turn,
};
use crate::{Name, card::Card, frame::Blob, invite::Invite, ratchet::OwnKeyPackage};

/// Most people who may wait for confirmation of one invite: each costs a group, about a millisecond and 60 kB on disk.
const MAX_ASKING: usize = 8;

/// One who redeemed an invite of ours, with our key package of it.
pub(super) struct Redeemed<'a> {
    pub(super) invite: InviteId,
    pub(super) package: &'a OwnKeyPackage,
    pub(super) opened: Opened,
}

impl Turn<'_> {
    /// Redeems the invite of another person.
    ///
    /// The same invite twice gives the same contact. An invite of somebody who is a contact already is refused, unless they
    /// begin `again` with a new pod: then messages wait until they have confirmed, or the invite leads nowhere.
    /// # Errors
    /// [`RefusedBecause::Invalid`] where it has ended, [`RefusedBecause::Conflict`] where it is our own or the person
    /// is in another stage, [`RefusedBecause::Full`] where there are too many contacts.
    pub(super) fn accept(&mut self, invite: &Invite, name: Option<Name>, again: bool) -> CommandResult {
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
        let stage = Stage::Joining(Joining::new(StoredInvite::new(invite)));
        let mut record = match self.messenger.contacts.get(&id).map(|known| known.record()) {
            None => {
                self.messenger.check_room_for_contact()?;
                ContactRecord::new(&invite.root(), stage, self.now)
            }
            Some(known) => match &known.stage {
                Stage::Known => ContactRecord::of(known.profile.clone(), stage),
                Stage::Joining(joining) if joining.invite.is(invite) => {
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
                Stage::Active(_) if again => return self.on(id, |it| it.join_again(invite)),
                Stage::Active(_) => {
                    return Err(conflict(
                        "this person is a contact already: if they lost their pod and made this invite with a new one, \
                         accept it again",
                    ));
                }
                Stage::Blocked(_) => {
                    return Err(conflict("this person is a contact and blocked: unblock them first"));
                }
            },
        };
        if let Some(name) = name {
            record.profile.name = Some(name);
        }
        self.insert_contact(id, record, None);
        self.on(id, |it| {
            it.make_queues();
            it.view()
        })
    }

    /// A frame in the queue of an invite: somebody introduces themselves.
    ///
    /// Whatever does not lead to a request is counted.
    pub(super) fn introduced(&mut self, id: InviteId, blob: &Blob) {
        let introduction = self.messenger.invites.read_introduction(&id, blob);
        let introduction = match introduction {
            Ok(introduction) => introduction,
            Err(reason) => return self.cx.refuse(reason),
        };
        let Some(own) = self.own_or_refuse() else { return };
        let met = match introduction.is_open {
            true => self.first_introduction(&own, id, &introduction),
            false => self.introduced_again(id, &introduction),
        };
        if let Err(reason) = met {
            self.cx.refuse(reason);
        }
    }

    /// Takes up one who asks.
    ///
    /// # Errors
    /// What they say does not hold, it is known already, or there is no room for one more.
    fn first_introduction(
        &mut self,
        own: &Own,
        invite: InviteId,
        introduction: &Introduction,
    ) -> Result<(), RefusalReason> {
        let Opened { session, card, card_bytes } = introduction.open(self.now)?;
        let package = &introduction.package;
        let root = card.root();
        if root == own.root {
            return Err(RefusalReason::Malformed);
        }
        let contact = ContactId::of(&root);
        let others = self.messenger.contacts.iter().filter(|(id, _)| **id != contact);
        if others.filter(|(_, other)| other.record().asks_by(invite)).count() >= MAX_ASKING {
            return Err(RefusalReason::NoRoom);
        }
        let known = self.messenger.contacts.get(&contact);
        let profile = known.map(|known| known.record().profile.clone());
        match known {
            Some(known) if known.record().state() == ContactState::Known => {}
            Some(known) if self.returns(known, invite, &card) => {
                let opened = Opened { session, card, card_bytes };
                self.with(contact, |it| it.asks_again(Redeemed { invite, package, opened }));
                self.cx.notify(Notice::Asked(contact));
                return Ok(());
            }
            Some(known) if self.asks_anew(known, invite, &card) => self.forget_contact(contact),
            Some(known) if self.begins_over(known, invite, &card) => {
                self.begin_over(own, contact, invite, package, Opened { session, card, card_bytes });
                return Ok(());
            }
            // A repeat, or somebody we know already: nothing to do.
            Some(_) => return Err(RefusalReason::Repeat),
            None if self.messenger.check_room_for_contact().is_err() => return Err(RefusalReason::NoRoom),
            None => {}
        }
        let pair = Pair::new(package, PairKeys::of(&session, Side::Joiner));
        let stage = Stage::Asking(Asking { invite, pair, their_card: card_bytes });
        let mut record = ContactRecord::new(&root, stage, self.now);
        if let Some(profile) = profile {
            record.profile = profile;
        }
        self.insert_contact(contact, record, Some(card));
        self.with(contact, |it| it.begin_group(Box::new(session)));
        self.cx.notify(Notice::Asked(contact));
        Ok(())
    }

    /// Whether one who waits to be confirmed says something newer. By the same invite that is a newer card: their places
    /// changed, or they came back from a backup and gave up the keys of what they asked before. So they did where they
    /// took another invite: an answer to the first would reach nobody. Queues of two invites may be read in any order: the
    /// later invite counts.
    fn asks_anew(&self, known: &Contact, invite: InviteId, card: &Card) -> bool {
        match &known.record().stage {
            Stage::Asking(asking) if asking.invite == invite => known.is_newer(card),
            Stage::Asking(asking) => self.messenger.invites.is_later(&invite, Some(&asking.invite)),
            _ => false,
        }
    }

    /// Whether a contact introduces themselves once more, from nothing: with another key than is known, and by no older
    /// certificate. One who was confirmed and not heard from since has not come that far.
    fn returns(&self, known: &Contact, invite: InviteId, card: &Card) -> bool {
        if known.record().former.is_some() {
            return self.asks_anew(known, invite, card);
        }
        known.record().active().is_some_and(|active| active.awaited_by.is_none())
            && known.card().is_none_or(|known| known.leaf_key() != card.leaf_key())
            && known.accepts(card.certificate())
    }

    /// Whether one who was confirmed, and not heard from since, took another invite: they gave up before the confirmation arrived,
    /// or came back from a backup without the keys of the first.
    fn begins_over(&self, known: &Contact, invite: InviteId, card: &Card) -> bool {
        let redeemed = known.record().active().and_then(|active| active.awaited_by);
        redeemed.is_some_and(|redeemed| redeemed != invite)
            && self.messenger.invites.is_later(&invite, redeemed.as_ref())
            && known.accepts(card.certificate())
    }

    /// They were confirmed already, and need not be again.
    fn begin_over(
        &mut self,
        own: &Own,
        id: ContactId,
        invite: InviteId,
        package: &OwnKeyPackage,
        opened: Opened,
    ) {
        let before = self.with(id, |it| {
            // It is loaded by the key package that belongs to it.
            it.drop_session();
            let active = it.contact.record_mut().active_mut()?;
            active.pair.replace_own_package(package);
            let before = active.awaited_by.replace(invite);
            it.begin_anew(opened);
            before
        });
        if let Some(before) = before.flatten() {
            self.close_confirmed_invite(before);
        }
        self.invite_confirmed(own, invite);
        self.decline_other_requests(invite);
    }

    /// One who was confirmed, and has heard nothing of it, introduces themselves once more. What they say is a message in
    /// the group that goes on here: their card with the places of today.
    ///
    /// # Errors
    /// Nobody is waited for by this invite, or what they say does not hold.
    fn introduced_again(
        &mut self,
        invite: InviteId,
        introduction: &Introduction,
    ) -> Result<(), RefusalReason> {
        let awaited = |contact: &Contact| {
            contact.record().active().is_some_and(|active| active.awaited_by == Some(invite))
        };
        let contact = self.messenger.contacts.iter().find(|(_, contact)| awaited(contact));
        let id = contact.map(|(id, _)| *id).ok_or(RefusalReason::NoContact)?;
        self.with(id, |it| it.introduced_again(introduction)).unwrap_or(Err(RefusalReason::NoContact))
    }

    /// Makes a contact of one who asks, and declines all others of their invite.
    /// # Errors
    /// [`RefusedBecause::Unknown`], or [`RefusedBecause::Conflict`] where they do not ask.
    pub(super) fn confirm(&mut self, id: ContactId) -> CommandResult {
        let own = self.own()?;
        let invite = self.on(id, |it| it.confirm())?;
        self.invite_confirmed(&own, invite);
        self.decline_other_requests(invite);
        self.cx.notify(Notice::Connected(id));
        self.cx.contact_changed(id, ContactChange::Connected);
        self.on(id, |it| it.view())
    }

    /// An invite is for one: whoever else redeemed it is declined.
    fn decline_other_requests(&mut self, invite: InviteId) {
        let others = self.messenger.contacts.iter().filter(|(_, other)| other.record().asks_by(invite));
        let others: Vec<ContactId> = others.map(|(id, _)| *id).collect();
        for other in others {
            self.forget_attempt(other);
        }
    }
}
