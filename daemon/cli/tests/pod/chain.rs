//! bitcoind stopped, hanging, restarted, of another network, on another chain; reorganisations; a
//! mempool that loses transactions.

use autonomy_api::Written as _;
use autonomy_testnet::{
    bitcoind::Bitcoind,
    clock,
    world::{World, WorldConfig},
};
use serde_json::json;

use crate::{
    home::{Home, TEST_TIMEOUT, bitcoind, bitcoind_alone},
    owner::as_type,
};

#[test]
fn bitcoind_restart_is_reported_and_followed() {
    let (_chain, node) = bitcoind_alone();
    let mut home = Home::adopted(node);
    let height = home.get("/v1/status")["chain"]["height"].clone();
    node.stop();
    let away = home.away("bitcoind");
    assert_eq!(away["chain"]["height"], height, "what it knows it keeps");
    home.kill();
    home.start();
    home.away("bitcoind");
    assert_eq!(home.get("/v1/status")["chain"]["height"], height, "also when it starts without one");
    home.account();
    // Another cookie: each start of bitcoind writes a new one.
    node.restart().unwrap();
    node.mine(2).unwrap();
    home.synced(node);
}

#[test]
fn hanging_bitcoind_delays_only_the_chain() {
    let (_chain, node) = bitcoind_alone();
    let mut home = Home::adopted(node);
    let frozen = Frozen::hold(node);
    let account = home.account();
    home.receive(&account, "a").ok();
    home.away("does not answer");
    assert!(home.terminate(), "it ends all the same: {}", home.log());
    home.start();
    drop(frozen);
    home.synced(node);
}

/// A bitcoind that hangs for as long as this is held: other stories share it, and must not hang after this one failed.
struct Frozen<'a>(&'a Bitcoind);

impl<'a> Frozen<'a> {
    fn hold(node: &'a Bitcoind) -> Self {
        node.freeze();
        Self(node)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.thaw();
    }
}

#[test]
fn refused_bitcoind_login_is_reported() {
    let (_chain, node) = bitcoind();
    let mut home = Home::new(node, "regtest");
    let section =
        format!("[bitcoind]\nurl = {}\nuser = \"me\"\npassword = \"hunter2\"\n", json!(node.rpc_url()));
    home.settings(&section);
    home.start();
    let reported = home.away("login")["chain"]["detail"].to_string();
    assert!(!reported.contains("hunter2"), "{reported}");
    home.kill();
    home.settings(&section.replace("password", "# password"));
    assert!(home.failure(&["pod", "run"]).contains("log in"), "half a login is none");
    home.point_at(node);
    home.start();
    home.synced(node);
}

#[test]
fn bitcoind_of_another_network_or_chain_changes_nothing() {
    let (_chain, node) = bitcoind();
    let mut signet = Home::new(node, "signet");
    signet.start();
    assert_eq!(signet.away("signet")["chain"]["height"], 0);

    let mut home = Home::adopted(node);
    home.funded(node, 50_000);
    let height = home.synced(node)["chain"]["height"].as_u64().unwrap();
    let elsewhere = World::fresh(WorldConfig::default()).unwrap();
    home.kill();
    home.point_at(elsewhere.bitcoind().unwrap());
    home.start();
    let reported = home.away("another chain");
    assert!(reported["chain"]["height"].as_u64().unwrap() >= height, "{reported}");
    assert_eq!(home.balance("confirmed_sat"), 50_000);
    drop(elsewhere);
    home.kill();
    home.point_at(node);
    home.start();
    home.synced(node);
    assert_eq!(home.balance("confirmed_sat"), 50_000);
}

