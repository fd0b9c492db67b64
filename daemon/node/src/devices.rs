//! Who the pod is, whom it belongs to, and which devices may enter, and how far.

mod address;
mod owner;

use autonomy_messaging::{
    Access, Certificate, Name, OnionSeed, RoleKind, RootPublic, UnverifiedCertificate,
    messenger::Own,
    place::Place,
    provision::{Bundle, PodRequest, SealedBundle},
};
use serde::{Deserialize, Serialize};

pub use self::{address::PeerAddress, owner::Owner};
use super::{
    Answer, Caller, DeviceKey, Effect, Refusal, Reply, Timestamp,
    context::Context,
    disk,
    identity::{IDENTITY, Identity},
    row::{Row, tag},
    table::{Held, Restore, Single, Table},
};
use autonomy_api::{AddDevice, Device, Devices, EventKind, Hex, written};

/// Devices of a pod. Restricted discovery has room for about 160 keys, spare ones and the pod's own included.
pub(super) const MAX_DEVICES: usize = 64;
/// Presence is written down at most this often, seconds: an hour is near enough for a person, and one row an hour
/// and device costs nothing.
const PRESENCE_SECONDS: u64 = 60 * 60;

/// The device that made the bundle, until its owner gives it a name.
const FIRST_DEVICE: &str = "first device";
/// The name on cards until the owner chooses one.
const NAMELESS: &str = "somebody";

/// Whom the pod belongs to.
pub(crate) static OWNER: Table<(), Option<Owner>> = Table::new(tag::OWNER);
/// Devices that may enter.
pub(crate) static DEVICES: Table<DeviceKey, DeviceRecord> = Table::new(tag::DEVICE);

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
    /// Whether its certificate holds at `now`.
    fn check_valid(&self, now: Timestamp) -> Result<(), Refusal> {
        if now > self.not_after {
            return Err(Refusal::CertificateInvalid(format!(
                "it ended at {} and now it is {now}",
                self.not_after
            )));
        }
        Ok(())
    }
}

/// Who the pod is, whom it belongs to, and which devices may enter.
#[derive(Debug, PartialEq)]
pub(super) struct Admission {
    /// The pod's own keys.
    identity: Single<Identity>,
    /// Whom it belongs to; none until a bundle is adopted.
    owner: Single<Option<Owner>>,
    /// Devices that may enter, by the key of their TLS certificates.
    devices: Held<DeviceKey, DeviceRecord>,
}

/// What is asked of it.
impl Admission {
    /// A pod of this identity that nobody owns.
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity: Single::new(&IDENTITY, identity),
            owner: Single::new(&OWNER, None),
            devices: Held::new(&DEVICES),
        }
    }

    /// What of it is restored row by row. The identity is not: without it there is no pod to restore.
    pub(super) fn tables(&mut self) -> [&mut dyn Restore; 2] {
        [&mut self.owner, &mut self.devices]
    }

    /// The pod's own keys.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whom the pod belongs to.
    pub(super) fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// The same, for commands that need one.
    pub(super) fn require_owner(&self) -> Result<&Owner, Refusal> {
        self.owner().ok_or(Refusal::NotAdopted)
    }

    /// The request that a device answers with a bundle: the same each time, until new keys are drawn.
    pub(super) fn pod_request(&self) -> PodRequest {
        self.identity.renewed().map_or_else(|| self.identity.request(), |renewed| renewed.request())
    }

    /// Who the pod is to its contacts.
    ///
    /// # Errors
    /// None before it has an owner. An owner whose record does not hold (the bundle's was checked when it was taken, so
    /// only a damaged row is left) is an error.
    pub(super) fn own_card(&self) -> Result<Option<Own>, BadOwner> {
        let Some(owner) = self.owner() else { return Ok(None) };
        let root = RootPublic::from_bytes(&owner.root).map_err(|error| BadOwner(error.to_string()))?;
        let certificate =
            UnverifiedCertificate::parse(&owner.certificate).map_err(|error| BadOwner(error.to_string()))?;
        let certificate =
            certificate.verify_kept(&root, RoleKind::Pod).map_err(|error| BadOwner(error.to_string()))?;
        let pod_key = self.identity.pod_key();
        let place = |seed: &OnionSeed| Place::new(*seed.public().as_bytes(), (&pod_key).into());
        let mut places = owner.peer_seeds().iter().map(place).collect::<Vec<_>>().into_iter();
        let place = places.next().ok_or_else(|| BadOwner("its peer service has no address".into()))?;
        let earlier = places.next();
        let name = Name::new(NAMELESS).map_err(|error| BadOwner(error.to_string()))?;
        Ok(Some(Own { root, certificate, pod_key, place, earlier, name }))
    }

    /// Checks anew, for each command, that this caller may give one that needs so much access.
    ///
    /// # Errors
    /// Which of the rules the caller fails.
    pub(super) fn check(&self, caller: Caller, needed: Access, now: Timestamp) -> Result<(), Refusal> {
        if let Caller::Device(key) = caller {
            self.devices.get(&key).ok_or(Refusal::NotAdmitted)?.check_valid(now)?;
        }
        let has = self.access(caller).ok_or(Refusal::NotAdmitted)?;
        if has < needed { Err(Refusal::AccessTooLow { needed, has }) } else { Ok(()) }
    }

    /// How far a caller may go; `None` for one who may not enter.
    pub(super) fn access(&self, caller: Caller) -> Option<Access> {
        match caller {
            Caller::Owner => Some(Access::Full),
            Caller::Device(key) => self.devices.get(&key).map(|device| device.access),
        }
    }

    /// How many devices may enter.
    pub(super) fn count(&self) -> u32 {
        self.devices.len() as u32
    }

    /// All devices, oldest first, and spare descriptor keys, as `caller` sees them.
    pub(super) fn list(&self, caller: Caller) -> Devices {
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
    pub(super) fn admit_effect(&self) -> Effect {
        let used = self.devices.values().map(|device| device.descriptor_key);
        Effect::Admit {
            devices: self.devices.iter().map(|(key, device)| (*key, device.access)).collect(),
            descriptor_keys: used.chain(self.spare_keys()).collect(),
        }
    }
}

