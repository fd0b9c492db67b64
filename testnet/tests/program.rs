//! The program `testnet`, as a person starts, stops, repeats and loses it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use autonomy_testnet::clock;
use serde_json::Value;

/// A `testnet up` in a folder, killed when the test ends before it.
struct Up {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Up {
    fn start(dir: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testnet"));
        command.args(["up", "--json", "--dir"]).arg(dir).args(more);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The line of step `name`; panics if the program ends without it, or the step failed.
    fn step(&mut self, name: &str) -> Value {
        for line in self.lines.by_ref() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if line["step"] == name {
                assert_eq!(line["ok"], true, "{line}");
                return line;
            }
        }
        panic!("no step {name:?}")
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes of the world in `dir`, by the mark they all inherit.
fn processes(dir: &Path) -> Vec<String> {
    let mark = format!("AUTONOMY_TESTNET_FOLDER={}", dir.display());
    let carries = |pid: &String| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    let names = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let pids = names.map(|name| name.to_string_lossy().into_owned());
    pids.filter(|name| name.parse::<u32>().is_ok()).filter(carries).collect()
}

fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    clock::wait_until(Duration::from_secs(60), condition).unwrap_or_else(|e| panic!("{what}: {e}"));
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("testnet").tempdir().unwrap()
}

#[test]
fn ctrl_c_ends_everything_in_order() {
    let dir = folder();
    let mut up = Up::start(dir.path(), &["--only", "bitcoind"]);
    let settings = up.step("configuration for pods");
    assert!(Path::new(settings["bitcoind_cookie"].as_str().unwrap()).exists());
    assert_eq!(processes(dir.path()).len(), 1);
    up.signal("INT");
    up.step("done");
    assert_eq!(up.exit_code(), Some(0));
    assert_eq!(processes(dir.path()), Vec::<String>::new());
}

#[test]
fn killed_program_leaves_no_process() {
    let dir = folder();
    let mut up = Up::start(dir.path(), &[]);
    // Two halves in the making: 3 authorities and bitcoind at least.
    wait_until("processes start", || processes(dir.path()).len() >= 4);
    up.signal("KILL");
    assert_eq!(up.exit_code(), None);
    wait_until("all end", || processes(dir.path()).is_empty());
}

#[test]
fn second_start_in_the_same_folder_ends_the_first() {
    let dir = folder();
    let mut first = Up::start(dir.path(), &["--only", "bitcoind"]);
    first.step("configuration for pods");
    let before = processes(dir.path());
    let mut second = Up::start(dir.path(), &["--only", "bitcoind"]);
    assert_eq!(first.exit_code(), Some(0));
    second.step("configuration for pods");
    let after = processes(dir.path());
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
}

#[test]
fn second_start_ends_a_hanging_first() {
    let dir = folder();
    let mut first = Up::start(dir.path(), &["--only", "bitcoind"]);
    first.step("configuration for pods");
    let before = processes(dir.path());
    // Held, it cannot stop what it started, but the lock is the kernel's to give back.
    first.signal("STOP");
    let mut second = Up::start(dir.path(), &["--only", "bitcoind"]);
    second.step("configuration for pods");
    assert_eq!(first.exit_code(), None);
    assert!(processes(dir.path()).iter().all(|pid| !before.contains(pid)));
}

#[test]
fn worlds_run_side_by_side() {
    let (one, two) = (folder(), folder());
    let mut ups = [&one, &two].map(|dir| Up::start(dir.path(), &["--only", "bitcoind"]));
    let [first, second] = [0, 1].map(|index: usize| ups[index].step("configuration for pods"));
    assert_ne!(first["bitcoind_url"], second["bitcoind_url"]);
    assert_eq!((processes(one.path()).len(), processes(two.path()).len()), (1, 1));
}

#[test]
fn folder_with_other_files_is_refused_and_kept() {
    let dir = folder();
    fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
    let mut up = Up::start(dir.path(), &[]);
    assert_eq!(up.exit_code(), Some(1));
    let line: Value = serde_json::from_str(&up.lines.next().unwrap().unwrap()).unwrap();
    assert!(line["error"].as_str().unwrap().contains("name another folder"), "{line}");
    assert!(dir.path().join("thesis.txt").exists());
}

#[test]
fn too_few_relays_are_refused_before_anything_starts() {
    let dir = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_testnet"));
    let output = command.args(["up", "--relays", "5", "--dir"]).arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("6 to 40 relays"));
}
