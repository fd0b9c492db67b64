//! What the nodes know of the network: asked of authorities over HTTP, read from relays' caches on
//! disk.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// A directory on loopback answers in milliseconds; one that does not is asked again at the next look.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// The largest answer read: descriptors of [`super::MAX_RELAYS`] + 3 nodes of some 3 KiB are 130 KiB.
const MAX_ANSWER: u64 = 4 << 20;

/// The body of a directory's answer, or `None` if it does not answer with success.
pub(super) fn fetch(dir_port: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&dir_port, REQUEST_LIMIT).ok()?;
    stream.set_read_timeout(Some(REQUEST_LIMIT)).ok()?;
    stream.set_write_timeout(Some(REQUEST_LIMIT)).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nAccept-Encoding: identity\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
}

/// How many nodes' descriptors the authority holds.
pub(super) fn descriptors(dir_port: SocketAddr) -> usize {
    fetch(dir_port, "/tor/server/all").map_or(0, |text| lines_that_begin("router ", &text))
}

/// Nodes listed in the consensus that the node in `dir` holds.
pub(super) fn listed(dir: &Path) -> usize {
    let text = fs::read_to_string(dir.join("cached-microdesc-consensus")).unwrap_or_default();
    lines_that_begin("r ", &text)
}

/// Nodes that have `flag` in the consensus that the node in `dir` holds.
pub(super) fn flagged(dir: &Path, flag: &str) -> usize {
    let text = fs::read_to_string(dir.join("cached-microdesc-consensus")).unwrap_or_default();
    let flags = text.lines().filter_map(|line| line.strip_prefix("s "));
    flags.filter(|flags| flags.split(' ').any(|one| one == flag)).count()
}

/// Whether the node in `dir` holds a consensus with `wanted` nodes and a microdescriptor of each.
pub(super) fn is_complete(dir: &Path, wanted: usize) -> bool {
    let cached = |name| fs::read(dir.join(name)).unwrap_or_default();
    let microdescriptors = |name| lines_that_begin("onion-key", &String::from_utf8_lossy(&cached(name)));
    // A microdescriptor lies in the journal (.new) or, after a rebuild, in the cache; for a moment in both.
    listed(dir) == wanted
        && microdescriptors("cached-microdescs") + microdescriptors("cached-microdescs.new") >= wanted
}

/// Counts lines with a prefix.
fn lines_that_begin(prefix: &str, text: &str) -> usize {
    text.lines().filter(|line| line.starts_with(prefix)).count()
}
