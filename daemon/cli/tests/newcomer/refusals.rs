//! What cannot be used is refused before anything is made of it, with what to do.

use crate::home::Home;

#[test]
fn too_long_path_of_a_socket_is_refused_before_keys_exist() {
    let home = Home::new();
    let long = "n".repeat(100);
    for line in [
        "pod init --data-dir /tmp/",
        "init --profile-dir /tmp/",
        "device request --name x --profile-dir /tmp/",
    ] {
        let (status, _, detail) = home.failure(&format!("{line}{long}"));
        assert!(matches!(status, 1 | 2), "{line}: {status}");
        assert!(detail.contains("at most 107") && detail.contains("symbolic link"), "{line}: {detail}");
        assert!(!std::path::Path::new("/tmp").join(&long).exists(), "{line}");
    }
}

#[test]
fn short_or_blank_passphrase_makes_nothing() {
    let home = Home::new();
    for (passphrase, says) in
        [("x", "has 1 characters"), ("", "empty"), ("'   '", "empty"), ("$'\\xff'", "UTF-8")]
    {
        for verb in ["init", "pod init --network regtest"] {
            let line = format!("export AUTONOMY_PASSPHRASE={passphrase}; autonomy --json {verb}");
            let output = home.shell(&line);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(1) && said.contains(says), "{line}: {said}");
        }
    }
    assert!(!home.path().join(".local").exists());
}

#[test]
fn empty_variables_count_as_not_set() {
    let home = Home::new();
    let line = "AUTONOMY_CONFIG= AUTONOMY_DATA= AUTONOMY_PROFILE= AUTONOMY_TOR_NETWORK= autonomy init";
    assert!(home.shell(line).status.success());
    assert!(home.profile().exists());
}

#[test]
fn settings_that_cannot_be_read_hang_nothing_and_tell_no_secret() {
    let home = Home::new();
    let config = home.path().join("config.toml");
    std::fs::write(&config, "[bitcoind]\nuser = \"me\"\npassword = \"hunter2\\Gt\"\n").unwrap();
    for form in ["", "--json"] {
        let output = home.shell(&format!("autonomy status {form} --config config.toml"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("line 3") && !said.contains("hunter2"), "{said}");
    }
    assert!(home.shell("mkfifo pipe && ln -s nowhere link").status.success());
    for file in ["pipe", "link", ".", "/dev/zero"] {
        let (status, kind, detail) = home.failure(&format!("status --config {file}"));
        assert!(status == 2 && kind == "usage" && detail.contains("cannot read"), "{file}: {detail}");
    }
}

#[test]
fn what_was_typed_is_looked_at_before_anybody_is_asked() {
    let home = Home::new();
    home.json("init");
    for (line, says) in [
        ("pay bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7k35mrzd 1 BTC", "checksum"),
        ("pay hello 1 BTC", "address"),
        ("pay bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "amount is missing"),
        ("pay bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080 1", "unit"),
        ("provision autonomy-bundle1aepbpwpoffftnv37jyhybltabbl544", "not a pod request"),
    ] {
        let (status, _, detail) = home.failure(line);
        assert!(status == 2 && detail.contains(says), "{line}: {status} {detail}");
    }
}

#[test]
fn relay_that_was_never_run_has_no_address() {
    let home = Home::new();
    let (status, _, detail) = home.failure("relay place --data-dir typo");
    assert!(status == 1 && detail.contains("there is no relay in"), "{detail}");
    assert!(!home.path().join("typo").exists());
}

#[test]
fn backup_that_is_none_is_named_itself() {
    let home = Home::new();
    std::fs::write(home.path().join("copy"), "no backup").unwrap();
    let (_, _, detail) = home.failure("pod restore copy");
    assert!(detail.contains("copy is not a store") && !detail.contains("arriving"), "{detail}");
}

#[test]
fn wrong_usage_is_one_sentence_and_names_no_flag_that_is_not_needed() {
    let home = Home::new();
    for line in ["dance", "pay", "pay x -1 BTC", "card share Bob", "init --words 13", "message send Bob"] {
        let output = home.shell(&format!("AUTONOMY_TOR_NETWORK=x autonomy --json {line}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let error: serde_json::Value = serde_json::from_str(&said).unwrap();
        let (detail, help) = (&error["error"]["detail"], error["error"]["help"].as_str().unwrap_or_default());
        let detail = detail.as_str().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(!detail.contains('\n') && !detail.starts_with("error"), "{line}: {detail}");
        assert!(!help.contains("--tor-network"), "{line}: {help}");
    }
    let (_, _, detail) = home.failure("pay bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080 -1 BTC");
    assert!(detail.contains("not an amount"), "{detail}");
}

#[test]
fn file_that_is_no_file_is_not_sent() {
    let home = Home::new();
    home.json("init");
    assert!(home.shell("mkfifo pipe").status.success());
    for file in ["pipe", "/dev/zero", "."] {
        let (status, _, detail) = home.failure(&format!("file send Bob {file} --name x"));
        assert!(status == 2 && detail.contains("not a regular file"), "{file}: {detail}");
    }
}
