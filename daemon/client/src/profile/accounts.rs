//! Account maps that a device holds, and the ceremony it may be in the middle of.

use std::{collections::BTreeMap, path::PathBuf};

use autonomy_wallet::{
    account::{AccountError, AccountId, AccountMap, Keychain, Member, MemberLabel},
    bitcoin::{OutPoint, Txid},
    check::DeviceView,
};
use serde::{Deserialize, Serialize};

use super::{
    Profile, ProfileError,
    rows::{self, RowFault, Rows},
};
use crate::ceremony::is_past;
use autonomy_api::{AccountName, PaymentId, Recipient};
use autonomy_store::RowChange;

/// Most payments of unknown outcome that are remembered of an account, the oldest forgotten first. Each is 0.5 kB where it
/// spends ten coins.
const MAX_UNSETTLED: usize = 64;

/// An account as this device knows it on its own.
#[derive(Debug, Clone)]
pub struct HeldAccount {
    /// The checked map.
    pub map: AccountMap,
    /// The addresses this device has seen in use.
    pub view: DeviceView,
    /// What P has signed and the pod was asked to send, and is not known to be in the network. Oldest first.
    pub unsettled: Vec<Unsettled>,
    /// The map came from elsewhere, and this device has signed no change since: it cannot know which change addresses are in
    /// use.
    pub imported: bool,
}

/// A payment that P has signed: whoever has the signature can still complete it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    /// The pod's id of it.
    pub payment: PaymentId,
    /// The transaction; its id does not change by signing.
    pub txid: Txid,
    /// The coins it spends: a payment that spends one of them excludes it.
    pub inputs: Vec<OutPoint>,
    /// Who gets how much.
    pub recipients: Vec<Recipient>,
    /// The pod answered that it signed too: the owner knows of the payment.
    #[serde(default)]
    pub answered: bool,
}

/// What a payment shows to be in use.
#[derive(Debug, Default)]
pub(crate) struct InUse {
    /// Addresses of ours.
    pub(crate) addresses: Vec<(Keychain, u32)>,
    /// Change is among them. What is spent says nothing about how far change addresses are in use.
    pub(crate) has_change: bool,
}

/// An account whose decks are dealt and whose completion the pod has not confirmed yet.
#[derive(Debug, Clone)]
pub struct PendingAccount {
    /// The map this device built.
    pub map: AccountMap,
    /// Folder with its decks.
    pub decks: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct AccountRow {
    map: AccountMap,
    view: DeviceView,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unsettled: Vec<Unsettled>,
    #[serde(default)]
    imported: bool,
}

impl From<AccountRow> for HeldAccount {
    fn from(row: AccountRow) -> Self {
        let AccountRow { map, view, unsettled, imported } = row;
        Self { map, view, unsettled, imported }
    }
}

impl From<HeldAccount> for AccountRow {
    fn from(held: HeldAccount) -> Self {
        let HeldAccount { map, view, unsettled, imported } = held;
        Self { map, view, unsettled, imported }
    }
}

#[derive(Serialize, Deserialize)]
struct PendingRow {
    map: AccountMap,
    decks: PathBuf,
}

pub(super) fn read(rows: &Rows) -> Result<BTreeMap<AccountId, HeldAccount>, RowFault> {
    let accounts: Vec<AccountRow> = rows::take_all(rows, rows::ACCOUNT)?;
    Ok(accounts.into_iter().map(|row| (row.map.id(), row.into())).collect())
}

pub(super) fn read_pending(rows: &Rows) -> Result<Vec<PendingAccount>, RowFault> {
    let pending: Vec<PendingRow> = rows::take_all(rows, rows::PENDING)?;
    Ok(pending.into_iter().map(|PendingRow { map, decks }| PendingAccount { map, decks }).collect())
}

impl Profile {
    /// The accounts this device holds maps of, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &HeldAccount> {
        self.accounts.values()
    }

    /// One account.
    #[must_use]
    pub fn account(&self, id: &AccountId) -> Option<&HeldAccount> {
        self.accounts.get(id)
    }

    /// Ceremonies that were interrupted between dealing and completion.
    #[must_use]
    pub fn pending_accounts(&self) -> &[PendingAccount] {
        &self.pending
    }

