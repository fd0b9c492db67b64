//! Fields of contact cards: the owner keeps them, chooses who gets which, and contacts have what was chosen last.
//!
//! A contact is sent all the fields that are theirs to see, in one payload with a revision; what is not in it is
//! withdrawn. One payload is on its way to a contact at a time, so a newer one never overtakes an older, and of several
//! changes in between only the last is sent. What is on its way cannot be taken back.
//!
//! A revision is above all earlier ones, and at least the time it is made: a pod from an old backup counts on above what
//! it has forgotten. When a conversation begins anew, both sides start over: who shares says it again under a new
//! revision, and who receives takes the next whatever its number, since clocks may have been turned.

mod fields;

use std::{collections::BTreeMap, ops::RangeInclusive};

use autonomy_api::{Access, CardDelivery, CardFields, ContactCard, EventKind, ShareCard};
use autonomy_messaging::{
    messenger::{ContactChange, ContactId, ContactState},
    payload::ApplicationKind,
    vcard::VCard,
};
use serde::{Deserialize, Serialize};

use self::fields::{FieldSet, Fields};
use crate::{
    Refusal, Timestamp,
    context::Context,
    session::{Commanded, Sent, Session, SessionContext},
    table::{Held, Restore, Single, Table, whole},
};

/// The kind of the one payload.
const KIND: u16 = 0x0400;
/// The version of its format: the first byte.
const FORMAT: u8 = 1;
/// Pause before a payload that the messenger did not take is tried again, seconds: the outbox of a contact is full for as
/// long as they are away.
const RETRY_SECONDS: u64 = 15 * 60;

/// The owner's own fields.
pub(crate) static OWN_CARD: Table<(), Fields> = Table::new(14);
/// What is shared with contacts, and what they share.
pub(crate) static CONTACT_CARDS: Table<ContactId, CardRecord> = Table::new(15);

/// What devices ask.
#[derive(Debug, Clone)]
pub enum CardCommand {
    /// The owner's own fields.
    Own,
    /// Replaces them.
    SetOwn(Box<CardFields>),
    /// What a contact shares, and what is shared with them.
    Of(ContactId),
    /// Chooses the fields that a contact gets.
    Share(ContactId, ShareCard),
}

/// What they are answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CardAnswer {
    /// The owner's own fields.
    Own(Box<CardFields>),
    /// What a contact shares, and what is shared with them.
    Of(Box<ContactCard>),
}

/// The payload, behind the byte of its format: CBOR.
#[derive(Serialize, Deserialize)]
struct Payload {
    /// Above all that this sender said before.
    revision: u64,
    /// All that the receiver may see: what is not in it is withdrawn.
    fields: Fields,
}

/// What is shared with a contact, and what they share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CardRecord {
    /// The fields that they are to see.
    shared: FieldSet,
    /// Of what they are to have; 0 while nothing was ever shared with them.
    revision: u64,
    /// Of what they have.
    delivered: u64,
    /// Number of the payload on its way, and its revision.
    on_its_way: Option<(u64, u64)>,
    /// What they share with us, as they said it last.
    theirs: Fields,
    /// Of what they shared last; 0 while they never did.
    their_revision: u64,
    /// Whether the next is taken whatever its number.
    takes_any: bool,
}

/// The fields of all cards.
#[derive(Debug)]
pub(super) struct Cards {
    /// What the owner wrote, whoever may see it.
    own: Single<Fields>,
    /// No row where nothing was ever shared in either direction.
    contacts: Held<ContactId, CardRecord>,
    /// In no row: when what could not be sent is tried again; never while they are not connected.
    retry: BTreeMap<ContactId, Option<Timestamp>>,
}

impl Default for Cards {
    fn default() -> Self {
        let own = Single::new(&OWN_CARD, Fields::default());
        Self { own, contacts: Held::new(&CONTACT_CARDS), retry: BTreeMap::new() }
    }
}

/// Equal in what rows hold.
impl PartialEq for Cards {
    fn eq(&self, other: &Self) -> bool {
        (&self.own, &self.contacts) == (&other.own, &other.contacts)
    }
}

impl Cards {
    /// What a contact is to have of the owner's fields.
    fn visible(&self, shared: FieldSet) -> CardFields {
        self.own.0.only(&shared.fields())
    }

    fn record(&self, contact: ContactId) -> CardRecord {
        self.contacts.get(&contact).cloned().unwrap_or_default()
    }

    fn put(&mut self, cx: &mut Context<'_>, contact: ContactId, record: CardRecord) {
        cx.row(self.contacts.put(contact, record));
    }

