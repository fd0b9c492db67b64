//! The answer of an owner to a pod.
//!
//! ```text
//! pod certificate 158 · device certificate 158 · onion epoch 8 · app onion seed 32 · peer onion seed 32
//! · descriptor key 32 · spare keys 4 × 32 · name 1 + n
//! ```

use std::fmt;

use autonomy_codec::{Reader, TextKind, armour, put_bytes_u8};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::certificates::{self, Certificates, UnverifiedCertificates, subject_is};
use super::sealed::{self, OVERHEAD, SignedAnswer};
use super::{AnswerError, PodRequest};
use crate::{
    Access, AuthSeed, Certificate, CertificateRole, DescriptorPublic, MAX_NAME_LEN, Name, OnionSeed,
    OnionService, PublicKey, RootPublic, SealingSecret, TextError, Validity,
};

/// Spare descriptor keys that a pod learns in advance: so many devices can be added before the pod must hear
/// of new ones. Arti serves a few dozen well; a person has a handful.
pub const SPARE_KEYS: usize = 4;

/// Longest body: two certificates (316), onion epoch (8), two onion seeds (64), descriptor keys (32 · 5), name
/// behind its length (65) = 613 bytes. With seal and signature the text has about 1,180 characters.
const MAX_BODY_LEN: usize = certificates::LEN + 8 + 2 * 32 + 32 * (1 + SPARE_KEYS) + 1 + MAX_NAME_LEN;

/// The owner's answer to a pod: with it the pod has an owner, its addresses, and the first device.
///
/// Secret: the onion seeds are the pod's addresses. A pod keeps it as rows and needs it never again as a whole.
pub struct Bundle {
    certificates: Certificates,
    /// Which addresses of the owner's series these are.
    onion_epoch: u64,
    /// Key of the service where devices enter.
    app_onion: OnionSeed,
    /// Key of the service where the pods of contacts come.
    peer_onion: OnionSeed,
    /// The first device's: without it the device would not see the service.
    descriptor_key: DescriptorPublic,
    /// For devices to come.
    spare_keys: [DescriptorPublic; SPARE_KEYS],
    pod_name: Name,
}

/// What the owner decides when answering a pod.
#[derive(Debug, Clone)]
pub struct BundleTerms {
    /// What the pod is called.
    pub pod_name: Name,
    /// Key of the device that answers; it gets full access.
    pub device_key: PublicKey,
    /// That device's own descriptor key.
    pub descriptor_key: DescriptorPublic,
    /// Epoch of both certificates: higher than that of the pod this one replaces, 1 for the first.
    pub epoch: u64,
    /// Life of the onion addresses: 0, and one more each time the owner wants new addresses.
    pub onion_epoch: u64,
    /// From when to when the certificates hold.
    pub validity: Validity,
}

/// A [`Bundle`] that only one pod can open.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBundle(Vec<u8>);

impl Bundle {
    /// Puts together the answer to `request`: certifies the pod key and the device, derives the onion keys and
    /// the spare descriptor keys 0 to 3.
    #[must_use]
    pub fn new(seed: &AuthSeed, request: &PodRequest, terms: BundleTerms) -> Self {
        let root = seed.root_key();
        let BundleTerms { pod_name, device_key, descriptor_key, epoch, onion_epoch, validity } = terms;
        let device_role = CertificateRole::Device { access: Access::Full };
        Self {
            certificates: Certificates {
                pod: root.certify(CertificateRole::Pod, &request.pod_key(), epoch, validity),
                device: root.certify(device_role, &device_key, epoch, validity),
            },
            onion_epoch,
            app_onion: seed.onion_seed(OnionService::App, onion_epoch),
            peer_onion: seed.onion_seed(OnionService::Peer, onion_epoch),
            descriptor_key,
            spare_keys: [0, 1, 2, 3].map(|index| seed.spare_descriptor_key(index).public()),
            pod_name,
        }
    }

    /// Signs it as the answer to `request`, and seals it to the pod that asked.
    #[must_use]
    pub fn seal(&self, seed: &AuthSeed, request: &PodRequest, rng: &mut dyn CryptoRngCore) -> SealedBundle {
        let (root, to) = (seed.root_key(), request.sealing_key());
        SealedBundle(sealed::close(SignedAnswer::Bundle, &root, &request.digest(), &self.body(), &to, rng))
    }

    /// Whose pod it is.
    #[must_use]
    pub fn root(&self) -> RootPublic {
        self.certificates.pod.root()
    }

    /// The root's certificate for the pod key.
    #[must_use]
    pub fn pod_certificate(&self) -> Certificate {
        self.certificates.pod
    }

    /// The root's certificate for the first device: full access.
    #[must_use]
    pub fn device_certificate(&self) -> Certificate {
        self.certificates.device
    }

    /// Which life the onion addresses are in.
    #[must_use]
    pub fn onion_epoch(&self) -> u64 {
        self.onion_epoch
    }

