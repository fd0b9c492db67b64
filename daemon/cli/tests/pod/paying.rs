//! The command `pay` with a person at the terminal: interrupted, repeated, taken up again.

use std::process::Command;

use autonomy_testnet::bitcoind::Bitcoind;
use serde_json::{Value, json};

use crate::{
    home::{Home, bitcoind, bitcoind_alone, text},
    owner::OUTSIDE,
    terminal::Terminal,
};

/// The coin of the account, satoshi.
const COIN: u64 = 100_000_000;

impl Terminal {
    /// Reads until `text` is shown, and gives all that was shown.
    pub(crate) fn until(&mut self, text: &str) -> &str {
        assert!(self.shows(text), "`{text}` was not shown:\n{}", self.said);
        &self.said
    }

    /// Takes away what runs there, as a power cut would.
    fn kill(mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        for pid in std::fs::read_to_string(children).unwrap().split_whitespace() {
            assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
        }
        self.child.wait().unwrap();
    }
}

/// What Ctrl-C and Ctrl-D type.
const CTRL_C: &[u8] = b"\x03";
const CTRL_D: &[u8] = b"\x04";

/// A device with an account of one coin.
fn rich(node: &Bitcoind) -> Home {
    let home = Home::adopted(node);
    let address = home.device(&["account", "create"])["first_address"].as_str().unwrap().to_owned();
    node.send_to(&address, COIN).unwrap();
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", COIN);
    home
}

impl Home {
    /// A command at a terminal, as the device at the pod's socket.
    fn terminal(&self, line: &str) -> Terminal {
        let autonomy = env!("CARGO_BIN_EXE_autonomy");
        let line = format!("exec {autonomy} {line} --pod-socket {}", self.socket().display());
        Terminal::run(self.command("script", &[]), &line)
    }

    fn pay(&self, more: &str) -> Terminal {
        self.terminal(&format!("pay {OUTSIDE} 0.5 BTC {more}"))
    }

    /// What the account says of itself.
    fn shown(&self) -> Value {
        self.device(&["account", "show"])
    }

    /// A command that fails, as the device at the pod's socket: its exit status and its error.
    fn refused(&self, line: &[&str]) -> (Option<i32>, Value) {
        let socket = self.socket();
        let output = self.run(&[line, &["--pod-socket", socket.to_str().unwrap()]].concat());
        let error = serde_json::from_slice::<Value>(&output.stderr);
        (output.status.code(), error.unwrap_or_else(|_| panic!("{}", text(&output.stderr)))["error"].take())
    }
}

#[test]
fn question_that_is_not_answered_with_yes_frees_the_coins() {
    let (_chain, node) = bitcoind();
    let home = rich(node);
    for (keys, status) in [(&b"n\n"[..], 3), (CTRL_D, 3), (CTRL_C, 130), (b"maybe\n", 3)] {
        let mut terminal = home.pay("");
        terminal.until("Pay this? [y/N] ");
        terminal.types(keys);
        let (code, said) = terminal.end();
        assert_eq!(code, Some(status), "{said}");
        assert!(said.contains("the draft is cancelled"), "{said}");
        let shown = home.shown();
        assert_eq!((&shown["held_sat"], shown["drafts"].as_array().unwrap().len()), (&0.into(), 0));
        assert_eq!(shown["spendable_sat"], COIN);
    }
}

#[test]
fn draft_left_behind_is_named_freed_or_taken_up() {
    let (_chain, node) = bitcoind();
    let home = rich(node);
    let mut killed = home.pay("");
    killed.until("Pay this? [y/N] ");
    killed.kill();
    let shown = home.shown();
    assert_eq!((&shown["held_sat"], &shown["spendable_sat"]), (&COIN.into(), &0.into()));
    let id = shown["drafts"][0]["payment"].as_str().unwrap().to_owned();
    let short = &id[..8];

    let (status, error) = home.refused(&["pay", OUTSIDE, "0.4 BTC", "--yes"]);
    assert_eq!((status, &error["kind"]), (Some(5), &"funds".into()), "{error}");
    let help = error["help"].as_str().unwrap();
    assert!(help.starts_with(&format!("1.00000000 BTC are held by draft {short}")), "{help}");
    assert!(help.contains(&format!("`autonomy payment cancel {short}` frees them")), "{help}");

    let mut resumed = home.terminal(&format!("payment resume {short}"));
    let asked = resumed.until("Pay this? [y/N] ").to_owned();
    assert!(asked.contains(&format!("0.50000000 BTC  {OUTSIDE}")), "{asked}");
    resumed.types(b"y\n");
    let (code, said) = resumed.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(home.refused(&["payment", "resume", short]).0.is_some_and(|code| code != 0));
    let (status, error) = home.refused(&["payment", "cancel", short, "--yes"]);
    assert!(status == Some(5) && error["detail"].as_str().unwrap().contains("no draft any more"), "{error}");
}

#[test]
fn same_payment_is_never_made_twice_by_yes_alone() {
    let (_chain, node) = bitcoind();
    let home = rich(node);
    let pay = ["pay", OUTSIDE, "0.1 BTC", "--yes"];
    let first = home.device(&pay)["id"].as_str().unwrap().to_owned();
    let (status, error) = home.refused(&pay);
    assert_eq!((status, &error["kind"]), (Some(3), &"paid-before".into()), "{error}");
    assert!(error["detail"].as_str().unwrap().contains(&first[..8]), "{error}");
    node.mine(1).unwrap();
    home.synced(node);
    assert_eq!(home.refused(&pay).0, Some(3), "confirmed a moment ago, it counts too");
    assert_ne!(home.device(&[&pay[..], &["--again"]].concat())["id"], first.as_str());
    let mut asked = home.terminal(&format!("pay {OUTSIDE} 0.1 BTC"));
    asked.until("Pay the same a second time? [again/N] ");
    asked.types(b"y\n");
    assert_eq!(asked.end().0, Some(3), "nobody pays twice by habit");
    home.device(&["pay", OUTSIDE, "0.11 BTC", "--yes"]);
}

