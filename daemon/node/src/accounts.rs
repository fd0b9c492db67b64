//! Accounts: how one is made by two, and what its owner sees of it.
//!
//! The making is a ceremony of two requests. The pod offers an account number, its key G and entropy; the device
//! draws R, deals its decks, and comes back with P, R and the descriptor it built. The pod builds it again from
//! the keys and compares. An offer that is not completed is burnt: its number is never offered again.

use std::collections::BTreeMap;

use autonomy_wallet::{
    account::{
        AccountId, AccountMap, Birthday, Confirmation, Keychain, MapKind, Member, MemberLabel,
        PERSONAL_THRESHOLD, Plan,
    },
    bitcoin::{BlockHash, Network, Txid},
    keys::{AccountIndex, AccountKey, Seed},
    ledger::{BlockId, HistoryEntry as LedgerEntry, HistoryState, LOOKAHEAD, Ledger, LoadError},
};
use serde::{Deserialize, Serialize};

use super::{
    Answer, CeremonyId, HistoryPage, Node, Refusal, Reply, Timestamp, disk,
    input::ChainPoint,
    row::{Row, RowError, tag},
    table::Table,
    turn::Turn,
};
use autonomy_api::{
    AccountKind, AccountName, AccountOffer, Accounts, BeginAccount, CompleteAccount, EventKind, Hex, History,
    HistoryEntry, ReceiveAddress, Written as _, offer_message,
};

/// How long an offer stands, seconds: an hour is enough to deal decks and give nobody a stale tip.
const CEREMONY_SECONDS: u64 = 60 * 60;
/// Offers open at once; one owner makes one account at a time, and a crashed one may leave a few.
const MAX_CEREMONIES: usize = 8;
/// Accounts of a pod. Each holds its ledger in memory, about 37 MB at 10,000 transactions, 1 MB at a hundred.
pub(super) const MAX_ACCOUNTS: usize = 64;

/// Accounts, without their movements.
pub(crate) static ACCOUNTS: Table<AccountId, AccountRecord> = Table::new(tag::ACCOUNT);
/// Offers that wait for their devices.
pub(crate) static CEREMONIES: Table<CeremonyId, Ceremony> = Table::new(tag::CEREMONY);

/// An offer that waits for the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceremony {
    name: AccountName,
    #[serde(with = "disk::account_kind")]
    kind: AccountKind,
    index: u32,
    birthday_height: u32,
    birthday_time: u64,
    birthday_hash: BlockHash,
    offered_at: Timestamp,
}

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
    pub(super) record: AccountRecord,
    pub(super) ledger: Ledger,
    /// How each transaction stood when events last told of it.
    pub(super) told: BTreeMap<Txid, HistoryState>,
}

impl Ceremony {
    pub(super) fn expires_at(&self) -> Timestamp {
        self.offered_at.saturating_add(CEREMONY_SECONDS)
    }

    fn plan(&self, network: Network) -> Plan {
        Plan {
            name: self.name.to_string(),
            kind: MapKind::from(self.kind),
            threshold: PERSONAL_THRESHOLD,
            network,
            birthday: Birthday { height: self.birthday_height, time: self.birthday_time },
        }
    }
}

impl Account {
    fn create(map: AccountMap, index: AccountIndex, start: &ChainPoint, now: Timestamp) -> Self {
        let start = BlockId { height: start.height, hash: start.hash };
        let ledger = Ledger::create(map.clone(), start, LOOKAHEAD);
        Self { record: AccountRecord { map, index, created_at: now }, ledger, told: BTreeMap::new() }
    }

    pub(super) fn load(record: AccountRecord, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, LoadError> {
        let ledger = Ledger::load(record.map.clone(), rows)?;
        let mut account = Self { record, ledger, told: BTreeMap::new() };
        account.told = account.standings();
        Ok(account)
    }

    /// How each transaction stands now.
    pub(super) fn standings(&self) -> BTreeMap<Txid, HistoryState> {
        self.ledger.history().iter().map(|entry| (entry.txid, entry.state)).collect()
    }

    fn balance(&self) -> autonomy_api::Balance {
        let balance = self.ledger.balance();
        let unconfirmed = balance.trusted_pending + balance.untrusted_pending;
        autonomy_api::Balance {
            confirmed: balance.confirmed,
            unconfirmed,
            immature: balance.immature,
            total: balance.confirmed + unconfirmed + balance.immature,
        }
    }

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
        }
    }

    pub(super) fn addresses(&self) -> Result<Vec<ReceiveAddress>, Refusal> {
        let address = |index| {
            let address = self.record.map.address(Keychain::External, index);
            let address = address.map_err(|error| Refusal::Conflict(error.to_string()))?;
            Ok(ReceiveAddress { index, address: address.into_unchecked() })
        };
        (0..self.ledger.next_index(Keychain::External)).map(address).collect()
    }
}