/// What changes it.
impl Admission {
    /// Takes the bundle that a device sealed to this pod: from now on the pod belongs to its root, and that device may
    /// enter. The messenger must hear of it, see [`Admission::own_card`].
    ///
    /// # Errors
    /// The bundle is not for this pod, is of another owner, or is older than the one taken last.
    pub(super) fn adopt(&mut self, cx: &mut Context<'_>, sealed: &SealedBundle) -> Reply {
        let invalid = |rule: String| Refusal::Invalid { field: "bundle", rule };
        let open = |identity: &Identity| sealed.open(&identity.sealing_secret(), &identity.request(), cx.now);
        // For new keys, or once more for the present ones.
        let renewed = self.identity.renewed();
        let with_new = renewed.and_then(|identity| Some((open(&identity).ok()?, Some(identity))));
        let (bundle, renewed) = match with_new {
            Some(found) => found,
            None => (open(&self.identity).map_err(|error| invalid(error.to_string()))?, None),
        };
        self.check_no_other_owner(&bundle)?;
        if let Some(identity) = renewed {
            cx.row(self.identity.put(identity));
        }
        let device = bundle.device_certificate();
        let key = DeviceKey(*device.subject().as_bytes());
        let mut revoked = self.owner().map(|owner| owner.revoked.clone()).unwrap_or_default();
        revoked.remove(&key);
        let owner = Owner { revoked, ..Owner::of(&bundle, cx.now) };
        let stays =
            self.owner().filter(|before| before.peer_seed == owner.peer_seed).map(|before| before.peer);
        let peer = stays.unwrap_or(owner.peer);
        cx.row(self.owner.put(Some(Owner { peer, ..owner })));
        let known = self.devices.get(&key).map(|device| device.name.clone());
        let name = known.unwrap_or_else(first_device);
        self.let_in(cx, key, &device, name, *bundle.descriptor_key().as_bytes());
        cx.effect(Effect::Adopted);
        Ok(Answer::Adopted)
    }

    /// Draws new keys, to be put to use when a bundle for them is adopted.
    pub(super) fn draw_keys(&mut self, cx: &mut Context<'_>) -> Reply {
        let identity = self.identity.with_next(cx.rng);
        cx.row(self.identity.put(identity));
        Ok(Answer::Done)
    }

    /// A pod that has an owner keeps it: only a newer bundle of the same root is taken. So one whose certificate has run out gets
    /// another.
    fn check_no_other_owner(&self, bundle: &Bundle) -> Result<(), Refusal> {
        let Some(owner) = self.owner() else { return Ok(()) };
        let root = bundle.root();
        if owner.root != *root.as_bytes() {
            let detail = "this pod belongs to somebody else already; make a new pod with `autonomy pod init`";
            return Err(Refusal::Conflict(detail.into()));
        }
        let pinned = UnverifiedCertificate::parse(&owner.certificate)
            .map_err(|error| Refusal::Conflict(error.to_string()))?
            .verify_kept(&root, RoleKind::Pod)
            .map_err(|error| Refusal::Conflict(error.to_string()))?;
        bundle
            .pod_certificate()
            .replaces(&pinned)
            .map_err(|error| Refusal::invalid("bundle", error.to_string()))
    }

