//! The previous transactions that a PSBT carries: what the amounts of its inputs are known by (BIP-174).
//!
//! They come without witnesses, which their ids do not cover. As long as that is not much, every input has its own, as
//! other signers expect; where many coins come from one large transaction, only the first of them carries it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::CheckRefusal;
use crate::bitcoin::psbt::Input;
use crate::bitcoin::{Psbt, Transaction, TxIn, Txid, Witness};

/// Most bytes of previous transactions while each input has its own: 250 bytes each for 970 inputs are 0.24 MB. It leaves
/// 3 MB of [`MAX_PSBT_BYTES`](super::MAX_PSBT_BYTES) for signatures, scripts and hints.
const MAX_COPIED_BYTES: usize = 1_000_000;

/// Previous transactions by their true ids.
pub(super) struct Previous(HashMap<Txid, Arc<Transaction>>);

impl Previous {
    /// Those that a PSBT carries.
    ///
    /// # Errors
    /// [`CheckRefusal::WrongPrevious`] where an input has another one than it spends of.
    pub(super) fn of(tx: &Transaction, inputs: &[Input]) -> Result<Self, CheckRefusal> {
        let mut all = HashMap::new();
        for (input, (txin, fields)) in tx.input.iter().zip(inputs).enumerate() {
            let Some(previous) = &fields.non_witness_utxo else { continue };
            let (found, expected) = (previous.compute_txid(), txin.previous_output.txid);
            if found != expected {
                return Err(CheckRefusal::WrongPrevious { input, found, expected });
            }
            all.entry(found).or_insert_with(|| Arc::new(stripped(previous)));
        }
        Ok(Self(all))
    }

    /// The one that an input spends of.
    ///
    /// # Errors
    /// [`CheckRefusal::MissingPrevious`].
    pub(super) fn spent_by(&self, input: usize, txin: &TxIn) -> Result<&Transaction, CheckRefusal> {
        let previous = self.0.get(&txin.previous_output.txid);
        previous.map(Arc::as_ref).ok_or(CheckRefusal::MissingPrevious { input })
    }

    /// The one of an id.
    pub(super) fn get(&self, txid: &Txid) -> Option<Arc<Transaction>> {
        self.0.get(txid).cloned()
    }
}

/// Puts previous transactions into a PSBT: each input's own, or, where these are many bytes, each only once.
pub(crate) fn attach(psbt: &mut Psbt, previous: impl Fn(&Txid) -> Option<Arc<Transaction>>) {
    let of = |txin: &TxIn| previous(&txin.previous_output.txid);
    let bytes: usize = psbt.unsigned_tx.input.iter().filter_map(of).map(|tx| tx.base_size()).sum();
    let mut carried = HashSet::new();
    for (txin, fields) in psbt.unsigned_tx.input.iter().zip(&mut psbt.inputs) {
        let first = carried.insert(txin.previous_output.txid);
        if first || bytes <= MAX_COPIED_BYTES {
            fields.non_witness_utxo = of(txin).map(|tx| stripped(&tx));
        }
    }
}

/// The same transaction, by its id, without witnesses: they may have megabytes and prove nothing here.
fn stripped(tx: &Transaction) -> Transaction {
    let mut tx = tx.clone();
    tx.input.iter_mut().for_each(|input| input.witness = Witness::new());
    tx
}
