//! The Bitcoin network: the messenger's type on the wire, the wallet's in the checks.

use autonomy_messaging::Network;
use autonomy_wallet::bitcoin;

/// The network as pods and devices name it to each other. Both public test networks of the old kind are `testnet`.
#[must_use]
pub fn network_of(network: bitcoin::Network) -> Network {
    match network {
        bitcoin::Network::Bitcoin => Network::Bitcoin,
        bitcoin::Network::Signet => Network::Signet,
        bitcoin::Network::Regtest => Network::Regtest,
        _ => Network::Testnet,
    }
}

/// The network as the wallet checks addresses and keys against it.
#[must_use]
pub fn wallet_network(network: Network) -> bitcoin::Network {
    match network {
        Network::Bitcoin => bitcoin::Network::Bitcoin,
        Network::Testnet => bitcoin::Network::Testnet,
        Network::Signet => bitcoin::Network::Signet,
        Network::Regtest => bitcoin::Network::Regtest,
    }
}
