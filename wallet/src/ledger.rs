//! What an account owns: its coins and its history, as the chain tells it.
//!
//! A [`Ledger`] wraps `bdk_wallet` for one account. It is fed blocks and unconfirmed transactions, and says
//! what is ours, what it is worth, and which address is next. It never holds a private key.
//!
//! Its state is kept outside, as **small rows**: [`Ledger::take_rows`] gives what changed since the last call, one
//! entity a row, to be committed together with whatever caused the change; [`Ledger::load`] folds the rows back.
//! A ledger that was loaded equals the one that kept running.
//!
//! ```text
//! block ── apply_block ──┐                 ┌── balance · history · coins      (cached until something changes)
//! mempool ─ apply_unconfirmed ── Ledger ───┼── reveal_next_address            (never past the gap limit)
//! reorg ── apply_block ──┘                 └── draft ──► Unchecked<Psbt> ──► check
//! ```

mod chain;
mod history;
mod load;
mod rows;
mod snapshot;
mod watch;

pub use chain::{Applied, ApplyError};
pub use history::{HistoryEntry, HistoryState};
pub use load::LoadError;
pub use rows::LedgerRow;
pub use snapshot::{Balance, CoinState, OwnedCoin};
pub use watch::Watchlist;

/// The chain as the ledger knows it, and blocks named by height and hash: as chain sources name them.
pub use bdk_wallet::chain::{BlockId, CheckPoint};

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::account::{AccountError, AccountMap, GAP_LIMIT, Keychain};
use crate::bitcoin::{Address, OutPoint, Script, Transaction, Txid};
use bdk_wallet::{ChangeSet, KeychainKind, Update, Wallet};
use snapshot::Snapshot;

/// Checkpoints kept for good below the tip, so that a reorganisation of this depth costs nothing. Deeper ones
/// (none was ever deeper than 53 blocks on mainnet since 2010) fall back to the last block that held one of our
/// transactions. 150 rows of 38 bytes are 6 kB.
pub const KEPT_CHECKPOINTS: u32 = 150;

/// Addresses watched past the last one given out, on a pod that saw every address being given out. Five times
/// the gap limit: the transactions that use them may lie in one block in any order.
pub const LOOKAHEAD: u32 = 100;

/// The same when an account is restored and nobody knows how many addresses were given out. A block of 1,000
/// payments to fresh addresses, in the worst order, is still found whole.
pub const RECOVERY_LOOKAHEAD: u32 = 1000;

/// Highest block a ledger takes: from 500,000,000 on a lock time means seconds (BIP-65), and no lock height could
/// be written. Nine thousand years from now.
pub const MAX_HEIGHT: u32 = crate::bitcoin::absolute::LOCK_TIME_THRESHOLD - 1;

/// Why a request to the ledger is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// No address within the gap limit is left.
    #[error(
        "{GAP_LIMIT} addresses are out without a confirmed payment; a restored wallet would not look further. \
         Reuse the oldest unpaid one, number {oldest_unpaid}"
    )]
    GapLimit {
        /// Index of the oldest receiving address that was given out and never paid.
        oldest_unpaid: u32,
    },
    /// The address derived from the account map differs from the stored one.
    #[error("address {index} derived from the account map differs from the stored one; restore from the map")]
    Corrupt {
        /// Which address.
        index: u32,
    },
    /// The account map cannot give this.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// An address of the account, with its place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAddress {
    /// Which chain of addresses.
    pub keychain: Keychain,
    /// Its number in it.
    pub index: u32,
    /// The address.
    pub address: Address,
}

/// The coins and history of one account.
pub struct Ledger {
    map: AccountMap,
    wallet: Wallet,
    lookahead: u32,
    /// Changes not yet taken as rows that bdk does not hold itself.
    pending: ChangeSet,
    /// Heights of stored checkpoints that may be removed once they are deep enough.
    prunable: BTreeSet<u32>,
    header_due: bool,
    snapshot: OnceLock<Snapshot>,
    untold: watch::Untold,
}