/// A pod that swapped the recipient of a draft must not get P's signature unseen.
#[test]
fn question_shows_what_is_paid_with_json_too() {
    let (_chain, node) = bitcoind();
    let home = rich(node);
    let mut killed = home.pay("--json");
    let asked = killed.until("Pay this? [y/N] ").to_owned();
    assert!(asked.contains(&format!("0.50000000 BTC  {OUTSIDE}")), "{asked}");
    killed.kill();
    let id = home.shown()["drafts"][0]["payment"].as_str().unwrap()[..8].to_owned();
    let mut resumed = home.terminal(&format!("payment resume {id} --json"));
    let asked = resumed.until("Pay this? [y/N] ").to_owned();
    assert!(asked.contains(&format!("0.50000000 BTC  {OUTSIDE}")), "{asked}");
    resumed.types(b"n\n");
    assert_eq!(resumed.end().0, Some(3));
}

#[test]
fn draft_of_what_was_paid_is_taken_up_as_a_second_payment() {
    let (_chain, node) = bitcoind();
    let home = rich(node);
    let mut killed = home.pay("");
    killed.until("Pay this? [y/N] ");
    killed.kill();
    let id = home.shown()["drafts"][0]["payment"].as_str().unwrap()[..8].to_owned();
    let address = home.device(&["receive"])["address"].as_str().unwrap().to_owned();
    node.send_to(&address, 2 * COIN).unwrap();
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 3 * COIN);
    let paid = home.device(&["pay", OUTSIDE, "0.5 BTC", "--yes"])["id"].as_str().unwrap().to_owned();
    let mut resumed = home.terminal(&format!("payment resume {id}"));
    let asked = resumed.until("Pay the same a second time? [again/N] ").to_owned();
    assert!(asked.contains(&format!("payment {}", &paid[..8])) && asked.contains("pays the same"), "{asked}");
    resumed.types(b"again\n");
    let (code, said) = resumed.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn what_was_typed_before_a_question_does_not_answer_it() {
    let (_chain, node) = bitcoind();
    let home = rich(node);
    let mut terminal = home.pay("");
    terminal.types(b"y\ny\n");
    terminal.until("Pay this? [y/N] ");
    terminal.types(b"n\n");
    let (code, said) = terminal.end();
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(home.shown()["spendable_sat"], COIN);
}

/// The node refuses it, so no mempool has it: its owner may give it up, and says that it is signed.
#[test]
fn refused_payment_is_given_up_with_signed_only() {
    let (_chain, node) = bitcoind();
    let home = rich(node);
    let mut killed = home.pay("");
    killed.until("Pay this? [y/N] ");
    killed.kill();
    let id = home.shown()["drafts"][0]["payment"].as_str().unwrap().to_owned();
    let txid = home.device(&["payment", "show", &id])["txid"].clone();
    // To this node it pays less than nothing.
    node.rpc().call("prioritisetransaction", &json!([txid, 0, -100_000_000])).unwrap();
    let mut resumed = home.terminal(&format!("payment resume {id}"));
    resumed.until("Pay this? [y/N] ");
    resumed.types(b"y\n");
    let (code, said) = resumed.end();
    assert!(code == Some(0) && said.contains("signed, not yet in the network"), "{said}");

    let (status, error) = home.refused(&["payment", "cancel", &id, "--yes"]);
    assert!(status == Some(5) && error["help"].as_str().unwrap().contains("--signed"), "{error}");
    assert_ne!(home.shown()["spendable_sat"], COIN);
    let mut asked = home.terminal(&format!("payment cancel {id} --signed"));
    asked.until("Give it up? [y/N] ");
    asked.types(b"y\n");
    let (code, said) = asked.end();
    assert!(code == Some(0) && said.contains("is given up"), "{said}");
    assert_eq!(home.shown()["spendable_sat"], COIN);
    assert_eq!(home.device(&["payment", "show", &id])["state"], "signed", "whoever has it may send it");
}

#[test]
fn payment_whose_answer_is_lost_ends_in_doubt() {
    let (_chain, node) = bitcoind();
    let home = rich(node);
    let socket = home.socket();
    let line = ["pay", OUTSIDE, "0.1 BTC", "--yes", "--pod-socket", socket.to_str().unwrap()];
    let mut lost = home.autonomy(&line);
    let output = lost.stdout(std::fs::File::create("/dev/full").unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("it was done, but"), "{}", text(&output.stderr));
    assert_eq!(home.device(&["payment", "list"])["payments"].as_array().unwrap().len(), 1);
}

#[test]
fn coin_without_a_block_is_named_where_it_is_missed() {
    // Nobody else may put it into a block.
    let (_chain, node) = bitcoind_alone();
    let home = rich(node);
    let address = home.device(&["receive"])["address"].as_str().unwrap().to_owned();
    node.send_to(&address, 2 * COIN).unwrap();
    home.wait_for_balance("unconfirmed_sat", 2 * COIN);
    let (status, error) = home.refused(&["pay", OUTSIDE, "2 BTC", "--yes"]);
    assert_eq!(status, Some(5), "{error}");
    assert!(error["help"].as_str().unwrap().contains("2.00000000 BTC are unconfirmed"), "{error}");
}