    /// Remembers what was dealt, **before** the pod gets it: if its answer is lost, the account can still be found.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin_account(&mut self, map: AccountMap, decks: PathBuf) -> Result<(), ProfileError> {
        let key = rows::key(rows::PENDING, &map.id().to_bytes());
        let row = PendingRow { map, decks };
        self.commit(vec![rows::put(key, &row)])?;
        let PendingRow { map, decks } = row;
        self.pending.push(PendingAccount { map, decks });
        Ok(())
    }

    /// Remembers an account that was made here, **before** any of its addresses is shown, and forgets its ceremony.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep_new_account(&mut self, map: AccountMap) -> Result<(), ProfileError> {
        let id = map.id();
        let held = HeldAccount { map, view: DeviceView::default(), unsettled: Vec::new(), imported: false };
        self.put_account(held, vec![RowChange::remove(rows::key(rows::PENDING, &id.to_bytes()))])?;
        self.pending.retain(|pending| pending.map.id() != id);
        Ok(())
    }

    /// Remembers an account whose map came from elsewhere at `now`, in seconds since 1970, once it is known to be one of
    /// this device. One that is held already keeps what this device knows of it.
    ///
    /// # Errors
    /// [`MapRefusal`] in [`ProfileError`], also for a birthday in the future, from which a search would miss coins; or it
    /// cannot be written. Nothing is kept then.
    pub fn import_account(&mut self, map: AccountMap, now: u64) -> Result<(), ProfileError> {
        if !is_past(map.birthday(), map.network(), now) {
            return Err(MapRefusal::Birthday.into());
        }
        self.check_map(&map)?;
        let known = self.accounts.get(&map.id());
        let view = known.map(|held| held.view).unwrap_or_default();
        let unsettled = known.map(|held| held.unsettled.clone()).unwrap_or_default();
        self.put_account(HeldAccount { map, view, unsettled, imported: true }, Vec::new())
    }

    /// Whether this device may vouch for a map that came from elsewhere.
    ///
    /// # Errors
    /// It is of another network than the pod, its P is not this device's (where this device has one), or it could be taken
    /// for another account.
    pub fn check_map(&self, map: &AccountMap) -> Result<(), MapRefusal> {
        if let Some(pod) = self.pod() {
            map.check_network(pod.network())?;
        }
        let name = AccountName::visible(map.name()).map_err(|_| MapRefusal::Name)?;
        let twin = |other: &AccountMap| other.id() != map.id() && name.is_like(other.name());
        if self.accounts.values().any(|held| twin(&held.map)) {
            return Err(MapRefusal::NameTaken { name });
        }
        if let Some(seed) = self.payment_seed() {
            let index = map.key(&MemberLabel::P)?.account();
            let own = seed.account_key(map.network(), index);
            map.check_own(&Member::new(MemberLabel::P, *own.public()))?;
        }
        Ok(())
    }

    fn put_account(&mut self, held: HeldAccount, mut rows: Vec<RowChange>) -> Result<(), ProfileError> {
        let id = held.map.id();
        rows.push(rows::put(rows::key(rows::ACCOUNT, &id.to_bytes()), &AccountRow::from(held.clone())));
        self.commit(rows)?;
        self.accounts.insert(id, held);
        Ok(())
    }

    /// Forgets a ceremony that the pod never completed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget_pending(&mut self, id: &AccountId) -> Result<(), ProfileError> {
        self.commit(vec![RowChange::remove(rows::key(rows::PENDING, &id.to_bytes()))])?;
        self.pending.retain(|pending| pending.map.id() != *id);
        Ok(())
    }

    /// Remembers that addresses are in use. Written before they are shown or signed for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn learn(&mut self, id: &AccountId, used: &[(Keychain, u32)]) -> Result<(), ProfileError> {
        let Some(held) = self.accounts.get(id) else { return Ok(()) };
        let view = seen(held.view, used);
        if view == held.view {
            return Ok(());
        }
        self.put_account(HeldAccount { view, ..held.clone() }, Vec::new())
    }

    /// Remembers a payment that P has signed for the pod to send, and what it shows to be in use; forgets payments of which
    /// its owner was told. Written before the signature leaves: a device that forgot it could be made to pay twice.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn begin_payment(
        &mut self,
        id: &AccountId,
        payment: Unsettled,
        used: &InUse,
        told: &[Txid],
    ) -> Result<(), ProfileError> {
        let Some(mut held) = self.accounts.get(id).cloned() else { return Ok(()) };
        held.view = seen(held.view, &used.addresses);
        held.imported &= !used.has_change;
        held.unsettled.retain(|other| other.txid != payment.txid && !told.contains(&other.txid));
        held.unsettled.push(payment);
        let surplus = held.unsettled.len().saturating_sub(MAX_UNSETTLED);
        held.unsettled.drain(..surplus);
        self.put_account(held, Vec::new())
    }

    /// Forgets a payment of unknown outcome: it is known to be in the network, or never left this device.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn settle_payment(&mut self, id: &AccountId, txid: &Txid) -> Result<(), ProfileError> {
        let Some(mut held) = self.accounts.get(id).cloned() else { return Ok(()) };
        let before = held.unsettled.len();
        held.unsettled.retain(|payment| payment.txid != *txid);
        if held.unsettled.len() == before {
            return Ok(());
        }
        self.put_account(held, Vec::new())
    }

    /// Remembers that the pod says that it signed a payment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn payment_answered(&mut self, id: &AccountId, txid: &Txid) -> Result<(), ProfileError> {
        let Some(mut held) = self.accounts.get(id).cloned() else { return Ok(()) };
        let unanswered = |payment: &&mut Unsettled| payment.txid == *txid && !payment.answered;
        let Some(payment) = held.unsettled.iter_mut().find(unanswered) else { return Ok(()) };
        payment.answered = true;
        self.put_account(held, Vec::new())
    }
}

fn seen(mut view: DeviceView, used: &[(Keychain, u32)]) -> DeviceView {
    used.iter().for_each(|(keychain, index)| view.learn(*keychain, *index));
    view
}

/// Why this device does not vouch for an account map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapRefusal {
    /// Its network or its keys.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Two accounts of one name could be taken for each other.
    #[error("this device holds another account called {name}, or so like it that they could be confused")]
    NameTaken {
        /// The name.
        name: AccountName,
    },
    /// A birthday in the future.
    #[error("the account is said to begin in the future: a search from there on would miss its coins")]
    Birthday,
    /// A name that does not show what it is.
    #[error("the name of the account has characters that cannot be seen, or turn the direction of writing")]
    Name,
}