    /// Replaces the owner's fields; contacts who see a change get it.
    fn set_own(&mut self, cx: &mut SessionContext<'_, '_>, fields: CardFields) {
        let before = self.own.0.clone();
        cx.cx.row(self.own.put(Fields(fields)));
        let all: Vec<_> = self.contacts.iter().map(|(contact, record)| (*contact, record.clone())).collect();
        for (contact, record) in all {
            let seen = record.shared.fields();
            if before.only(&seen) != self.own.0.only(&seen) {
                self.say_anew(cx, contact, record);
            }
        }
    }

    /// Chooses what a contact gets.
    fn share(&mut self, cx: &mut SessionContext<'_, '_>, contact: ContactId, shared: FieldSet) {
        let before = self.record(contact);
        let changed = self.visible(before.shared) != self.visible(shared);
        let record = CardRecord { shared, ..before };
        match changed {
            true => self.say_anew(cx, contact, record),
            false => self.put(cx.cx, contact, record),
        }
    }

    /// What a contact has is not what they are to have: it gets a new revision, and is sent as soon as it can be.
    fn say_anew(&mut self, cx: &mut SessionContext<'_, '_>, contact: ContactId, record: CardRecord) {
        let revision = record.revision.saturating_add(1).max(cx.cx.now);
        self.put(cx.cx, contact, CardRecord { revision, ..record });
        self.retry.remove(&contact);
        self.send(cx, contact);
    }

    /// Sends what is due to a contact; later, where the messenger does not take it now.
    fn send(&mut self, cx: &mut SessionContext<'_, '_>, contact: ContactId) {
        let due = self.contacts.get(&contact).filter(|record| record.is_due());
        let Some(record) = due.cloned() else { return };
        let payload = Payload { revision: record.revision, fields: Fields(self.visible(record.shared)) };
        match cx.send(contact, kind(), payload.to_bytes()) {
            Ok(number) => {
                let on_its_way = Some((number, record.revision));
                self.put(cx.cx, contact, CardRecord { on_its_way, ..record });
                self.retry.remove(&contact);
            }
            Err(_) => {
                let connected = cx.contact_state(contact) == Some(ContactState::Active);
                self.retry.insert(contact, connected.then_some(cx.cx.now.saturating_add(RETRY_SECONDS)));
            }
        }
    }

    fn describe(&self, contact: ContactId) -> CardAnswer {
        let record = self.record(contact);
        let delivery = match record.on_its_way {
            Some((_, revision)) if revision == record.revision => CardDelivery::Sent,
            None if record.revision == record.delivered => CardDelivery::Delivered,
            _ => CardDelivery::Waiting,
        };
        CardAnswer::Of(Box::new(ContactCard {
            contact,
            shared: record.shared.fields(),
            theirs: record.theirs.0,
            delivery,
        }))
    }

    /// When a contact is due: at once, unless it was tried. None while they are not connected.
    fn due_at(&self, contact: &ContactId, record: &CardRecord) -> Option<Timestamp> {
        record.is_due().then(|| self.retry.get(contact).copied().unwrap_or(Some(0)))?
    }
}

impl Session for Cards {
    fn kinds(&self) -> RangeInclusive<u16> {
        KIND..=KIND
    }

    fn tables(&mut self) -> Vec<&mut dyn Restore> {
        vec![&mut self.own, &mut self.contacts]
    }

    fn deliver(
        &mut self,
        cx: &mut SessionContext<'_, '_>,
        from: ContactId,
        _: ApplicationKind,
        bytes: &[u8],
    ) {
        let Payload { revision, fields } = match Payload::read(bytes) {
            Ok(payload) => payload,
            Err(why) => return tracing::warn!(contact = ?from, "fields of a card were left aside: {why}"),
        };
        let record = self.record(from);
        if revision <= record.their_revision && !record.takes_any {
            return tracing::debug!(contact = ?from, "fields of a card are older than those known");
        }
        if record.their_revision == 0 && fields == Fields::default() {
            // Nothing is withdrawn: what an address book says holds on.
            return;
        }
        let changed = record.theirs != fields;
        let theirs = CardRecord { theirs: fields, their_revision: revision, takes_any: false, ..record };
        self.put(cx.cx, from, theirs);
        if changed {
            cx.cx.notify(EventKind::ContactChanged { contact: from });
        }
    }

