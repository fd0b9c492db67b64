//! One who redeemed an invite of ours: confirmed, heard from, or introduced once more.

use super::{
    answer::RefusedBecause,
    contact_turn::ContactTurn,
    effect::{ContactChange, Notice},
    flight::FirstFlight,
    ids::InviteId,
    invites::{Introduction, Opened},
    pair::{PairKeys, Side},
    refusals::RefusalReason,
    work::FollowUp,
};
use crate::ratchet::OpenError;

impl ContactTurn<'_, '_> {
    /// The group of this introduction is the one that counts, in place of what was made of an earlier one. Never the other
    /// way round: a second session of one welcome would use its keys twice, and its numbers.
    pub(super) fn begin_anew(&mut self, opened: Opened) {
        let Opened { session, card, card_bytes } = opened;
        self.drop_session();
        let contact = &mut *self.contact;
        if let Some(active) = contact.record_mut().active_mut() {
            active.pair.replace_keys(PairKeys::of(&session, Side::Joiner));
            active.pending_reset = None;
        }
        contact.volatile.first_flight = FirstFlight::default();
        contact.take_card(card, &card_bytes);
        self.begin_group(Box::new(session));
        self.record_changed();
        self.recheck_card();
        self.cx.notify(Notice::Rekeyed(self.id));
        self.cx.contact_changed(self.id, ContactChange::Renewed);
    }

    /// A confirmed contact was heard from, or will not be: they need the queue of their invite no more.
    pub(super) fn redeemer_was_heard(&mut self) {
        if let Some(invite) =
            self.contact.record_mut().active_mut().and_then(|active| active.awaited_by.take())
        {
            self.record_changed();
            self.follow_up(FollowUp::CloseInvite(invite));
        }
    }

    /// Makes a contact of one who asks. Gives the invite they redeemed.
    ///
    /// # Errors
    /// [`RefusedBecause::Conflict`] in any other stage.
    pub(super) fn confirm(&mut self) -> Result<InviteId, RefusedBecause> {
        let none_asks = || RefusedBecause::Conflict("this contact does not wait to be confirmed".into());
        let invite = self.contact.record_mut().confirm().ok_or_else(none_asks)?;
        self.leave_former();
        self.record_changed();
        self.make_queues();
        Ok(invite)
    }

    /// What they say is a message in the group that goes on here, or a newer first group of theirs.
    ///
    /// # Errors
    /// It is neither, it was said before, or the card in it does not hold.
    pub(super) fn introduced_again(&mut self, introduction: &Introduction) -> Result<(), RefusalReason> {
        let hello = &introduction.hello;
        if let Some(mut session) = self.take_session() {
            let opened = session.open(None, &hello.message);
            self.keep_session(session);
            match opened {
                Ok(card) => {
                    self.card(&card);
                    self.group_is_known();
                    return Ok(());
                }
                Err(OpenError::Repeat) => return Err(RefusalReason::Repeat),
                // Of another group: theirs may have begun anew.
                Err(_) => {}
            }
        }
        let opened = introduction.open(self.cx.now)?;
        let (known, card) = (&*self.contact, &opened.card);
        let same_group = known.card().is_some_and(|known| known.leaf_key() == card.leaf_key());
        if card.root() != known.record().root() || !known.accepts(card.certificate()) {
            return Err(RefusalReason::Malformed);
        }
        if !known.is_newer(card) {
            return Err(RefusalReason::Repeat);
        }
        if same_group {
            self.take_newer_card(opened.card, &opened.card_bytes);
        } else {
            // They came back from a backup of before they made the first.
            self.begin_anew(opened);
        }
        Ok(())
    }
}
