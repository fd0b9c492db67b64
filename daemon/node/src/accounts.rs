//! Accounts: what their owner sees of them, and their ledgers.
//!
//! How one is made is in `ceremonies`, what the chain does to one in `movements`. Nobody outside touches a ledger: each
//! function here that changes one puts the rows of it into the step.

mod ceremonies;
mod movements;

use std::collections::{BTreeMap, BTreeSet};

use autonomy_wallet::{
    account::{AccountId, AccountMap, Keychain},
    bitcoin::{OutPoint, Txid},
    check::Proposal,
    keys::AccountIndex,
    ledger::{BlockId, HistoryEntry as LedgerEntry, HistoryState, LOOKAHEAD, Ledger, LoadError, Watchlist},
    payment::{DraftError, Intent},
    policy::Policy,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    AddressPage, Answer, CeremonyId, HistoryPage, PaymentId, Refusal, Reply, Timestamp,
    context::Context,
    input::ChainPoint,
    row::{Row, RowError, tag},
    table::{Held, Restore, Table},
};
use autonomy_api::{
    AccountKind, AccountName, Accounts as AccountList, History, HistoryEntry, Note, ReceiveAddress,
};

pub(crate) use self::ceremonies::CEREMONIES;
pub use self::ceremonies::Ceremony;

/// Accounts of a pod. Each holds its ledger in memory, about 37 MB at 10,000 transactions, 1 MB at a hundred.
pub(super) const MAX_ACCOUNTS: usize = 64;

/// Accounts, without their movements.
pub(crate) static ACCOUNTS: Table<AccountId, AccountRecord> = Table::new(tag::ACCOUNT);

/// What an account is; its movements are in ledger rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// The checked map.
    pub map: AccountMap,
    /// Account index of the pod's own key in the map.
    pub index: AccountIndex,
    /// When it was completed.
    pub created_at: Timestamp,
}

/// An account in memory: its ledger, and what of it has been told.
#[derive(Debug)]
pub(super) struct Account {
    record: AccountRecord,
    /// Coins and history, as the chain tells them.
    ledger: Ledger,
    /// How each transaction stood when events last told of it.
    told: BTreeMap<Txid, HistoryState>,
    /// The receive addresses derived so far, in order: each costs 0.1 ms once.
    derived: Vec<ReceiveAddress>,
}

/// All accounts, and those that are being made.
#[derive(Debug, PartialEq)]
pub(super) struct Accounts {
    /// Accounts that were completed; none is ever removed.
    all: BTreeMap<AccountId, Account>,
    /// Offers that wait for their devices.
    ceremonies: Held<CeremonyId, Ceremony>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { all: BTreeMap::new(), ceremonies: Held::new(&CEREMONIES) }
    }
}

impl Accounts {
    /// What of it is restored row by row. Accounts are not: each takes a row and those of its ledger, see
    /// [`Accounts::restore`].
    pub(super) fn tables(&mut self) -> [&mut dyn Restore; 1] {
        [&mut self.ceremonies]
    }

    /// Takes an account that was read from its rows.
    pub(super) fn restore(&mut self, id: AccountId, account: Account) {
        self.all.insert(id, account);
    }

    /// One account.
    ///
    /// # Errors
    /// There is none of this id.
    pub(super) fn get(&self, id: &AccountId) -> Result<&Account, Refusal> {
        self.all.get(id).ok_or_else(|| unknown(id))
    }

    /// The same, to be changed; its rows are to be taken before the step ends.
    fn get_mut(&mut self, id: &AccountId) -> Result<&mut Account, Refusal> {
        self.all.get_mut(id).ok_or_else(|| unknown(id))
    }

    /// What each ledger watches beside what was said before.
    pub(super) fn watch_news(&mut self) -> impl Iterator<Item = Watchlist> {
        self.all.values_mut().map(|account| account.ledger.take_watchlist_news())
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.all.values()
    }

