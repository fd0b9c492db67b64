//! The answer of an owner to a further device.
//!
//! ```text
//! pod certificate 158 · device certificate 158 · app onion key 32 · spare key number 4 · spare key 32 · network 1
//! · maps 1 + n × (2 + n)
//! ```

use std::fmt;

use autonomy_codec::{Reader, TextKind, armour, put_bytes_u16};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::certificates::{self, Certificates, UnverifiedCertificates, subject_is};
use super::sealed::{self, OVERHEAD, SignedAnswer};
use super::{AnswerError, DeviceRequest};
use crate::{
    Access, AuthSeed, Certificate, CertificateRole, DescriptorSecret, Network, OnionService, PublicKey,
    RootPublic, SealingSecret, TextError, Validity,
};

/// Most account maps that go to a new device with its grant; more can be fetched from the pod.
pub const MAX_MAPS: usize = 16;

/// Longest account map in bytes. A descriptor has about 150 for each member; 15 members (the most that a
/// standard script takes) and their names stay below it.
pub const MAX_MAP_LEN: usize = 4_096;

/// Longest body: two certificates (316), app onion key (32), spare key and its number (36), network and count
/// (2), maps behind their lengths (16 · 4,098) = 65,954 bytes; without maps 386, about 810 characters of text.
const MAX_BODY_LEN: usize = certificates::LEN + 32 + 4 + 32 + 1 + 1 + MAX_MAPS * (2 + MAX_MAP_LEN);

/// The owner's answer to a further device: with it the device finds its pod, and the pod lets it in.
///
/// Secret: with the spare key its holder sees the app service.
pub struct Grant {
    certificates: Certificates,
    /// The key in the address of the pod's app service.
    app_onion: PublicKey,
    spare: SpareKey,
    network: Network,
    /// As the wallet encodes them; not looked into here.
    account_maps: Vec<Vec<u8>>,
}

/// What the owner decides when answering a device.
#[derive(Debug, Clone)]
pub struct GrantTerms {
    /// The certificate of the owner's pod.
    pub pod_certificate: Certificate,
    /// How far the new device may go.
    pub access: Access,
    /// Epoch of its certificate.
    pub epoch: u64,
    /// From when to when its certificate holds.
    pub validity: Validity,
    /// Which life the onion addresses are in.
    pub onion_epoch: u64,
    /// Number of the spare descriptor key it gets; none may be given twice.
    pub spare_index: u32,
    /// The network of the pod.
    pub network: Network,
    /// The account maps, as the wallet encodes them.
    pub account_maps: Vec<Vec<u8>>,
}

/// A descriptor key whose public half the pod knows already.
#[derive(Debug, Clone)]
pub struct SpareKey {
    /// Its number among the spare keys.
    pub index: u32,
    /// The key, from now on this device's own.
    pub secret: DescriptorSecret,
}

/// Why a grant cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadGrant {
    /// The pod's certificate is not from this seed's root, or is not a pod's.
    #[error("the pod's certificate is not one of this owner's")]
    ForeignPod,
    /// More than [`MAX_MAPS`].
    #[error("a grant takes {MAX_MAPS} account maps, these are {0}: let the device fetch the others")]
    TooManyMaps(usize),
    /// Empty, or longer than [`MAX_MAP_LEN`].
    #[error("account map {number} has {len} bytes: 1 to {MAX_MAP_LEN} are possible")]
    MapLength {
        /// Position in the list, from 0.
        number: usize,
        /// Its bytes.
        len: usize,
    },
}

/// A [`Grant`] that only one device can open.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedGrant(Vec<u8>);

impl Grant {
    /// Puts together the answer to `request`: certifies the device key, derives the address of the app onion
    /// service and the spare descriptor key.
    ///
    /// # Errors
    /// [`BadGrant`] if the pod's certificate is not this owner's, or the maps are too many, empty or too long.
    pub fn new(seed: &AuthSeed, request: &DeviceRequest, terms: GrantTerms) -> Result<Self, BadGrant> {
        let root = seed.root_key();
        let pod = terms.pod_certificate;
        if pod.role() != CertificateRole::Pod || pod.root() != root.public() {
            return Err(BadGrant::ForeignPod);
        }
        check_maps(&terms.account_maps)?;
        let role = CertificateRole::Device { access: terms.access };
        let index = terms.spare_index;
        Ok(Self {
            certificates: Certificates {
                pod,
                device: root.certify(role, &request.device_key(), terms.epoch, terms.validity),
            },
            app_onion: seed.onion_seed(OnionService::App, terms.onion_epoch).public(),
            spare: SpareKey { index, secret: seed.spare_descriptor_key(index) },
            network: terms.network,
            account_maps: terms.account_maps,
        })
    }

    /// Signs it as the answer to `request`, and seals it to the device that asked.
    #[must_use]
    pub fn seal(&self, seed: &AuthSeed, request: &DeviceRequest, rng: &mut dyn CryptoRngCore) -> SealedGrant {
        let (root, to) = (seed.root_key(), request.sealing_key());
        SealedGrant(sealed::close(SignedAnswer::Grant, &root, &request.digest(), &self.body(), &to, rng))
    }