    /// Lets a device in that the owner's root has certified, or takes a newer certificate of one that is known.
    ///
    /// # Errors
    /// The certificate does not hold, was taken back, is older than the one known, or there is no room.
    pub(super) fn add_device(&mut self, cx: &mut Context<'_>, body: AddDevice) -> Reply {
        let owner = self.require_owner()?;
        let root =
            RootPublic::from_bytes(&owner.root).map_err(|error| Refusal::Conflict(error.to_string()))?;
        let certificate = body
            .certificate
            .verify(&root, RoleKind::Device, cx.now)
            .map_err(|error| Refusal::invalid("certificate", error.to_string()))?;
        let key = DeviceKey(*certificate.subject().as_bytes());
        self.check_room(key, &certificate)?;
        let described = self.let_in(cx, key, &certificate, body.name, body.descriptor_key.0);
        Ok(Answer::Device(described))
    }

    /// Whether this certificate may be taken.
    fn check_room(&self, key: DeviceKey, certificate: &Certificate) -> Result<(), Refusal> {
        let revoked = self.owner().is_some_and(|owner| owner.has_revoked(&key, certificate.epoch()));
        match self.devices.get(&key) {
            None if revoked => {
                let rule = "this device was revoked; let it in anew, with a certificate made since";
                Err(Refusal::invalid("certificate", rule))
            }
            Some(known) if certificate.epoch() < known.epoch => {
                Err(Refusal::invalid("certificate", "an older epoch than the one this pod has of the device"))
            }
            None if self.devices.len() >= MAX_DEVICES => {
                let remedy = "revoke one that is no longer used";
                Err(Refusal::Full { what: "devices of a pod", limit: MAX_DEVICES, remedy })
            }
            _ => Ok(()),
        }
    }

    /// Lets a device in from now on: the gate hears of it with this step's effects.
    fn let_in(
        &mut self,
        cx: &mut Context<'_>,
        key: DeviceKey,
        certificate: &Certificate,
        name: Name,
        descriptor_key: [u8; 32],
    ) -> Device {
        let record = DeviceRecord {
            name: name.clone(),
            // A certificate that names no access gives the least.
            access: certificate.access().unwrap_or(Access::Minimal),
            descriptor_key,
            epoch: certificate.epoch(),
            not_after: certificate.validity().not_after(),
            added_at: cx.now,
            last_seen: None,
        };
        let described = describe(key, &record, Caller::Owner);
        cx.row(self.devices.put(key, record));
        cx.advance_epoch();
        cx.effect(self.admit_effect());
        cx.notify(EventKind::DeviceAdded { device: key, name });
        described
    }

    /// Shuts a device out: the gate closes its open connections, and the descriptor key it knows is used no more.
    ///
    /// # Errors
    /// There is no such device.
    pub(super) fn revoke_device(&mut self, cx: &mut Context<'_>, key: DeviceKey) -> Reply {
        let device = self.devices.get(&key);
        let device = device.ok_or_else(|| Refusal::Unknown { what: "device", id: key.to_string() })?.clone();
        cx.row(self.devices.remove(&key));
        cx.rows(self.shut_out(key, &device));
        cx.advance_epoch();
        cx.effect(self.admit_effect());
        cx.notify(EventKind::DeviceRevoked { device: key, name: device.name });
        Ok(Answer::Done)
    }

    /// What is kept of a device that is shut out. A pod without an owner has none.
    fn shut_out(&mut self, key: DeviceKey, device: &DeviceRecord) -> Option<Row> {
        let mut owner = self.owner.clone()?;
        owner.shut_out(key, device);
        Some(self.owner.put(Some(owner)))
    }

    /// Writes down, to the hour, that a device was here. One that has just revoked itself is in no list any more.
    pub(super) fn note_presence(&mut self, cx: &mut Context<'_>, key: DeviceKey) {
        let Some(device) = self.devices.get(&key) else { return };
        if device.last_seen.is_some_and(|seen| cx.now.saturating_sub(seen) < PRESENCE_SECONDS) {
            return;
        }
        let record = DeviceRecord { last_seen: Some(cx.now), ..device.clone() };
        cx.row(self.devices.put(key, record));
    }
}

/// The owner's record does not hold: its row is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the owner of this pod cannot be read: {0}")]
pub struct BadOwner(String);

/// The name of the device that made the bundle.
#[expect(clippy::expect_used, reason = "two words are a visible line, as a test shows")]
fn first_device() -> Name {
    Name::new(FIRST_DEVICE).expect("two words are a visible line")
}

/// A device as `caller` sees it.
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
