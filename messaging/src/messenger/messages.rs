//! Messages to and from one contact: commands of the owner, and what follows from receipts and expiry.

use super::{
    answer::{MailAnswer, RefusedBecause},
    contact_turn::ContactTurn,
    context::CommandResult,
    conversation::{HiddenSettled, MAX_ENTRIES, WentBack},
    refusals::RefusalReason,
    stage::Stage,
};
use crate::{
    outbox::MAX_QUEUED_PARTS,
    packet::Acks,
    payload::{Payload, Text},
};

impl ContactTurn<'_, '_> {
    /// Queues a text. Gives its number in the conversation.
    /// # Errors
    /// As [`check_can_send`](Self::check_can_send).
    pub(super) fn send(&mut self, text: Text) -> CommandResult {
        self.check_can_send()?;
        let number = self.queue_payload(&Payload::Text(text));
        number
            .map(MailAnswer::Queued)
            .ok_or_else(|| RefusedBecause::Conflict("the message cannot be queued".into()))
    }

    /// Whether something can be said to this contact now.
    ///
    /// # Errors
    /// [`RefusedBecause::Full`] where too much waits, [`RefusedBecause::Conflict`] in every stage but that of a
    /// contact.
    pub(super) fn check_can_send(&self) -> Result<(), RefusedBecause> {
        let why = match self.contact.record().stage {
            Stage::Active(_) if self.contact.conversation.must_be_read() => {
                return Err(RefusedBecause::Full {
                    what: "entries of a conversation whose oldest are not read",
                    limit: 2 * MAX_ENTRIES as usize,
                    remedy: "mark them as read",
                });
            }
            Stage::Active(_) if self.contact.conversation.has_room_for_message() => return Ok(()),
            Stage::Active(_) => {
                return Err(RefusedBecause::Full {
                    what: "parts of messages that wait for this contact",
                    limit: MAX_QUEUED_PARTS as usize,
                    remedy: "wait until some are delivered",
                });
            }
            Stage::Joining(_) => "the inviter has not confirmed you yet; it works once they have",
            Stage::Asking(_) => "confirm this contact first",
            Stage::Blocked(_) => "this contact is blocked; unblock it first",
            Stage::Known => "this person is known only by a card; invite them first",
        };
        Err(RefusedBecause::Conflict(why.into()))
    }

    /// Puts a payload into the conversation and the outbox.
    ///
    /// None, and counted, if the outbox is full. Cards find room where texts do not.
    pub(super) fn queue_payload(&mut self, payload: &Payload) -> Option<u64> {
        let number = self.contact.conversation.queue(self.cx, self.id, payload);
        match number {
            Some(_) => self.thread_changed(),
            None => self.cx.refuse(RefusalReason::OutboxFull),
        }
        number
    }

    /// An incoming payload becomes an entry.
    pub(super) fn receive_entry(&mut self, payload: Vec<u8>) {
        self.contact.conversation.receive(self.cx, self.id, payload);
        self.thread_changed();
    }

    /// Takes the contact's receipts for messages.
    pub(super) fn messages_acknowledged(&mut self, acks: &Acks) {
        match self.contact.conversation.acknowledged(self.cx, self.id, acks) {
            Ok(hidden) => hidden.into_iter().for_each(|settled| self.hidden_settled(&settled)),
            Err(WentBack) => self.went_back(),
        }
    }

    /// Gives up messages that waited too long.
    pub(super) fn expire(&mut self) {
        if let Some(hidden) = self.contact.conversation.expire(self.cx, self.id) {
            hidden.into_iter().for_each(|settled| self.hidden_settled(&settled));
            self.thread_changed();
        }
    }

    /// What is no part of the conversation that people see left the outbox.
    ///
    /// A card that was given up is made again, and so is one that may have been it; the rest is for sessions.
    fn hidden_settled(&mut self, settled: &HiddenSettled) {
        let HiddenSettled { number, delivered, payload } = settled;
        match payload {
            Some(Payload::Card(card)) if !delivered => self.card_was_given_up(card),
            Some(Payload::Application(it)) => self.settle_application(*number, it.kind(), *delivered),
            Some(Payload::ApplicationOffer(offer)) => self.settle_offer(offer.transfer, *delivered),
            Some(_) => {}
            None => {
                self.settle_lost(*number, *delivered);
                if !delivered {
                    self.card_is_needed();
                }
            }
        }
    }

    /// Entries of the conversation before a number, newest last.
    pub(super) fn messages(&self, before: Option<u64>, limit: u32) -> CommandResult {
        let conversation = &self.contact.conversation;
        let entries = conversation.list(self.cx, self.id, before, limit);
        Ok(MailAnswer::Messages { entries, first: conversation.first_kept() })
    }

    /// Notes that all entries up to this one were read.
    pub(super) fn mark_read(&mut self, up_to: u64) -> CommandResult {
        let was_full = self.contact.conversation.is_full_of_unread();
        if self.contact.conversation.mark_read(self.cx, self.id, up_to) {
            self.thread_changed();
        }
        if was_full && !self.contact.conversation.is_full_of_unread() {
            // A sign of life, upon which the contact sends again what was not taken.
            self.owe_receipt(false);
        }
        Ok(MailAnswer::Done)
    }
}