#[test]
fn reorganisation_and_mempool_eviction_are_followed() {
    let (_chain, node) = bitcoind_alone();
    let home = Home::adopted(node);
    let account = home.account();
    let txid = node.send_to(&account.first_address.write(), 70_000).unwrap();
    home.wait_for_balance("unconfirmed_sat", 70_000);
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 70_000);
    node.reorg(1).unwrap();
    home.wait_for_balance("unconfirmed_sat", 70_000);
    // A node that forgets its mempool and gets the payment again.
    let raw = node.rpc().call("getrawtransaction", &json!([txid])).unwrap();
    node.kill();
    node.restart().unwrap();
    let _ = node.rpc().call("sendrawtransaction", &json!([raw]));
    let back = clock::wait_until(TEST_TIMEOUT, || node.mempool().is_ok_and(|txids| txids.contains(&txid)));
    assert!(back.is_ok());
    home.wait_for_balance("unconfirmed_sat", 70_000);
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 70_000);
}

#[test]
fn replaced_payment_counts_once() {
    let (_chain, node) = bitcoind_alone();
    let home = Home::adopted(node);
    let account = home.account();
    let miner = node.rpc().wallet("miner");
    let payment =
        json!({"address": account.first_address, "amount": "0.0009", "fee_rate": 2, "replaceable": true});
    let txid = miner.call("sendtoaddress", &payment).unwrap();
    home.wait_for_balance("unconfirmed_sat", 90_000);
    let dearer = miner.call("bumpfee", &json!([txid, {"fee_rate": 30}])).unwrap()["txid"].clone();
    let path = format!("/v1/accounts/{}/history", account.id);
    let reported = clock::wait_until(TEST_TIMEOUT, || {
        let entries = home.get(&path)["entries"].clone();
        entries.as_array().is_some_and(|entries| entries.len() == 1 && entries[0]["txid"] == dearer)
    });
    assert!(reported.is_ok(), "{}", home.get(&path));
    assert_eq!(home.balance("total_sat"), 90_000);
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 90_000);
}

#[test]
fn payment_sent_without_bitcoind_is_broadcast_later() {
    let (_chain, node) = bitcoind_alone();
    let mut home = Home::adopted(node);
    let account = home.funded(node, 1_000_000);
    let draft = as_type(home.draft(&account, "draft", 250_000).ok());
    node.stop();
    home.away("bitcoind");
    let signed: autonomy_api::Payment = as_type(home.approve(&account, "approve", &draft).ok());
    assert_eq!(signed.txid, draft.txid);
    home.cut();
    node.restart().unwrap();
    let txid = signed.txid.to_string();
    let there = clock::wait_until(TEST_TIMEOUT, || node.mempool().is_ok_and(|txids| txids.contains(&txid)));
    assert!(there.is_ok(), "{:?}", home.payment(&signed.id));
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 750_000 - signed.fee.to_sat());
}

#[test]
fn too_deep_reorganisation_changes_nothing_and_recovers() {
    let (_chain, node) = bitcoind_alone();
    let mut home = Home::adopted(node);
    home.funded(node, 60_000);
    let fork = node.height().unwrap() + 1;
    node.mine(160).unwrap();
    home.synced(node);
    let forked = node.block_hash(fork).unwrap();
    node.rpc().call("invalidateblock", &json!([forked])).unwrap();
    let outside = node.address().unwrap();
    for _ in 0..161 {
        node.rpc().call("generateblock", &json!([outside, []])).unwrap();
    }
    let reported = home.away("Nothing is changed");
    assert_eq!(reported["chain"]["height"], fork + 159, "{reported}");
    assert_eq!(home.balance("confirmed_sat"), 60_000);
    home.cut();
    home.away("another chain");
    assert_eq!(home.balance("confirmed_sat"), 60_000);

    node.rpc().call("reconsiderblock", &json!([forked])).unwrap();
    let other = node.block_hash(fork).unwrap();
    if other != forked {
        node.rpc().call("invalidateblock", &json!([other])).unwrap();
    }
    node.mine(3).unwrap();
    home.synced(node);
    assert_eq!(home.balance("confirmed_sat"), 60_000);
}
