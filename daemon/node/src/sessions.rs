//! The list of all sessions, and how payloads, contacts and commands find their way to them.
//!
//! To add one: a module with a type that is `Session` and `Commanded`, its tables in `TABLES`, and its line in
//! `sessions!` below. `ARCHITECTURE.md` has the whole list of files.

pub mod card;

use std::collections::VecDeque;

use autonomy_api::Access;
use autonomy_messaging::{
    messenger::{ApplicationEvent, ContactChange, ContactId, Messenger},
    vcard::VCard,
};
use serde::{Deserialize, Serialize};

use super::{
    Refusal, Timestamp,
    context::Context,
    session::{Commanded, Sent, Session, SessionContext},
    table::{AnyTable, Restore},
};

/// The tables of all sessions. Tags from 14 on are theirs; one is never used again for something else.
pub(crate) static TABLES: [&dyn AnyTable; 2] = [&card::OWN_CARD, &card::CONTACT_CARDS];

/// Makes [`Sessions`], its commands and its answers of the list of sessions:
/// `field: Type, Variant(Command => Answer);` each.
macro_rules! sessions {
    ($($field:ident: $session:ty, $variant:ident($command:ty => $answer:ty);)*) => {
        /// All sessions.
        #[derive(Debug, Default, PartialEq)]
        pub(super) struct Sessions {
            $($field: $session,)*
            volatile: Volatile,
        }

        /// What devices ask of sessions.
        #[derive(Debug, Clone)]
        #[expect(missing_docs, reason = "each variant is a session, and its command says what is asked")]
        pub enum SessionCommand {
            $($variant($command),)*
        }

        /// What sessions answer.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each variant is a session, and its answer says what is answered")]
        pub enum SessionAnswer {
            $($variant($answer),)*
        }

        impl SessionCommand {
            /// How far a device must be allowed to go to give this command.
            #[must_use]
            pub(super) fn required_access(&self) -> Access {
                match *self {
                    $(Self::$variant(ref command) => <$session>::required_access(command),)*
                }
            }
        }

        impl Sessions {
            fn all(&self) -> Vec<&dyn Session> {
                vec![$(&self.$field,)*]
            }

            fn all_mut(&mut self) -> Vec<&mut dyn Session> {
                vec![$(&mut self.$field,)*]
            }

            /// Carries a command out.
            ///
            /// # Errors
            /// The session's own.
            pub(super) fn command(
                &mut self,
                cx: &mut SessionContext<'_, '_>,
                command: SessionCommand,
            ) -> Result<SessionAnswer, Refusal> {
                match command {
                    $(SessionCommand::$variant(command) => {
                        self.$field.command(cx, command).map(SessionAnswer::$variant)
                    })*
                }
            }
        }
    };
}

sessions! {
    cards: card::Cards, Card(card::CardCommand => card::CardAnswer);
}

/// What is in no row.
#[derive(Debug, Default)]
struct Volatile {
    /// Payloads that came for no session since the start.
    unserved: u64,
}

/// Equal whatever it holds: a restart forgets it.
impl PartialEq for Volatile {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Sessions {
    /// Names the kinds that have a session. To be called for each new messenger: one that was not told shows payloads of
    /// sessions to the owner as unknown messages.
    pub(super) fn serve(&self, messenger: &mut Messenger) {
        messenger.serve_kinds(self.all().into_iter().map(Session::kinds));
    }

    /// What of them is restored row by row.
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Restore> {
        self.all_mut().into_iter().flat_map(Session::tables).collect()
    }

    /// When there is something to do for one of them.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.all().into_iter().filter_map(Session::next_wake).min()
    }

    /// What the owner should know about them.
    pub(super) fn warnings(&self) -> Vec<String> {
        let Volatile { unserved } = self.volatile;
        let warning =
            format!("{unserved} payloads of contacts were for no session of this program and are lost");
        (unserved > 0).then_some(warning).into_iter().collect()
    }

    /// Does what is due.
    pub(super) fn wake(&mut self, cx: &mut SessionContext<'_, '_>) {
        let now = cx.cx.now;
        let due =
            self.all_mut().into_iter().filter(|session| session.next_wake().is_some_and(|at| at <= now));
        due.for_each(|session| session.wake(cx));
    }

