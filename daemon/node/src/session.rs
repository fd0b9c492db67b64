//! Sessions: what the node does with payloads that the messenger carries and does not read.
//!
//! A session is a part that two pods have in common: it sends payloads of its kinds to a contact, and takes those that
//! come. Whatever it writes is committed with the rows of the messenger, in one transaction: a payload is consumed
//! exactly once, whatever crashes. All sessions stand in one list, `sessions`.

use std::{collections::VecDeque, ops::RangeInclusive};

use autonomy_api::Access;
use autonomy_messaging::{
    messenger::{ApplicationEvent, Command, ContactChange, ContactId, ContactState, MailAnswer, Messenger},
    payload::ApplicationKind,
    vcard::VCard,
};

use super::{Refusal, Timestamp, context::Context, mail, table::Restore};

/// A part of the node that consumes payloads of some kinds.
///
/// Its functions never fail: what comes from a contact is not trusted, and what is wrong with it is left aside and
/// counted or logged by the session.
pub(super) trait Session {
    /// The kinds of payload that are delivered to it. No two sessions have one in common.
    fn kinds(&self) -> RangeInclusive<u16>;

    /// What of it is restored row by row.
    fn tables(&mut self) -> Vec<&mut dyn Restore>;

    /// Takes a payload, in the order in which the contact sent them.
    fn deliver(
        &mut self,
        cx: &mut SessionContext<'_, '_>,
        from: ContactId,
        kind: ApplicationKind,
        bytes: &[u8],
    );

    /// Takes note that a payload it sent has ended. Where it was not delivered, it may have arrived all the same. A number
    /// that it does not wait for belongs to another session: it is passed over.
    fn settled(&mut self, cx: &mut SessionContext<'_, '_>, sent: Sent);

    /// Takes note of what became of a contact. One who is [`ContactChange::Forgotten`] is no contact any more: all that
    /// is kept of them has to go.
    fn contact(&mut self, cx: &mut SessionContext<'_, '_>, contact: ContactId, change: ContactChange);

    /// When there is something to do for it if nothing else happens: 0 for at once. It has to move on with each
    /// [`Session::wake`], or the pod never sleeps.
    fn next_wake(&self) -> Option<Timestamp>;

    /// Does what is due.
    fn wake(&mut self, cx: &mut SessionContext<'_, '_>);

    /// Adds what it knows of a contact to the vCard that an address book gets.
    fn extend_vcard(&self, _contact: ContactId, _card: &mut VCard) {}

    /// Takes what an address book knows of a person who was put on record.
    fn vcard_imported(&mut self, _cx: &mut SessionContext<'_, '_>, _contact: ContactId, _card: &VCard) {}
}

/// What devices ask of a session.
pub(super) trait Commanded: Session {
    /// What is asked.
    type Command;
    /// What is answered.
    type Answer;

    /// How far a device must be allowed to go to give this command.
    fn required_access(command: &Self::Command) -> Access;

    /// Carries a command out: checks everything first and changes things after.
    ///
    /// # Errors
    /// Why nothing was changed.
    fn command(
        &mut self,
        cx: &mut SessionContext<'_, '_>,
        command: Self::Command,
    ) -> Result<Self::Answer, Refusal>;
}

/// The end of a payload that a session sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    /// To whom.
    pub(super) to: ContactId,
    /// The number that [`SessionContext::send`] gave.
    pub(super) number: u64,
    /// Whether it is safe at the contact's pod.
    pub(super) delivered: bool,
}

/// What a session works with: the step, and the messenger as far as it sends payloads.
///
/// A session that signs takes the parts it needs here (accounts, payments), when it comes; none does yet.
pub(super) struct SessionContext<'t, 'a> {
    /// The moment, randomness, rows and events.
    pub(super) cx: &'t mut Context<'a>,
    messenger: &'t mut Messenger,
    happened: &'t mut VecDeque<ApplicationEvent>,
}

impl<'t, 'a> SessionContext<'t, 'a> {
    pub(super) fn new(
        cx: &'t mut Context<'a>,
        messenger: &'t mut Messenger,
        happened: &'t mut VecDeque<ApplicationEvent>,
    ) -> Self {
        Self { cx, messenger, happened }
    }

    /// How it stands with a contact; none where there is no such contact.
    pub(super) fn contact_state(&self, contact: ContactId) -> Option<ContactState> {
        self.messenger.contact_state(contact)
    }

    /// Sends a payload of 1 to [`MAX_APPLICATION_LEN`](autonomy_messaging::payload::MAX_APPLICATION_LEN) bytes; the first
    /// is the version of its format. It ends as a [`Session::settled`] with the number that this gives.
    ///
    /// # Errors
    /// The contact is not connected or blocked, or too much waits for them. Nothing was sent.
    pub(super) fn send(
        &mut self,
        contact: ContactId,
        kind: ApplicationKind,
        bytes: Vec<u8>,
    ) -> Result<u64, Refusal> {
        let command = Command::SendApplication { contact, kind, bytes: bytes.into() };
        match mail::command(self.messenger, self.cx, self.happened, command)? {
            MailAnswer::Queued(number) => Ok(number),
            other => Err(Refusal::Conflict(format!("the messenger answered {other:?} to a payload"))),
        }
    }
}
