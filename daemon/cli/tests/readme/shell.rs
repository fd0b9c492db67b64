//! The terminals of the session: commands that end, and those that run on.

use std::{
    env,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use autonomy_testnet::clock;
use tempfile::TempDir;

use crate::{session::shows, terminal::Terminal};

/// The longest that anything here may take on a loaded machine: a Tor network of development builds starts.
const LIMIT: Duration = Duration::from_secs(300);
/// Exit statuses of a pod that is not reached yet, and of one that refuses: it has not seen the block that was just mined.
/// Nothing was done, and the command is repeated.
const NOT_YET: [i32; 2] = [4, 5];

/// One machine with two terminals that run on, and one for everything else.
pub(crate) struct Shell {
    home: TempDir,
    running: Vec<Child>,
    /// What `testnet up` says that others need.
    exports: Vec<(String, String)>,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let shell = Self { home: tempfile::tempdir().unwrap(), running: Vec::new(), exports: Vec::new() };
        assert!(
            shell.programs().join("testnet").exists(),
            "build `testnet` first: cargo test --workspace --no-run"
        );
        shell
    }

    /// The folder of both programs.
    fn programs(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_BIN_EXE_autonomy")).parent().unwrap().to_owned()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:{}", self.programs().display(), env::var("PATH").unwrap_or_default());
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| env::home_dir().map(|home| home.join(".cache"))).unwrap_or_default();
        command.env_clear().current_dir(self.home.path()).env("HOME", self.home.path()).env("PATH", path);
        command.env("XDG_CACHE_HOME", cache).envs(self.exports.iter().cloned());
        let cache = env::var_os("AUTONOMY_TESTNET_CACHE").map(|dir| ("AUTONOMY_TESTNET_CACHE", dir));
        // What a person would type when asked.
        command.envs(cache).env("AUTONOMY_PASSPHRASE", "correct horse").stdin(Stdio::null());
        command
    }

    /// Starts a command that runs on, and waits until it says `last`.
    pub(crate) fn begin(&mut self, line: &str, last: &str) -> String {
        let file = self.home.path().join(format!("terminal-{}", self.running.len()));
        let out = File::create(&file).unwrap();
        let mut command = self.command("bash");
        command.args(["-c", &format!("exec {line}")]).stdout(out.try_clone().unwrap()).stderr(out);
        self.running.push(command.spawn().unwrap());
        let said = || fs::read_to_string(&file).unwrap();
        let there = clock::wait_until(LIMIT, || said().lines().any(|line| shows(last, line)));
        assert!(there.is_ok(), "`{line}` has not said `{last}`:\n{}", said());
        let exports = said();
        let exports = exports.lines().filter_map(|line| line.trim().strip_prefix("export ")?.split_once('='));
        self.exports.extend(exports.map(|(name, value)| (name.to_owned(), value.to_owned())));
        said()
    }

    /// Runs a command to its end. Where the text shows a question with its answer, that answer is typed.
    pub(crate) fn run(&self, line: &str, shown: &[String]) -> String {
        let answer = shown.iter().find_map(|line| line.split_once("[y/N] ").map(|(_, answer)| answer));
        let mut last = String::new();
        let done = clock::wait_until(LIMIT, || {
            let (code, said) = match answer {
                Some(answer) => self.at_terminal(line, answer),
                None => self.piped(line),
            };
            let fine = code.is_some_and(|code| code == 0 || NOT_YET.contains(&code));
            assert!(fine, "`{line}` ended with {code:?}:\n{said}");
            last = said;
            // A list may be asked for again; what was done is not done twice.
            let again = line.starts_with("autonomy history") || line.starts_with("autonomy account show");
            code == Some(0) && (!again || shown.iter().all(|line| last.lines().any(|said| shows(line, said))))
        });
        assert!(done.is_ok(), "`{line}` does not come to what the text shows:\n{last}");
        last
    }

    fn piped(&self, line: &str) -> (Option<i32>, String) {
        let output = self.command("bash").args(["-c", line]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// The same at a terminal of its own, where a question is answered.
    fn at_terminal(&self, line: &str, answer: &str) -> (Option<i32>, String) {
        let mut terminal = Terminal::run(self.command("script"), line);
        if terminal.shows("[y/N] ") {
            terminal.types(format!("{answer}\n").as_bytes());
        }
        terminal.end()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.command("autonomy").args(["agent", "stop"]).output();
        for child in self.running.iter_mut().rev() {
            let _ = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }
}
