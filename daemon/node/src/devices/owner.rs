//! Whom the pod belongs to, and which devices its owner has shut out.

use std::collections::BTreeMap;

use autonomy_messaging::provision::Bundle;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{DeviceRecord, PeerAddress};
use crate::{DeviceKey, Timestamp};

/// Devices that are remembered as shut out, those of the oldest certificates forgotten first: 40 bytes each. An owner has
/// descriptor keys for a handful.
const MAX_REVOKED: usize = 1_024;

/// Whom the pod belongs to, as the bundle said.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// The root's Ed25519 key.
    pub root: [u8; 32],
    /// The root's certificate for the pod key.
    pub certificate: Vec<u8>,
    /// Seed of the app service's key.
    pub app_seed: Zeroizing<[u8; 32]>,
    /// Seed of the peer service's key.
    pub peer_seed: Zeroizing<[u8; 32]>,
    /// What the owner calls the pod.
    pub name: String,
    /// Descriptor keys to hand out to devices that come later.
    pub spare_descriptor_keys: Vec<[u8; 32]>,
    /// Devices that were shut out, each with the epoch of its certificate: only a later one lets it in again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revoked: BTreeMap<DeviceKey, u64>,
    /// Where the peer service is, and since when.
    #[serde(default, skip_serializing_if = "PeerAddress::is_default")]
    pub peer: PeerAddress,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner")
            .field("root", &HEXLOWER.encode(&self.root))
            .field("name", &self.name)
            .field("app_seed", &"[secret]")
            .field("peer_seed", &"[secret]")
            .finish_non_exhaustive()
    }
}

impl Owner {
    /// What a bundle says of its owner. It was checked as it was opened.
    pub(super) fn of(bundle: &Bundle, now: Timestamp) -> Self {
        Self {
            root: *bundle.root().as_bytes(),
            certificate: bundle.pod_certificate().to_bytes().to_vec(),
            app_seed: Zeroizing::new(*bundle.app_onion().as_bytes()),
            peer_seed: Zeroizing::new(*bundle.peer_onion().as_bytes()),
            name: bundle.pod_name().as_str().to_owned(),
            spare_descriptor_keys: bundle.spare_keys().iter().map(|key| *key.as_bytes()).collect(),
            revoked: BTreeMap::new(),
            peer: PeerAddress::first(now),
        }
    }

    /// Remembers a device that is shut out, whose descriptor key is spare no more.
    pub(super) fn shut_out(&mut self, key: DeviceKey, device: &DeviceRecord) {
        self.spare_descriptor_keys.retain(|spare| *spare != device.descriptor_key);
        self.revoked.insert(key, device.epoch);
        while self.revoked.len() > MAX_REVOKED {
            let oldest = self.revoked.iter().min_by_key(|(_, epoch)| **epoch).map(|(key, _)| *key);
            oldest.map(|oldest| self.revoked.remove(&oldest));
        }
    }

    /// Whether a certificate of this epoch was taken back.
    pub(super) fn has_revoked(&self, key: &DeviceKey, epoch: u64) -> bool {
        self.revoked.get(key).is_some_and(|revoked| epoch <= *revoked)
    }
}
