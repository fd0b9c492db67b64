//! The nodes' identities, made by tor's own tools, all at once.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::config::NodeRole;
use super::{AUTHORITIES, Node, TorError};
use crate::ports::Ports;
use crate::provision::TorPrograms;

/// Protects an authority's identity key in its file; key and file are removed with the network.
const PASSPHRASE: &[u8] = b"testnet\n";
/// Months an authority's certificate is good for.
const CERTIFICATE_MONTHS: &str = "12";

/// What names a node to others.
#[derive(Debug, Clone)]
pub(super) struct Identities {
    /// Fingerprint of the RSA identity, 40 hex digits.
    pub(super) rsa: String,
    /// Ed25519 identity, base64 without padding.
    pub(super) ed25519: String,
    /// An authority's signing identity, 40 hex digits.
    pub(super) v3ident: Option<String>,
}

/// A node before it has keys.
struct Plan {
    /// Its name in the network.
    nickname: String,
    role: NodeRole,
    /// Its folder.
    dir: PathBuf,
    /// Where it accepts circuits.
    or_port: SocketAddr,
}

/// Makes the folders and keys of [`AUTHORITIES`] authorities and `relays` relays under `dir`, all
/// at once.
///
/// # Errors
/// There are no ports left, or a tool failed.
pub(super) fn make_nodes(
    dir: &Path,
    ports: &Ports,
    programs: &TorPrograms,
    relays: usize,
) -> Result<Vec<Node>, TorError> {
    let mut plans = Vec::new();
    for number in 0..AUTHORITIES + relays {
        let (nickname, role) = if number < AUTHORITIES {
            (format!("auth{number}"), NodeRole::Authority { dir_port: ports.draw()? })
        } else {
            (format!("relay{}", number - AUTHORITIES), NodeRole::Relay)
        };
        plans.push(Plan { dir: dir.join(&nickname), nickname, role, or_port: ports.draw()? });
    }
    std::thread::scope(|scope| {
        let makers: Vec<_> =
            plans.into_iter().map(|plan| scope.spawn(move || make_node(plan, programs))).collect();
        makers
            .into_iter()
            .map(|maker| maker.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
            .collect()
    })
}

/// Makes the folder and keys of one node.
///
/// Key generation is the slowest part of a start, so nodes are made in parallel.
fn make_node(plan: Plan, programs: &TorPrograms) -> Result<Node, TorError> {
    let Plan { nickname, role, dir, or_port } = plan;
    let keys = dir.join("keys");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&keys);
    made.map_err(|source| TorError::Write { path: keys.clone(), source })?;
    let v3ident = match role.dir_port() {
        Some(dir_port) => Some(authority_key(&nickname, &keys, dir_port, programs)?),
        None => None,
    };
    let (rsa, ed25519) = relay_key(&nickname, &dir, or_port, programs)?;
    Ok(Node { nickname, role, dir, or_port, identities: Identities { rsa, ed25519, v3ident } })
}

/// Makes an authority's identity key, signing key and certificate. Returns the identity's
/// fingerprint.
fn authority_key(
    node: &str,
    keys: &Path,
    dir_port: SocketAddr,
    programs: &TorPrograms,
) -> Result<String, TorError> {
    let failed = |why: String| TorError::Keys { node: node.to_owned(), why };
    let certificate = keys.join("authority_certificate");
    let mut command = programs.gencert.command();
    command
        .args(["--create-identity-key", "--passphrase-fd", "0", "-m", CERTIFICATE_MONTHS, "-a"])
        .arg(dir_port.to_string())
        .arg("-i")
        .arg(keys.join("authority_identity_key"))
        .arg("-s")
        .arg(keys.join("authority_signing_key"))
        .arg("-c")
        .arg(&certificate);
    run(command, PASSPHRASE).map_err(failed)?;
    let text = fs::read_to_string(&certificate).map_err(|e| failed(e.to_string()))?;
    let fingerprint = text.lines().find_map(|line| line.strip_prefix("fingerprint "));
    fingerprint.map(str::to_owned).ok_or_else(|| failed("the certificate has no fingerprint".into()))
}

/// Lets tor make the identity of a relay. Returns its RSA fingerprint and Ed25519 key. The
/// configuration is a minimal one of the public network, since a test network's names the
/// authorities, whose keys do not exist yet.
fn relay_key(
    node: &str,
    dir: &Path,
    or_port: SocketAddr,
    programs: &TorPrograms,
) -> Result<(String, String), TorError> {
    let failed = |why: String| TorError::Keys { node: node.to_owned(), why };
    let config = dir.join("torrc-keys");
    let text = format!("DataDirectory {}\nNickname {node}\nORPort {or_port}\nSocksPort 0\n", dir.display());
    super::write(&config, &text)?;
    let defaults = dir.join("defaults");
    super::write(&defaults, "")?;
    let mut command = programs.tor.command();
    command
        .arg("--defaults-torrc")
        .arg(defaults)
        .arg("-f")
        .arg(config)
        .args(["--list-fingerprint", "--quiet"]);
    run(command, b"").map_err(failed)?;
    let last_word = |name: &str| {
        let text = fs::read_to_string(dir.join(name)).map_err(|e| failed(format!("{name}: {e}")))?;
        let word = text.split_ascii_whitespace().last().map(str::to_owned);
        word.ok_or_else(|| failed(format!("{name} is empty")))
    };
    Ok((last_word("fingerprint")?, last_word("fingerprint-ed25519")?))
}

/// Runs a tool with `input` until it ends.
///
/// # Errors
/// Its exit status and output.
fn run(mut command: Command, input: &[u8]) -> Result<(), String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends without reading says why below.
        let _ = stdin.write_all(input);
    }
    let Output { status, stdout, stderr } = child.wait_with_output().map_err(|e| e.to_string())?;
    if status.success() {
        return Ok(());
    }
    let words = [stdout, stderr].concat();
    Err(format!("{status}: {}", String::from_utf8_lossy(&words).trim()))
}
