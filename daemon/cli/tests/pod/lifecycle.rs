//! A pod that is killed, stopped, backed up, damaged, or without disk space keeps what it
//! acknowledged.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    process::Command,
};

use autonomy_testnet::clock;
use serde_json::json;

use crate::home::{Home, TEST_TIMEOUT, argument, bitcoind, text};

#[test]
fn socket_is_private_and_removed_at_the_end() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(home.socket()), mode(home.path("pod"))), (0o600, 0o700));
    assert_eq!(mode(home.path("pod/pod.redb")), 0o600);
    assert!(
        home.failure(&["pod", "run"]).contains("in use by another process"),
        "a second pod on one folder"
    );
    let another = home.path("another");
    fs::write(&another, [8; 32]).unwrap();
    fs::set_permissions(&another, fs::Permissions::from_mode(0o600)).unwrap();
    let changed = home.failure(&["passphrase", "pod", "--new-key-file", &argument(&another)]);
    assert!(changed.contains("in use by another process"), "{changed}");
    home.get("/v1/status");
    assert!(home.terminate(), "{}", home.log());
    assert!(!home.socket().exists());
    fs::set_permissions(home.path("pod"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(home.failure(&["pod", "run"]).contains("chmod 700"));
}

#[test]
fn socket_of_a_killed_pod_is_replaced() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    home.kill();
    assert!(home.socket().exists(), "nobody took it away");
    home.start();
}

#[test]
fn service_manager_is_notified_of_ready_and_stopping() {
    let (_chain, node) = bitcoind();
    let mut home = Home::new(node, "regtest");
    let path = home.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let mut command = home.autonomy(&["pod", "run"]);
    command.env("NOTIFY_SOCKET", &path);
    home.spawn(command);
    let hears = |word: &str| {
        let mut message = [0; 1024];
        loop {
            let length = manager.recv(&mut message).unwrap_or_else(|error| panic!("{word}: {error}"));
            if text(&message[..length]).lines().any(|line| line == word) {
                break;
            }
        }
    };
    hears("READY=1");
    home.get("/v1/status");
    home.signal_end();
    hears("STOPPING=1");
    assert!(home.ends().success());
}

#[test]
fn failed_tor_start_is_reported_and_delays_nothing() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let status = home.wait("it warns", |status| {
        status["warnings"].as_array().is_some_and(|warnings| {
            warnings.iter().any(|warning| warning.as_str().is_some_and(|text| text.starts_with("Tor")))
        })
    });
    assert!(status["onion"]["bootstrap_percent"].as_u64().is_some_and(|percent| percent < 100), "{status}");
    assert_ne!(status["onion"]["app"]["state"], "reachable");
    home.account();
    let begun = clock::now();
    assert!(home.terminate(), "{}", home.log());
    assert!(begun.elapsed() < TEST_TIMEOUT / 3);
}

#[test]
fn unusable_settings_are_named_before_serving() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    home.kill();
    home.start();
    assert!(home.terminate(), "{}", home.log());
    fs::write(home.path("network.toml"), "[[authority]]\nv3ident = \"short\"\n").unwrap();
    assert!(home.failure(&["pod", "run"]).contains("network.toml"));
    assert!(!home.socket().exists());
    fs::remove_file(home.path("network.toml")).unwrap();
    assert!(home.failure(&["pod", "run"]).contains("network.toml"));
}

#[test]
fn backup_of_running_pod_restores_the_pod() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let account = home.account();
    let copy = argument(&home.path("copy"));
    home.json(&["pod", "backup", &copy]);
    assert!(home.failure(&["pod", "backup", &copy]).contains("exist"), "never over an existing file");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    home.kill();
    fs::rename(home.path("pod"), home.path("lost")).unwrap();
    home.json(&["pod", "restore", &copy]);
    home.start();
    assert_eq!(home.get("/v1/accounts")["accounts"][0]["id"], account.id.to_string());
    assert!(home.failure(&["pod", "restore", &copy]).contains("already"));
}