    /// All accounts as a device sees them, oldest first.
    pub(super) fn list(&self) -> AccountList {
        let mut accounts: Vec<&Account> = self.all.values().collect();
        accounts.sort_by_key(|account| (account.record.created_at, account.record.index));
        AccountList { accounts: accounts.into_iter().map(Account::describe).collect() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.all.len() as u32
    }

    /// A page of the receive addresses revealed so far, in order.
    ///
    /// # Errors
    /// There is no such account.
    pub(super) fn addresses(
        &mut self,
        id: &AccountId,
        page: AddressPage,
    ) -> Result<Vec<ReceiveAddress>, Refusal> {
        let revealed = self.get_mut(id)?.addresses()?;
        let rest = revealed.iter().skip(page.from as usize);
        Ok(rest.take(page.limit.map_or(usize::MAX, |limit| limit as usize)).cloned().collect())
    }

    /// Reveals a fresh receive address.
    ///
    /// # Errors
    /// There is no such account, or it has no address left.
    pub(super) fn new_address(&mut self, cx: &mut Context<'_>, id: AccountId) -> Reply {
        let ledger = &mut self.get_mut(&id)?.ledger;
        let revealed = ledger.reveal_next_address().map_err(|error| Refusal::Conflict(error.to_string()))?;
        self.take_rows(cx, id);
        Ok(Answer::Address(ReceiveAddress {
            index: revealed.index,
            address: revealed.address.into_unchecked(),
        }))
    }

    /// Builds a draft, and holds it against the rules that it will meet again. A refusal too may leave rows: which
    /// change address was looked at.
    ///
    /// # Errors
    /// There is no such account, it has not enough, or the checker refuses.
    pub(super) fn draft(
        &mut self,
        cx: &mut Context<'_>,
        id: AccountId,
        intent: &Intent,
        policy: &Policy,
    ) -> Result<Proposal, Refusal> {
        let account = self.get_mut(&id)?;
        let unchecked = account.ledger.draft(intent, &mut cx.rng);
        self.take_rows(cx, id);
        let account = self.get(&id)?;
        let checked = unchecked.map_err(draft_refusal)?.check(
            &account.record.map,
            &account.ledger,
            policy,
            Some(intent),
        );
        checked.map_err(|refusal| Refusal::Unsafe(refusal.to_string()))
    }

    /// Holds coins for a draft: no other draft takes them.
    ///
    /// # Errors
    /// There is no such account.
    pub(super) fn reserve(
        &mut self,
        cx: &mut Context<'_>,
        id: AccountId,
        coins: Vec<OutPoint>,
    ) -> Result<(), Refusal> {
        self.get_mut(&id)?.ledger.reserve(coins);
        self.take_rows(cx, id);
        Ok(())
    }

    /// Lets go of coins that were held.
    ///
    /// # Errors
    /// There is no such account.
    pub(super) fn release(
        &mut self,
        cx: &mut Context<'_>,
        id: AccountId,
        coins: Vec<OutPoint>,
    ) -> Result<(), Refusal> {
        self.get_mut(&id)?.ledger.release(coins);
        self.take_rows(cx, id);
        Ok(())
    }

    /// Holds exactly these coins of an account: no draft takes them.
    pub(super) fn hold(&mut self, cx: &mut Context<'_>, id: AccountId, coins: &BTreeSet<OutPoint>) {
        let Some(account) = self.all.get_mut(&id) else { return };
        let held: BTreeSet<OutPoint> = account.ledger.reserved().collect();
        if held != *coins {
            account.ledger.release(held.difference(coins).copied());
            account.ledger.reserve(coins.difference(&held).copied());
            self.take_rows(cx, id);
        }
    }

    /// Puts what the ledger of `id` has changed into the step. Without an account there is no ledger that changed.
    fn take_rows(&mut self, cx: &mut Context<'_>, id: AccountId) {
        let rows = self.all.get_mut(&id).map(|account| account.ledger.take_rows()).unwrap_or_default();
        cx.rows(rows.into_iter().map(|row| ledger_row(&id, &row.key, row.value)));
    }
}

impl Account {
    /// A new account, whose ledger begins at the block `start`.
    fn create(map: AccountMap, index: AccountIndex, start: &ChainPoint, now: Timestamp) -> Self {
        let start = BlockId { height: start.height, hash: start.hash };
        let ledger = Ledger::create(map.clone(), start, LOOKAHEAD);
        Self {
            record: AccountRecord { map, index, created_at: now },
            ledger,
            told: BTreeMap::new(),
            derived: Vec::new(),
        }
    }

