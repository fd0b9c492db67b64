//! A person: root key, pod certificates, and the keys of their devices. A pod has none of it.
//!
//! The pod learns of devices by certificates only. Which access level a device has is fixed here by its number, so
//! that a test knows what each may ask.

use std::fmt;

use autonomy_messaging::messenger::ContactId;
use autonomy_messaging::provision::{Bundle, BundleTerms, PodRequest};
use autonomy_messaging::{
    Access, AuthSeed, CertificateRole, DescriptorSecret, Name, PublicKey, SigningKey, Validity,
};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::command::NewDevice;
use crate::pod::WORLD_START;

/// How long certificates are valid, seconds: longer than any world lasts.
const CERTIFIED_FOR: u64 = 10 * 365 * 86_400;

/// The number of the first device, which has full access.
pub(super) const FULL: usize = 0;
/// The number of the device with limited access: it reads, writes and proposes.
pub(super) const LIMITED: usize = 1;
/// The number of the device with minimal access: it sees the status only.
pub(super) const MINIMAL: usize = 2;
/// Devices of each person.
pub(super) const DEVICES: usize = 3;
const ACCESS: [Access; DEVICES] = [Access::Full, Access::Limited, Access::Minimal];

/// Epochs of devices are above those that bundles give to the first one.
const FIRST_DEVICE_EPOCH: u64 = 1 << 32;

/// What a person holds.
pub(super) struct Person {
    auth: AuthSeed,
    devices: [Device; DEVICES],
    /// Epoch of the last bundle. Each newer one replaces those before.
    epoch: u64,
    /// Epoch of the newest certificate of a device: each is made anew, since one that was revoked does not count any more.
    device_epoch: u64,
}

/// The keys of a device.
struct Device {
    key: SigningKey,
    descriptor: [u8; 32],
}

impl Device {
    fn draw(rng: &mut StdRng) -> Self {
        let key = SigningKey::generate(rng);
        let mut descriptor = [0; 32];
        rng.fill_bytes(&mut descriptor);
        Self { key, descriptor }
    }
}

impl Person {
    /// A person with new keys.
    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let auth = AuthSeed::generate(rng);
        let devices = std::array::from_fn(|_| Device::draw(rng));
        Self { auth, devices, epoch: 0, device_epoch: FIRST_DEVICE_EPOCH }
    }

    /// How contacts name this person.
    pub(super) fn contact_id(&self) -> ContactId {
        ContactId::of(&self.auth.root_key().public())
    }

    /// The public key of a device.
    pub(super) fn device_key(&self, device: usize) -> [u8; 32] {
        *PublicKey::from(&self.devices[device].key).as_bytes()
    }

    /// Epoch of the last bundle.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What a pod needs to let a device in: its certificate and its descriptor key.
    #[expect(clippy::expect_used, reason = "short and visible")]
    pub(super) fn new_device(&mut self, device: usize) -> NewDevice {
        self.device_epoch += 1;
        let Device { key, descriptor } = &self.devices[device];
        let role = CertificateRole::Device { access: ACCESS[device] };
        let validity = Validity::lasting(WORLD_START - 86_400, CERTIFIED_FOR);
        let certificate =
            self.auth.root_key().certify(role, &PublicKey::from(key), self.device_epoch, validity);
        NewDevice {
            certificate,
            descriptor_key: *DescriptorSecret::from_bytes(descriptor).public().as_bytes(),
            name: Name::new(&format!("device {device}")).expect("short and visible"),
        }
    }

    /// The answer to a pod's request, with which the pod belongs to this person. It replaces every earlier one.
    #[expect(clippy::expect_used, reason = "short and visible")]
    pub(super) fn bundle(&mut self, request: &PodRequest, seed: u64) -> String {
        self.epoch += 1;
        let terms = BundleTerms {
            pod_name: Name::new("home").expect("short and visible"),
            device_key: PublicKey::from(&self.devices[FULL].key),
            descriptor_key: DescriptorSecret::from_bytes(&self.devices[FULL].descriptor).public(),
            epoch: self.epoch,
            onion_epoch: 0,
            validity: Validity::lasting(WORLD_START - 86_400, CERTIFIED_FOR),
        };
        let mut rng = StdRng::seed_from_u64(seed);
        Bundle::new(&self.auth, request, terms).seal(&self.auth, request, &mut rng).to_text()
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person")
            .field("id", &self.contact_id())
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
