//! The messenger within the node: its rows are rows of the node, its effects effects of the node, and what it carries for
//! sessions reaches them in the same step.

use std::collections::VecDeque;

use autonomy_messaging::{
    Rows,
    messenger::{
        self, ApplicationEvent, ContactId, MailAnswer, MailRow, Messenger, RefusedBecause, RowClass,
    },
    vcard::VCard,
};
use zeroize::Zeroizing;

use super::{
    Answer, Effect, Refusal, Reply,
    context::Context,
    mail_answer,
    mail_command::{self, Subject},
    row::{Row, tag},
    session::SessionContext,
    sessions::{SessionCommand, Sessions},
    turn::Turn,
};

/// Rows of the node as the messenger names them.
struct MailRows<'a>(&'a dyn Rows);

impl Rows for MailRows<'_> {
    fn get(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.get(&Row::from(MailRow { key: key.to_vec(), value: None }).key)
    }
}

/// A row of the messenger as one of the node: a tag for its class, then the messenger's own key.
impl From<MailRow> for Row {
    fn from(row: MailRow) -> Self {
        let tag = match RowClass::of(&row.key) {
            RowClass::Hot => tag::MAIL,
            RowClass::Cold => tag::COLD_MAIL,
            RowClass::Ratchet => tag::RATCHET,
        };
        Self { key: [&[tag], &row.key[..]].concat(), value: row.value }
    }
}

impl super::Node {
    /// The epoch of the ratchet with a contact, 1 in its first; `rows` reads rows by their encoded keys. None where there is
    /// none.
    #[must_use]
    pub fn ratchet_epoch(&self, rows: &dyn Rows, contact: ContactId) -> Option<u64> {
        self.messenger().ratchet_epoch(&MailRows(rows), contact)
    }
}

/// Hands one thing to the messenger. What happened to payloads of sessions, and to contacts, is left in `happened`.
fn step(
    messenger: &mut Messenger,
    cx: &mut Context<'_>,
    happened: &mut VecDeque<ApplicationEvent>,
    input: messenger::Input,
) -> Option<Result<MailAnswer, RefusedBecause>> {
    let now = cx.now;
    let (rng, cold) = cx.rng_and_cold();
    let step = messenger.handle(now, rng, &MailRows(&cold), input);
    let messenger::Step { rows, application, effects, answer } = step;
    cx.rows(rows.into_iter().map(Row::from));
    for effect in effects {
        match effect {
            messenger::Effect::Notify(notice) => cx.notify(mail_answer::event(&notice)),
            effect => cx.effect(Effect::Mail(effect)),
        }
    }
    happened.extend(application);
    answer
}

/// Gives the messenger a command.
///
/// # Errors
/// Why it was not carried out, by the name of what the command is about.
pub(super) fn command(
    messenger: &mut Messenger,
    cx: &mut Context<'_>,
    happened: &mut VecDeque<ApplicationEvent>,
    command: messenger::Command,
) -> Result<MailAnswer, Refusal> {
    let subject = Subject::of(&command);
    let answer = step(messenger, cx, happened, messenger::Input::Command(command));
    // Every command is answered.
    answer.unwrap_or(Ok(MailAnswer::Done)).map_err(|because| mail_command::refusal(because, subject))
}

impl Turn<'_> {
    /// Hands something to the messenger that is no command, and what came of it to the sessions.
    pub(super) fn mail(&mut self, input: messenger::Input) {
        let mut happened = VecDeque::new();
        step(self.messenger, &mut self.cx, &mut happened, input);
        self.sessions.take(&mut self.cx, self.messenger, &mut happened);
    }

    /// Gives the messenger a command, and what came of it to the sessions.
    ///
    /// # Errors
    /// See [`command`].
    pub(super) fn ask_messenger(&mut self, asked: messenger::Command) -> Result<MailAnswer, Refusal> {
        let mut happened = VecDeque::new();
        let (blocks, reaches) = (
            matches!(asked, messenger::Command::SetBlocked(_, true)),
            matches!(asked, messenger::Command::SetReach(_)),
        );
        let answer = command(self.messenger, &mut self.cx, &mut happened, asked);
        if answer.is_ok() && blocks {
            self.admission.want_move(&mut self.cx);
        }
        if answer.is_ok() && reaches {
            self.listen();
        }
        self.sessions.take(&mut self.cx, self.messenger, &mut happened);
        answer
    }

    /// Lets sessions do something, and then what follows from it.
    fn with_sessions<R>(&mut self, act: impl FnOnce(&mut Sessions, &mut SessionContext<'_, '_>) -> R) -> R {
        let mut happened = VecDeque::new();
        let outcome =
            act(self.sessions, &mut SessionContext::new(&mut self.cx, self.messenger, &mut happened));
        self.sessions.take(&mut self.cx, self.messenger, &mut happened);
        outcome
    }

    /// Carries out a command of a session.
    ///
    /// # Errors
    /// The session's own.
    pub(super) fn session_command(&mut self, command: SessionCommand) -> Reply {
        self.with_sessions(|sessions, cx| sessions.command(cx, command)).map(Answer::Session)
    }

    /// Lets sessions do what is due.
    pub(super) fn wake_sessions(&mut self) {
        if self.sessions.next_wake().is_some_and(|due| due <= self.cx.now) {
            self.with_sessions(|sessions, cx| sessions.wake(cx));
        }
    }

    /// A contact's vCard with what sessions know of them.
    ///
    /// # Errors
    /// There is no such contact.
    pub(super) fn export_card(&mut self, contact: ContactId) -> Reply {
        match self.ask_messenger(messenger::Command::ExportCard(contact))? {
            MailAnswer::Card(text) => {
                let mut card =
                    VCard::from_text(&text).map_err(|error| Refusal::Conflict(error.to_string()))?;
                self.sessions.extend_vcard(contact, &mut card);
                Ok(Answer::Card(card.to_text()))
            }
            other => Ok(mail_answer::answer(other, self.cx.now)),
        }
    }

    /// Puts a person on record, and gives sessions what their address book knows.
    ///
    /// # Errors
    /// The messenger's own.
    pub(super) fn import_card(&mut self, card: Box<VCard>) -> Reply {
        let (contact, known) = (ContactId::of(&card.root), card.clone());
        let answer = self.ask_messenger(messenger::Command::ImportCard(card))?;
        self.with_sessions(|sessions, cx| sessions.vcard_imported(cx, contact, &known));
        Ok(mail_answer::answer(answer, self.cx.now))
    }
}
