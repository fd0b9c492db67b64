//! The private Tor network, for real.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use autonomy_testnet::fixture;
use autonomy_testnet::tor_network::{AUTHORITIES, RELAYS};

#[test]
fn a_network_comes_up_with_every_relay_in_its_consensus() {
    let network = fixture::tor();
    assert_eq!(network.listed(), AUTHORITIES + RELAYS);
    let text = std::fs::read_to_string(network.network_file()).unwrap();
    assert_eq!(text.matches("[[authority]]").count(), AUTHORITIES);
    assert_eq!(text.matches("[[fallback]]").count(), AUTHORITIES + RELAYS);
}
