//! Key packages: what a contact needs to open a session with us, and its secret half.
//!
//! A key package (RFC 9420, section 10) is what a contact needs to begin a group while we are away. The inviter's
//! waits in the queue of an invite; later ones ride in cards. All of ours are of last resort: nobody hands out fresh
//! ones while the pod is off, so one must serve more than once. What that costs in forward secrecy of the first
//! message is bought back by the first commit, and whoever begins a group needs the pair's pre-shared key too.

use std::fmt;

use ed25519_dalek::SigningKey;
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, Capabilities, CredentialType, CredentialWithKey, ExtensionType, KeyPackage,
    KeyPackageBundle, KeyPackageIn, Lifetime, ProtocolVersion,
};
use openmls_libcrux_crypto::CryptoProvider;
use openmls_traits::storage::StorageProvider as _;
use rand_core::CryptoRngCore;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::provider::{LeafSigner, Provider};
use super::storage::{Entities, Storage, decode, encode};
use super::{KeyPackageError, MAX_KEY_PACKAGE, SUITE};
use crate::PublicKey;

/// The longest identity in a key package: 64 bytes hold two keys.
///
/// A root key has 32.
pub const MAX_IDENTITY: usize = 64;
/// Version of a stored own key package.
const VERSION: u8 = 1;
/// Version, signature key, bundle: the public half again with its signature and two private keys of 32 bytes.
const MAX_OWN: usize = 1 + 32 + MAX_KEY_PACKAGE + 256;

/// An own key package with its private parts and the signature key of this contact; part of backups.
///
/// Marked "last resort" (RFC 9420, section 16.8): it opens more than one Welcome, so that a contact who has it
/// in a card can begin anew at any time. Each contact gets one of its own, with a signature key of its own: what
/// is signed in one session proves nothing in another.
pub struct OwnKeyPackage {
    /// Signs in the groups with this contact, and nowhere else.
    signing: SigningKey,
    /// The public half with the private keys of its init and leaf keys.
    bundle: KeyPackageBundle,
    /// The encoded public half, kept since it is asked for often.
    public: Vec<u8>,
}

/// A key package of a contact: of this suite, signed by its own key, within its bounds.
#[derive(Clone, PartialEq)]
pub struct PeerKeyPackage {
    /// As openmls verified it.
    package: KeyPackage,
    leaf_key: PublicKey,
    /// SHA-256 of the bytes it was read from.
    hash: [u8; 32],
}

impl OwnKeyPackage {
    /// Makes a key package. `identity` (at most [`MAX_IDENTITY`] bytes) is readable by whoever has it.
    ///
    /// # Errors
    /// [`KeyPackageError::Malformed`] for too long an identity, [`KeyPackageError::Randomness`] if the generator
    /// fails.
    pub fn generate(rng: &mut dyn CryptoRngCore, identity: &[u8]) -> Result<Self, KeyPackageError> {
        if identity.len() > MAX_IDENTITY {
            return Err(KeyPackageError::Malformed("the identity is too long"));
        }
        let mut seed = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(seed.as_mut_slice()).map_err(|_| KeyPackageError::Randomness)?;
        let signing = SigningKey::from_bytes(&seed);
        let crypto = CryptoProvider::new().map_err(|_| KeyPackageError::Randomness)?;
        let mut entities = Entities::default();
        let bundle = KeyPackage::builder()
            .key_package_lifetime(any_time())
            .leaf_node_capabilities(capabilities())
            .mark_as_last_resort()
            .build(
                SUITE,
                &Provider::new(&crypto, rng, &mut entities),
                &LeafSigner(&signing),
                credential(identity, &signing),
            )
            .map_err(|_| KeyPackageError::Randomness)?;
        Self::assemble(signing, bundle)
    }

