//! A machine with a pod and a device that speak by the pod's socket.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use autonomy_testnet::{
    bitcoind::Bitcoind,
    clock,
    world::{World, WorldConfig},
};
use serde_json::Value;
use tempfile::TempDir;

/// The longest that anything here may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A Tor network that does not answer.
const DEAD_NETWORK: &str = r#"
[[authority]]
v3ident = "0123456789ABCDEF0123456789ABCDEF01234567"
[[fallback]]
rsa = "89ABCDEF0123456789ABCDEF0123456789ABCDEF"
ed = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
orport = ["127.0.0.1:9"]
"#;

/// A chain of one's own, to break.
pub(crate) fn chain() -> World {
    let world = World::fresh(WorldConfig::default()).unwrap();
    world.bitcoind().unwrap();
    world
}

pub(crate) struct Home {
    dir: TempDir,
    url: String,
    cookie: PathBuf,
    pod: Option<Child>,
}

impl Home {
    /// A pod that was made, and does not run.
    pub(crate) fn new(node: &Bitcoind, network: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("network.toml"), DEAD_NETWORK).unwrap();
        let home = Self { dir, url: node.rpc_url(), cookie: node.cookie_file(), pod: None };
        home.json(&["pod", "init", "--network", network]);
        home
    }

    /// A pod that belongs to this machine's device and runs.
    pub(crate) fn adopted(node: &Bitcoind) -> Self {
        let mut home = Self::new(node, "regtest");
        home.json(&["init"]);
        let request = home.json(&["pod", "request"])["request"].as_str().unwrap().to_owned();
        let bundle = home.json(&["provision", &request, "--yes"])["bundle"].as_str().unwrap().to_owned();
        home.json(&["pod", "adopt", &bundle]);
        home.start();
        home.wait("the chain is synced", |status| status["chain"]["state"] == "synced");
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Follows another bitcoind from the next start on.
    pub(crate) fn point_at(&mut self, node: &Bitcoind) {
        (self.url, self.cookie) = (node.rpc_url(), node.cookie_file());
    }

    pub(crate) fn command(&self, program: &str, line: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(line)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("AUTONOMY_PASSPHRASE", "correct horse")
            .env("AUTONOMY_DATA", self.path("pod"))
            .env("AUTONOMY_PROFILE", self.path("device"))
            .env("AUTONOMY_TOR_NETWORK", self.path("network.toml"))
            .env("AUTONOMY_BITCOIND_URL", &self.url)
            .env("AUTONOMY_BITCOIND_COOKIE", &self.cookie)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_autonomy"), &[line, &["--json"]].concat()).output().unwrap()
    }

    /// What a command that succeeds prints.
    pub(crate) fn json(&self, line: &[&str]) -> Value {
        let output = self.run(line);
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same, as the device at the pod's socket.
    pub(crate) fn device(&self, line: &[&str]) -> Value {
        let socket = self.socket();
        self.json(&[line, &["--pod-socket", socket.to_str().unwrap()]].concat())
    }

    /// What a command that fails says.
    pub(crate) fn failure(&self, line: &[&str]) -> String {
        let output = self.run(line);
        assert!(
            !output.status.success(),
            "{line:?} should fail: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("pod/pod.sock")
    }

    pub(crate) fn start(&mut self) {
        let program = env!("CARGO_BIN_EXE_autonomy");
        self.start_with(program, &["pod", "run"]);
        self.wait("it answers", |_| true);
    }

    pub(crate) fn start_with(&mut self, program: &str, line: &[&str]) {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut command = self.command(program, line);
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

    /// As a service manager; gives whether it ended well.
    pub(crate) fn terminate(&mut self) -> bool {
        let pid = self.pod.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        self.ends().success()
    }

    /// Waits for the pod to end by itself.
    pub(crate) fn ends(&mut self) -> std::process::ExitStatus {
        let mut pod = self.pod.take().unwrap();
        let mut ended = None;
        let waited = clock::wait_until(PATIENCE, || {
            ended = pod.try_wait().unwrap();
            ended.is_some()
        });
        if waited.is_err() {
            pod.kill().unwrap();
        }
        ended.unwrap_or_else(|| panic!("the pod does not end: {}", self.log()))
    }

    /// Waits until the pod's own status is as `ready` wants it.
    pub(crate) fn wait(&self, what: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let waited = clock::wait_until(PATIENCE, || {
            let output = self.run(&["pod", "status"]);
            last = serde_json::from_slice(&output.stdout).unwrap_or_default();
            output.status.success() && ready(&last)
        });
        assert!(waited.is_ok(), "waiting until {what}: {last}\n{}", self.log());
        last
    }

    pub(crate) fn balance(&self, part: &str) -> u64 {
        self.device(&["account", "list"])["accounts"][0]["balance"][part].as_u64().unwrap()
    }

    pub(crate) fn wait_for_balance(&self, part: &str, sat: u64) {
        let waited = clock::wait_until(PATIENCE, || self.balance(part) == sat);
        assert!(waited.is_ok(), "{part} is {} and not {sat}", self.balance(part));
    }

    /// Sends raw bytes to the socket; gives the status and the body.
    pub(crate) fn raw(&self, request: &[u8]) -> (u16, String) {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A server that refuses early may close before it has read all.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned());
        (status, body)
    }

    /// A request with a body and the headers given.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> (u16, Value) {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        let (status, answer) = self.raw(&[head.as_bytes(), body].concat());
        (status, serde_json::from_str(&answer).unwrap_or(Value::String(answer)))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.kill();
    }
}
