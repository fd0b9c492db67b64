//! Which bitcoind a pod is said to follow, and that no other is sent anything.

use autonomy_blocks::spend;
use bdk_wallet::bitcoin::{
    Network, OutPoint, ScriptBuf, consensus::encode::deserialize_hex, hashes::Hash as _,
};
use serde_json::{Value, json};

use super::super::*;
use crate::chain::{
    ChainLink as _, Delivery, PodCursor,
    orders::PodLink,
    stub::{Stub, error, result},
};
use autonomy_node::{ChainPoint, Watch};
use std::sync::{Mutex, PoisonError};

/// The block of this number.
fn hash(number: u32) -> BlockHash {
    BlockHash::from_byte_array([number as u8; 32])
}

/// A bitcoind whose best chain are the blocks up to `tip`, of those that `shift` numbers.
fn bitcoind(tip: u32, shift: u32) -> impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static {
    move |method, params| match method {
        "getblockchaininfo" => result(json!({"chain": "regtest", "blocks": tip, "headers": tip,
            "bestblockhash": hash(tip + shift), "initialblockdownload": false})),
        "getbestblockhash" => result(json!(hash(tip + shift))),
        "getrawmempool" => result(json!([])),
        "getmempoolinfo" => result(json!({"loaded": true, "minrelaytxfee": 0.00001})),
        "sendrawtransaction" => result(json!(sent(params).compute_txid())),
        "getblockheader" => match (0..=tip).find(|height| params[0] == json!(hash(height + shift))) {
            Some(height) if height < tip => {
                result(json!({"confirmations": 1, "time": 1, "nextblockhash": hash(height + shift + 1)}))
            }
            Some(_) => result(json!({"confirmations": 1, "time": 1})),
            None => error(-5, "Block not found"),
        },
        _ => error(-32601, "Method not found"),
    }
}

/// The transaction that is handed over.
fn sent(params: &Value) -> Transaction {
    deserialize_hex(params[0].as_str().unwrap()).unwrap()
}

/// A pod that knows the blocks 1 to 5, and what it was told.
struct Pod {
    link: PodLink,
    told: Arc<Mutex<Vec<String>>>,
}

impl Pod {
    fn join(book: &Arc<OrderBook>, mut fails: bool) -> Self {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let hears = told.clone();
        let deliver = Box::new(move |delivery: Delivery| {
            assert!(!std::mem::take(&mut fails), "a fault of this program");
            hears.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{:?}", delivery.input));
            Delivered::Taken
        });
        let points = (1..=5).map(|height| ChainPoint { height, hash: hash(height), time: 0 }).collect();
        let (link, _) = book.join(PodCursor { network: Network::Regtest, points, deliver });
        link.watch(Watch::default());
        Self { link, told }
    }

    /// What it was told since this was asked last.
    fn told(&self) -> String {
        std::mem::take(&mut *self.told.lock().unwrap()).join("\n")
    }

    fn send(&self) {
        let coin = OutPoint { txid: Txid::all_zeros(), vout: 0 };
        let transaction = spend(coin, ScriptBuf::new(), 1);
        self.link.broadcast(transaction.compute_txid(), Box::new(transaction));
    }
}

/// A follower of such a bitcoind, and a pod that has been served once.
fn served(tip: u32, shift: u32) -> (Stub, Follower, Pod) {
    let stub = Stub::new(bitcoind(tip, shift));
    let book = Arc::new(OrderBook::default());
    let pod = Pod::join(&book, false);
    let mut follower = Follower::new(stub.config(), book);
    follower.take_orders();
    follower.round().unwrap();
    (stub, follower, pod)
}

/// What a pod hears of a transaction that it sends, and whether bitcoind heard of it.
fn outcome(stub: &Stub, follower: &mut Follower, pod: &Pod) -> (String, bool) {
    stub.calls();
    pod.told();
    pod.send();
    follower.take_orders();
    follower.round().unwrap();
    (pod.told(), stub.calls().iter().any(|call| call == "sendrawtransaction"))
}

#[test]
fn a_bitcoind_at_the_pods_tip_is_followed_and_sent_to() {
    let (stub, mut follower, pod) = served(5, 0);
    let told = pod.told();
    assert!(told.contains("Synced(5)"), "{told}");
    let (told, sent) = outcome(&stub, &mut follower, &pod);
    assert!(sent && told.contains("Accepted"), "{told}");
}

#[test]
fn a_bitcoind_behind_the_pod_is_away_and_sent_nothing() {
    let (stub, mut follower, pod) = served(3, 0);
    let told = pod.told();
    assert!(told.contains("at block 3, behind block 5") && !told.contains("Synced"), "{told}");
    let (told, sent) = outcome(&stub, &mut follower, &pod);
    assert!(!sent && told.contains("Unanswered") && told.contains("behind block 5"), "{told}");
    // It has them again.
    stub.answers(bitcoind(5, 0));
    follower.look(now()).unwrap();
    follower.round().unwrap();
    assert!(pod.told().contains("Synced(5)"));
}

#[test]
fn a_bitcoind_on_another_chain_is_sent_nothing() {
    let (stub, mut follower, pod) = served(9, 100);
    assert!(pod.told().contains("another chain"));
    let (told, sent) = outcome(&stub, &mut follower, &pod);
    assert!(!sent && told.contains("Unanswered"), "{told}");
}

#[test]
fn a_bitcoind_that_reads_its_chain_anew_is_no_other_chain() {
    let stub = Stub::new(|method, params| match method {
        "getblockchaininfo" => result(json!({"chain": "regtest", "blocks": 0, "headers": 5,
            "bestblockhash": hash(77), "initialblockdownload": true})),
        _ => bitcoind(0, 77)(method, params),
    });
    let book = Arc::new(OrderBook::default());
    let pod = Pod::join(&book, false);
    let mut follower = Follower::new(stub.config(), book);
    follower.take_orders();
    follower.round().unwrap();
    let told = pod.told();
    assert!(told.contains("Syncing(5)") && !told.contains("another chain"), "{told}");
}

#[test]
fn a_round_that_panics_is_told_and_tried_again() {
    let stub = Stub::new(bitcoind(5, 0));
    let book = Arc::new(OrderBook::default());
    let pod = Pod::join(&book, true);
    let mut follower = Follower::new(stub.config(), book);
    follower.take_orders();
    let trouble = follower.guarded_round().unwrap_err();
    assert!(trouble.to_string().contains("an error in this program"), "{trouble}");
    follower.all_away(&trouble);
    assert!(pod.told().contains("Away"));
    follower.look(now()).unwrap();
    follower.guarded_round().unwrap();
    assert!(pod.told().contains("Synced(5)"));
}

#[test]
fn the_least_rate_that_bitcoind_takes_is_told_once() {
    let (_stub, mut follower, pod) = served(5, 0);
    follower.round().unwrap();
    follower.look(now()).unwrap();
    follower.round().unwrap();
    let told = pod.told();
    assert_eq!(told.matches("Chain(FeeFloor").count(), 1, "{told}");
}
