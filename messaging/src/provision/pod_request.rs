//! What a new pod shows to the device of its owner.

use autonomy_codec::{Reader, TextKind, armour};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use super::RequestError;
use crate::{Network, PublicKey, SealingPublic};

const VERSION: u8 = 1;
/// Version, network (1 each), pod key, sealing key, entropy (32 each), signature (64).
const LEN: usize = 1 + 1 + 3 * 32 + 64;
/// What the signed bytes begin with.
const DOMAIN: &[u8] = b"autonomy pod request v1\0";

/// A pod asks for its owner: shown by `pod init`, answered with a bundle.
///
/// As text 289 characters, so that it fits a QR code of version 9 (335 characters of upper case).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRequest {
    network: Network,
    pod_key: PublicKey,
    sealing_key: SealingPublic,
    entropy: [u8; 32],
    signature: [u8; 64],
}

const _: () = assert!(armour::text_len(TextKind::PodRequest, LEN) <= 300);

impl PodRequest {
    /// Asks in the name of `pod`. `entropy` is what the pod contributes to the drawing of R: random, not
    /// secret on its own.
    #[must_use]
    pub fn new(network: Network, pod: &SigningKey, sealing_key: SealingPublic, entropy: [u8; 32]) -> Self {
        let pod_key = PublicKey::from(pod);
        let mut request = Self { network, pod_key, sealing_key, entropy, signature: [0; 64] };
        request.signature = pod.sign(&request.message()).to_bytes();
        request
    }

    /// The network the pod works on.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// The pod's identity key.
    #[must_use]
    pub fn pod_key(&self) -> PublicKey {
        self.pod_key
    }

    /// What the bundle is sealed to.
    #[must_use]
    pub fn sealing_key(&self) -> SealingPublic {
        self.sealing_key
    }

    /// The pod's contribution to the drawing of R.
    #[must_use]
    pub fn entropy(&self) -> &[u8; 32] {
        &self.entropy
    }

    /// The line that is shown.
    #[must_use]
    pub fn to_text(&self) -> String {
        armour::encode(TextKind::PodRequest, &[self.unsigned().as_slice(), &self.signature].concat())
    }

    /// Reads the line, and checks that the pod key signed it.
    ///
    /// # Errors
    /// [`RequestError`] says whether it is the text, the version, a field or the signature.
    pub fn from_text(text: &str) -> Result<Self, RequestError> {
        Self::from_bytes(&armour::decode(TextKind::PodRequest, text, LEN)?)
    }

    /// Version and length first, then all fields, then the signature over them.
    fn from_bytes(bytes: &[u8]) -> Result<Self, RequestError> {
        if let Some(&version) = bytes.first().filter(|version| **version != VERSION) {
            return Err(RequestError::Version(version));
        }
        if bytes.len() != LEN {
            return Err(RequestError::Field("its length"));
        }
        let request = Self::read(&bytes[1..]).ok_or(RequestError::Field("a key or the network"))?;
        if !request.pod_key.signed(&request.message(), &request.signature) {
            return Err(RequestError::BadSignature);
        }
        Ok(request)
    }

    /// The fields behind the version.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(Self {
            network: Network::from_byte(reader.u8()?)?,
            pod_key: PublicKey::from_bytes(&reader.array()?).ok()?,
            sealing_key: SealingPublic::from_bytes(&reader.array()?).ok()?,
            entropy: reader.array()?,
            signature: reader.array()?,
        })
    }

    /// All fields but the signature.
    fn unsigned(&self) -> Vec<u8> {
        let mut out = vec![VERSION, self.network.to_byte()];
        out.extend_from_slice(self.pod_key.as_bytes());
        out.extend_from_slice(self.sealing_key.as_bytes());
        out.extend_from_slice(&self.entropy);
        out
    }

    /// What the pod key signs.
    fn message(&self) -> Vec<u8> {
        [DOMAIN, &self.unsigned()].concat()
    }

    /// What an answer is bound to.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.message()).into()
    }
}
