//! A pod that is killed, ended, copied, damaged, and runs out of room: what it acknowledged is there again.

use std::{fs, os::unix::fs::PermissionsExt as _};

use autonomy_testnet::clock;

use crate::home::{Home, PATIENCE, chain};

#[test]
fn a_payment_outlives_a_power_cut_after_every_step() {
    let world = chain();
    let node = world.bitcoind().unwrap();
    let mut home = Home::adopted(node);
    let cut = |home: &mut Home| {
        home.kill();
        home.start();
    };
    let account = home.device(&["account", "create"])["id"].clone();
    cut(&mut home);
    assert_eq!(home.device(&["account", "list"])["accounts"][0]["id"], account);
    let first = home.device(&["receive"]);
    cut(&mut home);
    let second = home.device(&["receive"]);
    assert_eq!(
        second["index"].as_u64(),
        first["index"].as_u64().map(|index| index + 1),
        "never the same again"
    );
    let address = first["address"].as_str().unwrap();
    node.send_to(address, 1_000_000).unwrap();
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 1_000_000);
    cut(&mut home);
    let outside = node.address().unwrap();
    let paid = home.device(&["pay", &outside, "250000 sat", "--yes"]);
    let txid = paid["txid"].as_str().or(paid["checked"]["txid"].as_str()).unwrap().to_owned();
    cut(&mut home);
    let there = clock::wait_until(PATIENCE, || node.mempool().is_ok_and(|txids| txids.contains(&txid)));
    assert!(there.is_ok(), "{txid} is not in the mempool");
    node.mine(1).unwrap();
    let confirmed = clock::wait_until(PATIENCE, || {
        home.device(&["payment", "list"])["payments"][0]["state"] == "confirmed"
    });
    assert!(confirmed.is_ok());
    cut(&mut home);
    assert_eq!(home.device(&["history"])["entries"].as_array().unwrap().len(), 2);
}

#[test]
fn the_pod_ends_in_order_and_leaves_no_door_open() {
    let world = chain();
    let mut home = Home::adopted(world.bitcoind().unwrap());
    let mode = fs::metadata(home.socket()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(home.failure(&["pod", "run"]).contains("another"), "a second pod on one folder");
    assert!(home.terminate(), "{}", home.log());
    assert!(!home.socket().exists());
    fs::set_permissions(home.path("pod"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(home.failure(&["pod", "run"]).contains("chmod 700"));
}

#[test]
fn tor_that_does_not_start_is_told_of_and_stops_nothing_else() {
    let world = chain();
    let mut home = Home::adopted(world.bitcoind().unwrap());
    home.device(&["account", "create"]);
    let status = home.wait("it answers", |_| true);
    assert_ne!(status["onion"]["app"]["state"], "reachable", "{status}");
    assert!(home.terminate(), "{}", home.log());
}

#[test]
fn a_backup_of_a_running_pod_is_the_pod() {
    let world = chain();
    let mut home = Home::adopted(world.bitcoind().unwrap());
    let account = home.device(&["account", "create"])["id"].clone();
    let copy = home.path("copy").to_str().unwrap().to_owned();
    home.json(&["pod", "backup", &copy]);
    assert!(home.failure(&["pod", "backup", &copy]).contains("exist"), "never over an existing file");
    home.kill();
    fs::rename(home.path("pod"), home.path("lost")).unwrap();
    home.json(&["pod", "restore", &copy]);
    home.start();
    assert_eq!(home.device(&["account", "list"])["accounts"][0]["id"], account);
    assert!(home.failure(&["pod", "restore", &copy]).contains("already"));
}

#[test]
fn a_wrong_passphrase_and_a_damaged_database_are_told_apart() {
    let world = chain();
    let mut home = Home::adopted(world.bitcoind().unwrap());
    home.kill();
    let wrong = home
        .command(env!("CARGO_BIN_EXE_autonomy"), &["pod", "run"])
        .env("AUTONOMY_PASSPHRASE", "wrong horse")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && said.contains("passphrase"), "{said}");

    let file = home.path("pod/pod.redb");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let truncated = home.failure(&["pod", "run"]);
    let mut flipped = whole.clone();
    for byte in flipped.iter_mut().skip(4096).step_by(97) {
        *byte ^= 1;
    }
    fs::write(&file, &flipped).unwrap();
    let damaged = home.failure(&["pod", "run"]);
    for said in [truncated, damaged] {
        assert!(said.contains("backup") && !said.contains("panicked"), "{said}");
    }
    fs::write(&file, &whole).unwrap();
    home.start();
}

#[test]
fn a_full_disk_stops_the_pod_and_loses_nothing_it_acknowledged() {
    let world = chain();
    let mut home = Home::adopted(world.bitcoind().unwrap());
    home.device(&["account", "create"]);
    home.kill();
    let blocks = fs::metadata(home.path("pod/pod.redb")).unwrap().len() / 1024 + 8;
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" pod run");
    home.start_with("bash", &["-c", &script, env!("CARGO_BIN_EXE_autonomy")]);
    home.wait("it answers", |_| true);
    // Offers and their stored answers, until there is no room.
    let body = br#"{"name":"full","kind":"two_of_three"}"#;
    let mut acknowledged = 0;
    let full = (0..20_000).any(|number| {
        let key = format!("Idempotency-Key: n{number}");
        let (status, answer) =
            home.ask("POST", "/v1/accounts", &["Content-Type: application/json", &key], body);
        acknowledged = answer["account_index"].as_u64().unwrap_or(0).max(acknowledged);
        status == 0 || status == 503
    });
    if full {
        assert!(!home.ends().success(), "a pod that cannot write ends");
        assert!(home.log().contains("database"), "{}", home.log());
    } else {
        home.kill();
    }
    home.start();
    home.wait("the chain is synced", |status| status["chain"]["state"] == "synced");
    assert_eq!(home.device(&["account", "list"])["accounts"].as_array().unwrap().len(), 1);
}
