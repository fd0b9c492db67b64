//! Steps that are committed together.
//!
//! One commit waits for the disk, whatever its size. So steps of inputs that wait anyway share one,
//! and none of them has an effect or a reply before it.

use std::{cell::RefCell, collections::BTreeMap};

use zeroize::Zeroizing;

use super::{Asker, StoreFailed};
use autonomy_node::{Effect, Input, Node, Reply, Row, Rows, Step, Timestamp};
use autonomy_store::{ReadError, RowChange, Store};

/// Inputs that share a commit, at most: as many as can wait. A commit waits for the disk, 4.5 ms where it was measured,
/// and the costliest step (a ratchet's commit) takes about 2 ms: shared by 64 the disk costs 0.07 ms an input, and the
/// first of them waits 64 × 2 ms = 0.13 s for its reply at worst.
pub(super) const MAX_BATCH: usize = super::INBOX;
/// Bytes of rows after which a commit is due anyway: as many as the store keeps of its pages in memory. A step of a
/// message changes at most a whole ratchet, about 100 kB, so 40 of those fit.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// Changed rows by encoded key; `None` removes a row.
type Pending = BTreeMap<Vec<u8>, Option<Zeroizing<Vec<u8>>>>;

/// Steps that wait for their commit: none of them has had an effect yet.
#[derive(Default)]
pub(super) struct Batch {
    /// Inputs worked on.
    inputs: usize,
    /// Bytes of keys and values in `rows`, counting each change.
    bytes: usize,
    /// Rows to be written, the newest value of each.
    rows: Pending,
    /// Effects of all steps, in order.
    effects: Vec<Effect>,
    /// The last delivery of the chain source among the inputs.
    delivery: Option<u64>,
    /// Replies, and whom they go to.
    replies: Vec<(Asker, Reply)>,
}

/// A batch that the store did not take: nothing of it was kept.
pub(super) struct NotCommitted {
    /// Why.
    pub(super) failed: StoreFailed,
    /// Who waits for a reply.
    pub(super) askers: Vec<Asker>,
}

/// What may be done once the rows are on disk.
#[must_use = "effects that are not carried out never happen"]
pub(super) struct Committed {
    /// Of all steps, in their order.
    pub(super) effects: Vec<Effect>,
    /// The last delivery of the chain source among the inputs: to be confirmed after the effects.
    pub(super) delivery: Option<u64>,
    /// To be given after the effects.
    pub(super) replies: Vec<(Asker, Reply)>,
}

impl Batch {
    /// Whether one more input may join.
    pub(super) fn has_room(&self) -> bool {
        self.inputs < MAX_BATCH && self.bytes < MAX_BATCH_BYTES
    }

    /// Lets the node take an input. The node sees the rows of the steps before, committed or not.
    ///
    /// # Errors
    /// A row could not be read. The node went on as if it did not exist, so the node must not be
    /// asked again, and nothing of the batch may be committed.
    pub(super) fn work(
        &mut self,
        node: &mut Node,
        store: &Store,
        now: Timestamp,
        input: Input,
    ) -> Result<Option<Reply>, StoreFailed> {
        let view = View { pending: &self.rows, store, fault: RefCell::default() };
        let step = node.handle(now, &mut rand::rngs::OsRng, &view, input);
        if let Some(fault) = view.fault.into_inner() {
            return Err(fault.into());
        }
        let Step { rows, effects, reply } = step;
        for row in rows {
            let Row { key, value } = row;
            self.bytes += key.len() + value.as_ref().map_or(0, |value| value.len());
            self.rows.insert(key, value);
        }
        self.effects.extend(effects);
        self.inputs += 1;
        Ok(reply)
    }

    /// One of the inputs was this delivery of the chain source, if it was one.
    pub(super) fn holds_delivery(&mut self, number: Option<u64>) {
        self.delivery = number.or(self.delivery);
    }

    /// Keeps a reply until the batch is committed and its effects are carried out.
    pub(super) fn reply_later(&mut self, answer: Asker, reply: Reply) {
        self.replies.push((answer, reply));
    }

    /// Writes the rows of all steps in one durable transaction.
    ///
    /// # Errors
    /// The store failed: nothing of any step was kept.
    pub(super) fn commit(self, store: &Store) -> Result<Committed, NotCommitted> {
        let Self { rows, effects, delivery, replies, .. } = self;
        let changes: Vec<RowChange> = rows.into_iter().map(|(key, value)| RowChange { key, value }).collect();
        match store.commit(&changes) {
            Ok(()) => Ok(Committed { effects, delivery, replies }),
            Err(failed) => Err(NotCommitted { failed: failed.into(), askers: askers(replies) }),
        }
    }

    /// A batch that will not be committed, since a step of it failed.
    pub(super) fn fail(self, failed: StoreFailed) -> NotCommitted {
        NotCommitted { failed, askers: askers(self.replies) }
    }
}

fn askers(replies: Vec<(Asker, Reply)>) -> Vec<Asker> {
    replies.into_iter().map(|(asker, _)| asker).collect()
}

/// The rows as the node sees them: those of the batch over those on disk.
struct View<'a> {
    pending: &'a Pending,
    store: &'a Store,
    /// The first error of reading, since [`Rows`] has no way to return it.
    fault: RefCell<Option<ReadError>>,
}

impl Rows for View<'_> {
    fn get(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if let Some(value) = self.pending.get(key) {
            return value.clone();
        }
        match self.store.read(key) {
            Ok(value) => value,
            Err(fault) => {
                self.fault.borrow_mut().get_or_insert(fault);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autonomy_store::Unlock;

    fn store(dir: &tempfile::TempDir) -> Store {
        let store = Store::create(dir.path().join("pod.redb"), &Unlock::key([7; 32])).unwrap();
        store.commit(&[RowChange::put("a", "disk"), RowChange::put("b", "disk")]).unwrap();
        store
    }

    #[test]
    fn step_reads_rows_of_earlier_steps_in_the_batch() {
        let dir = tempfile::tempdir().unwrap();
        let value = |text: &str| Some(Zeroizing::new(text.as_bytes().to_vec()));
        let pending = Pending::from([
            (b"a".to_vec(), value("later")),
            (b"b".to_vec(), None),
            (b"c".to_vec(), value("new")),
        ]);
        let store = store(&dir);
        let with = View { pending: &pending, store: &store, fault: RefCell::default() };
        assert_eq!(*with.get(b"a").unwrap(), b"later");
        assert_eq!(with.get(b"b"), None, "a row that a step removed is gone");
        assert_eq!(*with.get(b"c").unwrap(), b"new");
        assert_eq!(with.get(b"d"), None);
        let nothing = Pending::new();
        let without = View { pending: &nothing, store: &store, fault: RefCell::default() };
        assert_eq!(*without.get(b"b").unwrap(), b"disk");
        assert!(without.fault.into_inner().is_none());
    }
}
