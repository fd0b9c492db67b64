//! The account for Bitcoin Core's own wallet, as a watch-only import.

use serde::Serialize;

use super::{AccountMap, Keychain};

/// Addresses imported on each keychain: Core's own keypool size, far past the gap limit.
pub const CORE_IMPORT_RANGE: u32 = 1000;

/// One entry of `importdescriptors`.
#[derive(Serialize)]
struct Request {
    /// A single-path descriptor with its checksum.
    desc: String,
    /// Core takes new addresses from it.
    active: bool,
    /// Whether they are change.
    internal: bool,
    /// First and last index.
    range: [u32; 2],
    /// From when on Core searches the chain, seconds since 1970.
    timestamp: u64,
}

impl AccountMap {
    /// The argument of Bitcoin Core's `importdescriptors`: receiving and change descriptor, each with its own
    /// checksum, searched from the birthday.
    ///
    /// Use a wallet made with `createwallet "name" disable_private_keys=true blank=true`.
    #[expect(clippy::expect_used, reason = "plain values always have a JSON form")]
    pub fn core_import(&self) -> serde_json::Value {
        let requests: Vec<Request> = self
            .single_path_descriptors()
            .into_iter()
            .zip([false, true])
            .map(|(desc, internal)| Request {
                desc,
                active: true,
                internal,
                range: [0, CORE_IMPORT_RANGE - 1],
                timestamp: self.birthday().time,
            })
            .collect();
        serde_json::to_value(requests).expect("plain values always have a JSON form")
    }

    /// The receiving and the change descriptor, each with checksum, for software that does not read BIP-389.
    pub fn single_path_descriptors(&self) -> [String; 2] {
        Keychain::ALL.map(|keychain| self.parts().single_path(keychain))
    }
}
