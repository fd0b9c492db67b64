//! The owner and the owner's devices: who may enter, and how far.

use autonomy_messaging::{
    Access, Certificate, Name, PublicKey, RoleKind, RootPublic, SealingSecret, SigningKey,
    UnverifiedCertificate,
    provision::{Bundle, PodRequest, SealedBundle},
};
use data_encoding::HEXLOWER;
use ed25519_dalek::Signer as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Answer, Caller, DeviceKey, Effect, Node, NodeStatus, Refusal, Reply, SourceState, Timestamp, disk,
    identity::Identity, row::tag, table::Table, turn::Turn,
};
use autonomy_api::{
    AddDevice, ChainState, ChainStatus, Device, Devices, EventKind, Hex, network_of, written,
};

/// Devices of a pod. Restricted discovery has room for about 160 keys, spare ones and the pod's own included.
pub(super) const MAX_DEVICES: usize = 64;
/// Presence is written down at most this often, seconds: an hour is near enough for a person, and one row an hour
/// and device costs nothing.
const PRESENCE_SECONDS: u64 = 60 * 60;

/// The device that made the bundle, until its owner gives it a name.
const FIRST_DEVICE: &str = "first device";

/// Whom the pod belongs to.
pub(crate) static OWNER: Table<(), Option<Owner>> = Table::new(tag::OWNER);
/// Devices that may enter.
pub(crate) static DEVICES: Table<DeviceKey, DeviceRecord> = Table::new(tag::DEVICE);

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

/// A device that may enter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// What its owner calls it.
    #[serde(with = "written")]
    pub name: Name,
    /// How far it may go, as the root certified.
    #[serde(with = "disk::access")]
    pub access: Access,
    /// Its x25519 descriptor key.
    pub descriptor_key: [u8; 32],
    /// Epoch of its certificate.
    pub epoch: u64,
    /// Until when its certificate holds.
    pub not_after: Timestamp,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it last made a request, to the hour.
    pub last_seen: Option<Timestamp>,
}

impl DeviceRecord {
    pub(super) fn check_valid(&self, now: Timestamp) -> Result<(), Refusal> {
        if now > self.not_after {
            return Err(Refusal::CertificateInvalid(format!(
                "it ended at {} and now it is {now}",
                self.not_after
            )));
        }
        Ok(())
    }
}

impl Node {
    pub(super) fn require_owner(&self) -> Result<&Owner, Refusal> {
        self.owner.as_ref().ok_or(Refusal::NotAdopted)
    }

    /// The Ed25519 pod key.
    pub(super) fn pod_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.identity.pod_seed)
    }

    /// Seed of the pod key, for the TLS and libp2p identities of the shell.
    #[must_use]
    pub fn pod_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.identity.pod_seed)
    }

    /// The request that a device answers with a bundle: the same each time, until new keys are drawn.
    #[must_use]
    pub fn pod_request(&self) -> PodRequest {
        match self.identity.renewed() {
            Some(renewed) => self.request_of(&renewed),
            None => self.request_of(&self.identity),
        }
    }

    fn request_of(&self, identity: &Identity) -> PodRequest {
        let sealing = SealingSecret::from_bytes(&identity.sealing_seed).public();
        let key = SigningKey::from_bytes(&identity.pod_seed);
        PodRequest::new(network_of(self.network()), &key, sealing, identity.request_entropy)
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pod_key().sign(message).to_bytes()
    }

    pub(super) fn status(&self) -> NodeStatus {
        let owner = self.owner.as_ref().and_then(|owner| RootPublic::from_bytes(&owner.root).ok());
        NodeStatus {
            network: network_of(self.network()),
            pod_key: PublicKey::from(&self.pod_key()),
            owner,
            state_epoch: self.counters.state_epoch,
            chain: self.chain_status(),
            devices: self.devices.len() as u32,
            accounts: self.accounts.len() as u32,
        }
    }

    fn chain_status(&self) -> ChainStatus {
        let (state, detail, source_height) = match self.chain.source() {
            _ if self.chain.detached().is_some() => {
                (ChainState::Away, self.chain.detached().map(str::to_owned), None)
            }
            SourceState::Away(why) => (ChainState::Away, Some(why.clone()), None),
            SourceState::Syncing(height) => (ChainState::Syncing, None, Some(*height)),
            SourceState::Synced(height) if *height > self.tip_height() => {
                (ChainState::Syncing, None, Some(*height))
            }
            SourceState::Synced(height) => (ChainState::Synced, None, Some(*height)),
        };
        let tip = self.chain.tip().map(|tip| tip.hash);
        ChainStatus { state, height: self.tip_height(), tip, source_height, detail }
    }

    /// How far a caller may go; `None` for one who may not enter.
    pub(super) fn access(&self, caller: Caller) -> Option<Access> {
        match caller {
            Caller::Owner => Some(Access::Full),
            Caller::Device(key) => self.devices.get(&key).map(|device| device.access),
        }
    }

    pub(super) fn device_list(&self, caller: Caller) -> Devices {
        let mut devices: Vec<_> =
            self.devices.iter().map(|(key, device)| describe(*key, device, caller)).collect();
        devices.sort_by_key(|device| device.added_at);
        let spare = self.spare_keys().map(Hex).collect();
        Devices { devices, spare_descriptor_keys: spare }
    }

    /// Spare descriptor keys that no device uses.
    fn spare_keys(&self) -> impl Iterator<Item = [u8; 32]> + '_ {
        let spare = self.owner.iter().flat_map(|owner| owner.spare_descriptor_keys.iter().copied());
        spare.filter(|key| !self.devices.values().any(|device| device.descriptor_key == *key))
    }

    /// Who may enter now, for the gate and the descriptor.
    pub(super) fn admission(&self) -> Effect {
        let used = self.devices.values().map(|device| device.descriptor_key);
        Effect::Admit {
            devices: self.devices.iter().map(|(key, device)| (*key, device.access)).collect(),
            descriptor_keys: used.chain(self.spare_keys()).collect(),
        }
    }
}

