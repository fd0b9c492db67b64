//! `passphrase`: another secret opens the profile or the pod, and the one before opens nothing.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::home::{Home, text};

/// A home with a device and a pod, both locked by `correct horse`, and files with other secrets.
fn home() -> Home {
    let home = Home::new();
    home.json("init");
    home.json("pod init --network regtest");
    write(&home, "new", b"battery staple\n");
    write(&home, "key", &[7; 32]);
    home
}

/// Writes a file that only its user can read.
fn write(home: &Home, name: &str, bytes: &[u8]) {
    let path = home.path().join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What opens the device, and what opens the pod.
const OPENS: [&str; 2] = ["device request --name phone", "pod request"];

#[test]
fn new_passphrase_opens_and_the_old_one_does_not() {
    let home = home();
    for (whose, opens) in ["device", "pod"].into_iter().zip(OPENS) {
        let changed = home.json(&format!("passphrase {whose} --new-passphrase-file new"));
        assert_eq!(changed["changed"], whose);
        assert!(changed["file"].as_str().unwrap().ends_with(".redb"), "{changed}");
        assert_eq!(home.failure(opens).1, "passphrase");
        home.json(&format!("{opens} --passphrase-file new"));
        // From a passphrase to a key file.
        home.json(&format!("passphrase {whose} --passphrase-file new --new-key-file key"));
        assert!(home.failure(&format!("{opens} --passphrase-file new")).2.contains("key file"));
        home.json(&format!("{opens} --key-file key"));
    }
}

#[test]
fn passphrase_that_cannot_be_changed_stays() {
    let home = home();
    write(&home, "wrong", b"wrong horse");
    write(&home, "short", b"short");
    for (whose, opens) in ["device", "pod"].into_iter().zip(OPENS) {
        let verb = format!("passphrase {whose}");
        let (code, kind, detail) =
            home.failure(&format!("{verb} --passphrase-file wrong --new-passphrase-file new"));
        assert_eq!((code, kind.as_str()), (1, "passphrase"), "{detail}");
        assert!(detail.contains("wrong passphrase"), "{detail}");
        let (_, kind, detail) = home.failure(&format!("{verb} --new-passphrase-file short"));
        assert!(kind == "passphrase" && detail.contains("5 characters"), "{detail}");
        // Without a terminal to ask at.
        let output = home.shell(&format!("setsid -w autonomy {verb}"));
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("--new-passphrase-file"), "{said}");
        home.json(opens);
    }
    assert_eq!(home.failure("passphrase device --profile-dir none --new-key-file key").1, "no-profile");
    assert_eq!(home.failure("passphrase pod --data-dir none --new-key-file key").1, "no-pod");
}

#[test]
fn passphrase_is_changed_at_a_terminal() {
    let home = home();
    let mut terminal = home.terminal("unset AUTONOMY_PASSPHRASE; autonomy passphrase device");
    terminal.until("Passphrase of the device: ");
    terminal.types(b"correct horse\n");
    for prompt in ["New passphrase of the device: ", "New passphrase of the device, again: "] {
        terminal.until(prompt);
        terminal.types(b"battery staple\n");
    }
    let (code, said) = terminal.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("opens with the new one only") && said.contains("Backups"), "{said}");
    assert_eq!(home.failure(OPENS[0]).1, "passphrase");
}

#[test]
fn flags_for_a_new_secret_exclude_each_other() {
    let output = home().shell("autonomy passphrase pod --new-key-file key --new-passphrase-file new");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}
