//! A node from its rows, as if it had never stopped.

use std::{collections::BTreeMap, mem};

use autonomy_messaging::messenger::{self, Messenger};
use autonomy_wallet::ledger::LoadError;
use zeroize::Zeroizing;

use super::{
    AccountId, AccountRecord, Counters, Effect, Identity, Node,
    accounts::{ACCOUNTS, Account, Accounts, ledger_key},
    chain::Chain,
    devices::{Admission, BadOwner},
    identity::IDENTITY,
    journal::{COUNTERS, Journal},
    payments::Payments,
    replies::Replies,
    row::{REMEDY, Row, RowError, tag},
    sessions::Sessions,
    table::Restore,
};

/// Keys and values of one account's ledger.
type LedgerRows = Vec<(Vec<u8>, Vec<u8>)>;
/// A row whose table has not been read yet. It may hold a secret.
type FoundRow = (Vec<u8>, Zeroizing<Vec<u8>>);

/// Why a pod cannot be brought back from its rows.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A row cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// There is no pod in this store.
    #[error("this store holds no pod: run `autonomy pod init` first")]
    NoIdentity,
    /// A ledger has no account, or does not fit it.
    #[error("the ledger of account {account} cannot be read: {why}; {REMEDY}")]
    Ledger {
        /// The account.
        account: AccountId,
        /// What is wrong.
        why: LoadError,
    },
    /// Contacts or their mail.
    #[error("{0}; {REMEDY}")]
    Mail(#[from] messenger::RestoreError),
    /// The owner's record does not hold.
    #[error("{0}; restore the pod from a backup")]
    Owner(#[from] BadOwner),
    /// A ledger without an account.
    #[error("the account {0} of a ledger is missing; restore the pod from a backup")]
    NoAccount(AccountId),
    /// An account under the name of another.
    #[error("the account {0} has the name of another; restore the pod from a backup")]
    Misnamed(AccountId),
}

impl Node {
    /// A new pod that nobody owns, and the rows that make it last. Commit them before its request is shown: whoever answers
    /// it relies on keys that exist nowhere else.
    #[must_use]
    pub fn create(identity: Identity) -> (Self, Vec<Row>) {
        let rows = vec![IDENTITY.put(&(), &identity), COUNTERS.put(&(), &Counters::default())];
        (Self::empty(identity), rows)
    }

    /// Rebuilds the node from its rows, and returns the effects that may not have been carried out. Cold rows
    /// ([`Row::is_cold`]) may be left out: they are not held. Rows that remove something are passed over.
    ///
    /// The node equals the one that wrote the rows in all that [`PartialEq`] compares. What the chain source said, what is
    /// in flight and what was counted since the start is learnt anew.
    ///
    /// # Errors
    /// A row cannot be read, a newer program wrote it, or it does not fit the others. Nothing is repaired in silence: the
    /// remedy is a backup, or the newer program.
    pub fn restore(rows: impl IntoIterator<Item = Row>) -> Result<(Self, Vec<Effect>), RestoreError> {
        let mut identity = None;
        let mut found: Vec<FoundRow> = Vec::new();
        for row in rows {
            let Row { key, value: Some(value) } = row else { continue };
            match key.first() {
                Some(&tag::IDENTITY) => identity = Some(IDENTITY.read(&key, &value)?.1),
                _ if Row::is_cold_key(&key) => {}
                _ => found.push((key, value)),
            }
        }
        let mut node = Self::empty(identity.ok_or(RestoreError::NoIdentity)?);
        let mut accounts: BTreeMap<AccountId, AccountRecord> = BTreeMap::new();
        let mut ledgers: BTreeMap<AccountId, LedgerRows> = BTreeMap::new();
        let mut mail: Vec<FoundRow> = Vec::new();
        for (key, mut value) in found {
            match key.first() {
                Some(&tag::ACCOUNT) => accounts.extend([ACCOUNTS.read(&key, &value)?]),
                Some(&tag::LEDGER) => {
                    let (id, name) = ledger_key(&key)?;
                    // What the chain tells is no secret, and the wallet takes plain bytes.
                    ledgers.entry(id).or_default().push((name.to_vec(), mem::take(&mut *value)));
                }
                Some(&tag::MAIL) => mail.push((key[1..].to_vec(), value)),
                _ => node.restore_row(&key, &value)?,
            }
        }
        for (id, record) in accounts {
            if record.map.id() != id {
                return Err(RestoreError::Misnamed(id));
            }
            let rows = ledgers.remove(&id).unwrap_or_default();
            let account =
                Account::load(record, rows).map_err(|why| RestoreError::Ledger { account: id, why })?;
            node.accounts.restore(id, account);
        }
        if let Some(account) = ledgers.into_keys().next() {
            return Err(RestoreError::NoAccount(account));
        }
        let own = node.admission.own_card()?;
        let mail = mail.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        node.messenger = Messenger::restore(mail, own)?;
        node.sessions.serve(&mut node.messenger);
        let effects = node.undone();
        Ok((node, effects))
    }

    /// Takes a row of one of the tables that are held as they are.
    fn restore_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowError> {
        let tag = key.first().copied().ok_or(RowError { tag: u8::MAX, why: "its key is empty".into() })?;
        match self.parts().into_iter().find(|part| part.tag() == tag) {
            Some(part) => part.restore(key, value),
            None => Err(RowError { tag, why: "its kind is not known here".into() }),
        }
    }

    /// The parts that are restored row by row. Accounts are not: an account is its record and its ledger.
    fn parts(&mut self) -> Vec<&mut dyn Restore> {
        // Every field has a name here: a new one does not compile before it is said where its rows are read.
        let Self { journal, admission, accounts, payments, chain, replies, messenger: _, sessions } = self;
        journal
            .tables()
            .into_iter()
            .chain(admission.tables())
            .chain(accounts.tables())
            .chain(payments.tables())
            .chain(chain.tables())
            .chain(replies.tables())
            .chain(sessions.tables())
            .collect()
    }

    fn empty(identity: Identity) -> Self {
        let mut node = Self {
            journal: Journal::default(),
            admission: Admission::new(identity),
            accounts: Accounts::default(),
            payments: Payments::default(),
            chain: Chain::new(),
            replies: Replies::default(),
            messenger: Messenger::default(),
            sessions: Sessions::default(),
        };
        node.sessions.serve(&mut node.messenger);
        node
    }

    /// Effects that a crash may have swallowed; doing them twice does no harm.
    fn undone(&mut self) -> Vec<Effect> {
        let watch = self.watch();
        self.chain.told_txids(&watch.txids);
        let mut effects = vec![Effect::Watch(Box::new(watch)), self.admission.admit_effect()];
        effects.push(self.admission.listen_effect(self.messenger.reach()));
        effects.extend(self.admission.owner().is_some().then_some(Effect::Adopted));
        // Sent again at once, and once more with the first input: the chain source may not run yet.
        effects.extend(self.payments.unsent_effects());
        effects
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::{rewrite::TABLES, sessions, table::AnyTable as _};

    /// A table that is rewritten and not restored would lose its rows at the next start; one that is restored and not
    /// rewritten would escape every test of rows.
    #[test]
    fn each_table_is_restored_and_each_restored_part_is_a_table() {
        let identity =
            Identity::draw(autonomy_wallet::bitcoin::Network::Regtest, &mut StdRng::seed_from_u64(1), 0);
        let mut restored: Vec<u8> = Node::empty(identity).parts().iter().map(|part| part.tag()).collect();
        // Read before the parts: without an identity there is no pod, and an account is its record and its ledger.
        restored.extend([IDENTITY.tag(), ACCOUNTS.tag()]);
        restored.sort_unstable();
        let tables: Vec<u8> = TABLES.iter().chain(&sessions::TABLES).map(|table| table.tag()).collect();
        assert_eq!(restored, tables);
    }
}