    /// Adds what sessions know of a contact to a vCard.
    pub(super) fn extend_vcard(&self, contact: ContactId, card: &mut VCard) {
        self.all().into_iter().for_each(|session| session.extend_vcard(contact, card));
    }

    /// Hands on what an address book knows of a person.
    pub(super) fn vcard_imported(
        &mut self,
        cx: &mut SessionContext<'_, '_>,
        contact: ContactId,
        card: &VCard,
    ) {
        self.all_mut().into_iter().for_each(|session| session.vcard_imported(cx, contact, card));
    }

    /// Hands on what happened, and what happens because of it, until nothing is left.
    pub(super) fn take(
        &mut self,
        cx: &mut Context<'_>,
        messenger: &mut Messenger,
        happened: &mut VecDeque<ApplicationEvent>,
    ) {
        while let Some(next) = happened.pop_front() {
            self.happened(&mut SessionContext::new(cx, messenger, happened), next);
        }
    }

    fn happened(&mut self, cx: &mut SessionContext<'_, '_>, event: ApplicationEvent) {
        match event {
            ApplicationEvent::Deliver { contact, kind, bytes } => match self.serving(kind.number()) {
                Some(session) => session.deliver(cx, contact, kind, &bytes),
                None => {
                    // The messenger delivers kinds of `serve` only: a fault of the program, never silent.
                    tracing::error!(?kind, bytes = bytes.len(), "a payload came for no session, and is lost");
                    self.volatile.unserved += 1;
                }
            },
            ApplicationEvent::Settled { contact, number, kind, delivered } => match self
                .serving(kind.number())
            {
                Some(session) => session.settled(cx, Sent { to: contact, number, delivered }),
                None => {
                    tracing::warn!(?kind, number, delivered, "a payload of no session of this program ended")
                }
            },
            // Whose it was is not known: each session knows the numbers it waits for.
            ApplicationEvent::Lost { contact, number } => {
                let sent = Sent { to: contact, number, delivered: false };
                self.all_mut().into_iter().for_each(|session| session.settled(cx, sent));
            }
            // One who is known anew, or still, keeps what is theirs.
            ApplicationEvent::Contact { contact, change: ContactChange::Forgotten }
                if cx.contact_state(contact).is_some() => {}
            ApplicationEvent::Contact { contact, change } => {
                self.all_mut().into_iter().for_each(|session| session.contact(cx, contact, change));
            }
        }
    }

    fn serving(&mut self, kind: u16) -> Option<&mut dyn Session> {
        self.all_mut().into_iter().find(|session| session.kinds().contains(&kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autonomy_messaging::payload::{ApplicationKind, FIRST_APPLICATION_KIND};
    use rand::{SeedableRng as _, rngs::StdRng};

    use crate::{NoRows, journal::Journal};

    #[test]
    fn a_payload_without_a_session_is_counted_and_told() {
        let (mut sessions, mut messenger) = (Sessions::default(), Messenger::default());
        let (mut rng, mut journal) = (StdRng::seed_from_u64(1), Journal::default());
        let mut cx = Context::new(1, &mut rng, &NoRows, &mut journal);
        assert_eq!(sessions.warnings(), [""; 0]);
        let (contact, kind) = (ContactId([0; 16]), ApplicationKind::new(u16::MAX).unwrap());
        let lost = ApplicationEvent::Deliver { contact, kind, bytes: vec![1] };
        sessions.take(&mut cx, &mut messenger, &mut VecDeque::from([lost.clone(), lost]));
        let warnings = sessions.warnings();
        assert!(warnings.len() == 1 && warnings[0].starts_with("2 payloads"), "{warnings:?}");
    }

    #[test]
    fn each_kind_has_one_session_and_none_is_the_messengers() {
        let sessions = Sessions::default();
        let ranges: Vec<_> = sessions.all().into_iter().map(Session::kinds).collect();
        for (index, range) in ranges.iter().enumerate() {
            assert!(*range.start() >= FIRST_APPLICATION_KIND && !range.is_empty(), "{range:?}");
            let apart = |other: &std::ops::RangeInclusive<u16>| {
                other.end() < range.start() || range.end() < other.start()
            };
            assert!(ranges[index + 1..].iter().all(apart), "{range:?}");
        }
    }
}
