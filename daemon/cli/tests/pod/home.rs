//! A machine with a pod and a device that connects through the pod's socket.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use autonomy_testnet::{bitcoind::Bitcoind, clock, fixture};
use autonomy_wallet::keys::Seed;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{self, Answer};

/// The longest that anything here may take on a loaded machine.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(180);

/// A Tor network that does not answer.
const DEAD_NETWORK: &str = r#"
[[authority]]
v3ident = "0123456789ABCDEF0123456789ABCDEF01234567"
[[fallback]]
rsa = "89ABCDEF0123456789ABCDEF0123456789ABCDEF"
ed = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
orport = ["127.0.0.1:9"]
"#;

/// Who breaks the one bitcoind waits for those who only use it, and they for it.
static CHAIN: RwLock<()> = RwLock::new(());

/// The bitcoind of these tests, for one that adds to its chain and expects others to.
pub(crate) fn bitcoind() -> (RwLockReadGuard<'static, ()>, &'static Bitcoind) {
    let guard = CHAIN.read().unwrap_or_else(PoisonError::into_inner);
    (guard, fixture::bitcoind())
}

/// The bitcoind of these tests, for one that breaks it. It must be whole again at the end.
pub(crate) fn bitcoind_alone() -> (RwLockWriteGuard<'static, ()>, &'static Bitcoind) {
    let guard = CHAIN.write().unwrap_or_else(PoisonError::into_inner);
    (guard, fixture::bitcoind())
}

/// A folder with a pod and its owner's device. Both open with a key file: a passphrase takes its time by design.
pub(crate) struct Home {
    dir: TempDir,
    pod: Option<Child>,
    /// Keys to P; of a device that was made.
    pub(crate) payer: Option<Seed>,
}

impl Home {
    /// A pod that was made, and does not run.
    pub(crate) fn new(node: &Bitcoind, network: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("network.toml"), DEAD_NETWORK).unwrap();
        fs::write(dir.path().join("key"), [7; 32]).unwrap();
        fs::set_permissions(dir.path().join("key"), fs::Permissions::from_mode(0o600)).unwrap();
        let home = Self { dir, pod: None, payer: None };
        home.point_at(node);
        home.json(&["pod", "init", "--network", network]);
        home
    }

    /// A pod that belongs to this machine's device and runs.
    pub(crate) fn adopted(node: &Bitcoind) -> Self {
        let mut home = Self::new(node, "regtest");
        let words = home.json(&["init"])["payment_words"].as_str().unwrap().to_owned();
        home.payer = Some(Seed::from_words(&words).unwrap());
        let request = home.json(&["pod", "request"])["request"].as_str().unwrap().to_owned();
        let bundle = home.json(&["provision", &request, "--yes"])["bundle"].as_str().unwrap().to_owned();
        home.json(&["pod", "adopt", &bundle]);
        home.start();
        home.synced(node);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("pod/pod.sock")
    }

    /// Follows this bitcoind, from the next start on.
    pub(crate) fn point_at(&self, node: &Bitcoind) {
        self.settings(&format!(
            "[bitcoind]\nurl = {}\ncookie_file = {}\n[tor]\nnetwork_file = {}\nbootstrap_seconds = 2\n",
            json!(node.rpc_url()),
            json!(node.cookie_file()),
            json!(self.path("network.toml"))
        ));
    }

    /// Writes the settings file: a JSON string is a TOML string.
    pub(crate) fn settings(&self, sections: &str) {
        let paths = [("data_dir", "pod"), ("profile_dir", "device"), ("key_file", "key")];
        let paths = paths.map(|(name, path)| format!("{name} = {}\n", json!(self.path(path))));
        fs::write(self.path("config.toml"), paths.concat() + sections).unwrap();
    }
}

