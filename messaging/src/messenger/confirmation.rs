//! One who redeemed an invite of ours: confirmed, heard from, or introduced once more.

use super::{
    answer::RefusedBecause,
    contact_turn::ContactTurn,
    effect::{ContactChange, Notice},
    flight::FirstFlight,
    ids::InviteId,
    invites::Introduction,
    redemption::{Side, pair_keys},
    refusals::RefusalReason,
    work::FollowUp,
};
use crate::{
    card::{Card, UnverifiedCard},
    ratchet::{OpenError, Session},
};

impl ContactTurn<'_, '_> {
    /// The group of this introduction is the one that counts, in place of what was made of an earlier one. Never the other
    /// way round: a second session of one welcome would use its keys twice, and its numbers.
    pub(super) fn begin_anew(&mut self, session: Session, card: Card, card_bytes: Vec<u8>) {
        self.drop_session();
        let contact = &mut *self.contact;
        if let Some(active) = contact.record.active_mut() {
            active.pair.keys = pair_keys(&session, Side::Joiner);
            active.pending_reset = None;
        }
        contact.record.take_card(&card_bytes);
        contact.volatile.first_flight = FirstFlight::default();
        contact.take_card(Some(card));
        self.begin_group(Box::new(session));
        self.record_changed();
        self.recheck_card();
        self.cx.notify(Notice::Rekeyed(self.id));
        self.cx.contact_changed(self.id, ContactChange::Renewed);
    }

    /// A confirmed contact was heard from, or will not be: they need the queue of their invite no more.
    pub(super) fn redeemer_was_heard(&mut self) {
        if let Some(invite) = self.contact.record.active_mut().and_then(|active| active.awaited_by.take()) {
            self.record_changed();
            self.follow_up(FollowUp::CloseInvite(invite));
        }
    }

    /// Makes a contact of one who asks. Gives the invite they redeemed.
    pub(super) fn confirm(&mut self) -> Result<InviteId, RefusedBecause> {
        let none_asks = || RefusedBecause::Conflict("this contact does not wait to be confirmed".into());
        let invite = self.contact.record.confirm().ok_or_else(none_asks)?;
        self.record_changed();
        self.make_queues();
        Ok(invite)
    }

    /// What they say is a message in the group that goes on here, or a newer first group of theirs. None if it does not
    /// hold.
    pub(super) fn introduced_again(&mut self, introduction: &Introduction) -> Option<()> {
        let Introduction { hello, package, psk, .. } = introduction;
        if let Some(mut session) = self.take_session() {
            let opened = session.open(None, &hello.message);
            self.keep_session(session);
            match opened {
                Ok(card) => {
                    self.card(&card);
                    self.group_is_known();
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
        let root = self.contact.record.root();
        let card = UnverifiedCard::parse(&card_bytes).ok()?.verify(&root, self.cx.now).ok()?;
        let known = &*self.contact;
        let same_group = known.card.as_ref().is_some_and(|known| known.leaf_key() == card.leaf_key());
        if card.leaf_key() != session.peer_leaf_key() || !known.accepts(card.certificate()) {
            return None;
        }
        if !known.is_newer(&card) {
            self.cx.refuse(RefusalReason::Repeat);
        } else if !same_group {
            // They came back from a backup of before they made the first.
            self.begin_anew(session, card, card_bytes.to_vec());
        } else {
            self.take_newer_card(card, &card_bytes);
        }
        Some(())
    }
}
