//! Who a pod talks to, and how words reach them.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod armour;
mod certificate;
mod codec;
mod identity;
mod keys;
mod name;
mod network;
pub mod provision;

pub use armour::{Kind, TextError};
pub use certificate::{
    Access, CERTIFICATE_LEN, CLOCK_SKEW, Certificate, CertificateError, EmptyValidity, MalformedCertificate,
    Role, RoleKind, UnverifiedCertificate, Validity,
};
pub use ed25519_dalek::SigningKey;
pub use identity::{AuthSeed, BadDid, OnionSeed, OnionService, RootKey, RootPublic};
pub use keys::{BadKey, DescriptorPublic, DescriptorSecret, PublicKey, SealingPublic, SealingSecret};
pub use name::{BadName, MAX_NAME_LEN, Name};
pub use network::{Network, UnknownNetwork};
