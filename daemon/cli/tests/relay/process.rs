//! A relay process on a private Tor network: started, used, stopped, and started again.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use autonomy_daemon::peers::{self, Collection, NetworkHandle, tor::OverTor};
use autonomy_messaging::{
    PublicKey,
    lane::{CallId, Lane, LaneRole},
    messenger::Input,
    place::Place,
    wire::{Request, Response, Ticket},
};
use autonomy_onion::{PrivateNetwork, Tor, TorConfig, TorNetwork, peers::PeerAddress};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use crate::world::Mailbox;

/// An onion service may need two minutes until it is found, on a machine that is busy, and whoever collects pauses up to
/// five minutes between attempts.
const REACH: Duration = Duration::from_secs(600);

struct Process {
    folder: TempDir,
    child: Option<Child>,
}

impl Process {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), child: None }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("relay")
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_autonomy"));
        command
            .args(line)
            .arg("--json")
            .arg("--data-dir")
            .arg(self.dir())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts it, and gives what it says.
    fn start(&mut self) -> Lines<BufReader<ChildStdout>> {
        let network = autonomy_testnet::fixture::tor().network_file();
        let mut child = self
            .command(&["relay", "run"])
            .arg("--tor-network")
            .arg(network)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.child = Some(child);
        lines
    }

    fn json(&self, line: &[&str]) -> Value {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads until an event of this kind comes.
fn event(lines: &mut Lines<BufReader<ChildStdout>>, kind: &str) -> Value {
    loop {
        let line = lines.next().expect("it goes on").unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == kind {
            return event;
        }
    }
}

fn place(text: &str) -> Place {
    let address: PeerAddress = text.parse().unwrap();
    Place::new(*address.onion.as_bytes(), PublicKey::from_bytes(&address.key).unwrap())
}

fn lane(role: LaneRole, n: u8) -> Lane {
    Lane { role, party: [n; 16] }
}

struct User {
    network: NetworkHandle,
    events: mpsc::Receiver<Input>,
    calls: u64,
    _folder: TempDir,
}

impl User {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let network = PrivateNetwork::load(&autonomy_testnet::fixture::tor().network_file()).unwrap();
        let config = TorConfig::new(folder.path()).with_network(TorNetwork::Private(network));
        let tor = Tor::bootstrap(config, |_| {}).await.unwrap();
        let (network, events) = peers::start(&tokio::runtime::Handle::current());
        network.attach(Some(Arc::new(OverTor::new(&tor))));
        Self { network, events, calls: 0, _folder: folder }
    }

    /// Asks until there is an answer.
    async fn ask(&mut self, place: Place, lane: Lane, request: Request) -> Response {
        let end = Instant::now() + REACH;
        loop {
            self.calls += 1;
            self.network.call(CallId(self.calls), place, lane, request.clone());
            loop {
                match timeout(REACH, self.events.recv()).await.unwrap().unwrap() {
                    Input::Called { call, outcome: Ok(response) } if call.0 == self.calls => {
                        return response;
                    }
                    Input::Called { outcome: Err(error), .. } => {
                        assert!(Instant::now() < end, "never reached: {error}");
                        break;
                    }
                    _ => {}
                }
            }
        }
    }

    async fn frame(&mut self) -> (u64, u64) {
        loop {
            if let Input::Collected { number, blob, .. } =
                timeout(REACH, self.events.recv()).await.expect("a frame comes").unwrap()
            {
                return (number, u64::from_be_bytes(*blob.as_bytes().first_chunk().unwrap()));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relay_keeps_frames_across_a_restart() {
    let mut process = Process::new();
    let mut lines = process.start();
    let said = event(&mut lines, "place")["place"].as_str().unwrap().to_owned();
    let reported = process.json(&["relay", "place"])["place"].as_str().unwrap().to_owned();
    assert_eq!(said, reported, "the key stays");
    let key = fs::metadata(process.dir().join("relay.key")).unwrap();
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (64, 0o600));
    event(&mut lines, "service");

    let (relay, own) = (place(&said), Mailbox::draw());
    let mut user = User::start().await;
    let (collecting, depositing) = (lane(LaneRole::Collect, 1), lane(LaneRole::Deposit, 1));
    let opened = Box::pin(user.ask(relay, collecting, own.open(Ticket::Open))).await;
    assert_eq!(opened, Response::Done);
    assert_eq!(user.ask(relay, depositing, own.frame(1)).await, Response::Done);
    let wanted =
        Collection { place: relay, lane: collecting, queue: own.queue, capability: own.collect.clone() };
    user.network.collect(vec![wanted]);
    let (number, frame) = user.frame().await;
    assert_eq!(frame, 1);
    assert_eq!(user.ask(relay, collecting, own.ack(number)).await, Response::Done);
    assert_eq!(user.ask(relay, depositing, own.frame(2)).await, Response::Done);
    assert_eq!(user.frame().await.1, 2, "pushed while it listens");

    let counted = process.json(&["relay", "metrics"]);
    assert_eq!((counted["queues"].as_u64(), counted["frames"].as_u64()), (Some(1), Some(1)), "{counted}");
    assert!(process.terminate().success(), "SIGTERM ends it well");

    let _lines = process.start();
    assert_eq!(user.frame().await.1, 2, "what was not acknowledged is pushed by the relay that is back");
    process.terminate();
}
