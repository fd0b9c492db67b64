//! bitcoind away, restarted, on another network, on another chain; a reorganisation; a mempool that forgets.

use crate::home::{Home, PATIENCE, chain};

#[test]
fn a_bitcoind_that_goes_and_comes_back_is_told_of_and_followed() {
    let world = chain();
    let node = world.bitcoind().unwrap();
    let mut home = Home::adopted(node);
    node.stop();
    let away = home.wait("bitcoind is away", |status| status["chain"]["state"] == "away");
    assert!(away["chain"]["detail"].as_str().unwrap().contains("bitcoind"), "{away}");
    home.kill();
    home.start();
    assert_eq!(home.wait("it still knows its tip", |_| true)["chain"]["height"], 101);
    node.restart().unwrap();
    node.mine(2).unwrap();
    home.wait("it has caught up", |status| {
        status["chain"]["state"] == "synced" && status["chain"]["height"] == 103
    });
}

#[test]
fn another_network_and_another_chain_change_nothing() {
    let (world, elsewhere) = (chain(), chain());
    let (node, other) = (world.bitcoind().unwrap(), elsewhere.bitcoind().unwrap());
    let mut signet = Home::new(node, "signet");
    signet.start();
    let told = signet.wait("it has asked", |status| {
        status["chain"]["detail"].as_str().is_some_and(|d| d.contains("signet"))
    });
    assert_eq!(told["chain"]["height"], 0, "{told}");

    let mut home = Home::adopted(node);
    home.device(&["account", "create"]);
    let address = home.device(&["receive"])["address"].as_str().unwrap().to_owned();
    node.send_to(&address, 50_000).unwrap();
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 50_000);
    home.kill();
    home.point_at(other);
    home.start();
    let told = home.wait("it sees the other chain", |status| {
        status["chain"]["detail"].as_str().is_some_and(|detail| detail.contains("another chain"))
    });
    assert_eq!(told["chain"]["height"], 102, "{told}");
    assert_eq!(home.balance("confirmed_sat"), 50_000);
    home.kill();
    home.point_at(node);
    home.start();
    home.wait("it is back", |status| status["chain"]["state"] == "synced");
    assert_eq!(home.balance("confirmed_sat"), 50_000);
}

#[test]
fn a_reorganisation_and_a_forgetful_mempool_are_followed() {
    let world = chain();
    let node = world.bitcoind().unwrap();
    let home = Home::adopted(node);
    home.device(&["account", "create"]);
    let address = home.device(&["receive"])["address"].as_str().unwrap().to_owned();
    let txid = node.send_to(&address, 70_000).unwrap();
    home.wait_for_balance("unconfirmed_sat", 70_000);
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 70_000);
    node.reorg(1).unwrap();
    home.wait_for_balance("unconfirmed_sat", 70_000);
    // A node that forgets its mempool and is told of the payment again.
    let raw = node.rpc().call("getrawtransaction", &serde_json::json!([txid])).unwrap();
    node.kill();
    node.restart().unwrap();
    let _ = node.rpc().call("sendrawtransaction", &serde_json::json!([raw]));
    let back = autonomy_testnet::clock::wait_until(PATIENCE, || {
        node.mempool().is_ok_and(|txids| txids.contains(&txid))
    });
    assert!(back.is_ok());
    home.wait_for_balance("unconfirmed_sat", 70_000);
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 70_000);
}