// Commands.
impl Home {
    pub(crate) fn command(&self, program: &str, line: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(line)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("AUTONOMY_CONFIG", self.path("config.toml"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn autonomy(&self, line: &[&str]) -> Command {
        self.command(env!("CARGO_BIN_EXE_autonomy"), line)
    }

    pub(crate) fn run(&self, line: &[&str]) -> Output {
        self.autonomy(&[line, &["--json"]].concat()).output().unwrap()
    }

    /// What a command that succeeds prints.
    pub(crate) fn json(&self, line: &[&str]) -> Value {
        let output = self.run(line);
        assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same, as the device at the pod's socket.
    pub(crate) fn device(&self, line: &[&str]) -> Value {
        let socket = self.socket();
        self.json(&[line, &["--pod-socket", socket.to_str().unwrap()]].concat())
    }

    /// What a command that fails says, in words and without a panic.
    pub(crate) fn failure(&self, line: &[&str]) -> String {
        let output = self.run(line);
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{line:?} should fail: {}", text(&output.stdout));
        assert!(!said.is_empty() && !said.contains("panicked"), "{line:?}: {said}");
        said
    }
}

// The pod's process.
impl Home {
    pub(crate) fn start(&mut self) {
        self.spawn(self.autonomy(&["pod", "run"]));
        self.wait("it answers", |_| true);
    }

    pub(crate) fn spawn(&mut self, mut command: Command) {
        let log = fs::File::create(self.path("log")).unwrap();
        self.pod = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// As a power cut.
    pub(crate) fn kill(&mut self) {
        if let Some(mut pod) = self.pod.take() {
            pod.kill().unwrap();
            pod.wait().unwrap();
        }
    }

    /// The same, while another thread talks to the pod; [`Home::cut`] then brings it back.
    pub(crate) fn power_off(&self) {
        let pid = self.pod.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    }

    /// Power cut, and power back.
    pub(crate) fn cut(&mut self) {
        self.kill();
        self.start();
    }

    /// Asks the pod to end, as a service manager does.
    pub(crate) fn signal_end(&self) {
        let pid = self.pod.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    }

    /// The same, and waits; gives whether it ended well.
    pub(crate) fn terminate(&mut self) -> bool {
        self.signal_end();
        self.ends().success()
    }

    /// Waits for the pod to end by itself.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let mut pod = self.pod.take().unwrap();
        let mut ended = None;
        let waited = clock::wait_until(TEST_TIMEOUT, || {
            ended = pod.try_wait().unwrap();
            ended.is_some()
        });
        if waited.is_err() {
            pod.kill().unwrap();
        }
        ended.unwrap_or_else(|| panic!("the pod does not end: {}", self.log()))
    }
}

// What the pod says.
impl Home {
    /// A request with a body and the headers given.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        http::send(&self.socket(), &http::request(method, path, headers, body))
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.ask("GET", path, &[], b"").ok()
    }

    /// Posts JSON under an idempotency key.
    pub(crate) fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let key = format!("Idempotency-Key: {key}");
        self.ask("POST", path, &["Content-Type: application/json", &key], body.to_string().as_bytes())
    }

    /// Waits until the pod's own status is as `ready` wants it.
    pub(crate) fn wait(&self, what: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let waited = clock::wait_until(TEST_TIMEOUT, || {
            let answer = self.ask("GET", "/v1/status", &[], b"");
            last = serde_json::from_str(&answer.body).unwrap_or_default();
            answer.status == 200 && ready(&last)
        });
        assert!(waited.is_ok(), "waiting until {what}: {last}\n{}", self.log());
        last
    }

    /// Waits until the pod has read all blocks of this bitcoind. The tip is
    /// asked for each time: stories that share the bitcoind mine beside us.
    pub(crate) fn synced(&self, node: &Bitcoind) -> Value {
        self.wait("the chain is read", |status| {
            let tip = node.block_hash(node.height().unwrap()).unwrap();
            status["chain"]["state"] == "synced" && status["chain"]["tip"] == tip.as_str()
        })
    }

    /// Waits until the chain source is away, for a reason that holds `word`.
    pub(crate) fn away(&self, word: &str) -> Value {
        self.wait(&format!("bitcoind is away: {word}"), |status| {
            let chain = &status["chain"];
            chain["state"] == "away" && chain["detail"].as_str().is_some_and(|detail| detail.contains(word))
        })
    }

    pub(crate) fn balance(&self, part: &str) -> u64 {
        self.get("/v1/accounts")["accounts"][0]["balance"][part].as_u64().unwrap()
    }

    pub(crate) fn wait_for_balance(&self, part: &str, sat: u64) {
        let waited = clock::wait_until(TEST_TIMEOUT, || self.balance(part) == sat);
        assert!(waited.is_ok(), "{part} is {} and not {sat}\n{}", self.balance(part), self.log());
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path as an argument.
pub(crate) fn argument(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
