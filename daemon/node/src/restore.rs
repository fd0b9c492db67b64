//! A node from its rows, as if it had never stopped.

use std::collections::BTreeMap;

use autonomy_messaging::messenger::{self, Messenger};
use autonomy_wallet::{account::Keychain, ledger::LoadError};

use super::{
    AccountId, AccountRecord, Counters, Effect, Events, Identity, Node, Outside, Replies, Row, SourceState,
    accounts::Account, row::RowError,
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
        let rows = vec![Row::Identity(identity.clone()), Row::Counters(Counters::default())];
        (Self::empty(identity), rows)
    }

    /// Rebuilds the node from its rows, and returns the effects that may not have been carried out. Cold rows
    /// ([`Row::is_cold`]) may be left out: they are not held.
    ///
    /// # Errors
    /// Rows are not trusted: one that cannot be read, or does not fit the others, is refused.
    pub fn restore(rows: impl IntoIterator<Item = Row>) -> Result<(Self, Vec<Effect>), RestoreError> {
        let mut identity = None;
        let mut accounts: BTreeMap<AccountId, AccountRecord> = BTreeMap::new();
        let mut ledgers: BTreeMap<AccountId, LedgerRows> = BTreeMap::new();
        let mut mail = Vec::new();
        let mut others = Vec::new();
        for row in rows {
            match row {
                Row::Identity(value) => identity = Some(value),
                Row::Account(id, record) => drop(accounts.insert(id, *record)),
                Row::Ledger(id, key, Some(value)) => ledgers.entry(id).or_default().push((key, value)),
                Row::Ledger(_, _, None) => {}
                Row::Mail(key, Some(value)) => mail.push((key, value)),
                cold if cold.is_cold() => {}
                other => others.push(other),
            }
        }
        let mut node = Self::empty(identity.ok_or(RestoreError::NoIdentity)?);
        others.iter().for_each(|row| node.apply(row));
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

    fn empty(identity: Identity) -> Self {
        Self {
            identity,
            owner: None,
            counters: Counters::default(),
            chain: Vec::new(),
            devices: BTreeMap::new(),
            ceremonies: BTreeMap::new(),
            accounts: BTreeMap::new(),
            payments: BTreeMap::new(),
            events: Events::default(),
            replies: Replies::default(),
            messenger: Messenger::default(),
            outside: Outside {
                source: SourceState::Away("not asked yet".into()),
                fees: Vec::new(),
                last_broadcast: 0,
                detached: None,
            },
        }
    }

    /// Effects that a crash may have swallowed; doing them twice does no harm.
    fn undone(&self) -> Vec<Effect> {
        let mut effects = vec![self.admission()];
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
