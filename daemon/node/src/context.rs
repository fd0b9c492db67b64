//! One input being worked on, as every part sees it: the moment, randomness, cold rows, and the step that grows.

use rand_core::CryptoRngCore;

use super::{Effect, Reply, Rows, Step, Timestamp, journal::Journal, row::Row};
use autonomy_api::EventKind;

/// What all parts write to while one input is worked on. It knows none of them but the journal.
///
/// Commands check everything first and change things after: what is refused has left no row here.
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) rng: &'a mut dyn CryptoRngCore,
    /// Cold rows, as the steps before this one left them.
    pub(super) cold: &'a dyn Rows,
    journal: &'a mut Journal,
    step: Step,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        now: Timestamp,
        rng: &'a mut dyn CryptoRngCore,
        cold: &'a dyn Rows,
        journal: &'a mut Journal,
    ) -> Self {
        Self { now, rng, cold, journal, step: Step::default() }
    }

    /// A row to be committed with this step. Of two with the same key the later one wins.
    pub(super) fn row(&mut self, row: Row) {
        self.step.rows.push(row);
    }

    /// Several of them, in their order.
    pub(super) fn rows(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.step.rows.extend(rows);
    }

    /// Something to be done once the rows are safe.
    pub(super) fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    /// Something to be done before all that the step does so far.
    pub(super) fn effect_first(&mut self, effect: Effect) {
        self.step.effects.insert(0, effect);
    }

    /// Whether a row whose key is such is to be committed with this step.
    pub(super) fn has_row(&self, such: impl Fn(&[u8]) -> bool) -> bool {
        self.step.rows.iter().any(|row| such(&row.key))
    }

    /// Keeps an event and tells it to every listener.
    pub(super) fn notify(&mut self, kind: EventKind) {
        let (event, rows) = self.journal.keep(self.now, kind);
        self.rows(rows);
        self.effect(Effect::Notify(event));
    }

    /// Counts something that must never be forgotten: a device that has seen this step refuses the pod of an older
    /// backup.
    pub(super) fn advance_epoch(&mut self) {
        let row = self.journal.set_state_epoch(self.journal.state_epoch() + 1);
        self.row(row);
    }

    /// What the parts before this one have counted.
    pub(super) fn journal(&self) -> &Journal {
        self.journal
    }

    /// The same, to be moved on: its rows are to be given to [`Context::row`].
    pub(super) fn journal_mut(&mut self) -> &mut Journal {
        self.journal
    }

    /// Ends the step.
    pub(super) fn finish(self, reply: Option<Reply>) -> Step {
        Step { reply, ..self.step }
    }
}
