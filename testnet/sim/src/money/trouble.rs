//! What happens to the chain, its mempool, and the bitcoinds of pods.
//!
//! | of 8 | what happens |
//! |---:|---|
//! | 2 | blocks are reorganised: up to 3, sometimes up to 24 |
//! | 1 | every mempool evicts a transaction with all that spend its outputs |
//! | 1 | whoever paid from outside spends the coin otherwise |
//! | 1 | an owner spends a coin of a payment elsewhere, by keys that the pod does not have |
//! | 2 | a bitcoind drops transactions that miners still have, and for hours its policy refuses what is handed in |
//! | 1 | a bitcoind loses blocks, for up to two hours |

use autonomy_wallet::bitcoin::Transaction;
use rand::Rng;

use crate::chain::MAX_REORGANISATION;
use crate::config::{Fault, HOUR};
use crate::world::World;

/// Before one block in so many, something of this happens.
const TROUBLES: u32 = 6;
/// Most blocks that a bitcoind loses: as many as were seen to be lost.
const MAX_LOST: u32 = 36;

impl World {
    /// Now and then something goes wrong, while faults happen.
    pub(super) fn disturb_chain(&mut self) {
        let due = self.faults_on && self.config.faults.has(Fault::Chain);
        if !due || !self.rng.gen_ratio(1, TROUBLES) {
            return;
        }
        match self.rng.gen_range(0..8) {
            0..2 => self.reorganise_chain(),
            2 => self.evict_something(),
            3 => self.replace_something(),
            4 => self.spend_something_elsewhere(),
            5..7 => self.hide_mempool(),
            _ => self.lose_blocks(),
        }
        self.spread(|_| true);
    }

    fn reorganise_chain(&mut self) {
        let deep = self.rng.gen_ratio(1, 8);
        let depth = self.rng.gen_range(1..=if deep { MAX_REORGANISATION } else { 3 });
        let rng = &mut self.rng;
        self.chain.reorganise(depth, || rng.gen_bool(0.7));
        self.figures.reorganisations += 1;
    }

    /// A place in the mempool, if there is anything.
    fn some_transaction(&mut self) -> Option<usize> {
        let waiting = self.chain.mempool().len();
        (waiting > 0).then(|| self.rng.gen_range(0..waiting))
    }

    fn evict_something(&mut self) {
        if let Some(position) = self.some_transaction() {
            self.figures.evictions += u64::from(self.chain.evict(position));
        }
    }

    fn replace_something(&mut self) {
        if let Some(position) = self.some_transaction() {
            self.figures.replacements += u64::from(self.chain.replace(position));
        }
    }

    /// A coin of a payment that waits. Which one must not depend on ids, which differ with keys.
    fn spend_something_elsewhere(&mut self) {
        let Some(position) = self.some_transaction() else { return };
        let Some(transaction) = self.chain.mempool().get(position) else { return };
        let coin = transaction.input.first().map(|input| input.previous_output);
        let own = coin.filter(|coin| self.shells.iter().any(|shell| shell.money.signed.contains_key(coin)));
        if let Some(coin) = own {
            self.figures.replacements += u64::from(self.chain.spend_elsewhere(coin));
        }
    }

    /// The bitcoind of an account's pod drops what is in its mempool now, and takes nothing for a while.
    fn hide_mempool(&mut self) {
        let pod = self.some_account();
        let all: Vec<_> = self.chain.mempool().iter().map(Transaction::compute_txid).collect();
        let until = self.heap.now() + self.rng.gen_range(HOUR / 2..6 * HOUR);
        let node = &mut self.shells[pod].money.node;
        node.hidden.extend(all);
        node.refuses_until = until;
        self.figures.hidden_mempools += 1;
    }

    fn lose_blocks(&mut self) {
        let pod = self.some_account();
        let lost = self.rng.gen_range(1..=MAX_LOST);
        let until = self.heap.now() + self.rng.gen_range(HOUR / 4..2 * HOUR);
        self.shells[pod].money.node.lost = (lost, until);
        self.figures.lost_blocks += u64::from(lost);
    }

    /// A pod that has an account, or will have one.
    fn some_account(&mut self) -> usize {
        let pod = self.rng.gen_range(0..self.shells.len());
        pod - pod % super::PODS_PER_ACCOUNT
    }

    /// All bitcoinds have every block again, and take what is valid.
    pub(crate) fn heal_nodes(&mut self) {
        for shell in &mut self.shells {
            shell.money.node = super::OwnNode::default();
        }
    }
}
