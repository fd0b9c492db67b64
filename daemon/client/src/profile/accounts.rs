//! Account maps that a device holds, and the ceremony it may be in the middle of.

use std::{collections::BTreeMap, path::PathBuf};

use autonomy_wallet::{
    account::{AccountId, AccountMap, Keychain},
    check::DeviceView,
};
use serde::{Deserialize, Serialize};

use super::{
    Profile, ProfileError,
    rows::{self, RowFault, Rows},
};
use autonomy_store::RowChange;

/// An account as this device knows it on its own.
#[derive(Debug, Clone)]
pub struct HeldAccount {
    /// The checked map.
    pub map: AccountMap,
    /// The addresses this device has seen in use.
    pub view: DeviceView,
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
}

#[derive(Serialize, Deserialize)]
struct PendingRow {
    map: AccountMap,
    decks: PathBuf,
}

pub(super) fn read(rows: &Rows) -> Result<BTreeMap<AccountId, HeldAccount>, RowFault> {
    let accounts: Vec<AccountRow> = rows::take_all(rows, rows::ACCOUNT)?;
    Ok(accounts.into_iter().map(|AccountRow { map, view }| (map.id(), HeldAccount { map, view })).collect())
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

    /// Remembers an account **before** any of its addresses is shown, and forgets its ceremony.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_account(&mut self, map: AccountMap) -> Result<(), ProfileError> {
        let id = map.id();
        let view = self.accounts.get(&id).map(|account| account.view).unwrap_or_default();
        let row = AccountRow { map, view };
        self.commit(vec![
            rows::put(rows::key(rows::ACCOUNT, &id.to_bytes()), &row),
            RowChange::remove(rows::key(rows::PENDING, &id.to_bytes())),
        ])?;
        self.pending.retain(|pending| pending.map.id() != id);
        self.accounts.insert(id, HeldAccount { map: row.map, view });
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
        let Some(account) = self.accounts.get(id) else { return Ok(()) };
        let mut view = account.view;
        used.iter().for_each(|(keychain, index)| view.learn(*keychain, *index));
        if view != account.view {
            let row = AccountRow { map: account.map.clone(), view };
            self.commit(vec![rows::put(rows::key(rows::ACCOUNT, &id.to_bytes()), &row)])?;
        }
        if let Some(account) = self.accounts.get_mut(id) {
            account.view = view;
        }
        Ok(())
    }
}
