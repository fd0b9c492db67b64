//! Blocks, a mempool and signatures, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use autonomy_api::PaymentState;
use autonomy_node::BURIED;
use autonomy_wallet::bitcoin::{OutPoint, ScriptBuf, Transaction, Txid};

pub(super) struct State {
    /// Scripts of the account.
    own: BTreeSet<ScriptBuf>,
    all: BTreeMap<Txid, Transaction>,
    /// Blocks since the history began, the oldest first.
    pub(super) blocks: Vec<Vec<Txid>>,
    /// Parents before children.
    pub(super) mempool: Vec<Txid>,
    signed: BTreeSet<Txid>,
    /// Of those, what its owner gave up, and the network has not had since.
    given_up: BTreeSet<Txid>,
}

// What happens.
impl State {
    pub(super) fn new(own: Vec<ScriptBuf>) -> Self {
        let own = own.into_iter().collect();
        let (all, signed, given_up) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { own, all, blocks: Vec::new(), mempool: Vec::new(), signed, given_up }
    }

    /// It is in the mempool.
    pub(super) fn enter(&mut self, transaction: Transaction) {
        let txid = transaction.compute_txid();
        self.all.insert(txid, transaction);
        self.mempool.push(txid);
    }

    /// It was signed here.
    pub(super) fn signed(&mut self, transaction: Transaction) {
        let txid = transaction.compute_txid();
        self.all.insert(txid, transaction);
        self.signed.insert(txid);
        self.given_up.remove(&txid);
    }

    /// Its owner gives it up, with what spends its outputs.
    pub(super) fn give_up(&mut self, txid: Txid) {
        let open = self.signed.iter().filter(|other| !self.is_in(other));
        let with: Vec<Txid> = open.filter(|other| self.ancestors(other).contains(&txid)).copied().collect();
        self.given_up.extend(with.into_iter().chain([txid]));
    }

    /// What was signed here and is not given up.
    fn kept(&self) -> impl Iterator<Item = &Txid> {
        self.signed.difference(&self.given_up)
    }

    /// The first of the mempool are in a block.
    pub(super) fn mine(&mut self, count: usize) -> Vec<Transaction> {
        let mined: Vec<Txid> = self.mempool.drain(..count).collect();
        self.blocks.push(mined.clone());
        mined.iter().map(|txid| self.all[txid].clone()).collect()
    }

    /// The last of the mempool is in a block, with what it spends there.
    pub(super) fn mine_last(&mut self) -> Vec<Transaction> {
        let mut block: Vec<Txid> = self.mempool.pop().into_iter().collect();
        let mut next = 0;
        while let Some(txid) = block.get(next).copied() {
            let parents: Vec<Txid> =
                self.parents(&txid).filter(|parent| self.mempool.contains(parent)).collect();
            self.mempool.retain(|txid| !parents.contains(txid));
            block.extend(parents);
            next += 1;
        }
        block.reverse();
        self.blocks.push(block.clone());
        block.iter().map(|txid| self.all[txid].clone()).collect()
    }

    /// It leaves the mempool, with what spends its outputs.
    pub(super) fn leave(&mut self, txid: &Txid) {
        self.mempool.retain(|other| other != txid);
        for child in self.mempool.clone() {
            if self.parents(&child).any(|parent| parent == *txid) {
                self.leave(&child);
            }
        }
    }

    /// What spends this coin leaves the mempool.
    pub(super) fn leave_conflicts(&mut self, coin: &OutPoint) {
        let spends = |txid: &Txid| self.all[txid].input.iter().any(|input| input.previous_output == *coin);
        if let Some(txid) = self.mempool.iter().copied().find(spends) {
            self.leave(&txid);
        }
    }

    /// The last blocks are gone; what was in them is in the mempool again, if it `keeps` that.
    pub(super) fn disconnect(&mut self, depth: usize, keeps: bool) {
        let gone = self.blocks.split_off(self.blocks.len() - depth);
        let waiting = std::mem::take(&mut self.mempool);
        for txid in gone.into_iter().flatten().filter(|_| keeps).chain(waiting) {
            if self.is_acceptable(&self.all[&txid]) {
                self.mempool.push(txid);
            }
        }
    }
}

// What is so.
impl State {
    pub(super) fn transaction(&self, txid: &Txid) -> &Transaction {
        &self.all[txid]
    }

