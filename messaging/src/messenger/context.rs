//! One input being worked on, as every part sees it: the moment, randomness, the rows, and the step that grows.

use std::collections::BTreeMap;

use rand_core::CryptoRngCore;
use serde::Serialize;

use super::{
    answer::{MailAnswer, RefusedBecause},
    effect::{ApplicationEvent, ContactChange, Effect, Notice},
    ids::ContactId,
    refusals::{RefusalCounts, RefusalReason},
    row::{Key, MailRow, RowClass, page_key, unpack},
    states::Timestamp,
    step::Step,
};
use crate::Rows;

/// What a command gives.
pub(super) type CommandResult = Result<MailAnswer, RefusedBecause>;

/// What all parts write to while one input is worked on. It knows none of them.
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) rng: &'a mut dyn CryptoRngCore,
    rows: &'a dyn Rows,
    pub(super) step: Step,
    /// Cold rows of this turn, which `rows` does not show yet.
    fresh: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// What changed nothing in this turn.
    pub(super) refused: RefusalCounts,
}

impl<'a> Context<'a> {
    pub(super) fn new(now: Timestamp, rng: &'a mut dyn CryptoRngCore, rows: &'a dyn Rows) -> Self {
        Self {
            now,
            rng,
            rows,
            step: Step::default(),
            fresh: BTreeMap::new(),
            refused: RefusalCounts::default(),
        }
    }

    /// Counts what changed nothing.
    pub(super) fn refuse(&mut self, reason: RefusalReason) {
        self.refused.count(reason);
    }

    pub(super) fn put<T: Serialize>(&mut self, key: Key, value: &T) {
        self.push(MailRow::put(key, value));
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.push(MailRow::remove(key));
    }

    /// Writes a page of a contact's group, or removes it.
    pub(super) fn put_page(&mut self, id: ContactId, page: &[u8], value: Option<Vec<u8>>) {
        self.push(MailRow::page(id, page, value));
    }

    fn push(&mut self, row: MailRow) {
        if RowClass::of(&row.key) != RowClass::Hot {
            self.fresh.insert(row.key.clone(), row.value.clone());
        }
        self.step.rows.push(row);
    }

    /// A cold row, as this turn has left it.
    pub(super) fn read<T: serde::de::DeserializeOwned>(&self, key: Key) -> Option<T> {
        unpack(&self.read_raw(&key.to_bytes())?).ok()
    }

    /// Reads a page of a contact's group.
    pub(super) fn page(&self, id: ContactId, page: &[u8]) -> Option<Vec<u8>> {
        self.read_raw(&page_key(id, page))
    }

    fn read_raw(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.fresh.get(key) {
            Some(value) => value.clone(),
            None => self.rows.get(key),
        }
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.effect(Effect::Notify(notice));
    }

    /// Lets sessions know what became of a contact.
    pub(super) fn contact_changed(&mut self, contact: ContactId, change: ContactChange) {
        self.application_event(ApplicationEvent::Contact { contact, change });
    }

    pub(super) fn application_event(&mut self, event: ApplicationEvent) {
        self.step.application.push(event);
    }
}