impl Turn<'_> {
    /// Takes the bundle a device sealed to this pod: from now on the pod belongs to its root.
    pub(super) fn adopt(&mut self, sealed: &SealedBundle) -> Reply {
        let invalid = |rule: String| Refusal::Invalid { field: "bundle", rule };
        let open = |identity: &Identity| {
            let secret = SealingSecret::from_bytes(&identity.sealing_seed);
            sealed.open(&secret, &self.node.request_of(identity), self.now)
        };
        // For new keys, or once more for the present ones.
        let renewed = self.node.identity.renewed();
        let with_new = renewed.and_then(|identity| Some((open(&identity).ok()?, Some(identity))));
        let (bundle, renewed) = match with_new {
            Some(found) => found,
            None => (open(&self.node.identity).map_err(|error| invalid(error.to_string()))?, None),
        };
        self.check_no_other_owner(&bundle)?;
        if let Some(identity) = renewed {
            self.step.rows.push(self.node.identity.put(identity));
        }
        let owner = Owner {
            root: *bundle.root().as_bytes(),
            certificate: bundle.pod_certificate().to_bytes().to_vec(),
            app_seed: Zeroizing::new(*bundle.app_onion().as_bytes()),
            peer_seed: Zeroizing::new(*bundle.peer_onion().as_bytes()),
            name: bundle.pod_name().as_str().to_owned(),
            spare_descriptor_keys: bundle.spare_keys().iter().map(|key| *key.as_bytes()).collect(),
        };
        self.step.rows.push(self.node.owner.put(Some(owner)));
        self.introduce_owner();
        let device = bundle.device_certificate();
        let key = DeviceKey(*device.subject().as_bytes());
        let known = self.node.devices.get(&key).map(|device| device.name.clone());
        let name = known.unwrap_or_else(|| Name::new(FIRST_DEVICE).expect("two words are a visible line"));
        self.let_in(key, &device, name, *bundle.descriptor_key().as_bytes());
        self.effect(Effect::Adopted);
        Ok(Answer::Adopted)
    }

    /// Draws new keys, to be put to use when a bundle for them is adopted.
    pub(super) fn draw_keys(&mut self) -> Reply {
        let identity = self.node.identity.with_next(self.rng);
        self.step.rows.push(self.node.identity.put(identity));
        Ok(Answer::Done)
    }

    /// A pod that has an owner keeps it: only a newer bundle of the same root is taken.
    fn check_no_other_owner(&self, bundle: &Bundle) -> Result<(), Refusal> {
        let Some(owner) = &*self.node.owner else { return Ok(()) };
        let root = bundle.root();
        if owner.root != *root.as_bytes() {
            let detail = "this pod belongs to somebody else already; make a new pod with `autonomy pod init`";
            return Err(Refusal::Conflict(detail.into()));
        }
        let pinned = UnverifiedCertificate::parse(&owner.certificate)
            .map_err(|error| Refusal::Conflict(error.to_string()))?
            .verify(&root, RoleKind::Pod, self.now)
            .map_err(|error| Refusal::Conflict(error.to_string()))?;
        bundle
            .pod_certificate()
            .replaces(&pinned)
            .map_err(|error| Refusal::invalid("bundle", error.to_string()))
    }

    pub(super) fn add_device(&mut self, body: AddDevice) -> Reply {
        let owner = self.node.require_owner()?;
        let root =
            RootPublic::from_bytes(&owner.root).map_err(|error| Refusal::Conflict(error.to_string()))?;
        let certificate = body
            .certificate
            .verify(&root, RoleKind::Device, self.now)
            .map_err(|error| Refusal::invalid("certificate", error.to_string()))?;
        let key = DeviceKey(*certificate.subject().as_bytes());
        self.check_room(key, &certificate)?;
        let described = self.let_in(key, &certificate, body.name, body.descriptor_key.0);
        Ok(Answer::Device(described))
    }

    fn check_room(&self, key: DeviceKey, certificate: &Certificate) -> Result<(), Refusal> {
        match self.node.devices.get(&key) {
            Some(known) if certificate.epoch() < known.epoch => {
                Err(Refusal::invalid("certificate", "an older epoch than the one this pod has of the device"))
            }
            None if self.node.devices.len() >= MAX_DEVICES => {
                let remedy = "revoke one that is no longer used";
                Err(Refusal::Full { what: "devices of a pod", limit: MAX_DEVICES, remedy })
            }
            _ => Ok(()),
        }
    }

    fn let_in(
        &mut self,
        key: DeviceKey,
        certificate: &Certificate,
        name: Name,
        descriptor_key: [u8; 32],
    ) -> Device {
        let record = DeviceRecord {
            name: name.clone(),
            access: certificate.access().unwrap_or(Access::Minimal),
            descriptor_key,
            epoch: certificate.epoch(),
            not_after: certificate.validity().not_after(),
            added_at: self.now,
            last_seen: None,
        };
        let described = describe(key, &record, Caller::Owner);
        self.step.rows.push(self.node.devices.put(key, record));
        self.advance_epoch();
        let admission = self.node.admission();
        self.effect(admission);
        self.notify(EventKind::DeviceAdded { device: key, name });
        described
    }

    pub(super) fn revoke_device(&mut self, key: DeviceKey) -> Reply {
        let device = self.node.devices.get(&key);
        let device = device.ok_or_else(|| Refusal::Unknown { what: "device", id: key.to_string() })?.clone();
        self.step.rows.push(self.node.devices.remove(&key));
        self.burn_descriptor_key(device.descriptor_key);
        let name = device.name;
        self.advance_epoch();
        let admission = self.node.admission();
        self.effect(admission);
        self.notify(EventKind::DeviceRevoked { device: key, name });
        Ok(Answer::Done)
    }

    /// A spare key that a shut-out device knows is spare no more.
    fn burn_descriptor_key(&mut self, key: [u8; 32]) {
        let Some(mut owner) = self.node.owner.clone() else { return };
        owner.spare_descriptor_keys.retain(|spare| *spare != key);
        self.step.rows.push(self.node.owner.put(Some(owner)));
    }

    /// Writes down, to the hour, that a device was here.
    pub(super) fn note_presence(&mut self, key: DeviceKey) {
        let Some(device) = self.node.devices.get(&key) else { return };
        if device.last_seen.is_some_and(|seen| self.now.saturating_sub(seen) < PRESENCE_SECONDS) {
            return;
        }
        let record = DeviceRecord { last_seen: Some(self.now), ..device.clone() };
        self.step.rows.push(self.node.devices.put(key, record));
    }
}

fn describe(key: DeviceKey, device: &DeviceRecord, caller: Caller) -> Device {
    Device {
        id: key,
        name: device.name.clone(),
        access: device.access,
        added_at: device.added_at,
        last_seen: device.last_seen,
        this_device: caller == Caller::Device(key),
    }
}