#[test]
fn truncated_backup_is_refused_and_leaves_no_file() {
    let (_chain, node) = bitcoind();
    let home = Home::new(node, "regtest");
    let copy = home.path("copy");
    home.json(&["pod", "backup", &argument(&copy)]);
    let whole = fs::read(&copy).unwrap();
    let other = argument(&home.path("other"));
    for half in [&whole[..whole.len() / 2], &whole[..1000], b""] {
        fs::write(&copy, half).unwrap();
        home.failure(&["pod", "restore", &argument(&copy), "--data-dir", &other]);
        let left: Vec<_> = fs::read_dir(&other).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    home.failure(&["pod", "restore", "/nowhere/copy", "--data-dir", &other]);
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    fs::write(&copy, &whole).unwrap();
    home.json(&["pod", "restore", &argument(&copy), "--data-dir", &other]);
}

#[test]
fn wrong_key_and_damaged_database_have_own_messages() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    home.account();
    home.kill();
    fs::write(home.path("key"), [8; 32]).unwrap();
    assert!(home.failure(&["pod", "run"]).contains("the key file does not open"));
    fs::remove_file(home.path("key")).unwrap();
    assert!(home.failure(&["pod", "run"]).contains("key"));
    fs::write(home.path("key"), [7; 32]).unwrap();
    let exposed = home.failure(&["pod", "run"]);
    assert!(exposed.contains("chmod 600"), "{exposed}");
    fs::set_permissions(home.path("key"), fs::Permissions::from_mode(0o600)).unwrap();

    let file = home.path("pod/pod.redb");
    let whole = fs::read(&file).unwrap();
    let request = home.json(&["pod", "request"]);
    for length in [0, 1, 1000, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        home.failure(&["pod", "run"]);
        assert!(!home.socket().exists() || fs::remove_file(home.socket()).is_ok());
    }
    // A flipped bit is found, or lies where nothing is kept.
    for position in (0..whole.len()).step_by(whole.len() / 40) {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x10;
        fs::write(&file, &flipped).unwrap();
        let output = home.run(&["pod", "request"]);
        let said = text(&output.stderr);
        assert!(!said.contains("panicked"), "at {position}: {said}");
        if output.status.success() {
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap(), request);
        } else {
            assert!(said.contains("pod.redb"), "at {position}: {said}");
        }
    }
    fs::write(&file, &whole).unwrap();
    home.start();
    assert_eq!(home.get("/v1/accounts")["accounts"].as_array().unwrap().len(), 1);
}

#[test]
fn full_disk_refuses_changes_and_keeps_what_was_acknowledged() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let account = home.funded(node, 1_000_000);
    assert!(home.terminate(), "{}", home.log());
    // Some room, so that the pod can start; drafts and their answers use it up.
    let kilobytes = fs::metadata(home.path("pod/pod.redb")).unwrap().len() / 1024 + 256;
    let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" pod run");
    home.spawn(home.command("bash", &["-c", &script, env!("CARGO_BIN_EXE_autonomy")]));
    home.wait("it answers", |_| true);
    // Drafts that are given up again: their answers are kept, until there is no room.
    let mut acknowledged = Vec::new();
    let full = (0..5_000).any(|number| {
        let draft = home.draft(&account, &format!("d{number}"), 10_000 + number);
        let Some(id) = draft.status.eq(&200).then(|| draft.json()["id"].as_str().unwrap().to_owned()) else {
            draft.refused(507, "disk");
            return true;
        };
        acknowledged.push((id.clone(), "draft"));
        let key = format!("Idempotency-Key: c{number}");
        let cancelled = home.ask("DELETE", &format!("/v1/payments/{id}"), &[&key], b"");
        if cancelled.status == 200 {
            acknowledged.pop();
            acknowledged.push((id, "cancelled"));
        } else {
            cancelled.refused(507, "disk");
        }
        cancelled.status != 200
    });
    assert!(full, "the disk never became full");
    let warnings = home.get("/v1/status")["warnings"].to_string();
    assert!(warnings.contains("no room left on the disk"), "{warnings}");
    let (id, state) = acknowledged.last().unwrap();
    assert_eq!(home.get(&format!("/v1/payments/{id}"))["state"], json!(state), "reads stay up");
    assert!(home.terminate(), "{}", home.log());
    assert!(!home.log().contains("panicked"), "{}", home.log());
    home.start();
    home.synced(node);
    assert_eq!(home.balance("confirmed_sat"), 1_000_000);
    let (id, state) = acknowledged.pop().unwrap();
    let found = home.get(&format!("/v1/payments/{id}"));
    assert_eq!(found["state"], json!(state), "the last one that was acknowledged");
}

#[test]
fn backup_on_a_full_disk_leaves_no_file() {
    let (_chain, node) = bitcoind();
    let home = Home::new(node, "regtest");
    let copy = home.path("copies");
    fs::create_dir(&copy).unwrap();
    let copy = argument(&copy.join("copy"));
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" pod backup \"$1\" --json";
    let line = ["-c", script, env!("CARGO_BIN_EXE_autonomy"), &copy];
    let mut command: Command = home.command("bash", &line);
    let said = text(&command.output().unwrap().stderr);
    assert!(said.contains("full"), "{said}");
    assert_eq!(fs::read_dir(home.path("copies")).unwrap().count(), 0);
}
