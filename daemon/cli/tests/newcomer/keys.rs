//! `init`: words that arrive, and words that come back from paper.

use crate::home::{Home, text};

/// The words of a new device as `init` prints them, and its identity.
fn born(home: &Home) -> (String, String) {
    let output = home.shell("autonomy init");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let identity = printed.lines().find_map(|line| line.strip_prefix("identity did:")).unwrap();
    let rows = printed.split_once("payment key:").unwrap().1.to_owned();
    (format!("payment key:{rows}"), format!("did:{identity}"))
}

/// The words of one list, in order.
fn words(rows: &str) -> Vec<String> {
    let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
    rows.split_whitespace().filter(is_word).filter(|word| *word != "payment").map(str::to_owned).collect()
}

#[test]
fn words_that_cannot_be_shown_keep_no_keys() {
    for line in [
        "autonomy init >/dev/full",
        "autonomy init >/dev/null",
        "autonomy init >&-",
        "autonomy init --json >/dev/full",
        "autonomy init | true; exit ${PIPESTATUS[0]}",
        "autonomy init --json | true; exit ${PIPESTATUS[0]}",
    ] {
        let home = Home::new();
        let output = home.shell(line);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("no profile was made"), "{line}: {said}");
        assert!(!home.profile().exists(), "{line}");
    }
}

#[test]
fn printed_rows_restore_the_device_as_they_are() {
    let (rows, identity) = born(&Home::new());
    for input in
        [rows.clone(), rows.to_uppercase(), rows.replace('\n', "\r\n"), format!("{rows}\nrm -rf /\n")]
    {
        let home = Home::new();
        let output =
            home.shell_with(&format!("autonomy init --restore --identity {identity} --json"), &input);
        assert!(output.status.success(), "{input}: {}", text(&output.stderr));
    }
}

#[test]
fn words_the_wrong_way_round_are_noticed_by_the_identity() {
    let (rows, identity) = born(&Home::new());
    let (payment, auth) = rows.split_once("identity:").unwrap();
    let home = Home::new();
    let line = format!("autonomy init --restore --identity {identity}");
    let output = home.shell_with(&line, &format!("{auth}\n{payment}\n"));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("another identity") && !home.profile().exists());
}

#[test]
fn words_pasted_at_a_terminal_are_not_shown_and_reach_no_shell() {
    let (rows, identity) = born(&Home::new());
    let home = Home::new();
    let mut terminal = home.terminal("autonomy init --restore; read -t 1 rest; echo \"rest is <$rest>\"");
    terminal.until("End with an empty line.");
    terminal.types(format!("{rows}\necho spilt > spilt\n").as_bytes());
    terminal.until("Is it yours? [y/N] ");
    terminal.types(b"y\n");
    let (code, said) = terminal.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&identity) && said.contains("rest is <>"), "{said}");
    let shown = said.split_once("End with an empty line.").unwrap().1;
    assert!(words(&rows).iter().all(|word| !shown.contains(&format!(" {word} "))), "{shown}");
    assert!(home.profile().exists());
}

#[test]
fn words_are_asked_back_from_paper_before_keys_are_kept() {
    let home = Home::new();
    let mut terminal = home.terminal("autonomy init");
    let printed = terminal.until("From your paper, word ").to_owned();
    let printed = printed.split_once("payment key:").unwrap().1.split_once("From your paper").unwrap().0;
    let rows = printed.split_once("identity:").unwrap();
    let lists = [("payment key", words(rows.0)), ("identity", words(rows.1))];
    assert_eq!(lists.each_ref().map(|(_, words)| words.len()), [24, 24]);
    for (list, words) in &lists {
        for round in 0..2 {
            if (*list, round) != ("payment key", 0) {
                terminal.until("From your paper, word ");
            }
            let question = terminal.until(&format!(" of the {list}: ")).to_owned();
            let number: usize =
                question.rsplit("word ").next().unwrap().split(' ').next().unwrap().parse().unwrap();
            if round == 0 {
                terminal.types(b"zoo-of-mistakes\n");
                terminal.until(&format!("That is not it. Word {number} of the {list}: "));
            }
            assert!(!home.profile().exists(), "nothing is kept before all are right");
            terminal.types(format!("{}\n", words[number - 1]).as_bytes());
        }
    }
    let (code, said) = terminal.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(home.profile().exists());
}

#[test]
fn ctrl_c_while_words_are_asked_back_keeps_no_keys() {
    let home = Home::new();
    let mut terminal = home.terminal("autonomy init; echo status $?; stty -a");
    terminal.until("From your paper, word ");
    terminal.until(": ");
    terminal.types(b"\x03");
    let (_, said) = terminal.end();
    assert!(!home.profile().exists() && !said.contains("status 0"), "{said}");
    assert!(!said.contains("-echo "), "the terminal echoes again: {said}");
}
