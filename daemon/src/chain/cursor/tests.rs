//! Pods over one source, without bitcoind: a chain in memory, and what each pod is given of it.

use std::{collections::BTreeSet, convert::Infallible};

use autonomy_blocks::{block_on, unsigned};
use bdk_wallet::bitcoin::{
    Amount, Network, OutPoint, ScriptBuf, Transaction, TxOut, Txid, constants::genesis_block,
    hashes::Hash as _,
};

use super::*;

/// A best chain, and everything that ever was in it.
struct Chain {
    best: Vec<Arc<Block>>,
    salt: u32,
}

impl Chain {
    fn new() -> Self {
        Self { best: vec![Arc::new(genesis_block(Network::Regtest))], salt: 0 }
    }

    /// Mines a block that pays these scripts.
    fn mine(&mut self, pays: &[u8]) -> Transaction {
        self.salt += 1;
        let coin = OutPoint { txid: Txid::from_byte_array([0xff; 32]), vout: self.salt };
        let output = pays.iter().map(|number| output(*number)).collect();
        let paid = unsigned(coin, output);
        self.mine_these(vec![paid.clone()]);
        paid
    }

    fn mine_these(&mut self, txdata: Vec<Transaction>) {
        self.salt += 1;
        self.best.push(Arc::new(block_on(self.tip(), self.salt, self.salt, txdata)));
    }

    fn reorganise(&mut self, depth: usize) {
        self.best.truncate(self.best.len() - depth);
        (0..=depth).for_each(|_| self.mine_these(Vec::new()));
    }

    fn tip(&self) -> BlockHash {
        self.best.last().unwrap().block_hash()
    }

    fn standing(&self, block: &BlockId) -> Standing {
        let height = block.height as usize;
        match self.best.get(height) {
            Some(there) if there.block_hash() == block.hash => {
                Standing::Best(self.best.get(height + 1).map(|block| block.block_hash()))
            }
            _ => Standing::Stale,
        }
    }

    fn block(&self, hash: &BlockHash) -> &Arc<Block> {
        self.best.iter().find(|block| block.block_hash() == *hash).unwrap()
    }

    fn points(&self, last: usize) -> Vec<ChainPoint> {
        let points = self.best.iter().zip(0..);
        let points = points.map(|(block, height)| ChainPoint { height, hash: block.block_hash(), time: 0 });
        points.skip(self.best.len().saturating_sub(last)).collect()
    }
}

fn output(number: u8) -> TxOut {
    TxOut { value: Amount::ONE_SAT, script_pubkey: script(number) }
}

fn script(number: u8) -> ScriptBuf {
    ScriptBuf::from_bytes(vec![0x50, number])
}

fn watch(scripts: &[u8]) -> Watch {
    let scripts = scripts.iter().map(|number| script(*number)).collect();
    Watch { scripts, coins: Vec::new(), txids: BTreeSet::new() }
}

fn pod(chain: &Chain, scripts: &[u8]) -> Cursor {
    let mut cursor = Cursor::new(&chain.points(KEPT_POINTS));
    cursor.watch(watch(scripts));
    cursor
}

/// Gives a pod one block, if it needs one.
fn step(cursor: &mut Cursor, chain: &Chain) -> Option<ChainEvent> {
    if cursor.needs(&chain.tip()) != Need::Next {
        return None;
    }
    let fork = cursor.fork(|block| Ok::<_, Infallible>(chain.standing(block))).unwrap()?;
    let found = cursor.look(fork.base, chain.block(&fork.next?))?;
    cursor.took(found.place);
    Some(found.event)
}

/// Heights of the headers and of the whole blocks that a pod is given until it needs no more or has to commit.
fn given(cursor: &mut Cursor, chain: &Chain) -> (Vec<u32>, Vec<u32>) {
    let (mut headers, mut whole) = (Vec::new(), Vec::new());
    while let Some(event) = step(cursor, chain) {
        match event {
            ChainEvent::Header { height, .. } => headers.push(height),
            ChainEvent::Block { height, .. } => whole.push(height),
            other => panic!("{other:?}"),
        }
    }
    (headers, whole)
}

