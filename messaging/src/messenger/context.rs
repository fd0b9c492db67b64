//! One input being worked on, as every part sees it: the moment, randomness, the rows, and the step that grows.
//!
//! Parts cannot reach each other, so what one input does to several of them is visible where they are called: in the
//! turn.

use std::{cell::Cell, collections::BTreeMap};

use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::{
    answer::{MailAnswer, RefusedBecause},
    effect::{ApplicationEvent, ContactChange, Effect, Notice},
    ids::ContactId,
    refusals::{RefusalCounts, RefusalReason},
    row::{Kept, Key, MailRow, RowClass, page_key, unpack},
    states::Timestamp,
    step::Step,
};
use crate::Rows;

/// What a command gives.
pub(super) type CommandResult = Result<MailAnswer, RefusedBecause>;

/// What all parts write to while one input is worked on. It knows none of them.
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    /// Whether `now` is right: what would end for good waits until it is.
    pub(super) clock_is_right: bool,
    /// The caller's generator.
    pub(super) rng: &'a mut dyn CryptoRngCore,
    /// Cold rows as they were before this turn.
    rows: &'a dyn Rows,
    /// What comes of the input; grows during the turn.
    pub(super) step: Step,
    /// Cold rows of this turn, which `rows` does not show yet.
    fresh: BTreeMap<Vec<u8>, Option<Zeroizing<Vec<u8>>>>,
    /// What changed nothing in this turn. A cell, so that a part that only reads can count a damaged row.
    refused: Cell<RefusalCounts>,
}

impl<'a> Context<'a> {
    pub(super) fn new(now: Timestamp, rng: &'a mut dyn CryptoRngCore, rows: &'a dyn Rows) -> Self {
        Self {
            now,
            clock_is_right: false,
            rng,
            rows,
            step: Step::default(),
            fresh: BTreeMap::new(),
            refused: Cell::default(),
        }
    }

    /// Counts what changed nothing.
    pub(super) fn refuse(&self, reason: RefusalReason) {
        let mut refused = self.refused.get();
        refused.count(reason);
        self.refused.set(refused);
    }

    /// What was counted in this turn so far.
    pub(super) fn refused(&self) -> RefusalCounts {
        self.refused.get()
    }

    /// Writes a thing's new state under its key.
    pub(super) fn put<T: Kept>(&mut self, key: Key, value: &T) {
        self.push(MailRow::put(key, value));
    }

    /// Removes a row; it is no error if there is none.
    pub(super) fn remove(&mut self, key: Key) {
        self.push(MailRow::remove(key));
    }

    /// Writes a page of a contact's group, or removes it.
    pub(super) fn put_page(&mut self, id: ContactId, page: &[u8], value: Option<Vec<u8>>) {
        self.push(MailRow::page(id, page, value.map(Zeroizing::new)));
    }

    /// Rows that are read back within a turn (cold ones and pages) are found by [`read`](Self::read) at once.
    fn push(&mut self, row: MailRow) {
        if RowClass::of(&row.key) != RowClass::Hot {
            self.fresh.insert(row.key.clone(), row.value.clone());
        }
        self.step.rows.push(row);
    }

    /// A cold row, as this turn has left it.
    ///
    /// None where there is no such row. One that cannot be read is counted as [`RefusalReason::DamagedRow`] and given
    /// as none.
    pub(super) fn read<T: Kept>(&self, key: Key) -> Option<T> {
        let read = unpack(&self.read_raw(&key.to_bytes())?);
        if read.is_err() {
            self.refuse(RefusalReason::DamagedRow);
        }
        read.ok()
    }

    /// Reads a page of a contact's group.
    pub(super) fn page(&self, id: ContactId, page: &[u8]) -> Option<Vec<u8>> {
        self.read_raw(&page_key(id, page)).map(|mut page| std::mem::take(&mut *page))
    }

    /// Whether there is such a page of a contact's group.
    pub(super) fn has_page(&self, id: ContactId, page: &[u8]) -> bool {
        self.read_raw(&page_key(id, page)).is_some()
    }

    /// What this turn wrote comes before what the store has.
    fn read_raw(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self.fresh.get(key) {
            Some(value) => value.clone(),
            None => self.rows.get(key),
        }
    }

    /// Leaves an effect, to be carried out after the rows are safe.
    pub(super) fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    /// Tells the owner.
    pub(super) fn notify(&mut self, notice: Notice) {
        self.effect(Effect::Notify(notice));
    }

    /// Lets sessions know what became of a contact.
    pub(super) fn contact_changed(&mut self, contact: ContactId, change: ContactChange) {
        self.application_event(ApplicationEvent::Contact { contact, change });
    }

    /// Leaves an event for a session of the embedding node, which consumes it in the same step.
    pub(super) fn application_event(&mut self, event: ApplicationEvent) {
        self.step.application.push(event);
    }
}