    /// Whose device it becomes. The new device knew no owner before: show this to the person.
    #[must_use]
    pub fn root(&self) -> RootPublic {
        self.certificates.pod.root()
    }

    /// The root's certificate for the pod key: what the device pins.
    #[must_use]
    pub fn pod_certificate(&self) -> Certificate {
        self.certificates.pod
    }

    /// The root's certificate for this device.
    #[must_use]
    pub fn device_certificate(&self) -> Certificate {
        self.certificates.device
    }

    /// The key in the address of the app onion service.
    #[must_use]
    pub fn app_onion(&self) -> PublicKey {
        self.app_onion
    }

    /// The descriptor key that is this device's from now on.
    #[must_use]
    pub fn spare_key(&self) -> &SpareKey {
        &self.spare
    }

    /// The network of the pod.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// The account maps, as the wallet encodes them. The device checks them itself before it uses any.
    #[must_use]
    pub fn account_maps(&self) -> &[Vec<u8>] {
        &self.account_maps
    }

    /// All fields, in the order above; wiped when dropped.
    #[expect(clippy::expect_used, reason = "the constructor takes MAX_MAPS maps at most")]
    fn body(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_BODY_LEN));
        out.extend_from_slice(&self.certificates.to_bytes());
        out.extend_from_slice(self.app_onion.as_bytes());
        out.extend_from_slice(&self.spare.index.to_be_bytes());
        out.extend_from_slice(self.spare.secret.as_bytes());
        out.push(self.network.to_byte());
        out.push(u8::try_from(self.account_maps.len()).expect("bounded in the constructor"));
        self.account_maps.iter().for_each(|map| put_bytes_u16(&mut out, map));
        out
    }
}

impl SealedGrant {
    /// The line that is carried to the device.
    #[must_use]
    pub fn to_text(&self) -> String {
        armour::encode(TextKind::Grant, &self.0)
    }

    /// Reads the line. What is in it is not known before [`SealedGrant::open`].
    ///
    /// # Errors
    /// [`TextError`] if it is not one line of this kind, or too long for one.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let bytes = armour::decode(TextKind::Grant, text, MAX_BODY_LEN + OVERHEAD)?;
        Ok(Self(bytes.to_vec()))
    }

    /// Opens it with the key that belongs to `request`, and checks everything in it: the root's signature over
    /// the whole, both certificates at `now` (seconds since 1970), and that the device key is ours.
    ///
    /// # Errors
    /// [`AnswerError`] says what does not hold. Nothing of it is to be used then.
    pub fn open(
        &self,
        secret: &SealingSecret,
        request: &DeviceRequest,
        now: u64,
    ) -> Result<Grant, AnswerError> {
        let opened = sealed::open(&self.0, secret)?;
        let mut reader = Reader::new(opened.body());
        let unverified = UnverifiedCertificates::read(&mut reader)?;
        opened.check(SignedAnswer::Grant, &unverified.claimed_root(), &request.digest())?;
        let certificates = unverified.verify(now)?;
        subject_is(&certificates.device, request.device_key())?;
        read(certificates, reader).ok_or(AnswerError::Field("a key, an account map, or its length"))
    }
}

/// The fields behind the certificates.
fn read(certificates: Certificates, mut reader: Reader<'_>) -> Option<Grant> {
    let app_onion = PublicKey::from_bytes(&reader.array()?).ok()?;
    let index = u32::from_be_bytes(reader.array()?);
    let secret = DescriptorSecret::from_bytes(&Zeroizing::new(reader.array()?));
    let network = Network::from_byte(reader.u8()?)?;
    let count = reader.u8()?;
    let account_maps: Vec<Vec<u8>> =
        (0..count).map(|_| reader.bytes_u16().map(<[u8]>::to_vec)).collect::<Option<_>>()?;
    check_maps(&account_maps).ok()?;
    let spare = SpareKey { index, secret };
    reader.is_empty().then_some(Grant { certificates, app_onion, spare, network, account_maps })
}

/// The rules for account maps, the same when a grant is made and when it is read.
fn check_maps(maps: &[Vec<u8>]) -> Result<(), BadGrant> {
    if maps.len() > MAX_MAPS {
        return Err(BadGrant::TooManyMaps(maps.len()));
    }
    let bad = maps.iter().map(Vec::len).enumerate().find(|(_, len)| !(1..=MAX_MAP_LEN).contains(len));
    bad.map_or(Ok(()), |(number, len)| Err(BadGrant::MapLength { number, len }))
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("pod_certificate", &self.certificates.pod)
            .field("device_certificate", &self.certificates.device)
            .field("network", &self.network)
            .field("account_maps", &self.account_maps.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SealedGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedGrant({} bytes)", self.0.len())
    }
}