impl Node {
    /// The Bitcoin network.
    #[must_use]
    pub fn network(&self) -> Network {
        self.identity.network.parse().unwrap_or(Network::Bitcoin)
    }

    pub(super) fn account(&self, id: &AccountId) -> Result<&Account, Refusal> {
        self.accounts.get(id).ok_or_else(|| Refusal::Unknown { what: "account", id: id.to_string() })
    }

    pub(super) fn account_list(&self) -> Accounts {
        let mut accounts: Vec<&Account> = self.accounts.values().collect();
        accounts.sort_by_key(|account| (account.record.created_at, account.record.index));
        Accounts { accounts: accounts.into_iter().map(Account::describe).collect() }
    }

    pub(super) fn history(&self, id: &AccountId, page: HistoryPage) -> Result<History, Refusal> {
        let account = self.account(id)?;
        let ours: BTreeMap<Txid, _> =
            self.payments.iter().map(|(id, payment)| (payment.txid, (id, payment))).collect();
        let tip = self.tip_height();
        let counting = |entry: &&LedgerEntry| {
            matches!(entry.state, HistoryState::Confirmed { .. } | HistoryState::Pending { .. })
        };
        let entries = account.ledger.history().iter().filter(counting).take(page.limit as usize);
        let line = |entry: &LedgerEntry| {
            let (height, time) = place(entry.state);
            let payment = ours.get(&entry.txid);
            HistoryEntry {
                txid: entry.txid,
                net: entry.net(),
                fee: entry.fee,
                height,
                time,
                confirmations: entry.confirmations(tip),
                payment: payment.map(|(id, _)| **id),
                note: payment.and_then(|(_, payment)| payment.note.clone()),
            }
        };
        Ok(History { entries: entries.map(line).collect() })
    }

    pub(super) fn gordian(&self) -> Result<Seed, Refusal> {
        // The entropy is 32 bytes by its type, and BIP-39 takes that many.
        Seed::from_entropy(&self.identity.gordian_entropy)
            .map_err(|error| Refusal::Conflict(error.to_string()))
    }

    /// G of one account.
    pub(super) fn gordian_key(&self, index: AccountIndex) -> Result<AccountKey, Refusal> {
        Ok(self.gordian()?.account_key(self.network(), index))
    }
}