    /// What to publish: an RFC 9420 KeyPackage of some 2,700 bytes.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// SHA-256 of [`public`](Self::public), as it stands in an invite.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.public).into()
    }

    /// The key that signs in the sessions with this contact.
    #[must_use]
    pub fn leaf_key(&self) -> PublicKey {
        PublicKey::from(&self.signing)
    }

    /// All of it, to be stored; secret.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "postcard writes every value of this type, and a vector takes every byte"
    )]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let bundle = encode(&self.bundle).expect("a key package can be encoded");
        let mut bytes = Zeroizing::new(Vec::with_capacity(33 + bundle.len()));
        bytes.push(VERSION);
        bytes.extend_from_slice(self.signing.as_bytes());
        bytes.extend_from_slice(&bundle);
        bytes
    }

    /// Takes what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// [`KeyPackageError`] says what does not hold: the length, the version, the parts, or that they do not belong
    /// together. The public half is checked like one from outside.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyPackageError> {
        if bytes.len() > MAX_OWN {
            return Err(KeyPackageError::Length(bytes.len()));
        }
        let mut reader = autonomy_codec::Reader::new(bytes);
        let (Some(VERSION), Some(seed)) = (reader.u8(), reader.array()) else {
            return Err(KeyPackageError::Malformed("version or signature key"));
        };
        let bundle = decode(&bytes[33..]).map_err(|_| KeyPackageError::Malformed("private parts"))?;
        let own = Self::assemble(SigningKey::from_bytes(&Zeroizing::new(seed)), bundle)?;
        let checked = PeerKeyPackage::parse(own.public())?;
        if checked.leaf_key() != own.leaf_key() {
            return Err(KeyPackageError::Malformed("the signature key is another's"));
        }
        Ok(own)
    }

    /// Adds the encoded public half.
    fn assemble(signing: SigningKey, bundle: KeyPackageBundle) -> Result<Self, KeyPackageError> {
        let public = bundle
            .key_package()
            .tls_serialize_detached()
            .map_err(|_| KeyPackageError::Malformed("public parts"))?;
        Ok(Self { signing, bundle, public })
    }

    pub(super) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    pub(super) fn credential(&self) -> CredentialWithKey {
        CredentialWithKey::from(self.bundle.key_package().leaf_node())
    }

    /// Puts the private parts where a Welcome is looked up.
    ///
    /// For one operation: [`Entities::drop_transient`] removes them before anything is stored.
    pub(super) fn lend(&self, crypto: &CryptoProvider, storage: &Storage<'_>) -> Option<()> {
        let hash = self.bundle.key_package().hash_ref(crypto).ok()?;
        storage.write_key_package(&hash, &self.bundle).ok()
    }
}

impl PeerKeyPackage {
    /// Takes a key package as it came from outside.
    ///
    /// # Errors
    /// [`KeyPackageError`] says what does not hold. Beyond what RFC 9420 asks (section 10.1) a key package must be of
    /// exactly the kind that [`OwnKeyPackage::generate`] makes: our suite and capabilities, last resort, a basic
    /// credential, no other extension.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyPackageError> {
        if bytes.len() > MAX_KEY_PACKAGE {
            return Err(KeyPackageError::Length(bytes.len()));
        }
        let mut rest = bytes;
        let unchecked = KeyPackageIn::tls_deserialize(&mut rest)
            .map_err(|_| KeyPackageError::Malformed("it cannot be read"))?;
        if !rest.is_empty() {
            return Err(KeyPackageError::Malformed("something follows"));
        }
        let crypto = CryptoProvider::new().map_err(|_| KeyPackageError::Randomness)?;
        let package =
            unchecked.validate(&crypto, ProtocolVersion::Mls10).map_err(|_| KeyPackageError::Signature)?;
        let leaf = package.leaf_node();
        if package.ciphersuite() != SUITE {
            return Err(KeyPackageError::Suite);
        }
        if *leaf.capabilities() != capabilities() || leaf.extensions().iter().next().is_some() {
            return Err(KeyPackageError::Malformed("it asks for other capabilities"));
        }
        if !package.last_resort() || package.extensions().iter().count() != 1 {
            return Err(KeyPackageError::Malformed("it cannot be used again"));
        }
        let identity = BasicCredential::try_from(leaf.credential().clone())
            .map_err(|_| KeyPackageError::Malformed("the kind of its credential"))?;
        if identity.identity().len() > MAX_IDENTITY {
            return Err(KeyPackageError::Malformed("the identity is too long"));
        }
        let leaf_key = public_key(leaf.signature_key().as_slice()).ok_or(KeyPackageError::Signature)?;
        Ok(Self { leaf_key, hash: Sha256::digest(bytes).into(), package })
    }

    /// The key that signs what the contact says in a session.
    #[must_use]
    pub fn leaf_key(&self) -> PublicKey {
        self.leaf_key
    }

    /// SHA-256 of the bytes, as it stands in an invite.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    pub(super) fn package(&self) -> &KeyPackage {
        &self.package
    }
}

/// A signature key as MLS carries it. None unless it is a usable Ed25519 key.
pub(super) fn public_key(bytes: &[u8]) -> Option<PublicKey> {
    PublicKey::from_bytes(bytes.try_into().ok()?).ok()
}

/// openmls would compare it with the clock of the system, which this crate never reads. How long a key package
/// counts is said by the invite or card that carries it, and checked there against `now`.
pub(super) fn any_time() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

/// What every member of our groups can do: this suite, and no more.
pub(super) fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[ExtensionType::LastResort]),
        None,
        Some(&[CredentialType::Basic]),
    )
}

/// A basic credential with the identity, and the key that signs.
fn credential(identity: &[u8], signing: &SigningKey) -> CredentialWithKey {
    CredentialWithKey {
        credential: BasicCredential::new(identity.to_vec()).into(),
        signature_key: signing.verifying_key().to_bytes().to_vec().into(),
    }
}

impl fmt::Debug for OwnKeyPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnKeyPackage({})", self.leaf_key())
    }
}

impl fmt::Debug for PeerKeyPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKeyPackage({})", self.leaf_key)
    }
}
