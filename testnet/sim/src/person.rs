//! A person: who they are, and the keys of their devices. Nothing of it is in the pod.

use std::fmt;

use autonomy_messaging::messenger::ContactId;
use autonomy_messaging::provision::{Bundle, BundleTerms, PodRequest};
use autonomy_messaging::{
    Access, AuthSeed, CertificateRole, DescriptorSecret, Name, PublicKey, SigningKey, Validity,
};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::command::Newcomer;
use crate::pod::BEGINNING;

/// A certificate outlives every world.
const CERTIFIED_FOR: u64 = 10 * 365 * 86_400;

/// Devices of a person, by how far they may go.
pub(super) const FULL: usize = 0;
pub(super) const LIMITED: usize = 1;
pub(super) const MINIMAL: usize = 2;
pub(super) const DEVICES: usize = 3;
const ACCESS: [Access; DEVICES] = [Access::Full, Access::Limited, Access::Minimal];

/// What a person holds.
pub(super) struct Person {
    auth: AuthSeed,
    devices: [Device; DEVICES],
    /// Of the last bundle that was made; each newer one supersedes those before.
    epoch: u64,
}

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
    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let auth = AuthSeed::generate(rng);
        let devices = std::array::from_fn(|_| Device::draw(rng));
        Self { auth, devices, epoch: 0 }
    }

    /// How others name this person.
    pub(super) fn contact_id(&self) -> ContactId {
        ContactId::of(&self.auth.root_key().public())
    }

    /// The key of a device.
    pub(super) fn device_key(&self, device: usize) -> [u8; 32] {
        *PublicKey::from(&self.devices[device].key).as_bytes()
    }

    /// Of the last bundle.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What a pod needs to let a device in.
    #[expect(clippy::expect_used, reason = "short and visible")]
    pub(super) fn newcomer(&self, device: usize) -> Newcomer {
        let Device { key, descriptor } = &self.devices[device];
        let role = CertificateRole::Device { access: ACCESS[device] };
        let validity = Validity::lasting(BEGINNING - 86_400, CERTIFIED_FOR);
        let certificate = self.auth.root_key().certify(role, &PublicKey::from(key), self.epoch, validity);
        Newcomer {
            certificate,
            descriptor_key: *DescriptorSecret::from_bytes(descriptor).public().as_bytes(),
            name: Name::new(&format!("device {device}")).expect("short and visible"),
        }
    }

    /// The answer to a pod's request: with it the pod belongs to this person.
    #[expect(clippy::expect_used, reason = "short and visible")]
    pub(super) fn bundle(&mut self, request: &PodRequest, seed: u64) -> String {
        self.epoch += 1;
        let terms = BundleTerms {
            pod_name: Name::new("home").expect("short and visible"),
            device_key: PublicKey::from(&self.devices[FULL].key),
            descriptor_key: DescriptorSecret::from_bytes(&self.devices[FULL].descriptor).public(),
            epoch: self.epoch,
            onion_epoch: 0,
            validity: Validity::lasting(BEGINNING - 86_400, CERTIFIED_FOR),
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
