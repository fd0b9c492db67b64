//! What pods hear of the mempool when bitcoind fails in the middle of a round.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use autonomy_blocks::spend;
use bdk_wallet::bitcoin::{Network, OutPoint, ScriptBuf, hashes::Hash as _};

mod followed;

use super::*;
use crate::chain::{BitcoindAuth, ChainLink as _, Delivery, PodCursor, mempool::Seen, orders::PodLink};
use autonomy_node::{ChainEvent, ChainPoint, Watch};

/// A pod at the best block, and the transactions of the mempool that it was given.
struct Pod {
    _link: PodLink,
    heard: Arc<Mutex<BTreeSet<Txid>>>,
}

impl Pod {
    /// Joins; watches the script that [`payment`] pays.
    fn join(book: &Arc<OrderBook>) -> Self {
        let heard = Arc::<Mutex<BTreeSet<Txid>>>::default();
        let hears = heard.clone();
        let deliver = Box::new(move |delivery: Delivery| {
            if let Input::Chain(ChainEvent::Mempool { seen, .. }) = delivery.input {
                let txids = seen.iter().map(|(transaction, _)| transaction.compute_txid());
                hears.lock().unwrap_or_else(PoisonError::into_inner).extend(txids);
            }
            Delivered::Taken
        });
        let points = vec![ChainPoint { height: 0, hash: best(), time: 0 }];
        let (link, _) = book.join(PodCursor { network: Network::Regtest, points, deliver });
        link.watch(Watch { scripts: vec![script()], ..Watch::default() });
        Self { _link: link, heard }
    }

    fn heard(&self) -> BTreeSet<Txid> {
        self.heard.lock().unwrap().clone()
    }
}

fn best() -> BlockHash {
    BlockHash::all_zeros()
}

fn script() -> ScriptBuf {
    ScriptBuf::from_bytes(vec![0x51])
}

fn payment(number: u8) -> Seen {
    let coin = OutPoint { txid: Txid::from_byte_array([number; 32]), vout: 0 };
    (Arc::new(spend(coin, script(), 1)), 7)
}

/// Two pods that have been searched for, and their follower.
fn world() -> (Follower, [Pod; 2]) {
    let auth = BitcoindAuth::UserPass("me".into(), "secret".into());
    let book = Arc::new(OrderBook::default());
    let mut follower = Follower::new(BitcoindConfig { url: "http://127.0.0.1:1".into(), auth }, book.clone());
    let pods = [Pod::join(&book), Pod::join(&book)];
    follower.take_orders();
    follower.give_fresh(&best(), now(), |_| Ok(None)).unwrap();
    (follower, pods)
}

/// Lists these, and gives what can be fetched before the call of number `fails`.
fn fail_at(follower: &mut Follower, payments: &[Seen], fails: usize) {
    follower.mempool.listed(payments.iter().map(|(transaction, _)| transaction.compute_txid()).collect());
    let mut calls = 0;
    let given = follower.give_fresh(&best(), now(), |txid| {
        calls += 1;
        if calls == fails { Err(Trouble::new("it hangs up".into())) } else { Ok(find(payments, txid)) }
    });
    assert!(given.is_err());
}

fn find(payments: &[Seen], wanted: &Txid) -> Option<Seen> {
    payments.iter().find(|(transaction, _)| transaction.compute_txid() == *wanted).cloned()
}

fn assert_both_hear(mut follower: Follower, pods: &[Pod; 2], payments: &[Seen]) {
    // What waits is fetched in one round; what was fetched in a failed one is searched for in this or the next.
    for _ in 0..2 {
        follower.give_fresh(&best(), now(), |txid| Ok(find(payments, txid))).unwrap();
    }
    let all: BTreeSet<Txid> = payments.iter().map(|(transaction, _)| transaction.compute_txid()).collect();
    assert_eq!(pods.each_ref().map(Pod::heard), [all.clone(), all]);
}

#[test]
fn pods_hear_of_payments_fetched_before_bitcoind_fails() {
    let (mut follower, pods) = world();
    let payments = [payment(1), payment(2)];
    fail_at(&mut follower, &payments, 2);
    assert_both_hear(follower, &pods, &payments);
}

#[test]
fn a_failed_search_for_one_pod_hides_nothing_from_the_next() {
    let (mut follower, pods) = world();
    if let Some(first) = follower.pods.values_mut().next() {
        first.missed();
    }
    let payments = [payment(1)];
    // The first call fetches what is new, the second is of the search.
    fail_at(&mut follower, &payments, 2);
    assert_both_hear(follower, &pods, &payments);
}

#[test]
fn a_payment_that_returns_during_a_search_is_heard_of() {
    let (mut follower, pods) = world();
    let payments = [payment(1)];
    let txids = || payments.iter().map(|(transaction, _)| transaction.compute_txid()).collect();
    // The pods do not listen while it is fetched.
    follower.mempool.listed(txids());
    let elsewhere = BlockHash::from_byte_array([1; 32]);
    follower.give_fresh(&elsewhere, now(), |txid| Ok(find(&payments, txid))).unwrap();
    follower.give_fresh(&best(), now(), |_| Ok(None)).unwrap();
    follower.mempool.listed(txids());
    assert_both_hear(follower, &pods, &payments);
}
