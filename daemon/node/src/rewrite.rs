//! All kinds of rows, and rows of any version in the present one.
//!
//! A program never needs to write a row anew: it reads earlier versions as they are. Tests do it to the databases of
//! earlier releases, to show that nothing of them is lost on the way.

use std::collections::BTreeSet;

use autonomy_messaging::messenger::{self, MailRow};

use super::{
    accounts::{ACCOUNTS, CEREMONIES},
    chain::CHAIN,
    devices::{DEVICES, OWNER},
    events::EVENTS,
    identity::IDENTITY,
    journal::COUNTERS,
    payments::PAYMENTS,
    replies::REPLIES,
    row::{Row, RowError, tag},
    sessions,
    table::AnyTable,
};

/// All typed tables but those of sessions, by tag. A test holds them against the parts of the node that are restored.
pub(crate) static TABLES: [&dyn AnyTable; 10] =
    [&IDENTITY, &OWNER, &COUNTERS, &CHAIN, &DEVICES, &CEREMONIES, &ACCOUNTS, &PAYMENTS, &EVENTS, &REPLIES];

/// All typed tables.
fn tables() -> impl Iterator<Item = &'static dyn AnyTable> {
    TABLES.iter().chain(&sessions::TABLES).copied()
}

/// Kinds of rows that a pod may have: the first byte of a key, and of rows of the messenger the second too. Of each, the
/// golden database of a release holds at least one row.
#[must_use]
pub fn row_kinds() -> BTreeSet<Vec<u8>> {
    let mail = messenger::ROW_TAGS.map(|tag| Row::from(MailRow { key: vec![tag], value: None }).key);
    let tables = tables().map(|table| vec![table.tag()]);
    tables.chain([vec![tag::LEDGER]]).chain(mail).collect()
}

impl Row {
    /// The kind of the row, see [`row_kinds`].
    #[must_use]
    pub fn kind(&self) -> &[u8] {
        let len = match self.key.first() {
            Some(&(tag::MAIL | tag::RATCHET | tag::COLD_MAIL)) => 2,
            _ => 1,
        };
        &self.key[..len.min(self.key.len())]
    }

    /// The same row in the present version of its table. Rows of a ledger are left as they are: one of them holds the
    /// version of all, and they are read together.
    ///
    /// # Errors
    /// The row cannot be read, or a newer program wrote it.
    pub fn rewritten(&self) -> Result<Self, RowError> {
        let tag = self.tag()?;
        let Some(value) = &self.value else { return Ok(self.clone()) };
        if let Some(table) = tables().find(|table| table.tag() == tag) {
            return table.rewrite(&self.key, value);
        }
        match tag {
            tag::LEDGER => Ok(self.clone()),
            tag::MAIL | tag::RATCHET | tag::COLD_MAIL => self.rewritten_mail(tag, value),
            _ => Err(RowError { tag, why: "its kind is not known here".into() }),
        }
    }

    fn rewritten_mail(&self, tag: u8, value: &[u8]) -> Result<Self, RowError> {
        let row = Row::from(MailRow { key: self.key[1..].to_vec(), value: None });
        if row.key != self.key {
            return Err(RowError { tag, why: "it is under the tag of another class".into() });
        }
        let value = messenger::rewritten(&self.key[1..], value);
        let value = value.map_err(|bad| RowError { tag, why: bad.to_string() })?;
        Ok(Self { value: Some(value), ..row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_a_tag_of_its_own() {
        let opaque = [tag::LEDGER, tag::MAIL, tag::RATCHET, tag::COLD_MAIL];
        let mut tags: Vec<u8> = tables().map(|table| table.tag()).chain(opaque).collect();
        tags.sort_unstable();
        assert_eq!(tags, (0..16).collect::<Vec<u8>>());
        let kinds: BTreeSet<u8> = row_kinds().iter().map(|kind| kind[0]).collect();
        assert_eq!(kinds, (0..16).collect(), "a kind of row that no golden database needs to have");
    }
}