    /// An account from its row and those of its ledger. What they say counts as told.
    ///
    /// # Errors
    /// The ledger's rows do not fit the account.
    pub(super) fn load(record: AccountRecord, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, LoadError> {
        let ledger = Ledger::load(record.map.clone(), rows)?;
        let mut account = Self { record, ledger, told: BTreeMap::new(), derived: Vec::new() };
        account.told = account.standings();
        Ok(account)
    }

    /// The checked map.
    pub(super) fn map(&self) -> &AccountMap {
        &self.record.map
    }

    /// The pod's own account number in the map.
    pub(super) fn index(&self) -> AccountIndex {
        self.record.index
    }

    /// Coins and history.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How each transaction stands now.
    fn standings(&self) -> BTreeMap<Txid, HistoryState> {
        self.ledger.history().iter().map(|entry| (entry.txid, entry.state)).collect()
    }

    /// What is in the account, satoshi. Coins of a coinbase are *immature* for 100 blocks.
    fn balance(&self) -> autonomy_api::Balance {
        let balance = self.ledger.balance();
        autonomy_api::Balance {
            confirmed: balance.confirmed,
            unconfirmed: balance.unconfirmed(),
            immature: balance.immature,
            total: balance.total(),
        }
    }

    /// The account as a device sees it.
    #[expect(clippy::expect_used, reason = "an account map keeps the same rule for names")]
    pub(super) fn describe(&self) -> autonomy_api::Account {
        let map = &self.record.map;
        autonomy_api::Account {
            id: map.id(),
            name: AccountName::new(map.name()).expect("an account map keeps the same rule"),
            kind: AccountKind::from(map.kind()),
            descriptor: map.descriptor().to_owned(),
            first_address: map.first_address().as_unchecked().clone(),
            birthday_height: map.birthday().height,
            birthday_time: map.birthday().time,
            account_index: self.record.index,
            balance: self.balance(),
            revealed: self.ledger.next_index(Keychain::External),
            change: self.ledger.next_index(Keychain::Internal),
        }
    }

    /// The receive addresses revealed so far, in order.
    ///
    /// # Errors
    /// The descriptor gives no address at an index: none below 2^31 is such.
    fn addresses(&mut self) -> Result<&[ReceiveAddress], Refusal> {
        let revealed = self.ledger.next_index(Keychain::External);
        for index in self.derived.len() as u32..revealed {
            let address = self.record.map.address(Keychain::External, index);
            let address = address.map_err(|error| Refusal::Conflict(error.to_string()))?;
            self.derived.push(ReceiveAddress { index, address: address.into_unchecked() });
        }
        Ok(&self.derived)
    }

    /// What happened in the account, newest first, with the payment that each transaction is of.
    pub(super) fn history(
        &self,
        tip: u32,
        page: HistoryPage,
        payments: &BTreeMap<Txid, (PaymentId, Option<Note>)>,
    ) -> History {
        let counting = |entry: &&LedgerEntry| {
            matches!(entry.state, HistoryState::Confirmed { .. } | HistoryState::Pending { .. })
        };
        let entries = self.ledger.history().iter().filter(counting).take(page.limit as usize);
        let line = |entry: &LedgerEntry| {
            let (height, time) = place(entry.state);
            let payment = payments.get(&entry.txid);
            HistoryEntry {
                txid: entry.txid,
                net: entry.net(),
                fee: entry.fee,
                height,
                time,
                confirmations: entry.confirmations(tip),
                payment: payment.map(|(id, _)| *id),
                note: payment.and_then(|(_, note)| note.clone()),
            }
        };
        History { entries: entries.map(line).collect() }
    }
}

/// Equal in everything that rows hold.
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

/// There is no account of this id on this pod.
fn unknown(id: &AccountId) -> Refusal {
    Refusal::Unknown { what: "account", id: id.to_string() }
}

/// Too few coins is a refusal that the owner can resolve; all else is a conflict with the state of the account.
fn draft_refusal(error: DraftError) -> Refusal {
    match error {
        DraftError::InsufficientFunds { .. } => Refusal::Funds(error.to_string()),
        other => Refusal::Conflict(other.to_string()),
    }
}

/// A row of an account's ledger; key and value are the wallet's own.
fn ledger_row(id: &AccountId, key: &[u8], value: Option<Vec<u8>>) -> Row {
    Row { key: [&[tag::LEDGER], &id.to_bytes()[..], key].concat(), value: value.map(Zeroizing::new) }
}

/// The account of a ledger's row, and the key that is the wallet's own.
pub(super) fn ledger_key(row_key: &[u8]) -> Result<(AccountId, &[u8]), RowError> {
    let name = row_key.strip_prefix(&[tag::LEDGER]).and_then(|name| name.split_first_chunk::<16>());
    let (id, key) =
        name.ok_or(RowError { tag: tag::LEDGER, why: "its key is too short for an account".into() })?;
    Ok((AccountId::from_bytes(*id), key))
}

/// Height and time of a transaction: of its block, or when it was first seen.
pub(super) fn place(state: HistoryState) -> (Option<u32>, Option<u64>) {
    match state {
        HistoryState::Confirmed { height, time } => (Some(height), Some(time)),
        HistoryState::Pending { first_seen } => (None, first_seen),
        _ => (None, None),
    }
}
