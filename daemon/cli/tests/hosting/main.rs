//! Pods in one process, on one Tor client and one chain source: what a host of pods does, and a person with two profiles.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../tests/common/cosigner.rs"]
#[expect(dead_code, reason = "nobody signs here")]
mod cosigner;

mod chain;
mod manual;

use std::{sync::Arc, time::Duration};

use autonomy_api::ServiceState;
use autonomy_daemon::{
    chain::NoChain,
    pod::{self, Deps, Pod, PodDir, PodHandle, PodSettings, SharedTor},
};
use autonomy_messaging::{
    AuthSeed, DescriptorSecret, Name, PublicKey, SigningKey, Validity,
    provision::{Bundle, BundleTerms, PodRequest, SealedBundle},
};
use autonomy_node::{Answer, Caller, Command, Request};
use autonomy_onion::{CircuitRole, DialPolicy, OnionAddress, PrivateNetwork, Tor, TorConfig, TorNetwork};
use autonomy_store::Unlock;
use autonomy_wallet::bitcoin::Network;
use rand_core::OsRng;
use tempfile::TempDir;
use tokio::time::timeout;

/// An onion service may need two minutes until it is found, on a machine that is busy.
const REACH: Duration = Duration::from_secs(300);
/// The port of contacts.
const PLACE_PORT: u16 = autonomy_messaging::place::PLACE_PORT;

/// The folder of a pod that belongs to the person of this number.
fn adopted(folder: &TempDir, number: u8) -> PodDir {
    let dir = PodDir::new(folder.path().join(number.to_string()));
    let request = pod::init(&dir, &key(), Network::Regtest).unwrap();
    pod::adopt(&dir, &key(), bundle(&request, number)).unwrap();
    dir
}

/// The answer of the person of this number to a pod's request.
fn bundle(request: &PodRequest, number: u8) -> SealedBundle {
    let owner = AuthSeed::from_bytes(&[number; 32]);
    let terms = BundleTerms {
        pod_name: Name::new("home").unwrap(),
        device_key: PublicKey::from(&SigningKey::from_bytes(&[number + 10; 32])),
        descriptor_key: DescriptorSecret::from_bytes(&[number + 20; 32]).public(),
        epoch: 1,
        onion_epoch: 0,
        validity: Validity::lasting(autonomy_daemon::driver::now(), 86_400),
    };
    Bundle::new(&owner, request, terms).seal(&owner, request, &mut OsRng)
}

fn key() -> Unlock {
    Unlock::key([7; 32])
}

async fn tor(folder: &TempDir) -> Tor {
    let network = PrivateNetwork::load(&autonomy_testnet::fixture::tor().network_file()).unwrap();
    let config = TorConfig::new(folder.path().join("tor")).with_network(TorNetwork::Private(network));
    Tor::bootstrap(config, |_| {}).await.unwrap()
}

async fn start(dir: &PodDir, tor: &Tor) -> PodHandle {
    let deps = Deps {
        tor: SharedTor::running(tor.clone()),
        chain: Arc::new(NoChain),
        settings: PodSettings::default(),
        observer: Arc::new(|_| {}),
    };
    Pod::open(dir, &key()).unwrap().start(deps).await.unwrap()
}

/// Waits until a pod reaches both of its services through Tor; gives the address of the one for contacts.
async fn reachable(pod: &PodHandle) -> OnionAddress {
    let mut services = pod.services();
    let both = services.wait_for(|onion| {
        [&onion.app, &onion.peer]
            .iter()
            .all(|it| it.as_ref().is_some_and(|it| it.state == ServiceState::Reachable))
    });
    let seen = timeout(REACH, both).await.expect("both services are reached").unwrap().clone();
    OnionAddress::from_public_key(seen.peer.unwrap().address.unwrap().0)
}

async fn answers(pod: &PodHandle) -> bool {
    let request = Request { caller: Caller::Owner, idempotency_key: None, command: Command::Status };
    matches!(pod.ask(request).await, Ok(Ok(Answer::Status(_))))
}

async fn dials(tor: &Tor, address: &OnionAddress) -> bool {
    tor.rotate(address);
    tor.connect(address, PLACE_PORT, &DialPolicy::new(CircuitRole::DEPOSIT)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pods_share_a_tor_client_and_one_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (adopted(&folder, 1), adopted(&folder, 2));
    let tor = tor(&folder).await;
    let (one, two) = (start(&first, &tor).await, start(&second, &tor).await);
    assert!(Pod::open(&first, &key()).is_err(), "the database of a running pod is locked");
    let (place_of_one, place_of_two) = tokio::join!(reachable(&one), reachable(&two));
    assert_ne!(place_of_one, place_of_two);
    assert!(answers(&one).await && answers(&two).await);

    one.stop();
    one.stopped().await.unwrap();
    assert!(!answers(&one).await, "a pod that has ended answers nothing");
    assert!(!first.socket().exists(), "its socket is gone");
    assert!(answers(&two).await && dials(&tor, &place_of_two).await, "the other goes on");
    assert!(!dials(&tor, &place_of_one).await, "its onion service has ended");

    let again = start(&first, &tor).await;
    assert_eq!(reachable(&again).await, place_of_one, "it starts again on the same client");
    assert!(answers(&two).await);
}
