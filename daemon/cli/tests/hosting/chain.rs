//! Pods that share one source over a real bitcoind: each learns of its own money, and none waits for another.

use std::sync::{Mutex, MutexGuard, PoisonError};

use autonomy_api::ChainState;
use autonomy_daemon::chain::{Bitcoind as Source, BitcoindAuth, BitcoindConfig};
use autonomy_testnet::{bitcoind::Bitcoind, clock, fixture};

use crate::manual::ManualPod;

/// Each of these stories moves the one chain.
static CHAIN: Mutex<()> = Mutex::new(());

fn chain() -> (MutexGuard<'static, ()>, &'static Bitcoind, Source) {
    let alone = CHAIN.lock().unwrap_or_else(PoisonError::into_inner);
    let node = fixture::bitcoind();
    let auth = BitcoindAuth::Cookie(node.cookie_file());
    (alone, node, Source::new(BitcoindConfig { url: node.rpc_url(), auth }))
}

/// Waits until a pod has all blocks of the node.
#[track_caller]
fn at_tip(pod: &mut ManualPod, node: &Bitcoind) {
    let height = node.height().unwrap();
    pod.until("it is at the tip", |pod| pod.status() == (ChainState::Synced, height));
}

#[test]
fn two_pods_on_one_source_learn_of_their_own_payments_only() {
    let (_alone, node, source) = chain();
    let [mut one, mut two] = [1, 2].map(|number| ManualPod::with_account(number, &source));
    let first = node.send_to(&one.address(0), 10_000).unwrap();
    one.until("it sees its payment", |pod| pod.balance() == (0, 10_000));
    node.mine(1).unwrap();
    let first_height = node.height().unwrap();
    let second = node.send_to(&two.address(0), 20_000).unwrap();
    two.until("it sees its payment", |pod| pod.balance() == (0, 20_000));
    node.mine(6).unwrap();
    for (pod, txid, sat, height) in
        [(&mut one, &first, 10_000, first_height), (&mut two, &second, 20_000, first_height + 1)]
    {
        at_tip(pod, node);
        assert_eq!(pod.balance(), (sat, 0));
        assert_eq!(pod.given.unconfirmed.iter().collect::<Vec<_>>(), [txid]);
        assert_eq!(pod.given.whole.iter().copied().collect::<Vec<_>>(), [height]);
        assert!(pod.given.headers.len() >= 6, "{:?}", pod.given);
        let told = pod.confirmations();
        assert_eq!(told.keys().collect::<Vec<_>>(), [txid]);
        assert_eq!(told[txid], [1, 2, 3, 6]);
    }
}

#[test]
fn payments_far_beyond_the_lookahead_are_found_in_one_catch_up() {
    let (_alone, node, source) = chain();
    let mut pod = ManualPod::with_account(3, &source);
    at_tip(&mut pod, node);
    pod.leave();
    node.mine(150).unwrap();
    // Each lies within the lookahead only once the one before it is known; some share a block, some follow at once.
    for index in [99, 198, 297] {
        node.send_to(&pod.address(index), 10_000).unwrap();
        node.mine(1).unwrap();
    }
    for index in [350, 390] {
        node.send_to(&pod.address(index), 10_000).unwrap();
    }
    node.mine(20).unwrap();
    pod.follow(&source);
    at_tip(&mut pod, node);
    assert_eq!(pod.balance(), (50_000, 0));
    assert_eq!(pod.given.whole.len(), 4, "{:?}", pod.given.whole);
}

#[test]
fn a_reorganisation_reaches_every_pod() {
    let (_alone, node, source) = chain();
    let mut pods = [4, 5].map(|number| ManualPod::with_account(number, &source));
    for pod in &pods {
        node.send_to(&pod.address(0), 30_000).unwrap();
    }
    node.mine(2).unwrap();
    for pod in &mut pods {
        at_tip(pod, node);
        assert_eq!(pod.balance(), (30_000, 0));
    }
    node.reorg(2).unwrap();
    for pod in &mut pods {
        pod.until("its payment is unconfirmed", |pod| pod.balance() == (0, 30_000));
    }
    node.mine(1).unwrap();
    for pod in &mut pods {
        pod.until("its payment is confirmed again", |pod| pod.balance() == (30_000, 0));
    }
}

