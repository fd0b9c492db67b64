//! A node from its rows, as if it had never stopped.
//!
//! Rows come in no order. They are taken in three steps, because some cannot be read without others:
//!
//! 1. the identity, without which there is no node; all others are put aside,
//! 2. tables that are held as they are, each row by its tag; records of accounts, rows of their ledgers and rows of the
//!    messenger are sorted,
//! 3. accounts with their ledgers, and the messenger, which needs to know who the pod is.
//!
//! Rows are not trusted, although the store has checked their seals: a program of another version, or a fault of this one,
//! may have written them. One that cannot be read, has no place, or contradicts another stops the pod from starting. It
//! would otherwise run on with less than it has promised: a debit that is forgotten can be spent twice.

use std::{collections::BTreeMap, mem};

use autonomy_messaging::messenger::{self, Messenger};
use autonomy_wallet::{account::Keychain, ledger::LoadError};
use zeroize::Zeroizing;

use super::{
    AccountId, AccountRecord, Counters, Effect, Events, Identity, Node, Outside, Replies,
    accounts::{ACCOUNTS, Account, CEREMONIES, ledger_key},
    chain::Chain,
    devices::{DEVICES, OWNER},
    identity::IDENTITY,
    payments::PAYMENTS,
    row::{Row, RowError, tag},
    table::{Held, Restore, Single},
    turn::COUNTERS,
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
    #[error("the ledger of account {account} cannot be read: {why}; restore the pod from a backup")]
    Ledger {
        /// The account.
        account: AccountId,
        /// What is wrong.
        why: LoadError,
    },
    /// Contacts or their mail.
    #[error("{0}; restore the pod from a backup")]
    Mail(#[from] messenger::RestoreError),
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
            node.accounts.insert(id, account);
        }
        if let Some(account) = ledgers.into_keys().next() {
            return Err(RestoreError::NoAccount(account));
        }
        let own = node.owner.as_ref().and_then(|owner| node.own_card(owner));
        let mail = mail.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        node.messenger = Messenger::restore(mail, own)?;
        let effects = node.undone();
        Ok((node, effects))
    }

    /// Takes a row of one of the tables that are held as they are.
    ///
    /// # Errors
    /// The row cannot be read, or no table has its tag.
    fn restore_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowError> {
        let tag = key.first().copied().ok_or(RowError { tag: u8::MAX, why: "its key is empty".into() })?;
        match self.parts().into_iter().find(|part| part.tag() == tag) {
            Some(part) => part.restore(key, value),
            None => Err(RowError { tag, why: "a newer version of the program may have written it".into() }),
        }
    }

    /// The parts that are held as their tables keep them. Accounts are not: an account is its record and its ledger.
    fn parts(&mut self) -> [&mut dyn Restore; 9] {
        // Every field has a name here: a new one does not compile before it is said where its rows are read.
        let Self {
            identity,
            owner,
            counters,
            chain,
            devices,
            ceremonies,
            accounts: _,
            payments,
            events,
            replies,
            messenger: _,
            outside: _,
        } = self;
        [identity, owner, counters, chain, devices, ceremonies, payments, &mut events.0, &mut replies.0]
    }

    fn empty(identity: Identity) -> Self {
        Self {
            identity: Single::new(&IDENTITY, identity),
            owner: Single::new(&OWNER, None),
            counters: Single::new(&COUNTERS, Counters::default()),
            chain: Chain::new(),
            devices: Held::new(&DEVICES),
            ceremonies: Held::new(&CEREMONIES),
            accounts: BTreeMap::new(),
            payments: Held::new(&PAYMENTS),
            events: Events::default(),
            replies: Replies::default(),
            messenger: Messenger::default(),
            outside: Outside { last_broadcast: 0 },
        }
    }

    /// Effects that a crash may have swallowed; doing them twice does no harm.
    fn undone(&mut self) -> Vec<Effect> {
        let watch = self.watch();
        self.chain.told_txids(&watch.txids);
        let mut effects = vec![Effect::Watch(Box::new(watch)), self.admission()];
        effects.extend(self.owner.is_some().then_some(Effect::Adopted));
        // Sent again at once, and once more with the first input: the chain source may not run yet.
        effects.extend(self.unsent_effects());
        effects
    }
}

/// Equal in everything that rows hold: what a restart keeps.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            identity,
            owner,
            counters,
            chain,
            devices,
            ceremonies,
            accounts,
            payments,
            events,
            replies,
            messenger,
            outside: _,
        } = self;
        *identity == other.identity
            && *owner == other.owner
            && *counters == other.counters
            && *chain == other.chain
            && *devices == other.devices
            && *ceremonies == other.ceremonies
            && *accounts == other.accounts
            && *payments == other.payments
            && *events == other.events
            && *replies == other.replies
            && *messenger == other.messenger
    }
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        let indices = |account: &Self| Keychain::ALL.map(|keychain| account.ledger.next_index(keychain));
        self.record == other.record
            && self.told == other.told
            && self.ledger.tip() == other.ledger.tip()
            && self.ledger.history() == other.ledger.history()
            && self.ledger.coins().eq(other.ledger.coins())
            && indices(self) == indices(other)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::{rewrite::TABLES, table::AnyTable as _};

    /// A table that is rewritten and not restored would lose its rows at the next start; one that is restored and not
    /// rewritten would escape every test of rows.
    #[test]
    fn each_table_is_restored_and_each_restored_part_is_a_table() {
        let identity = Identity::draw("regtest", &mut StdRng::seed_from_u64(1), 0);
        let mut restored: Vec<u8> = Node::empty(identity).parts().map(|part| part.tag()).into();
        restored.push(ACCOUNTS.tag());
        restored.sort_unstable();
        assert_eq!(restored, TABLES.map(|table| table.tag()));
    }
}
