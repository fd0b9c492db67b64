//! The private Tor network, for real.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use autonomy_testnet::fixture;
use autonomy_testnet::tor_network::{AUTHORITIES, RELAYS};
use autonomy_testnet::world::{World, WorldConfig};

#[test]
fn network_starts_with_every_relay_in_the_consensus() {
    let network = fixture::tor();
    assert_eq!(network.listed(), AUTHORITIES + RELAYS);
    // What onion services look for; fewer than all would make them fail now and then.
    for flag in ["Exit", "Fast", "Guard", "HSDir", "Running", "Stable", "V2Dir", "Valid"] {
        assert_eq!(network.flagged(flag), AUTHORITIES + RELAYS, "{flag}");
    }
    let text = std::fs::read_to_string(network.network_file()).unwrap();
    assert_eq!(text.matches("[[authority]]").count(), AUTHORITIES);
    assert_eq!(text.matches("[[fallback]]").count(), AUTHORITIES + RELAYS);
}

#[test]
fn client_builds_circuits_without_and_with_a_relay() {
    let world = World::fresh(WorldConfig::default()).unwrap();
    let network = world.tor().unwrap();
    network.kill_relay(2);
    assert_eq!(network.ended(), ["relay2"]);
    drop(network.client().unwrap());

    network.restart_relay(2).unwrap();
    network.freeze_relay(3);
    assert!(network.ended().is_empty());
    network.thaw_relay(3);

    // The proxy that a client offers leads through the network and out of it.
    let client = network.client().unwrap();
    let node = world.bitcoind().unwrap();
    assert!(through_socks(client.socks(), node.p2p()));
}

/// Asks the SOCKS5 proxy for a connection to `target` (RFC 1928: no authentication, IPv4).
fn through_socks(proxy: SocketAddr, target: SocketAddr) -> bool {
    let IpAddr::V4(ip) = target.ip() else { panic!("loopback is IPv4 here") };
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(&[5, 1, 0]).unwrap();
    let mut hello = [0; 2];
    stream.read_exact(&mut hello).unwrap();
    assert_eq!(hello, [5, 0]);
    let request = [&[5, 1, 0, 1][..], &ip.octets(), &target.port().to_be_bytes()].concat();
    stream.write_all(&request).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    answer[1] == 0
}
