//! Rows of a step, and what the world reads from them.

use autonomy_messaging::messenger::{ContactId, EntryState, EntryView, MailRow};
use autonomy_node::Row;

/// First byte of the messenger's keys of entries of conversations.
const ENTRY: u8 = b'e';
/// First byte of the messenger's keys of contacts.
const CONTACT: u8 = b'c';
/// First byte of the node's keys of what contacts share of their cards, and what is shared with them.
const CONTACT_CARD: u8 = 15;

/// A row of a step, not committed yet.
#[derive(Debug)]
pub(crate) struct Change {
    pub(super) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(super) about: About,
}

/// What a row is about, as far as the world looks at it.
#[derive(Debug)]
pub(super) enum About {
    /// An entry of a conversation.
    Entry(ContactId, EntryView),
    /// A contact is removed.
    Removed(ContactId),
    /// What is known of a contact's card, or what they are to know of the owner's.
    Card(ContactId),
    /// Something else.
    Other,
}

/// What the rows of a step are about.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    pub(crate) entries: Vec<(ContactId, EntryView)>,
    pub(crate) removed: Vec<ContactId>,
    pub(crate) cards: Vec<ContactId>,
}

impl Change {
    /// Reads what the row is about: the node knows what is in its rows, the world asks it.
    pub(super) fn of(row: Row) -> Self {
        let about = About::of(&row);
        let Row { key, value } = row;
        Self { key, value: value.map(|mut value| std::mem::take(&mut *value)), about }
    }
}

impl About {
    fn of(row: &Row) -> Self {
        let read = || match row.key.split_first()? {
            (&CONTACT_CARD, contact) => Some(Self::Card(ContactId(contact.try_into().ok()?))),
            (_, mail) if Row::is_cold_key(&row.key) && mail.first() == Some(&ENTRY) => {
                let entry = MailRow { key: mail.to_vec(), value: row.value.clone() }.entry()?;
                Some(Self::Entry(entry.0, entry.1))
            }
            (_, [CONTACT, contact @ ..]) if row.value.is_none() => {
                let contact = ContactId(contact.try_into().ok()?);
                (row.key == contact_key(contact)).then_some(Self::Removed(contact))
            }
            _ => None,
        };
        read().unwrap_or(Self::Other)
    }

    /// Whether it is an entry that nothing changes any more: delivered, given up, or received.
    pub(super) fn settles(&self) -> bool {
        matches!(self, Self::Entry(_, entry) if entry.state != EntryState::Queued)
    }
}

impl Committed {
    /// Adds what one more row is about.
    pub(super) fn take(&mut self, about: About) {
        match about {
            About::Entry(contact, entry) => self.entries.push((contact, entry)),
            About::Removed(contact) => self.removed.push(contact),
            About::Card(contact) => self.cards.push(contact),
            About::Other => {}
        }
    }
}

/// The key under which a pod keeps a contact.
pub(super) fn contact_key(contact: ContactId) -> Vec<u8> {
    let key = [&[CONTACT], &contact.0[..]].concat();
    Row::from(MailRow { key, value: None }).key
}
