//! One input being worked on, as every part sees it: the moment, randomness, cold rows, and the step that grows.

use std::collections::BTreeMap;

use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::{Effect, Reply, Rows, Step, Timestamp, journal::Journal, row::Row};
use autonomy_api::EventKind;

/// What all parts write to while one input is worked on. It knows none of them but the journal.
///
/// Commands check everything first and change things after: what is refused has left no row here, or rows that end as they
/// were (coins let go and held again).
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) rng: &'a mut dyn CryptoRngCore,
    /// Cold rows, as the steps before this one left them.
    earlier: &'a dyn Rows,
    /// Where the newest value of each cold row of this step stands among its rows.
    fresh: BTreeMap<Vec<u8>, usize>,
    journal: &'a mut Journal,
    step: Step,
}

/// Cold rows as this step has left them so far. One step may hand several things to the messenger: each must find the
/// ratchets as the one before left them, or a message key would be used twice.
pub(super) struct ColdRows<'a> {
    earlier: &'a dyn Rows,
    fresh: &'a BTreeMap<Vec<u8>, usize>,
    rows: &'a [Row],
}

impl Rows for ColdRows<'_> {
    fn get(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self.fresh.get(key) {
            Some(&at) => self.rows[at].value.clone(),
            None => self.earlier.get(key),
        }
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(
        now: Timestamp,
        rng: &'a mut dyn CryptoRngCore,
        earlier: &'a dyn Rows,
        journal: &'a mut Journal,
    ) -> Self {
        Self { now, rng, earlier, fresh: BTreeMap::new(), journal, step: Step::default() }
    }

    /// Randomness, and cold rows as this step has left them so far.
    pub(super) fn rng_and_cold(&mut self) -> (&mut dyn CryptoRngCore, ColdRows<'_>) {
        let Self { rng, earlier, fresh, step, .. } = self;
        (*rng, ColdRows { earlier: *earlier, fresh, rows: &step.rows })
    }

    /// A row to be committed with this step. Of two with the same key the later one wins.
    pub(super) fn row(&mut self, row: Row) {
        if row.is_cold() {
            self.fresh.insert(row.key.clone(), self.step.rows.len());
        }
        self.step.rows.push(row);
    }

    /// Several of them, in their order.
    pub(super) fn rows(&mut self, rows: impl IntoIterator<Item = Row>) {
        rows.into_iter().for_each(|row| self.row(row));
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

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;
    use crate::row::tag;

    /// One row of an earlier step.
    struct One(Vec<u8>);

    impl Rows for One {
        fn get(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
            (key == self.0).then(|| vec![1].into())
        }
    }

    #[test]
    fn a_step_reads_its_own_cold_rows() {
        let (ratchet, hot) = (vec![tag::RATCHET, 7], vec![tag::MAIL, 7]);
        let earlier = One(ratchet.clone());
        let (mut journal, mut rng) = (Journal::default(), OsRng);
        let mut cx = Context::new(0, &mut rng, &earlier, &mut journal);
        let found =
            |cx: &mut Context<'_>, key: &[u8]| cx.rng_and_cold().1.get(key).map(|value| value.to_vec());
        let row = |key: &[u8], value: Option<u8>| Row {
            key: key.to_vec(),
            value: value.map(|byte| vec![byte].into()),
        };

        assert_eq!(found(&mut cx, &ratchet), Some(vec![1]), "as the steps before left it");
        cx.rows([row(&ratchet, Some(2)), row(&hot, Some(3)), row(&ratchet, Some(4))]);
        assert_eq!(found(&mut cx, &ratchet), Some(vec![4]), "the newest of this step");
        assert_eq!(found(&mut cx, &hot), None, "hot rows are held in memory");
        cx.row(row(&ratchet, None));
        assert_eq!(found(&mut cx, &ratchet), None, "what this step removed is gone");
    }
}