#[test]
fn each_pod_gets_its_own_blocks_whole_and_headers_of_others() {
    let mut chain = Chain::new();
    let (mut one, mut two) = (pod(&chain, &[1]), pod(&chain, &[2]));
    [&[1_u8][..], &[2], &[9]].into_iter().for_each(|pays| drop(chain.mine(pays)));
    assert_eq!(given(&mut one, &chain), (vec![], vec![1]));
    assert_eq!(one.needs(&chain.tip()), Need::Commit);
    assert_eq!(given(&mut two, &chain), (vec![1], vec![2]), "another that has to commit holds up nobody");
    one.commit(1);
    two.commit(2);
    assert_eq!(given(&mut one, &chain), (vec![2, 3], vec![]));
    assert_eq!(given(&mut two, &chain), (vec![3], vec![]));
    assert_eq!(one.needs(&chain.tip()), Need::Nothing);
}

#[test]
fn pods_that_a_block_concerns_are_given_the_same_copy() {
    let mut chain = Chain::new();
    let mut pods = [pod(&chain, &[1]), pod(&chain, &[1])];
    chain.mine(&[1]);
    for given in pods.each_mut().map(|pod| step(pod, &chain)) {
        let Some(ChainEvent::Block { block, .. }) = given else { panic!("{given:?}") };
        assert!(Arc::ptr_eq(&block, &chain.best[1]));
    }
}

#[test]
fn a_pod_that_has_not_said_what_it_watches_is_given_nothing() {
    let mut chain = Chain::new();
    let mut cursor = Cursor::new(&chain.points(KEPT_POINTS));
    chain.mine(&[1]);
    assert_eq!(cursor.needs(&chain.tip()), Need::Watch);
    let base = cursor.tip().unwrap();
    assert!(cursor.look(base, &chain.best[1]).is_none());
    cursor.watch(Watch::default());
    assert_eq!(given(&mut cursor, &chain), (vec![1], vec![]));
}

#[test]
fn a_pod_that_knows_no_block_asks_for_an_anchor() {
    let mut chain = Chain::new();
    (0..200).for_each(|_| drop(chain.mine(&[])));
    let mut cursor = Cursor::new(&[]);
    cursor.watch(Watch::default());
    assert_eq!(cursor.needs(&chain.tip()), Need::Anchor);
    cursor.anchored(&chain.points(KEPT_POINTS));
    cursor.gave();
    assert_eq!(cursor.needs(&chain.tip()), Need::Nothing);
    assert!(!cursor.is_settled_at(&chain.tip()), "the anchor is not committed");
    cursor.commit(1);
    assert!(cursor.is_settled_at(&chain.tip()));
}

#[test]
fn scripts_of_a_new_payment_are_watched_before_the_next_block() {
    let mut chain = Chain::new();
    let mut cursor = pod(&chain, &[1]);
    let paid = chain.mine(&[1]);
    // Beyond what is watched before the first payment; and a spend of a coin that it makes.
    chain.mine(&[2]);
    chain.mine_these(vec![unsigned(OutPoint { txid: paid.compute_txid(), vout: 0 }, Vec::new())]);
    assert_eq!(given(&mut cursor, &chain), (vec![], vec![1]));
    let coin = OutPoint { txid: paid.compute_txid(), vout: 0 };
    cursor.watch(Watch { coins: vec![coin], ..watch(&[2]) });
    cursor.commit(1);
    assert_eq!(given(&mut cursor, &chain), (vec![], vec![2]));
    cursor.commit(2);
    assert_eq!(given(&mut cursor, &chain), (vec![], vec![3]));
}

#[test]
fn no_block_is_matched_before_the_mempool_is_committed() {
    let mut chain = Chain::new();
    let mut cursor = pod(&chain, &[1]);
    cursor.gave_unsettling();
    chain.mine(&[2]);
    assert_eq!(given(&mut cursor, &chain), (vec![], vec![]));
    cursor.watch(watch(&[2]));
    cursor.commit(0);
    assert_eq!(cursor.needs(&chain.tip()), Need::Commit);
    cursor.commit(1);
    assert_eq!(given(&mut cursor, &chain), (vec![], vec![1]));
}

