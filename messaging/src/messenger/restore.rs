//! A messenger from its rows, as if it had never stopped.
//!
//! Hot rows alone are read. A contact has several: who it is (`c`), how the conversation stands (`t`), each message in the
//! outbox (`q`), each file (`s`, `o`). They come in any order, are collected in [`Pieces`], and a contact is put together once
//! all were seen. What else the messenger knows follows from them: which queue leads to whom, and what is due.
//!
//! Rows are not trusted. A contact without one of its rows, or under another's name, is an error and no new contact: what
//! was promised to be delivered would be forgotten in silence.

use std::collections::BTreeMap;

use super::{
    ContactId, Messenger, Own,
    contact::Contact,
    conversation::{AuditCount, Conversation, QueuedRow, ThreadRecord},
    files::Files,
    network::QueueOwner,
    row::{BadRow, Key, Unreadable, unpack},
    stage::ContactRecord,
    stored::StoredName,
};
use crate::{RelayAudit, RootPublic, card::UnverifiedCard, place::QueueId};

/// Why a messenger cannot be brought back from its rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A row cannot be read.
    #[error(transparent)]
    Row(#[from] BadRow),
    /// Rows do not fit each other.
    #[error("the conversation with a contact cannot be read: {0}")]
    Thread(&'static str),
}

/// The rows of one contact, as far as they were seen.
#[derive(Default)]
struct Pieces {
    record: Option<ContactRecord>,
    thread: Option<ThreadRecord>,
    queued: BTreeMap<u64, QueuedRow>,
    files: Files,
}

impl Messenger {
    /// Rebuilds the messenger from its hot rows: key and value of each. Cold ones may be among them; they are passed
    /// over. `own` is who the pod is, once it has an owner.
    ///
    /// The messenger equals the one that wrote the rows in all that [`PartialEq`] compares. Calls in flight are forgotten, so
    /// all that is not acknowledged end to end is due again.
    ///
    /// # Errors
    /// [`RestoreError`]: a row cannot be read, a newer program wrote it, or rows of a contact do not fit each other.
    pub fn restore<'a>(
        rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        own: Option<Own>,
    ) -> Result<Self, RestoreError> {
        let mut messenger = Self { own, ..Self::default() };
        let mut pieces: BTreeMap<ContactId, Pieces> = BTreeMap::new();
        for (key, value) in rows {
            let tag = key.first().copied().unwrap_or_default();
            let bad = |why: Unreadable| BadRow { tag, why };
            let unfit = |why: &'static str| bad(why.into());
            if super::RowClass::of(key) != super::RowClass::Hot {
                continue;
            }
            match Key::parse(key).ok_or(unfit("its kind or its name is not known here"))? {
                Key::Name => messenger.name = Some(unpack::<StoredName>(value).map_err(bad)?.0),
                Key::Reach => messenger.reach = unpack(value).map_err(bad)?,
                Key::Relay(place) => {
                    messenger.relays.restore(place, unpack(value).map_err(bad)?).map_err(unfit)?;
                }
                Key::Invite(id) => {
                    messenger.invites.restore(id, unpack(value).map_err(bad)?).map_err(unfit)?;
                }
                Key::Contact(id) => pieces.entry(id).or_default().record = Some(unpack(value).map_err(bad)?),
                Key::Thread(id) => pieces.entry(id).or_default().thread = Some(unpack(value).map_err(bad)?),
                Key::Queued(id, number) => {
                    let row = unpack(value).map_err(bad)?;
                    pieces.entry(id).or_default().queued.insert(number, row);
                }
                Key::Sending(id, transfer) | Key::Taking(id, transfer) => {
                    let files = &mut pieces.entry(id).or_default().files;
                    files.restore(transfer, unpack(value).map_err(bad)?).map_err(unfit)?;
                }
                Key::Early(id, transfer) => {
                    let early = unpack(value).map_err(bad)?;
                    pieces.entry(id).or_default().files.restore_early(transfer, early);
                }
                Key::Entry(..) | Key::Part(..) | Key::Chunk(..) => {}
            }
        }
        for (id, pieces) in pieces {
            messenger.contacts.insert(id, pieces.assemble(id)?);
        }
        messenger.index();
        Ok(messenger)
    }

    /// Learns which queues lead to whom: in no row of its own, so that it cannot contradict the others.
    fn index(&mut self) {
        if let Some(own) = &self.own {
            self.network.move_home(own.place);
        }
        for (id, contact) in &self.contacts {
            self.work.taken_bytes += contact.files.taken_bytes();
            contact.heard_queues().for_each(|queue| self.network.lead(queue.id(), QueueOwner::Contact(*id)));
        }
        for (id, queue, _) in self.invites.queues() {
            self.network.lead(queue.id(), QueueOwner::Invite(id));
        }
    }
}

impl Pieces {
    /// The contact of these rows.
    ///
    /// # Errors
    /// One of the two rows that each contact has is missing; or its root, its name or its card is another's.
    fn assemble(self, id: ContactId) -> Result<Contact, RestoreError> {
        let record = self.record.ok_or(RestoreError::Thread("the contact itself is missing"))?;
        let thread = self.thread.ok_or(RestoreError::Thread("its state is missing"))?;
        let root = RootPublic::from_bytes(record.profile.root_bytes())
            .map_err(|_| RestoreError::Thread("the root is not a key"))?;
        if ContactId::of(&root) != id {
            return Err(RestoreError::Thread("it lies under another's name"));
        }
        let card = match record.their_card() {
            None => None,
            Some(card) => {
                let card =
                    UnverifiedCard::parse(card).map_err(|_| RestoreError::Thread("the card is malformed"))?;
                Some(card.verify_kept(&root).map_err(|_| RestoreError::Thread("the card is another's"))?)
            }
        };
        let conversation = Conversation::restore(thread, self.queued).map_err(RestoreError::Thread)?;
        let seen = conversation.heard_at().unwrap_or_default();
        let audit = |(queue, claimed, collected): &AuditCount| {
            (QueueId::from_bytes(*queue), RelayAudit::resume(*claimed, *collected, seen))
        };
        let audits = conversation.counts().iter().map(audit).collect();
        let mut contact = Contact::new(record, conversation, card);
        contact.volatile.audits = audits;
        contact.files = self.files;
        Ok(contact)
    }
}

/// Equal in everything that rows hold: what a restart keeps.
impl PartialEq for Messenger {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.reach == other.reach
            && self.contacts == other.contacts
            && self.invites == other.invites
            && self.relays == other.relays
    }
}

impl PartialEq for Contact {
    fn eq(&self, other: &Self) -> bool {
        self.record() == other.record()
            && self.conversation == other.conversation
            && self.files == other.files
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Name, messenger::row::pack};

    fn restored(name: &[u8]) -> Result<Messenger, RestoreError> {
        Messenger::restore([(&Key::Name.to_bytes()[..], name)], None)
    }

    #[test]
    fn stored_name_that_breaks_a_rule_refuses_the_restore() {
        let good = pack(&StoredName(Name::new("Alice").unwrap()));
        assert_eq!(restored(&good).unwrap().name.unwrap().as_str(), "Alice");
        let damaged: Vec<u8> = good.iter().map(|byte| if *byte == b'A' { b'\n' } else { *byte }).collect();
        assert!(matches!(restored(&damaged), Err(RestoreError::Row(_))));
    }
}
