//! What dialling costs: prints figures of this machine and network.
//!
//! ```text
//! cargo run --release -p autonomy-onion --example dial_figures              # a private network of its own
//! cargo run --release -p autonomy-onion --example dial_figures -- public    # the public Tor network
//! cargo run --release -p autonomy-onion --example dial_figures -- FILE      # a private network that runs
//! ```
#![expect(clippy::print_stdout, reason = "a program that reports to a person")]

use std::{error::Error, path::Path, time::Duration};

use autonomy_onion::{
    CircuitRole, DescriptorSecret, DialPolicy, OnionAddress, OnionKey, OnionStream, PrivateNetwork,
    ServiceAccess, ServiceConfig, Tor, TorConfig, TorNetwork, reachability,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ECHO: u16 = 7;
const COLD_DIALS: usize = 30;
const WARM_DIALS: usize = 30;
const ROUND_TRIPS: usize = 100;
const BULK: usize = 4 << 20;

fn main() -> Result<()> {
    let network = network()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(measure(network));
    runtime.shutdown_timeout(Duration::from_secs(3));
    done
}

/// The network the arguments name; our own by default, which ends with this program.
fn network() -> Result<TorNetwork> {
    let file = match std::env::args().nth(1).as_deref() {
        Some("public") => return Ok(TorNetwork::Public),
        Some(file) => file.into(),
        None => autonomy_testnet::fixture::tor().network_file(),
    };
    Ok(TorNetwork::Private(PrivateNetwork::load(&file)?))
}

async fn measure(network: TorNetwork) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pod = start("pod", &folder.path().join("pod"), &network).await?;
    let device = start("device", &folder.path().join("device"), &network).await?;

    let key = DescriptorSecret::generate(&mut rand_core::OsRng);
    let launched = Instant::now();
    let hidden = pod.launch(service("restricted", ServiceAccess::Restricted(vec![key.public()]))).await?;
    let report = reachability::watch(hidden.clone());
    let onion = hidden.address();
    device.add_discovery_key(&onion, &key)?;
    first_dial(&device, &onion).await?;
    figure("launch to first dial", launched.elapsed());
    report.reachable().await;
    figure("launch to reachable by self-dial", launched.elapsed());

    let open = pod.launch(service("open", ServiceAccess::Open)).await?;
    first_dial(&device, &open.address()).await?;
    dials("restricted", &device, &onion).await?;
    dials("open", &device, &open.address()).await?;
    let mut stream = device.connect(&onion, ECHO, &DialPolicy::new(CircuitRole::APP)).await?;
    echoes(&mut stream).await?;
    println!("{:<34} {:>9} MB", "resident, both clients", resident_mb());
    Ok(())
}

async fn start(name: &str, dir: &Path, network: &TorNetwork) -> Result<Tor> {
    let begin = Instant::now();
    let config = TorConfig::new(dir).with_network(network.clone());
    let tor = Tor::bootstrap(config, |_| {}).await?;
    figure(&format!("bootstrap, empty cache ({name})"), begin.elapsed());
    Ok(tor)
}

fn service(nickname: &str, access: ServiceAccess) -> ServiceConfig {
    let seed = *DescriptorSecret::generate(&mut rand_core::OsRng).to_bytes();
    ServiceConfig {
        nickname: nickname.to_owned(),
        key: OnionKey::from_seed(seed),
        access,
        echo_port: Some(ECHO),
    }
}

async fn first_dial(device: &Tor, onion: &OnionAddress) -> Result<OnionStream> {
    let policy = DialPolicy::new(CircuitRole::APP);
    loop {
        match device.connect(onion, ECHO, &policy).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.retry_after().is_some() => sleep(Duration::from_millis(200)).await,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn dials(what: &str, device: &Tor, onion: &OnionAddress) -> Result<()> {
    let policy = DialPolicy::new(CircuitRole::APP);
    let (mut cold, mut warm, mut failed) = (Vec::new(), Vec::new(), 0);
    for _ in 0..COLD_DIALS {
        device.rotate(onion);
        let begin = Instant::now();
        match device.connect(onion, ECHO, &policy).await {
            Ok(_) => cold.push(begin.elapsed()),
            Err(_) => failed += 1,
        }
    }
    for _ in 0..WARM_DIALS {
        let begin = Instant::now();
        device.connect(onion, ECHO, &policy).await?;
        warm.push(begin.elapsed());
    }
    distribution(&format!("cold connect, {what}"), cold);
    distribution(&format!("connect again, {what}"), warm);
    println!("{:<34} {failed:>9} of {COLD_DIALS}", format!("cold connects failed, {what}"));
    Ok(())
}

async fn echoes(stream: &mut OnionStream) -> Result<()> {
    let mut buffer = [7; 512];
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let begin = Instant::now();
        stream.write_all(&buffer).await?;
        stream.flush().await?;
        stream.read_exact(&mut buffer).await?;
        times.push(begin.elapsed());
    }
    distribution("echo of 512 bytes", times);

    let begin = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let send = async {
        writer.write_all(&vec![7; BULK]).await?;
        writer.flush().await
    };
    let mut heard = vec![0; BULK];
    let (sent, read) = tokio::join!(send, reader.read_exact(&mut heard));
    sent?;
    read?;
    figure("echo of 4 MiB", begin.elapsed());
    Ok(())
}

fn figure(name: &str, time: Duration) {
    println!("{name:<34} {:>9.3} s", time.as_secs_f64());
}

fn distribution(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else { return };
    let at = |percent: usize| times[last * percent / 100].as_secs_f64() * 1000.0;
    println!("{name:<34} {:>9.0} ms p50, {:.0} ms p95, {:.0} ms worst", at(50), at(95), at(100));
}

/// Resident memory of this process; 0 where the system does not tell.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0) / 1024
}
