//! The ledger's state as rows: one entity each, under a short key.
//!
//! | key | value |
//! |---|---|
//! | `m` | version, account id, lookahead |
//! | `t` txid | the transaction, consensus encoding |
//! | `a` txid height block-hash | header time of a block that holds it |
//! | `f` `l` `e` txid | first seen, last seen, last evicted: seconds |
//! | `o` txid vout | a foreign output a transaction of ours spends: amount and script, consensus encoding |
//! | `b` height | block hash |
//! | `r` keychain | last index given out |
//! | `s` keychain index | output script, so that a start need not derive thousands of keys |
//! | `x` txid vout | empty: the coin is reserved |
//!
//! Numbers are big endian, so that keys sort as numbers do.

use bdk_wallet::ChangeSet;
use bdk_wallet::chain::{DescriptorExt, DescriptorId};

use super::{KEPT_CHECKPOINTS, Ledger};
use crate::account::{AccountMap, Keychain};
use crate::bitcoin::consensus::encode::serialize;
use crate::bitcoin::hashes::Hash;
use crate::bitcoin::{OutPoint, Txid};

/// Version of the table above; it stands first in the header row, and is that of all rows of a ledger.
pub(super) const ROWS_VERSION: u8 = 1;
/// Key of the header row, in every version.
pub(super) const HEADER_KEY: &[u8] = b"m";

/// The new state of one entity, or its removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Key within the account, 1 to 69 bytes.
    pub key: Vec<u8>,
    /// The value; `None` removes the row.
    pub value: Option<Vec<u8>>,
}

impl Ledger {
    /// What changed since the last call, to be committed in one transaction. Empty when nothing changed.
    ///
    /// Later rows win over earlier ones with the same key; putting the same rows twice changes nothing.
    #[must_use = "rows that are not committed are lost"]
    pub fn take_rows(&mut self) -> Vec<LedgerRow> {
        self.drain_stage();
        let changes = std::mem::take(&mut self.pending);
        let mut rows = Vec::new();
        if std::mem::take(&mut self.header_due) {
            rows.push(header_row(&self.map, self.lookahead));
        }
        graph_rows(&changes, &mut rows);
        index_rows(&self.map, &changes, &mut rows);
        self.block_rows(&changes, &mut rows);
        rows
    }

    /// Blocks that were added or dropped, and removal of those that are buried deep and held nothing of ours.
    fn block_rows(&mut self, changes: &ChangeSet, rows: &mut Vec<LedgerRow>) {
        for (height, hash) in &changes.local_chain.blocks {
            match hash {
                Some(_) => self.prunable.insert(*height),
                None => self.prunable.remove(height),
            };
            rows.push(row(block_key(*height), hash.map(|hash| hash.to_byte_array().to_vec())));
        }
        for (anchor, _) in &changes.tx_graph.anchors {
            let block = anchor.block_id;
            if self.block_hash(block.height) == Some(block.hash) {
                self.prunable.remove(&block.height);
                // Again, because the row may have been removed before this transaction was found.
                rows.push(row(block_key(block.height), Some(block.hash.to_byte_array().to_vec())));
            }
        }
        self.prunable.remove(&0);
        let deep = self.tip().height.saturating_sub(KEPT_CHECKPOINTS);
        while let Some(height) = self.prunable.first().copied().filter(|height| *height < deep) {
            self.prunable.remove(&height);
            rows.push(row(block_key(height), None));
        }
    }
}

fn graph_rows(changes: &ChangeSet, rows: &mut Vec<LedgerRow>) {
    let graph = &changes.tx_graph;
    for tx in &graph.txs {
        rows.push(row(tx_key(b't', &tx.compute_txid()), Some(serialize(tx.as_ref()))));
    }
    for (outpoint, txout) in &graph.txouts {
        rows.push(row(outpoint_key(b'o', outpoint), Some(serialize(txout))));
    }
    for (anchor, txid) in &graph.anchors {
        let mut key = tx_key(b'a', txid);
        key.extend(anchor.block_id.height.to_be_bytes());
        key.extend(anchor.block_id.hash.to_byte_array());
        rows.push(row(key, Some(anchor.confirmation_time.to_be_bytes().to_vec())));
    }
    for (tag, times) in [(b'f', &graph.first_seen), (b'l', &graph.last_seen), (b'e', &graph.last_evicted)] {
        for (txid, time) in times {
            rows.push(row(tx_key(tag, txid), Some(time.to_be_bytes().to_vec())));
        }
    }
    for (outpoint, reserved) in &changes.locked_outpoints.outpoints {
        rows.push(row(outpoint_key(b'x', outpoint), reserved.then(Vec::new)));
    }
}

fn index_rows(map: &AccountMap, changes: &ChangeSet, rows: &mut Vec<LedgerRow>) {
    for keychain in Keychain::ALL {
        let id = descriptor_id(map, keychain);
        let step = keychain.step() as u8;
        if let Some(last) = changes.indexer.last_revealed.get(&id) {
            rows.push(row(vec![b'r', step], Some(last.to_be_bytes().to_vec())));
        }
        for (index, script) in changes.indexer.spk_cache.get(&id).into_iter().flatten() {
            let mut key = vec![b's', step];
            key.extend(index.to_be_bytes());
            rows.push(row(key, Some(script.to_bytes())));
        }
    }
}

fn header_row(map: &AccountMap, lookahead: u32) -> LedgerRow {
    let mut value = vec![ROWS_VERSION];
    value.extend(map.id().to_bytes());
    value.extend(lookahead.to_be_bytes());
    row(HEADER_KEY.to_vec(), Some(value))
}

/// bdk names a keychain by the hash of its first script.
pub(super) fn descriptor_id(map: &AccountMap, keychain: Keychain) -> DescriptorId {
    map.flat(keychain).descriptor_id()
}

fn row(key: Vec<u8>, value: Option<Vec<u8>>) -> LedgerRow {
    LedgerRow { key, value }
}

fn block_key(height: u32) -> Vec<u8> {
    let mut key = vec![b'b'];
    key.extend(height.to_be_bytes());
    key
}

fn tx_key(tag: u8, txid: &Txid) -> Vec<u8> {
    let mut key = vec![tag];
    key.extend(txid.to_byte_array());
    key
}

fn outpoint_key(tag: u8, outpoint: &OutPoint) -> Vec<u8> {
    let mut key = tx_key(tag, &outpoint.txid);
    key.extend(outpoint.vout.to_be_bytes());
    key
}
