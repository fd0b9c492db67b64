//! What a test asks for: one Tor network for all tests of a test program, started by the first that asks.
//!
//! ```no_run
//! let network = autonomy_testnet::fixture::tor();
//! let file = network.network_file();      // for a pod's or a client's Tor configuration
//! ```
//!
//! A fixture lives until the test program ends; then the kernel ends its processes (see [`crate::process`]),
//! and the next start removes its folder. A fixture that cannot be had panics with the reason: without it
//! the test has no result.

use std::sync::{Mutex, OnceLock};

use crate::clock::unwatched;
use crate::folder::Folder;
use crate::ports::Ports;
use crate::provision::TorPrograms;
use crate::tor_network::{TorNetwork, TorNetworkConfig};

type Error = Box<dyn std::error::Error>;

static TOR: OnceLock<(TorNetwork, Folder, Mutex<Ports>)> = OnceLock::new();

/// The shared Tor network: 3 authorities and 6 relays. A test that kills or freezes relays should start its
/// own ([`TorNetwork::start`]), or mend what it broke.
///
/// # Panics
/// When the network cannot be started.
pub fn tor() -> &'static TorNetwork {
    &TOR.get_or_init(|| start_tor().unwrap_or_else(|e| panic!("no Tor network: {e}"))).0
}

fn start_tor() -> Result<(TorNetwork, Folder, Mutex<Ports>), Error> {
    let folder = Folder::fresh()?;
    let mut ports = Ports::take()?;
    let programs = TorPrograms::find()?;
    let network = TorNetwork::start(&folder, &mut ports, &programs, TorNetworkConfig::default(), &unwatched)?;
    Ok((network, folder, Mutex::new(ports)))
}
