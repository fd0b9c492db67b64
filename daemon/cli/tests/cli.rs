//! The program as a person or a script sees it. Nothing here needs Tor or a chain.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use autonomy_wallet::{
    account::{AccountMap, Birthday, MapKind, Member, MemberLabel, Plan},
    bitcoin::Network,
    keys::{AccountIndex, RecoveryKey, Seed},
};
use serde_json::Value;
use tempfile::TempDir;

/// A home of its own, with nothing in it.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_autonomy"));
        command.args(line).env_clear().env("HOME", self.path()).env("AUTONOMY_PASSPHRASE", "correct horse");
        command
    }

    fn run(&self, line: &[&str]) -> Output {
        self.command(line).stdin(Stdio::null()).output().unwrap()
    }

    fn run_with(&self, line: &[&str], input: &str) -> Output {
        let mut command = self.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The one JSON object of a command that succeeds.
    fn json(&self, line: &[&str]) -> Value {
        let output = self.run(&[line, &["--json"]].concat());
        assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout).lines().count(), 1, "{line:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Exit status, kind and detail of a command that fails; standard output stays empty.
    fn failure(&self, line: &[&str]) -> (i32, String, String) {
        failure(&self.run(&[line, &["--json"]].concat()))
    }
}

impl Drop for Home {
    /// No agent stays behind, also where a story fails.
    fn drop(&mut self) {
        let _ = self.command(&["agent", "stop"]).stdin(Stdio::null()).output();
    }
}

