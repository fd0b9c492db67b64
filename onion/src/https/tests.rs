//! The two ends of HTTPS against each other and against strangers, over a pipe in memory: TLS as it is, without
//! Tor's time. What callers see through Tor is in `tests/onion/https.rs`.

use std::{io, sync::Arc};

use axum::serve::Listener as _;
use rustls::{AlertDescription, ClientConfig, NamedGroup, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::mpsc,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Caller, TlsListener, limiter::MAX_PER_CALLER, server::MAX_HANDSHAKES};
use crate::tls::{TlsIdentity, client_config};

const SERVER: [u8; 32] = [1; 32];
const ADMITTED: [u8; 32] = [2; 32];

fn identity(seed: [u8; 32]) -> TlsIdentity {
    TlsIdentity::from_seed(&seed).unwrap()
}

/// A listener that admits one key, and the channel through which callers pass their end of a pipe.
fn listener() -> (TlsListener<DuplexStream>, mpsc::UnboundedSender<DuplexStream>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let streams = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let admitted = identity(ADMITTED).public_key();
    let listener =
        TlsListener::new(streams, &identity(SERVER), Arc::new(move |key| *key == admitted)).unwrap();
    (listener, sender)
}

async fn call(
    pipe: &mpsc::UnboundedSender<DuplexStream>,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<DuplexStream>> {
    let (mine, theirs) = tokio::io::duplex(64 * 1024);
    pipe.send(theirs).unwrap();
    let name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
    TlsConnector::from(config).connect(name, mine).await
}

fn admitted_config() -> ClientConfig {
    let server = identity(SERVER).public_key();
    Arc::unwrap_or_clone(client_config(&identity(ADMITTED), server).unwrap())
}

/// The alert a caller gets at the handshake or at its first read.
async fn alert(pipe: &mpsc::UnboundedSender<DuplexStream>, config: ClientConfig) -> AlertDescription {
    let error = match call(pipe, Arc::new(config)).await {
        Err(error) => error,
        Ok(mut tls) => tls.read_u8().await.unwrap_err(),
    };
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::AlertReceived(alert)) = tls else { panic!("no alert: {error:?}") };
    *alert
}

#[tokio::test]
async fn admitted_key_connects_over_hybrid_key_exchange() {
    let (mut listener, pipe) = listener();
    let mut admitted = call(&pipe, Arc::new(admitted_config())).await.unwrap();
    let (mut connection, caller) = listener.accept().await;
    assert_eq!(caller, Caller(identity(ADMITTED).public_key()));
    let group = admitted.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    assert_eq!(admitted.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));

    admitted.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    connection.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
}

#[tokio::test]
async fn caller_without_certificate_gets_an_alert() {
    let (_listener, pipe) = listener();
    let mut config = admitted_config();
    config.client_auth_cert_resolver = Arc::new(NoCertificate);
    assert_eq!(alert(&pipe, config).await, AlertDescription::CertificateRequired);
}

#[tokio::test]
async fn unknown_key_gets_access_denied() {
    let (_listener, pipe) = listener();
    let stranger = client_config(&identity([3; 32]), identity(SERVER).public_key()).unwrap();
    assert_eq!(alert(&pipe, Arc::unwrap_or_clone(stranger)).await, AlertDescription::AccessDenied);
}

#[tokio::test]
async fn caller_with_classic_key_exchange_is_refused() {
    let (_listener, pipe) = listener();
    let mut classic = aws_lc_rs::default_provider();
    classic.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let config = ClientConfig::builder_with_provider(Arc::new(classic))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    assert_eq!(alert(&pipe, config).await, AlertDescription::HandshakeFailure);
}

#[tokio::test]
async fn silent_and_malformed_callers_delay_nobody() {
    let (mut listener, pipe) = listener();
    let mut held = Vec::new();
    for _ in 0..20 {
        let (mine, theirs) = tokio::io::duplex(1024);
        pipe.send(theirs).unwrap();
        held.push(mine);
    }
    for babbler in &mut held[10..] {
        babbler.write_all(&[0xff; 200]).await.unwrap();
    }
    let _admitted = call(&pipe, Arc::new(admitted_config())).await.unwrap();
    assert_eq!(listener.accept().await.1, Caller(identity(ADMITTED).public_key()));
}

/// As a device does that was shut out and still finds the service.
#[tokio::test]
async fn hanging_handshakes_keep_no_device_out() {
    let (mut listener, pipe) = listener();
    let mut hanging = Vec::new();
    for _ in 0..2 * MAX_HANDSHAKES {
        let (mine, theirs) = tokio::io::duplex(1024);
        pipe.send(theirs).unwrap();
        hanging.push(mine);
    }
    let _admitted = call(&pipe, Arc::new(admitted_config())).await.unwrap();
    assert_eq!(listener.accept().await.1, Caller(identity(ADMITTED).public_key()));
    assert_eq!(hanging[0].read(&mut [0]).await.unwrap(), 0, "the oldest made room");
}

#[tokio::test]
async fn connections_of_one_caller_are_limited() {
    let (mut listener, pipe) = listener();
    let mut held = Vec::new();
    for _ in 0..MAX_PER_CALLER {
        let admitted = call(&pipe, Arc::new(admitted_config())).await.unwrap();
        held.push((admitted, listener.accept().await));
    }
    let mut one_more = call(&pipe, Arc::new(admitted_config())).await.unwrap();
    assert_eq!(one_more.read(&mut [0; 1]).await.unwrap(), 0, "closed in good order");

    held.pop();
    let _admitted = call(&pipe, Arc::new(admitted_config())).await.unwrap();
    listener.accept().await;
}

#[derive(Debug)]
struct NoCertificate;

impl rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