#[test]
fn a_lagging_pod_is_served_from_its_own_place() {
    let mut chain = Chain::new();
    let (mut live, mut lagging) = (pod(&chain, &[1]), pod(&chain, &[2]));
    for _ in 0..1_000 {
        chain.mine(&[9]);
        assert_eq!(given(&mut live, &chain).0.len(), 1);
    }
    chain.mine(&[2]);
    assert_eq!(given(&mut live, &chain), (vec![1_001], vec![]));
    let (headers, whole) = given(&mut lagging, &chain);
    assert_eq!((headers.len(), whole), (1_000, vec![1_001]));
}

#[test]
fn a_reorganisation_is_followed_from_the_fork() {
    let mut chain = Chain::new();
    let mut cursor = pod(&chain, &[1]);
    (0..20).for_each(|_| drop(chain.mine(&[])));
    given(&mut cursor, &chain);
    chain.reorganise(5);
    assert_eq!(given(&mut cursor, &chain).0, (16..=21).collect::<Vec<_>>());
    // A chain that became shorter has nothing to give; the same chain again has only what is new.
    let longer = chain.best.clone();
    chain.best.truncate(10);
    assert_eq!(cursor.needs(&chain.tip()), Need::Next);
    assert_eq!(given(&mut cursor, &chain), (vec![], vec![]));
    chain.best = longer;
    chain.mine(&[1]);
    assert_eq!(given(&mut cursor, &chain), (vec![], vec![22]));
}

#[test]
fn foreign_chain_delivers_nothing_until_the_old_one_returns() {
    let mut chain = Chain::new();
    (0..2 * KEPT_POINTS).for_each(|_| drop(chain.mine(&[])));
    let mut cursor = pod(&chain, &[1]);
    let old = chain.best.clone();
    let fork = |cursor: &Cursor, chain: &Chain| {
        cursor.fork(|block| Ok::<_, Infallible>(chain.standing(block))).unwrap()
    };
    chain.reorganise(KEPT_POINTS - 1);
    assert!(fork(&cursor, &chain).is_some(), "the deepest that is followed");
    chain.best = old.clone();
    chain.reorganise(KEPT_POINTS);
    assert!(fork(&cursor, &chain).is_none());
    // All chains of a network share their first block.
    chain.best.truncate(1);
    (0..5).for_each(|_| drop(chain.mine(&[1])));
    assert_eq!(given(&mut cursor, &chain), (vec![], vec![]));
    chain.best = old;
    chain.mine(&[1]);
    assert_eq!(given(&mut cursor, &chain), (vec![], vec![2 * KEPT_POINTS as u32 + 1]));
}

#[test]
fn young_chains_share_their_first_block_with_no_other() {
    let mut chain = Chain::new();
    let mut cursor = pod(&chain, &[]);
    chain.mine(&[]);
    assert_eq!(given(&mut cursor, &chain).0, [1], "the only block it knows counts");
    chain.reorganise(1);
    let fork = cursor.fork(|block| Ok::<_, Infallible>(chain.standing(block))).unwrap();
    assert!(fork.is_none(), "it knows another one, which is gone");
}

#[test]
fn a_block_that_does_not_follow_is_not_given() {
    let mut chain = Chain::new();
    let cursor = pod(&chain, &[1]);
    chain.mine(&[1]);
    chain.mine(&[1]);
    let base = cursor.tip().unwrap();
    assert!(cursor.look(base, &chain.best[2]).is_none());
    assert!(cursor.look(base, &chain.best[1]).is_some());
}

#[test]
fn a_commit_out_of_range_is_taken_for_what_it_can_be() {
    let mut cursor = Cursor::default();
    cursor.watch(Watch::default());
    cursor.commit(u64::MAX);
    cursor.gave_unsettling();
    assert_eq!(
        cursor.needs(&BlockHash::all_zeros()),
        Need::Commit,
        "it cannot have committed what it had not"
    );
    cursor.commit(1);
    cursor.commit(0);
    assert_eq!(cursor.needs(&BlockHash::all_zeros()), Need::Anchor);
}