impl Turn<'_> {
    pub(super) fn begin_account(&mut self, body: BeginAccount) -> Reply {
        self.node.require_owner()?;
        if body.kind == AccountKind::Shared {
            let rule = "a pod makes `two_of_three` and `two_of_three_or_recovery` accounts";
            return Err(Refusal::invalid("kind", rule));
        }
        if self.node.accounts.len() >= MAX_ACCOUNTS {
            let remedy = "a further account needs a further pod";
            return Err(Refusal::Full { what: "accounts of a pod", limit: MAX_ACCOUNTS, remedy });
        }
        if self.node.ceremonies.len() >= MAX_CEREMONIES {
            let remedy = "complete one, or wait an hour for the oldest to lapse";
            return Err(Refusal::Full { what: "accounts being made", limit: MAX_CEREMONIES, remedy });
        }
        let tip = self.node.chain.tip().ok_or_else(|| {
            Refusal::ChainNotReady(
                "the pod has not seen the chain's tip yet, which is the account's birthday".into(),
            )
        })?;
        let index = self.node.counters.next_account;
        let account_index = account_index(index)?;
        let key = self.node.gordian_key(account_index)?;
        let ceremony = CeremonyId::draw(self.rng);
        let mut entropy = [0; 32];
        self.rng.fill_bytes(&mut entropy);
        let mut offer = AccountOffer {
            ceremony,
            account_index,
            pod_member_key: *key.public(),
            entropy: Hex(entropy),
            signature: Hex([0; 64]),
            birthday_height: tip.height,
            birthday_time: tip.time,
        };
        offer.signature = Hex(self.node.sign(&offer_message(&offer)));
        let mut counters = *self.node.counters;
        counters.next_account += 1;
        self.step.rows.push(self.node.counters.put(counters));
        let ceremony_row = Ceremony {
            name: body.name,
            kind: body.kind,
            index,
            birthday_height: tip.height,
            birthday_time: tip.time,
            birthday_hash: tip.hash,
            offered_at: self.now,
        };
        self.step.rows.push(self.node.ceremonies.put(ceremony, ceremony_row));
        Ok(Answer::Offer(offer))
    }

    pub(super) fn complete_account(&mut self, id: CeremonyId, body: CompleteAccount) -> Reply {
        let unknown = || Refusal::Unknown { what: "open account offer", id: id.to_string() };
        let ceremony = self.node.ceremonies.get(&id).ok_or_else(unknown)?.clone();
        let map = self.rebuild(&ceremony, &body)?;
        let account_id = map.id();
        if self.node.accounts.contains_key(&account_id) {
            return Err(Refusal::Conflict("this account exists already".into()));
        }
        // From the oldest block known, so that a reorganisation of the birth block finds its fork.
        let start =
            self.node.chain.first().ok_or_else(|| Refusal::ChainNotReady("no block seen yet".into()))?;
        let account = Account::create(map, account_index(ceremony.index)?, &start, self.now);
        let described = account.describe();
        self.step.rows.push(ACCOUNTS.put(&account_id, &account.record));
        self.node.accounts.insert(account_id, account);
        self.take_ledger_rows(account_id);
        self.step.rows.push(self.node.ceremonies.remove(&id));
        self.advance_epoch();
        self.notify(EventKind::AccountCreated { account: account_id, name: ceremony.name });
        Ok(Answer::Account(described))
    }

    /// Builds the map from the three keys, as if the device's descriptor had not been sent, and compares.
    fn rebuild(&self, ceremony: &Ceremony, body: &CompleteAccount) -> Result<AccountMap, Refusal> {
        let device = Member::new(MemberLabel::P, body.device_member_key);
        let recovery = Member::new(MemberLabel::R, body.recovery_member_key);
        let own = self.node.gordian_key(account_index(ceremony.index)?)?;
        let own = Member::new(MemberLabel::G, *own.public());
        let plan = ceremony.plan(self.node.network());
        let map = AccountMap::rebuild(plan, &[device, recovery, own.clone()], &own)
            .map_err(|error| Refusal::Unsafe(error.to_string()))?;
        if map.descriptor() != body.descriptor {
            let detail = "`descriptor` is not the one that these three keys make; the account is not opened";
            return Err(Refusal::Unsafe(detail.into()));
        }
        let theirs = Confirmation { id: map.id(), first_address: body.first_address.write().to_string() };
        map.confirm(&theirs).map_err(|error| Refusal::Unsafe(error.to_string()))?;
        Ok(map)
    }

    pub(super) fn new_address(&mut self, id: AccountId) -> Reply {
        self.node.account(&id)?;
        let account = self.node.accounts.get_mut(&id).ok_or(Refusal::NotAdopted)?;
        let revealed =
            account.ledger.reveal_next_address().map_err(|error| Refusal::Conflict(error.to_string()))?;
        self.take_ledger_rows(id);
        Ok(Answer::Address(ReceiveAddress {
            index: revealed.index,
            address: revealed.address.into_unchecked(),
        }))
    }

    /// Puts what the ledger of `id` has changed into this step.
    pub(super) fn take_ledger_rows(&mut self, id: AccountId) {
        let Some(account) = self.node.accounts.get_mut(&id) else { return };
        let rows = account.ledger.take_rows();
        self.step.rows.extend(rows.into_iter().map(|row| ledger_row(&id, &row.key, row.value)));
    }

    pub(super) fn expire_ceremonies(&mut self) {
        let now = self.now;
        let lapsed = self.node.ceremonies.iter().filter(|(_, ceremony)| ceremony.expires_at() <= now);
        let lapsed: Vec<CeremonyId> = lapsed.map(|(id, _)| *id).collect();
        lapsed.into_iter().for_each(|id| self.step.rows.push(self.node.ceremonies.remove(&id)));
    }
}

/// A row of an account's ledger; key and value are the wallet's own.
fn ledger_row(id: &AccountId, key: &[u8], value: Option<Vec<u8>>) -> Row {
    Row { key: [&[tag::LEDGER], &id.to_bytes()[..], key].concat(), value: value.map(Into::into) }
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

fn account_index(index: u32) -> Result<AccountIndex, Refusal> {
    AccountIndex::new(index).map_err(|error| Refusal::Conflict(error.to_string()))
}
