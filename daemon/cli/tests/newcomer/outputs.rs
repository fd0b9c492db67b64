//! What goes to standard output and what to standard error, and outputs that nobody can read.

use crate::home::{Home, text};

#[test]
fn results_in_files_are_what_the_next_command_takes() {
    let home = Home::new();
    let session = "set -e\n\
        autonomy pod init --network regtest > request\n\
        autonomy init > words\n\
        autonomy provision @request > bundle\n\
        autonomy pod adopt @bundle\n";
    let output = home.shell(session);
    let hints = text(&output.stderr);
    assert!(output.status.success(), "{hints}");
    assert_eq!(text(&output.stdout).trim(), "the pod has its owner");
    for next in ["autonomy provision REQUEST", "autonomy pod adopt BUNDLE", "autonomy pod run"] {
        assert!(hints.contains(next), "{next} in {hints}");
    }
    for file in ["request", "bundle"] {
        let written = std::fs::read_to_string(home.path().join(file)).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
    }
}

#[test]
fn done_and_unheard_ends_in_doubt_and_only_shown_fails() {
    let home = Home::new();
    let status = |line: &str| {
        let output = home.shell(line);
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = status("autonomy pod init --network regtest >/dev/full");
    assert!(code == Some(6) && said.contains("it was done, but"), "{code:?} {said}");
    let (code, said) = status("autonomy pod request >/dev/full");
    assert!(code == Some(1) && said.starts_with("error: cannot write the answer"), "{code:?} {said}");
    let (code, said) = status("autonomy pod request --json >/dev/full");
    assert!(code == Some(1) && said.starts_with("{\"error\":"), "{code:?} {said}");
}

#[test]
fn reader_that_leaves_early_is_no_failure() {
    let home = Home::new();
    home.json("pod init --network regtest");
    for line in ["--help", "pay --help", "completions bash", "pod request", "pod request --json", "help pod"]
    {
        let output = home.shell(&format!("autonomy {line} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"));
        let said = text(&output.stderr);
        assert!(
            output.status.success() && (said.is_empty() || said.starts_with("\nNext, ")),
            "{line}: {said}"
        );
        let output = home.shell(&format!("autonomy {line} 2>&- </dev/null"));
        assert!(output.status.success(), "{line}");
    }
}

#[test]
fn paths_may_hold_any_bytes() {
    let home = Home::new();
    for (verb, flag, file) in [
        ("pod init --network regtest", "--data-dir", "pod.redb"),
        ("init", "--profile-dir", "profile.redb"),
        ("device request --name x", "--profile-dir", "profile.redb"),
    ] {
        let name = format!("{}-\\xff\\n-ä", verb.split(' ').next().unwrap());
        let line =
            format!("d=$(printf '{name}'); autonomy {verb} --json {flag} \"$d\" && test -e \"$d/{file}\"");
        let output = home.shell(&line);
        assert!(output.status.success(), "{verb}: {}", text(&output.stderr));
        assert!(
            serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(),
            "{}",
            text(&output.stdout)
        );
    }
    let output = home.shell("autonomy man $'man-\\xff'");
    assert!(output.status.success(), "{}", text(&output.stderr));
}
