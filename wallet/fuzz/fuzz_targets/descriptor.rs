//! Any text as a descriptor: refused, or written again byte for byte.
#![no_main]

use autonomy_wallet::account::{AccountMap, Birthday};
use autonomy_wallet::bitcoin::Network;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let birthday = Birthday { height: 0, time: 0 };
    for network in [Network::Bitcoin, Network::Regtest] {
        if let Ok(map) = AccountMap::from_descriptor(text, "fuzz", network, birthday) {
            assert_eq!(map.descriptor(), text);
        }
    }
});
