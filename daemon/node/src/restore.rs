//! A node from its rows, as if it had never stopped.

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
    /// A new pod, and the row that makes it last.
    #[must_use]
    pub fn create(identity: Identity) -> (Self, Vec<Row>) {
        let rows = vec![IDENTITY.put(&(), &identity), COUNTERS.put(&(), &Counters::default())];
        (Self::empty(identity), rows)
    }

    /// Rebuilds the node from its rows, and returns the effects that may not have been carried out. Cold rows
    /// ([`Row::is_cold`]) may be left out: they are not held.
    ///
    /// # Errors
    /// Rows are not trusted: one that cannot be read, or does not fit the others, is refused.
    pub fn restore(rows: impl IntoIterator<Item = Row>) -> Result<(Self, Vec<Effect>), RestoreError> {
        let mut identity = None;
        let mut found = Vec::new();
        for row in rows {
            let Row { key, value: Some(value) } = row else { continue };
            // Some hold secrets: what the node does not take over is wiped.
            let value = Zeroizing::new(value);
            match key.first() {
                Some(&tag::IDENTITY) => identity = Some(IDENTITY.read(&key, &value)?.1),
                _ if Row::is_cold_key(&key) => {}
                _ => found.push((key, value)),
            }
        }
        let mut node = Self::empty(identity.ok_or(RestoreError::NoIdentity)?);
        let mut accounts: BTreeMap<AccountId, AccountRecord> = BTreeMap::new();
        let mut ledgers: BTreeMap<AccountId, LedgerRows> = BTreeMap::new();
        let mut mail = Vec::new();
        for (key, mut value) in found {
            match key.first() {
                Some(&tag::ACCOUNT) => accounts.extend([ACCOUNTS.read(&key, &value)?]),
                Some(&tag::LEDGER) => {
                    let (id, name) = ledger_key(&key)?;
                    ledgers.entry(id).or_default().push((name.to_vec(), mem::take(&mut *value)));
                }
                Some(&tag::MAIL) => mail.push((key[1..].to_vec(), mem::take(&mut *value))),
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
    fn restore_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowError> {
        let tag = key.first().copied().ok_or(RowError { tag: u8::MAX, why: "its key is empty".into() })?;
        let parts: [&mut dyn Restore; 8] = [
            &mut self.owner,
            &mut self.counters,
            &mut self.chain,
            &mut self.devices,
            &mut self.ceremonies,
            &mut self.payments,
            &mut self.events.0,
            &mut self.replies.0,
        ];
        match parts.into_iter().find(|part| part.tag() == tag) {
            Some(part) => part.restore(key, value),
            None => Err(RowError { tag, why: "a newer version of the program may have written it".into() }),
        }
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