    fn parents<'a>(&'a self, txid: &Txid) -> impl Iterator<Item = Txid> + 'a {
        self.all[txid].input.iter().map(|input| input.previous_output.txid)
    }

    /// The height of its block above the beginning.
    fn mined_at(&self, txid: &Txid) -> Option<usize> {
        self.blocks.iter().position(|block| block.contains(txid))
    }

    /// Whether it is in a block or in the mempool.
    pub(super) fn is_in(&self, txid: &Txid) -> bool {
        self.mempool.contains(txid) || self.mined_at(txid).is_some()
    }

    fn mined_spender(&self, coin: &OutPoint) -> Option<Txid> {
        let spends = |txid: &&Txid| self.all[*txid].input.iter().any(|input| input.previous_output == *coin);
        self.blocks.iter().flatten().find(spends).copied()
    }

    /// Whether a coin is there for another spend: of a block, of the mempool, or of somebody outside; and no block spends it.
    pub(super) fn exists(&self, coin: &OutPoint) -> bool {
        let made = !self.all.contains_key(&coin.txid) || self.is_in(&coin.txid);
        made && self.mined_spender(coin).is_none()
    }

    pub(super) fn is_acceptable(&self, transaction: &Transaction) -> bool {
        transaction.input.iter().all(|input| {
            let coin = input.previous_output;
            let spends = |txid: &Txid| self.all[txid].input.iter().any(|other| other.previous_output == coin);
            self.exists(&coin) && !self.mempool.iter().any(spends)
        })
    }

    /// What waits: in the mempool, or signed and in no block.
    pub(super) fn open(&self) -> Vec<Transaction> {
        let signed = self.signed.iter().filter(|txid| !self.is_in(txid));
        self.mempool.iter().chain(signed).map(|txid| self.all[txid].clone()).collect()
    }

    pub(super) fn is_own_coin(&self, coin: &OutPoint) -> bool {
        let made = self.all.get(&coin.txid).and_then(|parent| parent.output.get(coin.vout as usize));
        made.is_some_and(|output| self.own.contains(&output.script_pubkey))
    }

    /// Whether something that was signed here spends it, at any distance.
    pub(super) fn is_spent_by_signed(&self, txid: &Txid) -> bool {
        self.signed.iter().any(|signed| self.ancestors(signed).contains(txid))
    }

    fn ancestors(&self, txid: &Txid) -> BTreeSet<Txid> {
        let mut found = BTreeSet::new();
        let mut next = vec![*txid];
        while let Some(txid) = next.pop() {
            let parents = self.parents(&txid).filter(|parent| self.all.contains_key(parent));
            next.extend(parents.filter(|parent| found.insert(*parent)).collect::<Vec<_>>());
        }
        found
    }

    /// Confirmations of what a block spends in its place, of it or of what it spends; none where it may still be mined.
    fn dead(&self, txid: &Txid) -> Option<usize> {
        if self.mined_at(txid).is_some() {
            return None;
        }
        let by = |coin: OutPoint| match self.mined_spender(&coin) {
            Some(rival) => self.mined_at(&rival).map(|at| self.blocks.len() - at),
            None => self.all.contains_key(&coin.txid).then(|| self.dead(&coin.txid)).flatten(),
        };
        self.all[txid].input.iter().filter_map(|input| by(input.previous_output)).max()
    }

    /// A payment that was signed, may still be mined, and spends one of these coins.
    pub(super) fn spent_by_living(&self, coins: &[OutPoint]) -> Option<Txid> {
        let living = self.kept().filter(|txid| self.dead(txid).is_none_or(|depth| depth < BURIED as usize));
        let spends =
            |txid: &Txid| self.all[txid].input.iter().any(|input| coins.contains(&input.previous_output));
        living.copied().find(spends)
    }

    /// What counts, and whether it is in a block.
    pub(super) fn counted(&self) -> BTreeMap<Txid, bool> {
        let mut counted: BTreeMap<Txid, bool> =
            self.blocks.iter().flatten().map(|txid| (*txid, true)).collect();
        let coins_of = |txid: &Txid| self.all[txid].input.iter().map(|input| input.previous_output);
        let in_mempool: BTreeSet<OutPoint> = self.mempool.iter().flat_map(coins_of).collect();
        let is_ruled_out = |txid: &Txid| {
            let own_coins =
                |txid: &Txid| coins_of(txid).filter(|coin| self.is_own_coin(coin)).collect::<Vec<_>>();
            let line = self.ancestors(txid).into_iter().chain([*txid]).filter(|txid| !self.is_in(txid));
            line.collect::<Vec<_>>().iter().flat_map(own_coins).any(|coin| in_mempool.contains(&coin))
        };
        let signed = self.kept().filter(|txid| !self.is_in(txid) && self.dead(txid).is_none());
        let signed = signed.filter(|txid| !is_ruled_out(txid));
        for root in self.mempool.iter().chain(signed) {
            for txid in self.ancestors(root).into_iter().chain([*root]) {
                counted.entry(txid).or_insert(false);
            }
        }
        counted
    }

    /// What the account has in blocks, and beside it.
    pub(super) fn balance(&self) -> (u64, u64) {
        let counted = self.counted();
        let spent: BTreeSet<OutPoint> = counted
            .keys()
            .flat_map(|txid| self.all[txid].input.iter().map(|input| input.previous_output))
            .collect();
        let mut balance = (0, 0);
        for (txid, mined) in &counted {
            for (vout, output) in (0..).zip(&self.all[txid].output) {
                if self.own.contains(&output.script_pubkey)
                    && !spent.contains(&OutPoint { txid: *txid, vout })
                {
                    let part = if *mined { &mut balance.0 } else { &mut balance.1 };
                    *part += output.value.to_sat();
                }
            }
        }
        balance
    }

    /// How a payment stands, and its confirmations.
    pub(super) fn standing(&self, txid: &Txid) -> (PaymentState, u32) {
        if let Some(at) = self.mined_at(txid) {
            return (PaymentState::Confirmed, (self.blocks.len() - at) as u32);
        }
        let state = match self.dead(txid) {
            _ if self.mempool.contains(txid) => PaymentState::Seen,
            Some(depth) if depth >= BURIED as usize => PaymentState::Failed,
            _ => PaymentState::Signed,
        };
        (state, 0)
    }
}
