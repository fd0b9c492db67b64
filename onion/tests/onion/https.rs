//! The HTTPS listener and client, and what refused callers see.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use autonomy_onion::{
    CircuitRole, DescriptorSecret, DialErrorKind, DialPolicy, OnionService, ServiceAccess, Tor,
    https::{Caller, HttpsClient, HttpsError, OnionTlsListener, Server, TlsIdentity},
};
use axum::{
    Router,
    body::Bytes,
    extract::ConnectInfo,
    routing::{get, post},
};
use http_body_util::{BodyExt as _, Full};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use crate::world::{ECHO, UPLOAD_LIMIT, in_world, launch, reach};

const PORT: u16 = 443;
const POD: [u8; 32] = [101; 32];
const DEVICE: [u8; 32] = [102; 32];

/// A pod's API in small: who you are, and an echo. Ends when dropped.
struct Api {
    service: OnionService,
    guests: Arc<Mutex<HashSet<[u8; 32]>>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Api {
    async fn start(tor: &Tor, access: ServiceAccess) -> Api {
        let service = launch(tor, access).await;
        let guests = Arc::new(Mutex::new(HashSet::from([identity(DEVICE).public_key()])));
        let gate = guests.clone();
        let gate = Arc::new(move |key: &[u8; 32]| gate.lock().is_ok_and(|guests| guests.contains(key)));
        let listener =
            OnionTlsListener::new(service.listen(PORT).expect("free"), &identity(POD), gate).expect("TLS");
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new()
            .route("/", get(|ConnectInfo(Caller(key)): ConnectInfo<Caller>| async move { key.to_vec() }))
            .route("/echo", post(|body: Bytes| async move { body }))
            .into_make_service_with_connect_info::<Caller>();
        let server = axum::serve(listener, app).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        tokio::runtime::Handle::current().spawn(server.into_future());
        Api { service, guests, stop: Some(stop) }
    }

    fn server(&self) -> Server {
        Server { onion: self.service.address(), port: PORT, key: identity(POD).public_key() }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }
}

fn identity(seed: [u8; 32]) -> TlsIdentity {
    TlsIdentity::from_seed(&seed).expect("a seed makes an identity")
}

fn client(tor: &Tor, server: Server, seed: [u8; 32]) -> HttpsClient {
    HttpsClient::new(tor, server, &identity(seed), DialPolicy::new(CircuitRole::APP)).expect("TLS")
}

fn request(method: &str, path: &str, body: Vec<u8>) -> http::Request<Full<Bytes>> {
    http::Request::builder().method(method).uri(path).body(Full::from(body)).expect("a request")
}

async fn ask(client: &HttpsClient) -> Result<Vec<u8>, HttpsError> {
    let answer = client.send(request("GET", "/", vec![])).await?;
    let body = answer.into_body().collect().await.map_err(|e| HttpsError::classify(&e))?;
    Ok(body.to_bytes().to_vec())
}

#[test]
fn known_device_is_served_and_identified() {
    in_world(|world| async {
        let api = Api::start(&world.pod, ServiceAccess::Open).await;
        reach(&world.device, &api.service.address(), ECHO).await;
        let client = client(&world.device, api.server(), DEVICE);
        assert_eq!(ask(&client).await.unwrap(), identity(DEVICE).public_key());

        let large = vec![7; 300_000];
        let answer = client.send(request("POST", "/echo?x=1", large.clone())).await.unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_2);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), large);

        let together = futures::future::join_all((0..20).map(|_| ask(&client))).await;
        assert!(together.iter().all(Result::is_ok), "requests share the connection");
    });
}

#[test]
fn unknown_and_revoked_keys_get_certificate_refused() {
    in_world(|world| async {
        let api = Api::start(&world.pod, ServiceAccess::Open).await;
        reach(&world.device, &api.service.address(), ECHO).await;

        let stranger = ask(&client(&world.device, api.server(), [103; 32])).await.unwrap_err();
        assert!(matches!(stranger, HttpsError::CertificateRefused), "{stranger}");
        assert_eq!(stranger.retry_after(), None);

        let device = client(&world.device, api.server(), DEVICE);
        ask(&device).await.unwrap();
        api.guests.lock().unwrap().clear();
        device.reconnect();
        let revoked = ask(&device).await.unwrap_err();
        assert!(matches!(revoked, HttpsError::CertificateRefused), "{revoked}");
    });
}

#[test]
fn nothing_is_sent_to_a_server_with_another_key() {
    in_world(|world| async {
        let api = Api::start(&world.pod, ServiceAccess::Open).await;
        reach(&world.device, &api.service.address(), ECHO).await;
        let elsewhere = Server { key: [9; 32], ..api.server() };
        let error = ask(&client(&world.device, elsewhere, DEVICE)).await.unwrap_err();
        assert!(matches!(error, HttpsError::WrongServer), "{error}");
    });
}

#[test]
fn service_is_not_found_without_descriptor_key() {
    in_world(|world| async {
        let key = DescriptorSecret::from_bytes([51; 32]);
        let api = Api::start(&world.pod, ServiceAccess::Restricted(vec![key.public()])).await;
        let onion = api.service.address();
        world.device.add_discovery_key(&onion, &key).unwrap();
        reach(&world.device, &onion, ECHO).await;
        ask(&client(&world.device, api.server(), DEVICE)).await.unwrap();

        world.device.remove_discovery_key(&onion).unwrap();
        let error = ask(&client(&world.device, api.server(), DEVICE)).await.unwrap_err();
        let HttpsError::Dial(dial) = &error else { panic!("{error}") };
        assert_eq!(dial.kind, DialErrorKind::KeyRequired);

        world.device.add_discovery_key(&onion, &DescriptorSecret::from_bytes([52; 32])).unwrap();
        let error = ask(&client(&world.device, api.server(), DEVICE)).await.unwrap_err();
        let HttpsError::Dial(dial) = &error else { panic!("{error}") };
        assert_eq!(dial.kind, DialErrorKind::KeyWrong);
    });
}

#[test]
fn client_reconnects_after_a_server_restart() {
    in_world(|world| async {
        let config = crate::world::service(ServiceAccess::Open);
        let serve = async || {
            let service = world.pod.launch(config.clone()).await.expect("launches");
            let listener = service.listen(PORT).expect("free");
            let listener = OnionTlsListener::new(listener, &identity(POD), Arc::new(|_| true)).expect("TLS");
            let app = Router::new().route("/", get(|| async { "here" })).into_make_service();
            let server = tokio::runtime::Handle::current().spawn(axum::serve(listener, app).into_future());
            (service, server)
        };
        let (service, server) = serve().await;
        let onion = service.address();
        reach(&world.device, &onion, ECHO).await;
        let target = Server { onion, port: PORT, key: identity(POD).public_key() };
        let client = client(&world.device, target, DEVICE);
        ask(&client).await.unwrap();

        drop(service);
        server.abort();
        let _ = server.await;
        let (_service, _server) = serve().await;
        let end = Instant::now() + UPLOAD_LIMIT;
        while let Err(error) = ask(&client).await {
            assert!(error.retry_after().is_some(), "an outage is worth a retry: {error}");
            assert!(Instant::now() < end, "never came back: {error}");
            sleep(Duration::from_millis(500)).await;
        }
    });
}
