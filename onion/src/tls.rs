//! TLS 1.3 in which both sides are known by their Ed25519 key and by nothing else.
//!
//! A certificate here is only the form that TLS demands: self-signed, without names, its dates
//! ignored. What counts is the key inside, which the client compares with a pinned one and the
//! server puts to the [`ClientGate`], and that the peer signs with it. The key exchange is
//! X25519MLKEM768 alone, so that recorded traffic stays closed to a quantum computer. Sessions are
//! never resumed: a resumed one would not ask the gate again.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage, ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use zeroize::Zeroizing;

/// Decides at each handshake whether the holder of a key may connect. Called from the handshake's
/// task, so it must not block.
pub type ClientGate = Arc<dyn Fn(&[u8; 32]) -> bool + Send + Sync>;

/// `SubjectPublicKeyInfo` of an Ed25519 key up to its 32 bytes (RFC 8410 section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// PKCS #8 version 1 of an Ed25519 key up to its 32-byte seed (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A key to be known by in TLS, with its certificate.
pub struct TlsIdentity {
    /// The self-signed certificate for `public`.
    certificate: CertificateDer<'static>,
    /// The private key in PKCS #8, wiped when dropped.
    key: Zeroizing<Vec<u8>>,
    /// The Ed25519 public key.
    public: [u8; 32],
}

/// TLS could not be set up: a library refused the key or the configuration. It is a fault of this
/// program or of how it was built, and trying again does not help.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot set up TLS: {0}")]
pub struct TlsSetupError(String);

impl TlsIdentity {
    /// The identity of an Ed25519 seed (RFC 8032). The same seed gives the same key each time; the
    /// certificate around it may differ.
    ///
    /// # Errors
    /// The certificate could not be made.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, TlsSetupError> {
        let key = Zeroizing::new([PKCS8_PREFIX.as_slice(), seed].concat());
        let pair = rcgen::KeyPair::try_from(key.as_slice()).map_err(setup)?;
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let certificate = parameters.self_signed(&pair).map_err(setup)?.der().clone();
        let public = public_key(&certificate).map_err(setup)?;
        Ok(Self { certificate, key, public })
    }

    /// The Ed25519 public key that the other side sees.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.public
    }

    /// A copy of the private key for rustls, which takes it by value.
    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.to_vec()).into()
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = data_encoding::HEXLOWER.encode(&self.public);
        f.debug_struct("TlsIdentity").field("public", &public).field("key", &"[secret]").finish()
    }
}

/// The server's side: our identity, and the gate for callers. HTTP/2 is offered before HTTP/1.1.
///
/// # Errors
/// rustls refuses the identity.
pub(crate) fn server_config(
    identity: &TlsIdentity,
    gate: ClientGate,
) -> Result<Arc<ServerConfig>, TlsSetupError> {
    let provider = provider();
    let verifier = Arc::new(Gate { gate, provider: provider.clone() });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate.clone()], identity.key())
        .map_err(setup)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The client's side: the handshake fails with any server whose key is not `server`.
///
/// # Errors
/// rustls refuses the identity.
pub(crate) fn client_config(
    identity: &TlsIdentity,
    server: [u8; 32],
) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider = provider();
    let verifier = Arc::new(Pin { server, provider: provider.clone() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![identity.certificate.clone()], identity.key())
        .map_err(setup)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// The Ed25519 key inside a certificate.
///
/// # Errors
/// The certificate cannot be parsed, or holds another kind of key.
pub(crate) fn public_key(certificate: &CertificateDer<'_>) -> Result<[u8; 32], Error> {
    let spki = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    let key = spki.as_ref().strip_prefix(&SPKI_PREFIX).and_then(|key| key.try_into().ok());
    key.ok_or_else(|| Error::General("the certificate's key is not Ed25519".to_owned()))
}

/// The cryptography of both sides: aws-lc-rs, with the hybrid key exchange as the only one.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    Arc::new(provider)
}

/// Any library's error as [`TlsSetupError`].
fn setup(error: impl fmt::Display) -> TlsSetupError {
    TlsSetupError(error.to_string())
}

/// The key of a chain of exactly one certificate. A longer chain is refused before it is parsed.
fn only_key(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<[u8; 32], Error> {
    if others.is_empty() {
        public_key(leaf)
    } else {
        Err(Error::General("one certificate expected".to_owned()))
    }
}

/// The error that reaches the peer as an alert when its key is not accepted.
fn refused() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

/// The client's check: one server key and no other.
struct Pin {
    server: [u8; 32],
    provider: Arc<CryptoProvider>,
}

/// The server's check: the keys that the gate accepts.
struct Gate {
    gate: ClientGate,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").finish_non_exhaustive()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// The check of the signature by which the peer proves that it holds the key: Ed25519 and nothing
/// else.
macro_rules! ed25519_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    };
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if only_key(leaf, others)? == self.server {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(refused())
        }
    }

    ed25519_signatures!();
}

impl ClientCertVerifier for Gate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if (self.gate)(&only_key(leaf, others)?) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(refused())
        }
    }

    ed25519_signatures!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OnionKey;
    use proptest::prelude::*;

    #[test]
    fn seed_determines_the_identity() {
        let identity = TlsIdentity::from_seed(&[3; 32]).unwrap();
        assert_eq!(identity.public_key(), *OnionKey::from_seed([3; 32]).address().as_bytes());
        assert_eq!(TlsIdentity::from_seed(&[3; 32]).unwrap().public_key(), identity.public_key());
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", TlsIdentity::from_seed(&[3; 32]).unwrap());
        assert!(text.contains("[secret]") && !text.contains("3, 3"), "{text}");
    }

    #[test]
    fn certificate_with_another_kind_of_key_is_refused() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        assert!(public_key(certificate.der()).unwrap_err().to_string().contains("Ed25519"));
    }

    #[test]
    fn certificate_chain_is_refused_unparsed() {
        let leaf = TlsIdentity::from_seed(&[3; 32]).unwrap().certificate;
        assert!(only_key(&leaf, std::slice::from_ref(&leaf)).is_err());
        assert!(only_key(&leaf, &[]).is_ok());
    }

    proptest! {
        #[test]
        fn parsing_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = public_key(&CertificateDer::from(bytes));
        }

        #[test]
        fn parsing_altered_certificate_never_panics(at in 0usize..300, to: u8) {
            let mut bytes = TlsIdentity::from_seed(&[3; 32]).unwrap().certificate.to_vec();
            if let Some(byte) = bytes.get_mut(at) { *byte = to }
            let _ = public_key(&CertificateDer::from(bytes));
        }
    }
}
