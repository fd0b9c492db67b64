//! `testnet demo` with wrong arguments. Its success is tested by running it: `./check tor`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use std::process::{Command, Output};

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_testnet")).arg("demo").args(args).output().unwrap()
}

#[test]
fn unknown_act_is_refused_with_all_names() {
    let output = demo(&["sing"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("'sing'") && said.contains("possible values: pay"), "{said}");
    assert!(output.stdout.is_empty());
}
