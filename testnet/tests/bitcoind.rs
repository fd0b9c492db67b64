//! The regtest bitcoind, for real.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use autonomy_testnet::bitcoind::{Balances, FIRST_BLOCKS, Rpc, RpcError};
use autonomy_testnet::fixture;
use autonomy_testnet::world::{World, WorldConfig};

/// A 2-of-3 account and its first address, derived by another bitcoind.
const ACCOUNT: &str = "wsh(sortedmulti(2,\
[3fe524e7/48h/1h/0h/2h]tpubDEZnfy56FJqxJjf2An9mixJCy6HAUY5u8UTt3Wy318LFgBGTkxbj7CztA6efE5v6vn5SFow4MXnriz9LDwrV56NyhbMseCgcsL3NVVACYyD/<0;1>/*,\
[bdd6816c]tpubD6NzVbkrYhZ4YkG6Yhszp2bpoABEbtDdkG1EYPkntW3BqGmizQeUHv1MnUMiS7MsG9o4SjWQgNHxjnN2innJQchszdFft4gigZwRzGiEq8u/0/<0;1>/*,\
[3ba436ce/48h/1h/0h/2h]tpubDE1y7WbNHJm9eMY5iVhunnCXY71MgXeQ9LthpkHSsohXLEBcEvPBCSv2K5ku4EXXkDCXTswtAPMuN8p3vZRiMsbBZ9DamefhZLdDcuGgxwB/<0;1>/*\
))#828x655e";
const FIRST_ADDRESS: &str = "bcrt1qwed2dv0lurq5jazl49x6v7fthhqmda48u4racdkczh72ah568urq8cek8e";

#[test]
fn mined_blocks_survive_reorganisation_and_power_cut() {
    let world = World::fresh(WorldConfig::default()).unwrap();
    let node = world.bitcoind().unwrap();
    assert_eq!(node.height().unwrap(), FIRST_BLOCKS);
    assert_eq!(node.miner_balance().unwrap(), 5_000_000_000);

    let txid = node.send_to(&node.address().unwrap(), 25_000_000).unwrap();
    let only_this = std::slice::from_ref(&txid);
    assert_eq!(node.mempool().unwrap(), only_this);
    let block = node.mine(1).unwrap().remove(0);
    assert!(node.mempool().unwrap().is_empty());
    assert_eq!(node.transaction(&txid, Some(&block)).unwrap().confirmations, 1);

    node.reorg(1).unwrap();
    assert_eq!(node.height().unwrap(), FIRST_BLOCKS + 2);
    assert_ne!(node.block_hash(FIRST_BLOCKS + 1).unwrap(), block);
    assert_eq!(node.mempool().unwrap(), only_this);
    assert!(node.reorg(1000).is_err());

    node.mine(1).unwrap();
    let height = node.height().unwrap();
    node.kill();
    assert!(node.height().is_err());
    node.restart().unwrap();
    assert_eq!(node.height().unwrap(), height);
    node.send_to(&node.address().unwrap(), 1_000).unwrap();
    assert_eq!(node.mempool().unwrap().len(), 1);
}

#[test]
fn core_wallet_agrees_on_addresses_and_balance() {
    let node = fixture::bitcoind();
    let wallet = node.watch("account", &[ACCOUNT]).unwrap();
    assert_eq!(wallet.next_address().unwrap(), FIRST_ADDRESS);

    node.send_to(FIRST_ADDRESS, 100_000_000).unwrap();
    let unconfirmed = Balances { trusted: 0, untrusted_pending: 100_000_000, immature: 0 };
    assert_eq!(wallet.balances().unwrap(), unconfirmed);
    node.mine(1).unwrap();
    let confirmed = Balances { trusted: 100_000_000, untrusted_pending: 0, immature: 0 };
    assert_eq!(wallet.balances().unwrap(), confirmed);
}

#[test]
fn wrong_checksum_is_refused_with_bitcoinds_message() {
    let wrong = ACCOUNT.replace("828x655e", "828x655f");
    let error = fixture::bitcoind().watch("wrong", &[&wrong]).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn a_refusal_says_the_call_and_what_bitcoind_said() {
    let error = fixture::bitcoind().block_hash(1_000_000).unwrap_err();
    assert_eq!(error.to_string(), "bitcoind refuses getblockhash: Block height out of range (code -8)");
}

#[test]
fn missing_cookie_differs_from_refused_credentials() {
    let node = fixture::bitcoind();
    let folder = tempfile::tempdir().unwrap();
    let address = node.rpc_url().trim_start_matches("http://").parse().unwrap();
    let rpc = Rpc::new(address, folder.path().join(".cookie"));
    let call = |rpc: &Rpc| rpc.call("getblockcount", &serde_json::json!([])).unwrap_err();
    assert!(matches!(call(&rpc), RpcError::NoCredentials { .. }));
    std::fs::write(folder.path().join(".cookie"), "__cookie__:of the last run\n").unwrap();
    let error = call(&rpc);
    assert!(matches!(error, RpcError::Failed { .. }) && error.to_string().contains("401"), "{error}");
}
