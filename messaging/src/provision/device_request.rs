//! What a further device shows to one that is in already.

use autonomy_codec::{Reader, TextKind, armour, put_bytes_u8};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use super::RequestError;
use crate::{MAX_NAME_LEN, Name, PublicKey, SealingPublic};

const VERSION: u8 = 1;
/// Version (1), device key, sealing key (32 each), name behind its length (65 at most), signature (64).
const MAX_LEN: usize = 1 + 2 * 32 + 1 + MAX_NAME_LEN + 64;
/// What the signed bytes begin with.
const DOMAIN: &[u8] = b"autonomy device request v1\0";

/// A further device asks to be let in; answered with a grant by a device that holds the auth seed.
///
/// Not secret. Whoever answers it lets the holder of `device_key` in: the person compares what both screens show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    device_key: PublicKey,
    sealing_key: SealingPublic,
    name: Name,
    signature: [u8; 64],
}

impl DeviceRequest {
    /// Asks in the name of `device`.
    #[must_use]
    pub fn new(device: &SigningKey, sealing_key: SealingPublic, name: Name) -> Self {
        let mut request = Self { device_key: PublicKey::from(device), sealing_key, name, signature: [0; 64] };
        request.signature = device.sign(&request.message()).to_bytes();
        request
    }

    /// The device's identity key.
    #[must_use]
    pub fn device_key(&self) -> PublicKey {
        self.device_key
    }

    /// What the grant is sealed to.
    #[must_use]
    pub fn sealing_key(&self) -> SealingPublic {
        self.sealing_key
    }

    /// What the device calls itself. The owner may call it otherwise.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The line that is shown.
    #[must_use]
    pub fn to_text(&self) -> String {
        armour::encode(TextKind::DeviceRequest, &[self.unsigned().as_slice(), &self.signature].concat())
    }

    /// Reads the line, and checks that the device key signed it.
    ///
    /// # Errors
    /// [`RequestError`] says whether it is the text, the version, a field or the signature.
    pub fn from_text(text: &str) -> Result<Self, RequestError> {
        Self::from_bytes(&armour::decode(TextKind::DeviceRequest, text, MAX_LEN)?)
    }

    /// The version first, then all fields, then the signature over them.
    fn from_bytes(bytes: &[u8]) -> Result<Self, RequestError> {
        if let Some(&version) = bytes.first().filter(|version| **version != VERSION) {
            return Err(RequestError::Version(version));
        }
        let fields = bytes.get(1..).ok_or(RequestError::Field("its length"))?;
        let request = Self::read(fields).ok_or(RequestError::Field("a key, the name, or its length"))?;
        if !request.device_key.signed(&request.message(), &request.signature) {
            return Err(RequestError::BadSignature);
        }
        Ok(request)
    }

    /// The fields behind the version.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let request = Self {
            device_key: PublicKey::from_bytes(&reader.array()?).ok()?,
            sealing_key: SealingPublic::from_bytes(&reader.array()?).ok()?,
            name: Name::new(std::str::from_utf8(reader.bytes_u8()?).ok()?).ok()?,
            signature: reader.array()?,
        };
        reader.is_empty().then_some(request)
    }

    /// All fields but the signature.
    fn unsigned(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(self.device_key.as_bytes());
        out.extend_from_slice(self.sealing_key.as_bytes());
        put_bytes_u8(&mut out, self.name.as_str().as_bytes());
        out
    }

    /// What the device key signs.
    fn message(&self) -> Vec<u8> {
        [DOMAIN, &self.unsigned()].concat()
    }

    /// What an answer is bound to.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.message()).into()
    }
}