fn failure(output: &Output) -> (i32, String, String) {
    assert_eq!(text(&output.stdout), "");
    let error: Value =
        serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let field = |name: &str| error["error"][name].as_str().unwrap().to_owned();
    (output.status.code().unwrap(), field("kind"), field("detail"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn string(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

#[test]
fn pod_and_device_pair_by_request_and_bundle() {
    let home = Home::new();
    let request = string(&home.json(&["pod", "init", "--network", "regtest"]), "request");
    assert_eq!(string(&home.json(&["pod", "request"]), "request"), request, "the same each time");
    let device = home.json(&["init"]);
    let bundle = home.path().join("bundle");
    let made = home.json(&["provision", &request, "--name", "home", "--out", bundle.to_str().unwrap()]);
    assert!(string(&made, "onion").ends_with(".onion"));
    assert_eq!(string(&made, "network"), "regtest");
    home.json(&["pod", "adopt", &format!("@{}", bundle.display())]);
    assert!(string(&device, "identity").starts_with("did:key:z6Mk"));
}

#[test]
fn texts_are_read_from_argument_file_and_pipe() {
    let home = Home::new();
    let request = string(&home.json(&["pod", "init", "--network", "regtest"]), "request");
    home.json(&["init"]);
    let piped = home.run_with(&["provision", "-", "--json"], &format!("  {request}\n"));
    assert!(piped.status.success(), "{}", text(&piped.stderr));
    let (status, kind, detail) = home.failure(&["provision", "@/nowhere/request", "--yes"]);
    assert_eq!((status, kind.as_str()), (1, "file"));
    assert!(detail.contains("/nowhere/request"));
}

#[test]
fn text_of_the_wrong_kind_is_named() {
    let home = Home::new();
    let request = string(&home.json(&["pod", "init", "--network", "regtest"]), "request");
    home.json(&["init"]);
    let (status, kind, detail) = home.failure(&["pod", "adopt", &request]);
    assert_eq!((status, kind.as_str()), (2, "usage"));
    assert!(detail.contains("this is a pod request, not a bundle"), "{detail}");
    let bundle = string(&home.json(&["provision", &request]), "bundle");
    let (status, kind, detail) = home.failure(&["provision", &bundle, "--yes"]);
    assert_eq!((status, kind.as_str()), (2, "usage"));
    assert!(detail.contains("this is a bundle, not a pod request"), "{detail}");
    let (_, _, detail) = home.failure(&["device", "join", &request[..40]]);
    assert!(detail.contains("this is a pod request, not a grant"), "{detail}");
}

#[test]
fn init_restore_gives_the_same_identity() {
    let old = Home::new();
    let born = old.json(&["init", "--words", "12"]);
    let words = (string(&born, "payment_words"), string(&born, "identity_words"));
    assert_eq!((words.0.split(' ').count(), words.1.split(' ').count()), (12, 24));

    let new = Home::new();
    let output = new.run_with(&["init", "--restore", "--json"], &format!("{}\n{}\n", words.0, words.1));
    let restored: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(restored["identity"], born["identity"]);
    assert_ne!(restored["device"], born["device"], "another device of the same person");
    assert!(restored.get("payment_words").is_none(), "not shown again");

    let wrong = Home::new().run_with(&["init", "--restore", "--json"], "not twelve words\n");
    assert_eq!(failure(&wrong).0, 2);
}

#[test]
fn keys_are_never_overwritten() {
    let home = Home::new();
    home.json(&["init"]);
    assert_eq!(home.failure(&["init"]).1, "profile-exists");
    home.json(&["pod", "init", "--network", "regtest"]);
    assert_eq!(home.failure(&["pod", "init", "--network", "regtest"]).1, "pod-exists");
}

#[test]
fn exit_status_and_kind_tell_failures_apart() {
    let home = Home::new();
    let status = |line: &[&str]| {
        let (status, kind, _) = home.failure(line);
        (status, kind)
    };
    assert_eq!(status(&["status"]), (1, "no-profile".into()));
    assert_eq!(status(&["pod", "status"]), (4, "not-running".into()));
    assert_eq!(status(&["pay", "bcrt1q", "5"]), (2, "usage".into()));
    assert_eq!(status(&["pay", "bcrt1q", "5", "sat", "--yes"]), (2, "usage".into()), "no address");
    assert_eq!(status(&["dance"]), (2, "usage".into()));
    assert_eq!(status(&["status", "--pod-socket", "/nowhere.sock"]), (4, "unreachable".into()));
    assert_eq!(status(&["status", "--config", "/nowhere.toml"]), (2, "usage".into()));
}

#[test]
fn wrong_and_missing_passphrase_have_own_messages() {
    let home = Home::new();
    home.json(&["init"]);
    let mut wrong = home.command(&["account", "export", "--json"]);
    let (_, kind, detail) =
        failure(&wrong.env("AUTONOMY_PASSPHRASE", "wrong").stdin(Stdio::null()).output().unwrap());
    assert_eq!(kind, "passphrase");
    assert!(detail.contains("wrong passphrase"), "{detail}");
    let mut none = home.command(&["account", "export", "--json"]);
    none.env_remove("AUTONOMY_PASSPHRASE").stdin(Stdio::null());
    let (_, kind, detail) = failure(&none.output().unwrap());
    assert_eq!(kind, "passphrase");
    assert!(detail.contains("--passphrase-file"), "{detail}");
}

#[test]
fn unknown_setting_is_refused_by_name() {
    let home = Home::new();
    let file = home.path().join("config.toml");
    std::fs::write(&file, "[agent]\nidle_hours = 3\n").unwrap();
    let (status, _, detail) = home.failure(&["status", "--config", file.to_str().unwrap()]);
    assert_eq!(status, 2);
    assert!(detail.contains("idle_hours"), "{detail}");
}

fn map() -> AccountMap {
    let index = AccountIndex::FIRST;
    let member = |label, byte: u8| {
        let seed = Seed::from_entropy(&[byte; 32]).unwrap();
        Member::new(label, *seed.account_key(Network::Regtest, index).public())
    };
    let recovery = RecoveryKey::draw(&std::array::from_fn(|i| i as u8), &[]).unwrap();
    let recovery = Member::new(MemberLabel::R, recovery.public(Network::Regtest, index));
    let members = [member(MemberLabel::P, 1), recovery, member(MemberLabel::G, 2)];
    let plan = Plan {
        name: "main".into(),
        kind: MapKind::Personal,
        threshold: 2,
        network: Network::Regtest,
        birthday: Birthday { height: 101, time: 1_700_000_000 },
    };
    AccountMap::rebuild(plan, &members, &members[0]).unwrap()
}

/// A search from its birthday on would miss its coins.
#[test]
fn account_map_that_begins_in_the_future_is_not_imported() {
    let home = Home::new();
    let words = [1, 9].map(|byte| Seed::from_entropy(&[byte; 32]).unwrap().words());
    let typed = format!("{}\n{}\n", *words[0], *words[1]);
    assert!(home.run_with(&["init", "--restore", "--json"], &typed).status.success());
    let made = map();
    let birthday = Birthday { time: 4_102_444_800, ..made.birthday() };
    let plan = Plan { birthday, ..made.plan().clone() };
    let map = AccountMap::rebuild(plan, made.members(), &made.members()[0]).unwrap();
    let file = home.path().join("map.json");
    std::fs::write(&file, map.to_bytes()).unwrap();
    let (status, kind, detail) = home.failure(&["account", "import", &format!("@{}", file.display())]);
    assert_eq!((status, kind.as_str()), (3, "unsafe-account"));
    assert!(detail.contains("begin in the future"), "{detail}");
    assert_eq!(home.failure(&["account", "export"]).1, "no-account", "nothing is kept");
}

#[test]
fn account_map_imports_without_pod_and_altered_map_does_not() {
    let home = Home::new();
    // The device whose key P is in the map.
    let words = [1, 9].map(|byte| Seed::from_entropy(&[byte; 32]).unwrap().words());
    let typed = format!("{}\n{}\n", *words[0], *words[1]);
    let born = home.run_with(&["init", "--restore", "--json"], &typed);
    assert!(born.status.success(), "{}", text(&born.stderr));
    assert_eq!(home.failure(&["account", "export"]).1, "no-account");
    let map = map();
    let file = home.path().join("map.json");
    std::fs::write(&file, map.to_bytes()).unwrap();
    let argument = format!("@{}", file.display());
    let held = home.json(&["account", "import", &argument]);
    assert_eq!(string(&held, "first_address"), map.first_address().to_string());
    assert_eq!(home.json(&["account", "export"]), serde_json::to_value(&map).unwrap());
    let plain = home.run(&["account", "export", "--format", "descriptor"]);
    assert_eq!(text(&plain.stdout).trim(), map.descriptor());
    let core = home.json(&["account", "export", "main", "--format", "core"]);
    assert_eq!(core["importdescriptors"], map.core_import());

    let (status, kind, _) = home.failure(&["receive", "--index", "0"]);
    assert_eq!((status, kind.as_str()), (3, "address-not-seen"));
    let shown = home.json(&["receive", "--index", "0", "--trust-index", "--amount", "25000", "sat"]);
    assert_eq!(string(&shown, "address"), map.first_address().to_string());
    assert_eq!(home.failure(&["receive", "--index", "2147483648"]).0, 2);

    let changed = text(&map.to_bytes()).replace("sortedmulti(2", "sortedmulti(1");
    std::fs::write(&file, changed).unwrap();
    let (status, kind, _) = home.failure(&["account", "import", &argument]);
    assert_eq!((status, kind.as_str()), (3, "unsafe-account"));
}

#[test]
fn restore_gives_the_pod_that_was_backed_up() {
    let home = Home::new();
    let request = string(&home.json(&["pod", "init", "--network", "signet"]), "request");
    let copy = home.path().join("copy");
    home.json(&["pod", "backup", copy.to_str().unwrap()]);
    let other = home.path().join("other");
    home.json(&["pod", "restore", copy.to_str().unwrap(), "--data-dir", other.to_str().unwrap()]);
    let back = home.json(&["pod", "request", "--data-dir", other.to_str().unwrap()]);
    assert_eq!(string(&back, "request"), request);
    std::fs::write(&copy, b"not a copy").unwrap();
    let (status, ..) = home.failure(&["pod", "restore", copy.to_str().unwrap(), "--data-dir", "third"]);
    assert_eq!(status, 1);
}

/// A private Tor network in which nobody answers.
const NOBODY: &str = r#"
[[authority]]
v3ident = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
[[fallback]]
rsa = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
ed = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
orport = ["127.0.0.1:1"]
"#;

#[test]
fn failed_tor_start_is_reported_and_leaves_no_agent() {
    let home = Home::new();
    let request = string(&home.json(&["pod", "init", "--network", "regtest"]), "request");
    home.json(&["init"]);
    home.json(&["provision", &request]);
    let network = home.path().join("network.toml");
    std::fs::write(&network, NOBODY).unwrap();
    let config = home.path().join("config.toml");
    std::fs::write(&config, "[tor]\nbootstrap_seconds = 1\n").unwrap();
    let flags = ["--config", config.to_str().unwrap(), "--tor-network", network.to_str().unwrap()];
    for line in [&["status"][..], &["status", "--no-agent"]] {
        let (status, kind, detail) = home.failure(&[line, &flags].concat());
        assert_eq!((status, kind.as_str()), (4, "tor"), "{detail}");
    }
    home.json(&["agent", "stop"]);
    assert_eq!(home.json(&["agent", "status"])["running"], false);
    let profile = home.path().join(".local/share/autonomy/device");
    assert!(!profile.join("agent.sock").exists());
}

/// Waits until `look` finds something.
fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..200 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("waited for 20 s in vain");
}

/// Process and session of the agent that runs for this home.
fn agent_of(home: &Home) -> Option<(u64, String)> {
    let status = home.json(&["agent", "status"]);
    let pid = status["agent"]["pid"].as_u64()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name in brackets: state, parent, group, session.
    let session = stat.rsplit(')').next()?.split_whitespace().nth(3)?.to_owned();
    Some((pid, session))
}

fn is_gone(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn one_agent_outlives_commands_and_is_replaced_when_outdated() {
    let home = Home::new();
    let request = string(&home.json(&["pod", "init", "--network", "regtest"]), "request");
    home.json(&["init"]);
    home.json(&["provision", &request]);
    let network = home.path().join("network.toml");
    std::fs::write(&network, NOBODY).unwrap();
    let patient = ["status", "--tor-network", network.to_str().unwrap()];
    let start = || home.command(&patient).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();

    let mut both = [start(), start()];
    let (first, session) = wait(|| agent_of(&home));
    assert_eq!(session, first.to_string(), "it leads a session of its own");
    both.iter_mut().for_each(|command| {
        command.kill().unwrap();
        command.wait().unwrap();
    });
    assert_eq!(agent_of(&home).unwrap().0, first, "it outlives both commands, and there is one only");

    assert!(Command::new("kill").args(["-9", &first.to_string()]).status().unwrap().success());
    let mut again = start();
    let second = wait(|| agent_of(&home).filter(|(pid, _)| *pid != first)).0;
    again.kill().unwrap();
    again.wait().unwrap();

    let config = home.path().join("config.toml");
    std::fs::write(&config, "[tor]\nbootstrap_seconds = 1\n").unwrap();
    let (status, kind, _) = home.failure(&[&patient[..], &["--config", config.to_str().unwrap()]].concat());
    assert_eq!((status, kind.as_str()), (4, "tor"), "other settings, another agent");
    assert!(wait(|| is_gone(second).then_some(true)));
    home.json(&["agent", "stop"]);
}

#[test]
fn too_long_socket_path_names_the_profile_folder() {
    let home = Home::new();
    let deep = home.path().join("d".repeat(100));
    let flags = ["--profile-dir", deep.to_str().unwrap()];
    let (status, _, detail) = home.failure(&[&["init"][..], &flags].concat());
    assert_eq!(status, 2, "{detail}");
    assert!(detail.contains("at most 107") && !deep.exists(), "nothing is made: {detail}");
}

#[test]
fn agent_refuses_input_that_is_not_a_setup() {
    let home = Home::new();
    let output = home.run_with(&["agent", "--json"], "give me your keys");
    assert_eq!(failure(&output).1, "agent");
}

#[test]
fn completions_and_manual_pages_are_generated() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&home.run(&["completions", shell]).stdout);
        assert!(script.contains("provision") && script.contains("tor-network"), "{shell}");
    }
    let pages = home.path().join("man");
    home.json(&["man", pages.to_str().unwrap()]);
    let page = std::fs::read_to_string(pages.join("autonomy-pay.1")).unwrap();
    assert!(page.contains("fee\\-rate"));
}

#[test]
fn invites_and_places_are_checked_before_the_pod_is_asked() {
    let home = Home::new();
    let request = string(&home.json(&["pod", "init", "--network", "regtest"]), "request");
    for (line, says) in [
        (&["contact", "accept", &request][..], "this is a pod request"),
        (&["contact", "accept", "hello"], "autonomy-invite1"),
        (&["contact", "invite", "--valid-for", "7w"], "not a unit"),
        (&["relay", "add", "/ip4/10.0.0.1/tcp/4001"], "/onion3/"),
        (&["message", "list", "Bob", "--limit", "0"], "limit"),
        (&["message", "send", "Bob"], "WORDS"),
    ] {
        let (status, kind, detail) = home.failure(line);
        assert_eq!((status, kind.as_str()), (2, "usage"), "{line:?}: {detail}");
        assert!(detail.contains(says), "{line:?}: {detail}");
    }
    assert_eq!(home.failure(&["message", "send", "Bob", "hi"]).1, "no-profile");
}

#[test]
fn every_verb_has_help() {
    let home = Home::new();
    for verb in [
        "init",
        "provision",
        "status",
        "device",
        "account",
        "receive",
        "pay",
        "payment",
        "history",
        "contact",
        "message",
        "file",
        "relay",
        "profile",
        "events",
        "pod",
    ] {
        let help = home.run(&[verb, "--help"]);
        assert!(help.status.success() && help.stdout.len() > 200, "{verb}");
    }
}

#[test]
fn parcels_and_cards_are_checked_before_the_pod_is_asked() {
    let home = Home::new();
    let file = home.path().join("parcel");
    std::fs::write(&file, "not a parcel").unwrap();
    let file = file.to_str().unwrap();
    for (line, status, kind) in [
        (&["message", "import", file][..], 3, "bad-parcel"),
        (&["message", "import", "/nowhere/parcel"], 1, "file"),
        (&["contact", "import", file], 3, "bad-vcard"),
        (&["message", "export", "Bob", file], 1, "file"),
        (&["message", "export", "Bob"], 2, "usage"),
        (&["message", "export", "Bob", file, "--qr"], 2, "usage"),
        (&["contact", "export-invite", "4f0c"], 2, "usage"),
        (&["contact", "export", "Bob", file], 1, "file"),
    ] {
        let (found, reported, detail) = home.failure(line);
        assert_eq!((found, reported.as_str()), (status, kind), "{line:?}: {detail}");
    }
    assert_eq!(std::fs::read(file).unwrap(), b"not a parcel", "never written over");
}
