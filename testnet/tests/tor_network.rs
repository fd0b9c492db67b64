//! The private Tor network, for real.

use autonomy_testnet::clock;
use autonomy_testnet::folder::Folder;
use autonomy_testnet::ports::Ports;
use autonomy_testnet::provision::TorPrograms;
use autonomy_testnet::tor_network::{AUTHORITIES, TorNetwork, TorNetworkConfig};

#[test]
fn a_network_comes_up_with_every_relay_in_its_consensus() {
    let folder = Folder::fresh().unwrap();
    let mut ports = Ports::take().unwrap();
    let config = TorNetworkConfig::default();
    let started = clock::now();
    let last = std::sync::Mutex::new(String::new());
    let progress = |f: f32, what: &str| {
        let mut last = last.lock().unwrap();
        let text = format!("{f:.2} {what}");
        if *last != text {
            println!("{:5.1} {text}", started.elapsed().as_secs_f32());
            *last = text;
        }
    };
    let network =
        TorNetwork::start(&folder, &mut ports, &TorPrograms::find().unwrap(), config, &progress).unwrap();
    println!("ready after {:.1} s", started.elapsed().as_secs_f32());
    assert_eq!(network.listed(), AUTHORITIES + config.relays);
    println!("{}", std::fs::read_to_string(network.network_file()).unwrap());
}
