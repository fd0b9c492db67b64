//! What the checking side knows of the chain and of its own addresses.

use crate::account::Keychain;
use crate::bitcoin::{OutPoint, Script, TxOut, Txid};
use crate::ledger::{CoinState, Ledger};

/// What the checking side knows of a coin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Ours and spendable, with amount and script from our own view of the chain.
    Unspent(TxOut),
    /// Ours, but a mining reward that may not be spent yet.
    Immature,
    /// Ours once, and spent.
    Spent {
        /// By which transaction.
        by: Txid,
    },
    /// Not a coin of this account.
    Unknown,
    /// This side does not watch the chain: amounts come from the full previous transaction alone.
    Unwatched,
}

/// The checking side's own knowledge: a pod's [`Ledger`], or what a device remembers ([`DeviceView`]).
pub trait CoinView {
    /// What is known of a coin.
    fn standing(&self, outpoint: &OutPoint) -> Standing;

    /// The highest address index known to be in use. Addresses up to
    /// [`GAP_LIMIT`](crate::account::GAP_LIMIT) past it are recognised.
    fn last_known(&self, keychain: Keychain) -> Option<u32>;

    /// Height of the chain's tip, when known.
    fn height(&self) -> Option<u32>;

    /// Whose address a script is, if that is known without a hint. Only ever used as a hint.
    fn owner_hint(&self, script: &Script) -> Option<(Keychain, u32)> {
        let _ = script;
        None
    }
}

impl CoinView for Ledger {
    fn standing(&self, outpoint: &OutPoint) -> Standing {
        match self.coin(outpoint) {
            Some(coin) if matches!(coin.state, CoinState::Immature { .. }) => Standing::Immature,
            Some(coin) => Standing::Unspent(coin.txout.clone()),
            None => self.spender(outpoint).map_or(Standing::Unknown, |by| Standing::Spent { by }),
        }
    }

    fn last_known(&self, keychain: Keychain) -> Option<u32> {
        Ledger::last_known(self, keychain)
    }

    fn height(&self) -> Option<u32> {
        Some(self.tip().height)
    }

    fn owner_hint(&self, script: &Script) -> Option<(Keychain, u32)> {
        self.owner_of(script)
    }
}

/// What a device without a chain source remembers of an account.
///
/// The indices come from addresses the device derived, showed or signed itself. A pod may raise them only as
/// far as the gap limit lets it: that is the point of the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct DeviceView {
    /// Highest receiving address known to be in use.
    pub external: Option<u32>,
    /// Highest change address known to be in use.
    pub internal: Option<u32>,
    /// Height of the chain's tip, if the device has it from somewhere it trusts.
    pub height: Option<u32>,
}

impl DeviceView {
    /// Remembers that an address is in use.
    pub fn learn(&mut self, keychain: Keychain, index: u32) {
        let known = match keychain {
            Keychain::External => &mut self.external,
            Keychain::Internal => &mut self.internal,
        };
        *known = (*known).max(Some(index));
    }
}

impl CoinView for DeviceView {
    fn standing(&self, _: &OutPoint) -> Standing {
        Standing::Unwatched
    }

    fn last_known(&self, keychain: Keychain) -> Option<u32> {
        match keychain {
            Keychain::External => self.external,
            Keychain::Internal => self.internal,
        }
    }

    fn height(&self) -> Option<u32> {
        self.height
    }
}
