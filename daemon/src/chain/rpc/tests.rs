//! Calls to a bitcoind of a few lines, in the shapes of several versions and states.

use std::{fs, io::Write as _, net::TcpListener, os::unix::fs::PermissionsExt as _, thread, time::Duration};

use bdk_wallet::bitcoin::{Network, constants::genesis_block, hashes::Hash as _};

use super::{sending::ALREADY_IN_CHAIN, *};
use crate::chain::stub::{Stub, error, result};
use autonomy_node::BroadcastOutcome;

const HASH: &str = "00000000000000000001a2b3c4d5e6f7081920a1b2c3d4e5f60718293a4b5c6d";

fn stub_client(stub: &Stub) -> Client {
    client(&stub.config()).unwrap()
}

fn a_block_hash() -> BlockHash {
    BlockHash::all_zeros()
}

/// `getblockchaininfo` with what a version tells beside what is read.
fn chain_info(beside: &Value) -> Value {
    let mut info = json!({"chain": "regtest", "blocks": 7, "headers": 7, "bestblockhash": HASH,
        "initialblockdownload": false});
    info.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    info
}

#[test]
fn chain_is_surveyed_in_the_shape_of_each_version() {
    let shapes = [
        ("27", json!({"warnings": "", "difficulty": 4.6, "mediantime": 1, "softforks": {}})),
        ("28", json!({"warnings": ["one", "two"], "time": 1})),
        ("28 with deprecatedrpc=warnings", json!({"warnings": "one"})),
        ("29", json!({"warnings": [], "bits": "207fffff", "target": "7fff"})),
        ("30", json!({"warnings": [], "pruned": true, "pruneheight": 5, "automatic_pruning": true})),
        ("32", json!({"warnings": null, "size_on_disk": "1 MB", "new": {"nested": [1]}})),
    ];
    for (version, beside) in shapes {
        let stub = Stub::new(move |method, _| match method {
            "getblockchaininfo" => result(chain_info(&beside)),
            other => error(-32601, other),
        });
        let survey = survey(&stub_client(&stub)).unwrap_or_else(|trouble| panic!("{version}: {trouble}"));
        assert_eq!((survey.blocks, survey.state()), (7, SourceState::Synced(7)), "{version}");
        assert_eq!(survey.wrong_network(Network::Regtest), None);
    }
}

#[test]
fn mempool_is_read_without_the_entries_of_any_version() {
    let transaction = genesis_block(Network::Regtest).txdata[0].clone();
    let (txid, hex) = (transaction.compute_txid(), encode::serialize_hex(&transaction));
    let stub = Stub::new(move |method, _| match method {
        "getrawmempool" => result(json!([txid])),
        "getrawtransaction" => result(json!(hex)),
        "getmempoolinfo" => result(json!({"size": 1, "mempoolminfee": 0.00001, "minrelaytxfee": 0.000001})),
        // Later versions drop fields of an entry: none is read.
        other => error(-32601, other),
    });
    let client = stub_client(&stub);
    assert_eq!(mempool_ids(&client).unwrap(), [txid]);
    assert_eq!(mempool_transaction(&client, &txid).unwrap(), Some(transaction));
    assert!(mempool_info(&client).unwrap().loaded);
    stub.answers(|_, _| error(-5, "No such mempool transaction"));
    assert_eq!(mempool_transaction(&client, &txid).unwrap(), None);
}