    /// What was not delivered is due again.
    fn settled(&mut self, cx: &mut SessionContext<'_, '_>, sent: Sent) {
        let record = self.record(sent.to);
        let Some((_, revision)) = record.on_its_way.filter(|(number, _)| *number == sent.number) else {
            // Of before a new beginning: what counts was sent again since.
            return;
        };
        let delivered = if sent.delivered { revision } else { record.delivered };
        self.put(cx.cx, sent.to, CardRecord { on_its_way: None, delivered, ..record });
        self.send(cx, sent.to);
    }

    fn contact(&mut self, cx: &mut SessionContext<'_, '_>, contact: ContactId, change: ContactChange) {
        let known = self.contacts.get(&contact).cloned();
        if change == ContactChange::Forgotten {
            self.retry.remove(&contact);
            return known.into_iter().for_each(|_| cx.cx.row(self.contacts.remove(&contact)));
        }
        let says =
            change == ContactChange::Renewed || known.as_ref().is_some_and(|record| record.revision > 0);
        let Some(record) = known.or_else(|| says.then(CardRecord::default)) else { return };
        let record = CardRecord { on_its_way: None, takes_any: true, ..record };
        match says {
            true => self.say_anew(cx, contact, record),
            false => self.put(cx.cx, contact, record),
        }
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.contacts.iter().filter_map(|(contact, record)| self.due_at(contact, record)).min()
    }

    fn wake(&mut self, cx: &mut SessionContext<'_, '_>) {
        let now = cx.cx.now;
        let is_due = |contact: &ContactId, record| self.due_at(contact, record).is_some_and(|at| at <= now);
        let due = self.contacts.iter().filter(|(contact, record)| is_due(contact, record));
        let due: Vec<ContactId> = due.map(|(contact, _)| *contact).collect();
        due.into_iter().for_each(|contact| self.send(cx, contact));
    }

    fn extend_vcard(&self, contact: ContactId, card: &mut VCard) {
        self.record(contact).theirs.0.extend_vcard(card);
    }

    /// What an address book says holds until they share something themselves.
    fn vcard_imported(&mut self, cx: &mut SessionContext<'_, '_>, contact: ContactId, card: &VCard) {
        let (record, theirs) = (self.record(contact), Fields(CardFields::of_vcard(card)));
        if record.their_revision == 0 && record.theirs != theirs {
            self.put(cx.cx, contact, CardRecord { theirs, ..record });
        }
    }
}

impl Commanded for Cards {
    type Command = CardCommand;
    type Answer = CardAnswer;

    fn required_access(command: &CardCommand) -> Access {
        match command {
            CardCommand::Own | CardCommand::Of(_) => Access::Limited,
            CardCommand::SetOwn(_) | CardCommand::Share(..) => Access::Full,
        }
    }

    fn command(
        &mut self,
        cx: &mut SessionContext<'_, '_>,
        command: CardCommand,
    ) -> Result<CardAnswer, Refusal> {
        if let CardCommand::Of(contact) | CardCommand::Share(contact, _) = &command
            && cx.contact_state(*contact).is_none()
        {
            return Err(Refusal::Unknown { what: "contact", id: contact.to_string() });
        }
        match command {
            CardCommand::Own => {}
            CardCommand::SetOwn(fields) => self.set_own(cx, *fields),
            CardCommand::Of(contact) => return Ok(self.describe(contact)),
            CardCommand::Share(contact, wish) => {
                self.share(cx, contact, FieldSet::of(&wish.fields));
                return Ok(self.describe(contact));
            }
        }
        Ok(CardAnswer::Own(Box::new(self.own.0.clone())))
    }
}

impl CardRecord {
    /// Whether they are to have something else than what they have, and nothing is on its way.
    fn is_due(&self) -> bool {
        self.revision != self.delivered && self.on_its_way.is_none()
    }
}

/// The kind as the messenger wants it.
#[expect(clippy::expect_used, reason = "it is above the messenger's kinds, which a test of `sessions` holds")]
fn kind() -> ApplicationKind {
    ApplicationKind::new(KIND).expect("it is above the messenger's kinds")
}

impl Payload {
    /// At most 9.1 kB: a picture of 8,192 bytes and texts of 256, 254 and 270, with names and lengths.
    #[expect(clippy::expect_used, reason = "fields are plain data, and a vector takes every byte")]
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        ciborium::into_writer(self, &mut bytes).expect("a vector takes every byte");
        bytes
    }

    /// Says what is wrong otherwise; nothing of the payload is in it.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        match bytes.split_first() {
            Some((&FORMAT, body)) => whole(body).map_err(|_| "they break a rule".to_owned()),
            Some((format, _)) => Err(format!("they are in format {format}, of a newer program")),
            None => Err("they are empty".to_owned()),
        }
    }
}