impl Ledger {
    /// Starts the ledger of a new or restored account.
    ///
    /// `start` is a block of the best chain at or before the account's birthday: nothing before it is
    /// searched (one above [`MAX_HEIGHT`] cannot exist and is ignored). `lookahead` is [`LOOKAHEAD`] for an account made just now, [`RECOVERY_LOOKAHEAD`] for any
    /// other. Take and commit the rows before using it.
    #[expect(
        clippy::expect_used,
        reason = "the descriptors are those of a checked account map and differ, and the chain is of one block, below any other"
    )]
    pub fn create(map: AccountMap, start: BlockId, lookahead: u32) -> Self {
        let [external, internal] = Keychain::ALL.map(|keychain| map.flat(keychain).to_string());
        let mut wallet = Wallet::create(external, internal)
            .network(map.network())
            .lookahead(lookahead)
            .use_spk_cache(true)
            .create_wallet_no_persist()
            .expect("descriptors of a checked account map, and two different ones");
        // Also where there is nothing but the genesis block: an update is what makes bdk stage the scripts it
        // derived, and a ledger without stored scripts does not load.
        let chain = (start.height > 0).then(|| wallet.latest_checkpoint().insert(start));
        wallet
            .apply_update(Update { chain, ..Update::default() })
            .expect("a chain of one genesis block connects to any block above it");
        Self {
            map,
            wallet,
            lookahead,
            pending: ChangeSet::default(),
            prunable: BTreeSet::new(),
            header_due: true,
            snapshot: OnceLock::new(),
            untold: watch::Untold::default(),
        }
    }

    /// The account.
    pub fn map(&self) -> &AccountMap {
        &self.map
    }

    /// Balance by how sure it is.
    pub fn balance(&self) -> Balance {
        self.snapshot().balance
    }

    /// Every transaction of the account, newest first, with those that were replaced or dropped.
    pub fn history(&self) -> &[HistoryEntry] {
        &self.snapshot().history
    }

    /// One transaction of the account.
    pub fn entry(&self, txid: &Txid) -> Option<&HistoryEntry> {
        self.history().iter().find(|entry| entry.txid == *txid)
    }

    /// The full transaction, if it is one of the account's.
    pub fn transaction(&self, txid: &Txid) -> Option<std::sync::Arc<Transaction>> {
        self.wallet.tx_graph().get_tx(*txid)
    }

    /// Unspent coins, in order of their outpoints.
    pub fn coins(&self) -> impl Iterator<Item = &OwnedCoin> {
        self.snapshot().coins.values()
    }

    /// One unspent coin.
    pub fn coin(&self, outpoint: &OutPoint) -> Option<&OwnedCoin> {
        self.snapshot().coins.get(outpoint)
    }

    /// Which transaction that counts spent a coin of ours; `None` when it is unspent or not ours.
    pub fn spender(&self, outpoint: &OutPoint) -> Option<Txid> {
        self.snapshot().spent.get(outpoint).copied()
    }

    /// Whose address a script is: `None` when not ours, or too far past the addresses given out.
    pub fn owner_of(&self, script: &Script) -> Option<(Keychain, u32)> {
        let (kind, index) = self.wallet.derivation_of_spk(script.to_owned())?;
        Some((keychain(kind), index))
    }

    /// Gives out the next receiving address. **Commit the rows before showing it.**
    ///
    /// Only a payment in a block counts: one that waits may be replaced or dropped, and a wallet restored from the map
    /// would not see it.
    ///
    /// # Errors
    /// [`LedgerError::GapLimit`] when [`GAP_LIMIT`] addresses in a row are without a confirmed payment.
    pub fn reveal_next_address(&mut self) -> Result<OwnAddress, LedgerError> {
        let index = self.next_index(Keychain::External);
        let free_from = self.snapshot().last_confirmed.map_or(0, |used| used + 1);
        if index >= free_from + GAP_LIMIT {
            return Err(LedgerError::GapLimit { oldest_unpaid: self.oldest_unpaid().unwrap_or(free_from) });
        }
        // Derived from the map, not from the stored scripts: a damaged row must not become somebody's payment.
        let address = self.map.address(Keychain::External, index)?;
        let revealed = self.wallet.reveal_next_address(KeychainKind::External);
        if revealed.address != address || revealed.index != index {
            return Err(LedgerError::Corrupt { index });
        }
        Ok(OwnAddress { keychain: Keychain::External, index, address })
    }

    /// The lowest receiving address that was given out and not paid yet.
    pub fn oldest_unpaid(&self) -> Option<u32> {
        let mut unused = self.wallet.spk_index().unused_keychain_spks(KeychainKind::External);
        unused.next().map(|(index, _)| index)
    }

    /// The index the next address will have.
    pub fn next_index(&self, keychain: Keychain) -> u32 {
        self.wallet.next_derivation_index(kind(keychain))
    }

    /// The highest index that ever received a coin.
    pub fn last_used(&self, keychain: Keychain) -> Option<u32> {
        self.wallet.spk_index().last_used_index(kind(keychain))
    }

    /// The highest index known to be in use: given out, or paid.
    pub fn last_known(&self, keychain: Keychain) -> Option<u32> {
        self.wallet.derivation_index(kind(keychain)).max(self.last_used(keychain))
    }

    /// Keeps coins out of further drafts: a payment is under way that spends them.
    pub fn reserve(&mut self, outpoints: impl IntoIterator<Item = OutPoint>) {
        for outpoint in outpoints {
            self.wallet.lock_outpoint(outpoint);
        }
    }

    /// Gives reserved coins back: the payment was sent (they are spent now) or given up.
    pub fn release(&mut self, outpoints: impl IntoIterator<Item = OutPoint>) {
        for outpoint in outpoints {
            self.wallet.unlock_outpoint(outpoint);
        }
    }

    /// Whether a coin is kept out of drafts.
    pub(crate) fn is_reserved(&self, outpoint: &OutPoint) -> bool {
        self.wallet.is_outpoint_locked(*outpoint)
    }

    /// Coins that are kept out of drafts, whether or not they are spent.
    pub fn reserved(&self) -> impl Iterator<Item = OutPoint> + '_ {
        self.wallet.list_locked_outpoints()
    }

    /// Confirmations of a transaction that this ledger knows, also of one of others that spends a coin otherwise; 0 where no
    /// block of the best chain has it.
    pub fn confirmations(&self, txid: &Txid) -> u32 {
        let anchors = self.wallet.tx_graph().all_anchors().get(txid).into_iter().flatten();
        let blocks = anchors.map(|anchor| anchor.block_id);
        let height = blocks
            .filter(|block| self.block_hash(block.height) == Some(block.hash))
            .map(|block| block.height);
        height.max().map_or(0, |height| (self.tip().height + 1).saturating_sub(height))
    }

    pub(crate) fn wallet_mut(&mut self) -> &mut Wallet {
        &mut self.wallet
    }

    fn snapshot(&self) -> &Snapshot {
        self.snapshot.get_or_init(|| Snapshot::of(&self.wallet))
    }
}

impl core::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ledger")
            .field("account", &self.map.id())
            .field("tip", &self.tip())
            .finish_non_exhaustive()
    }
}

pub(crate) fn kind(keychain: Keychain) -> KeychainKind {
    match keychain {
        Keychain::External => KeychainKind::External,
        Keychain::Internal => KeychainKind::Internal,
    }
}

pub(crate) fn keychain(kind: KeychainKind) -> Keychain {
    match kind {
        KeychainKind::External => Keychain::External,
        KeychainKind::Internal => Keychain::Internal,
    }
}
