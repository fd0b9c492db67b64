//! Folding rows back into a ledger, trusting none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use bdk_wallet::ChangeSet;
use bdk_wallet::chain::{BlockId, ConfirmationBlockTime};

use super::chain::{amounts_possible, reopen};
use super::rows::{HEADER_KEY, ROWS_VERSION, descriptor_id};
use super::watch::Untold;
use super::{Ledger, MAX_HEIGHT, RECOVERY_LOOKAHEAD};
use crate::account::{AccountId, AccountMap, Keychain};
use crate::bitcoin::consensus::encode::deserialize;
use crate::bitcoin::constants::genesis_block;
use crate::bitcoin::hashes::Hash;
use crate::bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Transaction, TxOut, Txid};

/// How many stored scripts of each keychain are derived again at every load: the newest, the oldest, and a
/// spread between. 64 derivations are 6 ms; all of 10,000 would be a second. An address is checked again when
/// it is shown, and a coin when it is spent, so a damaged row can hide a coin but not misdirect one.
const SAMPLED_SCRIPTS: usize = 64;

/// Why rows do not make a ledger. Restore the store from its backup, or make a new ledger from the account map
/// and let it search the chain again: no coin depends on these rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No header row.
    #[error("the ledger's header row is missing")]
    NoHeader,
    /// A newer program wrote them.
    #[error(
        "a newer program wrote the ledger's rows (version {0}, this one reads up to {ROWS_VERSION}); update it"
    )]
    Version(u8),
    /// The rows belong to another account.
    #[error("the rows are of account {found}, not of {expected}")]
    ForeignAccount {
        /// Whose rows they are.
        found: AccountId,
        /// Whose they should be.
        expected: AccountId,
    },
    /// The rows are of another chain.
    #[error("the rows are of another chain: their first block is not that of the account's network")]
    ForeignChain,
    /// A row breaks a rule.
    #[error("row {key}: {rule}")]
    Row {
        /// The row's key in hexadecimal.
        key: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A stored script is not the account's.
    #[error("stored script {index} of the {keychain} addresses is not the one the account map gives")]
    Script {
        /// Which addresses.
        keychain: Keychain,
        /// Which one.
        index: u32,
    },
    /// Rows that are fine one by one do not fit together.
    #[error("the rows contradict each other: {0}")]
    Contradiction(&'static str),
}

impl Ledger {
    /// Rebuilds a ledger from its rows, in any order.
    ///
    /// # Errors
    /// [`LoadError`] names the row and the rule. Nothing is repaired silently.
    pub fn load(
        map: AccountMap,
        rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, LoadError> {
        let mut fold = Fold { map: &map, changes: ChangeSet::default(), lookahead: None };
        let mut scripts: [BTreeMap<u32, ScriptBuf>; 2] = Default::default();
        let rows: Vec<(Vec<u8>, Vec<u8>)> = rows.into_iter().collect();
        // Before all others: a newer version may have kinds of rows that this one does not know.
        check_version(&rows)?;
        for (key, value) in rows {
            fold.take(&key, &value, &mut scripts).map_err(|error| error.at(&key))?;
        }
        let lookahead = fold.lookahead.ok_or(LoadError::NoHeader)?;
        let mut changes = fold.changes;
        check_chain(&map, &changes)?;
        check_times(&changes)?;
        for (keychain, scripts) in Keychain::ALL.into_iter().zip(scripts) {
            check_scripts(&map, keychain, &scripts, &changes)?;
            changes.indexer.spk_cache.insert(descriptor_id(&map, keychain), scripts);
        }
        let prunable = prunable(&changes);
        let [external, internal] = Keychain::ALL.map(|keychain| Some(map.flat(keychain).clone()));
        changes.descriptor = external;
        changes.change_descriptor = internal;
        changes.network = Some(map.network());
        let wallet =
            reopen(changes, lookahead).ok_or(LoadError::Contradiction("the chain of blocks is broken"))?;
        let mut ledger = Self {
            map,
            wallet,
            lookahead,
            pending: ChangeSet::default(),
            prunable,
            header_due: false,
            snapshot: OnceLock::new(),
            untold: Untold::default(),
        };
        ledger.mark_all_told();
        Ok(ledger)
    }
}

/// Refuses rows of a newer version. All versions have the header under this key, and begin it with their number; a
/// program that raises [`ROWS_VERSION`] upgrades rows of earlier versions where they are folded.
fn check_version(rows: &[(Vec<u8>, Vec<u8>)]) -> Result<(), LoadError> {
    match rows.iter().find(|(key, _)| key == HEADER_KEY) {
        Some((_, value)) => match value.first() {
            Some(&version) if version > ROWS_VERSION => Err(LoadError::Version(version)),
            _ => Ok(()),
        },
        None => Ok(()),
    }
}

/// A rule that a row breaks, before its key is known.
enum Broken {
    Rule(&'static str),
    Whole(LoadError),
}

impl Broken {
    fn at(self, key: &[u8]) -> LoadError {
        match self {
            Self::Rule(rule) => {
                LoadError::Row { key: data_encoding::HEXLOWER.encode(&key[..key.len().min(80)]), rule }
            }
            Self::Whole(error) => error,
        }
    }
}

struct Fold<'a> {
    map: &'a AccountMap,
    changes: ChangeSet,
    lookahead: Option<u32>,
}

impl Fold<'_> {
    fn take(
        &mut self,
        key: &[u8],
        value: &[u8],
        scripts: &mut [BTreeMap<u32, ScriptBuf>; 2],
    ) -> Result<(), Broken> {
        let (tag, key) = key.split_first().ok_or(Broken::Rule("an empty key"))?;
        let graph = &mut self.changes.tx_graph;
        match tag {
            b'm' => self.header(value)?,
            b't' => {
                let tx: Transaction = decode(value)?;
                if tx.compute_txid() != txid(key)? {
                    return Err(Broken::Rule("the transaction does not have the id of its key"));
                }
                if !amounts_possible(&tx) {
                    return Err(Broken::Rule("a transaction that pays more than there will ever be"));
                }
                graph.txs.insert(Arc::new(tx));
            }
            b'a' => drop(graph.anchors.insert(anchor(key, value)?)),
            b'f' => drop(graph.first_seen.insert(txid(key)?, number(value)?)),
            b'l' => drop(graph.last_seen.insert(txid(key)?, number(value)?)),
            b'e' => drop(graph.last_evicted.insert(txid(key)?, number(value)?)),
            b'o' => {
                let txout: TxOut = decode(value)?;
                if txout.value > Amount::MAX_MONEY {
                    return Err(Broken::Rule("an output of more than there will ever be"));
                }
                graph.txouts.insert(outpoint(key)?, txout);
            }
            b'b' => {
                let hash = BlockHash::from_byte_array(array(value)?);
                self.changes.local_chain.blocks.insert(height(key)?, Some(hash));
            }
            b'r' => {
                let id = descriptor_id(self.map, keychain(key)?);
                self.changes.indexer.last_revealed.insert(id, u32::from_be_bytes(array(value)?));
            }
            b's' => {
                let (step, index) = key.split_at_checked(1).ok_or(Broken::Rule("a key of wrong length"))?;
                let script = ScriptBuf::from_bytes(value.to_vec());
                if !script.is_p2wsh() {
                    return Err(Broken::Rule("not the script of a P2WSH address"));
                }
                let step = keychain(step)?.step() as usize;
                scripts[step].insert(u32::from_be_bytes(array(index)?), script);
            }
            b'x' => drop(self.changes.locked_outpoints.outpoints.insert(outpoint(key)?, true)),
            _ => return Err(Broken::Rule("a kind of row this version does not know")),
        }
        Ok(())
    }

    fn header(&mut self, value: &[u8]) -> Result<(), Broken> {
        let value: [u8; 21] = array(value)?;
        if value[0] != ROWS_VERSION {
            return Err(Broken::Rule("a version that never was"));
        }
        let found = AccountId::from_bytes(array(&value[1..17])?);
        let expected = self.map.id();
        if found != expected {
            return Err(Broken::Whole(LoadError::ForeignAccount { found, expected }));
        }
        let lookahead = u32::from_be_bytes(array(&value[17..])?);
        if !(1..=RECOVERY_LOOKAHEAD).contains(&lookahead) {
            return Err(Broken::Rule("a lookahead out of range"));
        }
        self.lookahead = Some(lookahead);
        Ok(())
    }
}

fn array<const LEN: usize>(bytes: &[u8]) -> Result<[u8; LEN], Broken> {
    bytes.try_into().map_err(|_| Broken::Rule("a key or value of wrong length"))
}

fn number(bytes: &[u8]) -> Result<u64, Broken> {
    Ok(u64::from_be_bytes(array(bytes)?))
}

fn height(bytes: &[u8]) -> Result<u32, Broken> {
    let height = u32::from_be_bytes(array(bytes)?);
    if height <= MAX_HEIGHT { Ok(height) } else { Err(Broken::Rule("a height no block can have")) }
}

fn txid(key: &[u8]) -> Result<Txid, Broken> {
    Ok(Txid::from_byte_array(array(key)?))
}

fn outpoint(key: &[u8]) -> Result<OutPoint, Broken> {
    let (id, vout) = key.split_at_checked(32).ok_or(Broken::Rule("a key of wrong length"))?;
    Ok(OutPoint::new(txid(id)?, u32::from_be_bytes(array(vout)?)))
}

fn keychain(key: &[u8]) -> Result<Keychain, Broken> {
    let [step] = array(key)?;
    Keychain::from_step(step.into()).ok_or(Broken::Rule("a keychain other than 0 and 1"))
}

fn anchor(key: &[u8], value: &[u8]) -> Result<(ConfirmationBlockTime, Txid), Broken> {
    let key: [u8; 68] = array(key)?;
    let height = height(&key[32..36])?;
    let hash = BlockHash::from_byte_array(array(&key[36..])?);
    let anchor =
        ConfirmationBlockTime { block_id: BlockId { height, hash }, confirmation_time: number(value)? };
    Ok((anchor, txid(&key[..32])?))
}

fn decode<T: crate::bitcoin::consensus::Decodable>(value: &[u8]) -> Result<T, Broken> {
    deserialize(value).map_err(|_| Broken::Rule("the value is damaged"))
}

fn check_chain(map: &AccountMap, changes: &ChangeSet) -> Result<(), LoadError> {
    let genesis = genesis_block(map.network()).block_hash();
    match changes.local_chain.blocks.get(&0) {
        Some(Some(hash)) if *hash == genesis => Ok(()),
        Some(_) => Err(LoadError::ForeignChain),
        None => Err(LoadError::Contradiction("the first block is missing")),
    }
}

/// Times and blocks must belong to transactions that are there; and none to a mining reward outside a block,
/// which bdk would panic over.
fn check_times(changes: &ChangeSet) -> Result<(), LoadError> {
    let graph = &changes.tx_graph;
    let known: BTreeMap<Txid, bool> =
        graph.txs.iter().map(|tx| (tx.compute_txid(), tx.is_coinbase())).collect();
    let seen = graph.first_seen.keys().chain(graph.last_seen.keys()).chain(graph.last_evicted.keys());
    for txid in seen {
        match known.get(txid) {
            Some(false) => {}
            Some(true) => return Err(LoadError::Contradiction("a mining reward seen outside a block")),
            None => return Err(LoadError::Contradiction("a time without its transaction")),
        }
    }
    if graph.anchors.iter().any(|(_, txid)| !known.contains_key(txid)) {
        return Err(LoadError::Contradiction("a block for a transaction that is missing"));
    }
    Ok(())
}

/// No gaps, enough of them for the addresses given out (deriving the rest of a forged 2³¹ would take days),
/// and a sample of them right.
fn check_scripts(
    map: &AccountMap,
    keychain: Keychain,
    scripts: &BTreeMap<u32, ScriptBuf>,
    changes: &ChangeSet,
) -> Result<(), LoadError> {
    let count = scripts.len();
    if scripts.last_key_value().is_none_or(|(last, _)| *last as usize + 1 != count) {
        return Err(LoadError::Contradiction("the stored scripts have gaps"));
    }
    let revealed = changes.indexer.last_revealed.get(&descriptor_id(map, keychain));
    if revealed.is_some_and(|last| *last as usize >= count) {
        return Err(LoadError::Contradiction("more addresses given out than scripts stored"));
    }
    let step = (count / SAMPLED_SCRIPTS).max(1);
    let last = count - 1;
    for index in (0..count).step_by(step).chain([last, revealed.map_or(last, |last| *last as usize)]) {
        let index = index as u32;
        if map.script_pubkey(keychain, index).ok().as_ref() != scripts.get(&index) {
            return Err(LoadError::Script { keychain, index });
        }
    }
    Ok(())
}

fn prunable(changes: &ChangeSet) -> BTreeSet<u32> {
    let anchored: BTreeSet<u32> =
        changes.tx_graph.anchors.iter().map(|(anchor, _)| anchor.block_id.height).collect();
    changes
        .local_chain
        .blocks
        .keys()
        .copied()
        .filter(|height| *height > 0 && !anchored.contains(height))
        .collect()
}