#[test]
fn a_bitcoind_that_starts_again_is_followed_by_all() {
    let (_alone, node, source) = chain();
    let mut pods = [6, 7].map(|number| ManualPod::with_account(number, &source));
    node.stop();
    for pod in &mut pods {
        pod.until("bitcoind is away", |pod| pod.status().0 == ChainState::Away);
    }
    node.restart().unwrap();
    for pod in &pods {
        node.send_to(&pod.address(0), 40_000).unwrap();
    }
    for pod in &mut pods {
        pod.until("it sees its payment", |pod| pod.balance() == (0, 40_000));
    }
    node.mine(1).unwrap();
    for pod in &mut pods {
        pod.until("its payment is confirmed", |pod| pod.balance() == (40_000, 0));
    }
}

#[test]
fn a_pod_that_lags_holds_up_nobody_and_catches_up() {
    let (_alone, node, source) = chain();
    let [mut live, mut slow] = [8, 9].map(|number| ManualPod::with_account(number, &source));
    at_tip(&mut slow, node);
    // More blocks than its inbox holds, with a payment on which everything after it waits.
    node.send_to(&slow.address(0), 50_000).unwrap();
    node.mine(1).unwrap();
    for _ in 0..10 {
        node.mine(10).unwrap();
        at_tip(&mut live, node);
    }
    node.send_to(&slow.address(99), 50_000).unwrap();
    node.send_to(&live.address(0), 60_000).unwrap();
    node.mine(1).unwrap();
    live.until("it has its payment", |pod| pod.balance() == (60_000, 0));
    at_tip(&mut slow, node);
    assert_eq!(slow.balance(), (100_000, 0));
    assert_eq!(slow.given.whole.len(), 2, "{:?}", slow.given.whole);
    live.leave();
    node.send_to(&slow.address(1), 1_000).unwrap();
    slow.until("it is served when the other has left", |pod| pod.balance() == (100_000, 1_000));
}

#[test]
fn a_new_block_is_known_without_waiting_for_the_next_look() {
    let (_alone, node, source) = chain();
    let mut pod = ManualPod::with_account(10, &source);
    at_tip(&mut pod, node);
    let mut waits = Vec::new();
    for _ in 0..10 {
        node.mine(1).unwrap();
        let begun = clock::now();
        at_tip(&mut pod, node);
        waits.push(begun.elapsed());
    }
    waits.sort();
    // Polling alone takes 1 s in the middle.
    assert!(waits[5].as_millis() < 500, "{waits:?}");
}

#[test]
fn an_unconfirmed_payment_is_found_by_a_pod_that_starts_later() {
    let (_alone, node, source) = chain();
    let [mut early, mut late] = [11, 12].map(|number| ManualPod::with_account(number, &source));
    at_tip(&mut late, node);
    late.leave();
    node.send_to(&late.address(0), 70_000).unwrap();
    node.send_to(&early.address(0), 80_000).unwrap();
    early.until("it sees its payment, and so the source the other", |pod| pod.balance() == (0, 80_000));
    late.follow(&source);
    late.until("it finds its own", |pod| pod.balance() == (0, 70_000));
    // Beyond the lookahead until the first is known, and in the mempool already.
    late.leave();
    node.send_to(&late.address(120), 1_000).unwrap();
    node.send_to(&late.address(90), 1_000).unwrap();
    late.follow(&source);
    late.until("it finds both", |pod| pod.balance() == (0, 72_000));
    node.mine(1).unwrap();
    late.until("all is confirmed", |pod| pod.balance() == (72_000, 0));
}
