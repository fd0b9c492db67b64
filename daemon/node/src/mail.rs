//! The messenger within the node: its rows are rows of the node, its effects effects of the node.

use autonomy_messaging::{
    Rows,
    messenger::{self, MailAnswer, MailRow, RefusedBecause, RowClass},
};

use super::{
    Effect, mail_answer,
    row::{Row, tag},
    turn::Turn,
};

/// Cold rows of the node as the messenger names them.
struct MailRows<'a>(&'a dyn Rows);

impl Rows for MailRows<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
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

impl Turn<'_> {
    /// Hands one thing to the messenger, and gives its answer to a command.
    pub(super) fn mail(&mut self, input: messenger::Input) -> Option<Result<MailAnswer, RefusedBecause>> {
        let Self { messenger, cx, .. } = self;
        let step = messenger.handle(cx.now, cx.rng, &MailRows(cx.cold), input);
        let messenger::Step { rows, application, effects, answer } = step;
        // No session is served yet (`Messenger::serve_kinds`), so nothing is delivered past the conversation.
        debug_assert!(application.is_empty(), "a payload without a session");
        cx.rows(rows.into_iter().map(Row::from));
        for effect in effects {
            match effect {
                messenger::Effect::Notify(notice) => cx.notify(mail_answer::event(&notice)),
                effect => cx.effect(Effect::Mail(effect)),
            }
        }
        answer
    }
}
