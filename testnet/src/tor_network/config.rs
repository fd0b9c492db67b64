//! The texts of a network: `torrc` of every node, and the file that describes the network to pods.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::Node;

/// Seconds between votes. With 10 s the network is up sooner, but onion services lose their places each
/// time; 300 s has proven stable. It divides a day, as tor demands, so that the clock of votes is simply
/// the Unix time modulo the interval plus an offset.
pub(super) const VOTING_INTERVAL: u64 = 300;

/// Minutes of a time period of onion services. C tor on a test network takes 24 voting intervals: 120
/// minutes. Arti takes the consensus parameter; both must agree on where descriptors lie.
const HSDIR_INTERVAL: u64 = VOTING_INTERVAL * 24 / 60;

/// Shortest circuit build timeout, milliseconds. On loopback clients learn one of some ten milliseconds,
/// and then fail at random.
const CIRCUIT_TIMEOUT: u64 = 10_000;

/// What a node does, and the ports only that role has.
#[derive(Debug, Clone)]
pub(super) enum NodeRole {
    /// A directory authority with its directory port.
    Authority { dir_port: SocketAddr },
    /// A relay, which also serves as guard, exit and directory of onion services.
    Relay,
}

impl NodeRole {
    /// The directory port, which only authorities have.
    pub(super) fn dir_port(&self) -> Option<SocketAddr> {
        match self {
            NodeRole::Authority { dir_port } => Some(*dir_port),
            NodeRole::Relay => None,
        }
    }
}

/// Lines that any process of the network has, clients included. `DisableDebuggerAttachment 0` leaves the
/// process's environment readable, by which the world's reaper finds it.
pub(super) fn common(nodes: &[Node], data: &std::path::Path) -> String {
    let mut text = format!(
        "TestingTorNetwork 1\n\
         DataDirectory {}\n\
         ShutdownWaitLength 0\n\
         DisableDebuggerAttachment 0\n\
         PathsNeededToBuildCircuits 0.25\n\
         Log notice stdout\n",
        data.display(),
    );
    for node in nodes {
        if let (NodeRole::Authority { dir_port }, Some(v3ident)) = (&node.role, &node.identities.v3ident) {
            let (name, or_port, rsa) = (&node.nickname, node.or_port.port(), &node.identities.rsa);
            let _ = writeln!(
                text,
                "DirAuthority {name} orport={or_port} no-v2 v3ident={v3ident} {dir_port} {rsa}"
            );
        }
    }
    text
}

/// The configuration of `node`. A vote ends, and its consensus begins, at the Unix time `vote`, and then
/// every [`VOTING_INTERVAL`].
pub(super) fn torrc(node: &Node, nodes: &[Node], vote: u64) -> String {
    let mut text = common(nodes, &node.dir);
    let _ = write!(
        text,
        "Nickname {}\n\
         Address {}\n\
         ORPort {}\n\
         SocksPort 0\n\
         AssumeReachable 1\n\
         ContactInfo none@example.invalid\n\
         ExitRelay 1\n\
         ExitPolicy accept *:*\n\
         ExitPolicyRejectPrivate 0\n",
        node.nickname,
        node.or_port.ip(),
        node.or_port,
    );
    if let NodeRole::Authority { dir_port } = node.role {
        let _ = write!(text, "DirPort {dir_port}\n{}", authority(vote));
    }
    text
}

/// The lines that only an authority has: its voting schedule, and flags for nodes on loopback.
fn authority(vote: u64) -> String {
    format!(
        "AuthoritativeDirectory 1\n\
         V3AuthoritativeDirectory 1\n\
         AuthDirMaxServersPerAddr 0\n\
         TestingDirAuthVoteExit *\n\
         TestingDirAuthVoteGuard *\n\
         TestingDirAuthVoteHSDir *\n\
         TestingMinExitFlagThreshold 0\n\
         MinUptimeHidServDirectoryV2 0\n\
         V3AuthNIntervalsValid 2\n\
         V3AuthVotingInterval {VOTING_INTERVAL}\n\
         V3AuthVoteDelay 2\n\
         V3AuthDistDelay 2\n\
         TestingV3AuthInitialVotingInterval {VOTING_INTERVAL}\n\
         TestingV3AuthInitialVoteDelay 2\n\
         TestingV3AuthInitialDistDelay 2\n\
         TestingV3AuthVotingStartOffset {offset}\n\
         ConsensusParams hsdir_interval={HSDIR_INTERVAL} cbtmintimeout={CIRCUIT_TIMEOUT}\n",
        offset = vote % VOTING_INTERVAL,
    )
}

/// What an authority remembers of the nodes (`router-stability`): each was up for a hundred days.
///
/// Without a memory authorities call a node stable when it is up longer than half of the others.
/// The authorities themselves are, so of the relays often only two or three count as stable; and
/// onion services want stable relays for guards, vanguards and introduction points. A mean time
/// between failures above five days makes a node stable whatever the others do.
pub(super) fn memory(nodes: &[Node]) -> String {
    // The dates only say that the memory is older than the four hours after which tor trusts it.
    let mut text =
        String::from("format 2\nstored-at 2020-01-02 00:00:00\ntracked-since 2020-01-01 00:00:00\ndata\n");
    for node in nodes {
        let _ = write!(text, "R {}\n+MTBF 8640000 1.00000\n+WFU 8640000 8640000\n", node.identities.rsa);
    }
    text + ".\n"
}

/// The file for pods: authorities, fallback directories and parameters of this network, in the
/// format of `onion/src/network.rs`.
pub(super) fn network_file(nodes: &[Node]) -> String {
    let mut text = String::from("# A private Tor network, for `tor.network` in a pod's configuration.\n\n");
    for v3ident in nodes.iter().filter_map(|node| node.identities.v3ident.as_ref()) {
        let _ = write!(text, "[[authority]]\nv3ident = \"{v3ident}\"\n\n");
    }
    for node in nodes {
        let Node { identities: ids, or_port, .. } = node;
        let _ = write!(
            text,
            "[[fallback]]\nrsa = \"{}\"\ned = \"{}\"\norport = [\"{or_port}\"]\n\n",
            ids.rsa, ids.ed25519
        );
    }
    let _ = write!(text, "[params]\ncbtmintimeout = {CIRCUIT_TIMEOUT}\nhsdir_interval = {HSDIR_INTERVAL}\n",);
    text
}