#[test]
fn a_field_that_is_missing_is_told_with_the_version() {
    let stub = Stub::new(|method, _| match method {
        "getnetworkinfo" => result(json!({"version": 240_100})),
        _ => result(json!({"chain": "regtest", "blocks": 7})),
    });
    let told = survey(&stub_client(&stub)).unwrap_err().to_string();
    for part in ["bestblockhash", "getblockchaininfo", "version 24.1", "Bitcoin Core 25"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_bitcoind_that_starts_is_told_by_its_own_words() {
    let stub = Stub::new(|_, _| error(-28, "Verifying blocks…"));
    let trouble = survey(&stub_client(&stub)).unwrap_err();
    assert_eq!(trouble.to_string(), "bitcoind is starting: Verifying blocks…");
    assert!(!trouble.refused, "it concerns all pods");
}

#[test]
fn refused_logins_and_calls_are_told_apart() {
    let stub = Stub::new(|_, _| (401, Value::Null));
    assert!(survey(&stub_client(&stub)).unwrap_err().to_string().contains("refuses the login; compare"));
    stub.answers(|_, _| (403, Value::Null));
    let told = survey(&stub_client(&stub)).unwrap_err().to_string();
    assert!(told.contains("`getblockchaininfo`") && told.contains("rpcwhitelist"), "{told}");
    stub.answers(|_, _| (200, json!("hello")));
    assert!(survey(&stub_client(&stub)).unwrap_err().to_string().contains("does not tell"));
}

#[test]
fn a_pruned_block_is_told_with_what_to_do() {
    let stub = Stub::new(|_, _| error(-1, "Block not available (pruned data)"));
    let trouble = block(&stub_client(&stub), &a_block_hash()).unwrap_err();
    assert!(trouble.refused && trouble.to_string().contains("-reindex"), "{trouble}");
}

#[test]
fn a_bitcoind_without_long_poll_is_not_taken_for_an_absent_one() {
    let stub = Stub::new(|_, _| (404, error(METHOD_NOT_FOUND, "Method not found").1));
    let waited = || wait_for_block(&stub.config(), 1);
    assert!(matches!(waited(), Waited::Unavailable(why) if why.contains("not found")));
    stub.answers(|_, _| (403, Value::Null));
    assert!(matches!(waited(), Waited::Unavailable(_)));
    // The cookie of an earlier start; and one that is just starting.
    stub.answers(|_, _| (401, Value::Null));
    assert!(matches!(waited(), Waited::Away));
    stub.answers(|_, _| error(WARMING_UP, "Loading block index"));
    assert!(matches!(waited(), Waited::Away));
    stub.answers(|_, _| result(json!({"hash": HASH, "height": 7})));
    assert!(matches!(waited(), Waited::Tip(tip) if tip == HASH.parse().unwrap()));
}

#[test]
fn what_bitcoind_has_already_counts_as_accepted() {
    let transaction = genesis_block(Network::Regtest).txdata[0].clone();
    let stub = Stub::new(|_, _| error(ALREADY_IN_CHAIN, "Transaction outputs already in utxo set"));
    let client = stub_client(&stub);
    let sent = || broadcast(&client, &transaction);
    assert_eq!(sent(), BroadcastOutcome::Accepted);
    stub.answers(|method, _| match method {
        "getmempoolentry" => result(json!({})),
        _ => error(-26, "dust"),
    });
    assert_eq!(sent(), BroadcastOutcome::Accepted, "it is in the mempool, whatever it said");
    let txid = transaction.compute_txid();
    stub.answers(move |_, _| result(json!(txid)));
    assert_eq!(sent(), BroadcastOutcome::Accepted);
}

#[test]
fn only_words_about_the_very_transaction_say_what_became_of_it() {
    let transaction = genesis_block(Network::Regtest).txdata[0].clone();
    let stub = Stub::new(|method, _| match method {
        "getmempoolentry" => error(-5, "Transaction not in mempool"),
        _ => error(-26, "dust"),
    });
    let client = stub_client(&stub);
    let sent = || broadcast(&client, &transaction);
    assert_eq!(sent(), BroadcastOutcome::Refused("dust".into()), "it is told that the mempool lacks it");
    type Answer = (u16, Value);
    let no_refusals: [(Answer, Answer); 4] = [
        (error(-26, "dust"), error(-32601, "Method not found")),
        (error(-26, "dust"), result(json!("0.1"))),
        (error(-26, "dust"), (200, json!("hello"))),
        (error(WARMING_UP, "Loading block index"), error(WARMING_UP, "Loading block index")),
    ];
    for (to_send, to_ask) in no_refusals {
        stub.answers(
            move |method, _| if method == "getmempoolentry" { to_ask.clone() } else { to_send.clone() },
        );
        assert!(matches!(sent(), BroadcastOutcome::Unanswered(_)), "{:?}", sent());
    }
    for no_answer in [
        result(json!(null)),
        result(json!(true)),
        result(json!(HASH)),
        (200, json!("hello")),
        (200, json!({})),
        (502, json!({"message": "bad gateway"})),
        (200, json!({"result": null, "error": "overloaded", "id": 1})),
        (200, json!({"result": transaction.compute_txid(), "error": {"message": "no code"}, "id": 1})),
        (401, Value::Null),
    ] {
        let shown = no_answer.1.to_string();
        stub.answers(move |_, _| no_answer.clone());
        assert!(matches!(sent(), BroadcastOutcome::Unanswered(_)), "{shown}: {:?}", sent());
    }
}

#[test]
fn nothing_is_sent_to_a_url_that_is_not_plain_http() {
    let stub = Stub::new(|_, _| result(json!(null)));
    let config = BitcoindConfig { url: stub.url.replace("http://", "https://"), ..stub.config() };
    let told = client(&config).unwrap_err().to_string();
    assert!(told.contains("https://") && !told.contains("secret"), "{told}");
    assert!(stub.calls().is_empty());
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_made_anew() {
    let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    // Says that it keeps the connection, and closes it.
    let answers = thread::Builder::new().spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = server.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]).unwrap();
            let body = json!({"result": HASH, "error": null}).to_string();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let auth = BitcoindAuth::UserPass("me".into(), "secret".into());
    let client = client(&BitcoindConfig { url, auth }).unwrap();
    for _ in 0..2 {
        assert_eq!(best(&client).unwrap(), HASH.parse().unwrap());
    }
    answers.unwrap().join().unwrap();
}

#[test]
fn a_byte_now_and_then_is_no_answer() {
    let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = Endpoint::parse(&format!("http://{}", server.local_addr().unwrap())).unwrap();
    let drips = thread::Builder::new().spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        while stream.write_all(b"H").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let mut connection = Connection::new(endpoint, "Basic".into());
    let told = connection.post(b"{}", Duration::from_millis(200)).unwrap_err();
    assert!(matches!(told, HttpError::Deadline(_)), "{told}");
    drop(connection);
    drips.unwrap().join().unwrap();
}

#[test]
fn nobody_listening_is_told_as_not_running() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let auth = BitcoindAuth::UserPass("me".into(), "secret".into());
    let client = client(&BitcoindConfig { url: format!("http://{free}"), auth }).unwrap();
    assert!(survey(&client).unwrap_err().to_string().contains("is not running"));
}

#[test]
fn each_trouble_with_the_cookie_has_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".cookie");
    let told = || cookie(&path).map_err(|trouble| trouble.to_string());
    assert!(told().unwrap_err().contains("not running: no cookie file"));
    fs::write(&path, "").unwrap();
    assert!(told().unwrap_err().contains("is starting"));
    fs::write(&path, "__cookie__:first\n").unwrap();
    assert_eq!(told().unwrap(), "__cookie__:first");
    // Each start of bitcoind writes another: it is read anew for each client.
    fs::write(&path, "__cookie__:second").unwrap();
    assert_eq!(told().unwrap(), "__cookie__:second");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read what it likes.
    if File::open(&path).is_err() {
        let told = told().unwrap_err();
        assert!(told.contains("permission denied") && !told.contains("not running"), "{told}");
    }
    let folder = dir.path().to_owned();
    assert!(cookie(&folder).unwrap_err().to_string().contains("cannot be read"));
}