    /// Key of the app onion service.
    #[must_use]
    pub fn app_onion(&self) -> &OnionSeed {
        &self.app_onion
    }

    /// Key of the peer onion service.
    #[must_use]
    pub fn peer_onion(&self) -> &OnionSeed {
        &self.peer_onion
    }

    /// The first device's descriptor key.
    #[must_use]
    pub fn descriptor_key(&self) -> DescriptorPublic {
        self.descriptor_key
    }

    /// Descriptor keys for devices to come: numbers 0 to 3.
    #[must_use]
    pub fn spare_keys(&self) -> &[DescriptorPublic; SPARE_KEYS] {
        &self.spare_keys
    }

    /// What the owner calls the pod.
    #[must_use]
    pub fn pod_name(&self) -> &Name {
        &self.pod_name
    }

    /// All fields, in the order above; wiped when dropped.
    fn body(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_BODY_LEN));
        out.extend_from_slice(&self.certificates.to_bytes());
        out.extend_from_slice(&self.onion_epoch.to_be_bytes());
        out.extend_from_slice(self.app_onion.as_bytes());
        out.extend_from_slice(self.peer_onion.as_bytes());
        out.extend_from_slice(self.descriptor_key.as_bytes());
        self.spare_keys.iter().for_each(|key| out.extend_from_slice(key.as_bytes()));
        put_bytes_u8(&mut out, self.pod_name.as_str().as_bytes());
        out
    }
}

impl SealedBundle {
    /// The line that is carried to the pod.
    #[must_use]
    pub fn to_text(&self) -> String {
        armour::encode(TextKind::Bundle, &self.0)
    }

    /// Reads the line. What is in it is not known before [`SealedBundle::open`].
    ///
    /// # Errors
    /// [`TextError`] if it is not one line of this kind, or too long for one.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let bytes = armour::decode(TextKind::Bundle, text, MAX_BODY_LEN + OVERHEAD)?;
        Ok(Self(bytes.to_vec()))
    }

    /// Opens it with the key that belongs to `request`, and checks everything in it: the root's signature over
    /// the whole, both certificates at `now` (seconds since 1970), that the pod key is ours, that the device
    /// has full access, and that no descriptor key comes twice.
    ///
    /// # Errors
    /// [`AnswerError`] says what does not hold. The pod stays without an owner, and takes another answer to the same
    /// request.
    pub fn open(
        &self,
        secret: &SealingSecret,
        request: &PodRequest,
        now: u64,
    ) -> Result<Bundle, AnswerError> {
        let opened = sealed::open(&self.0, secret)?;
        let mut reader = Reader::new(opened.body());
        let unverified = UnverifiedCertificates::read(&mut reader)?;
        opened.check(SignedAnswer::Bundle, &unverified.claimed_root(), &request.digest())?;
        let certificates = unverified.verify(now)?;
        subject_is(&certificates.pod, request.pod_key())?;
        if certificates.device.access() != Some(Access::Full) {
            return Err(AnswerError::Field("the first device must have full access"));
        }
        let bundle =
            read(certificates, reader).ok_or(AnswerError::Field("a key, the name, or its length"))?;
        bundle.distinct_keys()
    }
}

impl Bundle {
    /// One key for two purposes would let a device that is revoked keep what another has.
    fn distinct_keys(self) -> Result<Self, AnswerError> {
        let repeated =
            self.spare_keys.iter().enumerate().any(|(position, key)| {
                *key == self.descriptor_key || self.spare_keys[..position].contains(key)
            });
        if repeated || self.app_onion.as_bytes() == self.peer_onion.as_bytes() {
            return Err(AnswerError::Field("one key for two purposes"));
        }
        Ok(self)
    }
}

/// The fields behind the certificates.
fn read(certificates: Certificates, mut reader: Reader<'_>) -> Option<Bundle> {
    let onion_epoch = reader.u64()?;
    let app_onion = OnionSeed::from_bytes(&Zeroizing::new(reader.array()?));
    let peer_onion = OnionSeed::from_bytes(&Zeroizing::new(reader.array()?));
    let mut descriptor = || DescriptorPublic::from_bytes(&reader.array()?).ok();
    let descriptor_key = descriptor()?;
    let spare_keys = [descriptor()?, descriptor()?, descriptor()?, descriptor()?];
    let pod_name = Name::new(std::str::from_utf8(reader.bytes_u8()?).ok()?).ok()?;
    reader.is_empty().then_some(Bundle {
        certificates,
        onion_epoch,
        app_onion,
        peer_onion,
        descriptor_key,
        spare_keys,
        pod_name,
    })
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("pod_certificate", &self.certificates.pod)
            .field("device_certificate", &self.certificates.device)
            .field("onion_epoch", &self.onion_epoch)
            .field("pod_name", &self.pod_name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SealedBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBundle({} bytes)", self.0.len())
    }
}
