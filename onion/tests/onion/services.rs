//! Services and dials.

use autonomy_onion::{
    BootstrapError, CircuitRole, DescriptorSecret, DialErrorKind, DialPolicy, LaunchError, MAX_WAITING,
    OnionAddress, OnionKey, ServiceAccess, Tor,
    reachability::{self, Reachability},
};
use tokio::io::AsyncReadExt as _;

use crate::world::{ECHO, config, dial_fresh, echo, folder, in_world, launch, reach, service, start_tor};

#[test]
fn open_service_is_reached_by_its_address() {
    in_world(|world| async {
        let service = launch(&world.pod, ServiceAccess::Open).await;
        let mut stream = reach(&world.device, &service.address(), ECHO).await;
        echo(&mut stream, "good morning").await;
    });
}

#[test]
fn stream_reaches_only_the_listener_of_its_port() {
    in_world(|world| async {
        let service = launch(&world.pod, ServiceAccess::Open).await;
        let mut listener = service.listen(80).unwrap();
        assert!(service.listen(80).is_err(), "one listener a port");

        let _caller = reach(&world.device, &service.address(), 80).await;
        assert!(listener.accept().await.is_some());

        let refused = dial_fresh(&world.device, &service.address(), 81).await.unwrap_err();
        assert_eq!(refused.kind, DialErrorKind::Refused, "{refused}");

        drop(listener);
        let refused = dial_fresh(&world.device, &service.address(), 80).await.unwrap_err();
        assert_eq!(refused.kind, DialErrorKind::Refused, "{refused}");
        assert!(service.listen(80).is_ok(), "a port that was closed can be opened again");
    });
}

#[test]
fn full_queue_of_a_listener_rejects_callers() {
    in_world(|world| async {
        let service = launch(&world.pod, ServiceAccess::Open).await;
        let mut listener = service.listen(80).unwrap();
        let mut waiting = vec![reach(&world.device, &service.address(), 80).await];
        let policy = DialPolicy::new(CircuitRole::APP);
        let refused = loop {
            match world.device.connect(&service.address(), 80, &policy).await {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!((refused.kind, waiting.len()), (DialErrorKind::Refused, MAX_WAITING), "{refused}");
        assert!(listener.accept().await.is_some());
        assert!(dial_fresh(&world.device, &service.address(), 80).await.is_ok(), "there is room again");
    });
}

#[test]
fn unused_address_is_not_found() {
    in_world(|world| async {
        let nobody: OnionAddress = OnionKey::from_seed([255; 32]).address();
        let error = dial_fresh(&world.device, &nobody, 80).await.unwrap_err();
        assert_eq!(error.kind, DialErrorKind::NotFound, "{error}");
        assert!(error.retry_after().is_some());
        assert!(!error.to_string().contains(&nobody.to_string()), "the address stays out of messages");
    });
}

#[test]
fn restricted_service_is_found_with_its_current_keys() {
    in_world(|world| async {
        let (first, second) =
            (DescriptorSecret::from_bytes([41; 32]), DescriptorSecret::from_bytes([42; 32]));
        let service = launch(&world.pod, ServiceAccess::Restricted(vec![first.public()])).await;
        let onion = service.address();

        world.device.add_discovery_key(&onion, &first).unwrap();
        let mut known = reach(&world.device, &onion, ECHO).await;
        echo(&mut known, "it is me").await;

        world.device.remove_discovery_key(&onion).unwrap();
        let stranger = dial_fresh(&world.device, &onion, ECHO).await.unwrap_err();
        assert_eq!(stranger.kind, DialErrorKind::KeyRequired, "{stranger}");
        assert_eq!(stranger.retry_after(), None, "no retry helps without a key");

        world.device.add_discovery_key(&onion, &second).unwrap();
        let impostor = dial_fresh(&world.device, &onion, ECHO).await.unwrap_err();
        assert_eq!(impostor.kind, DialErrorKind::KeyWrong, "{impostor}");

        // The second takes the first one's place, while the service runs.
        service.set_descriptor_keys(vec![second.public()]).unwrap();
        let mut newcomer = reach(&world.device, &onion, ECHO).await;
        echo(&mut newcomer, "now me").await;
        echo(&mut known, "and I am still here").await;

        world.device.add_discovery_key(&onion, &first).unwrap();
        let removed = dial_fresh(&world.device, &onion, ECHO).await.unwrap_err();
        assert_eq!(removed.kind, DialErrorKind::KeyWrong, "{removed}");
    });
}

#[test]
fn restricted_service_without_clients_reaches_itself() {
    in_world(|world| async {
        let service = launch(&world.pod, ServiceAccess::Restricted(vec![])).await;
        let report = reachability::watch(service.clone());
        assert_eq!(report.now(), Reachability::Unpublished);
        report.reachable().await;
        let stranger = dial_fresh(&world.device, &service.address(), ECHO).await.unwrap_err();
        assert_eq!(stranger.kind, DialErrorKind::KeyRequired, "{stranger}");
    });
}

#[test]
fn too_many_keys_and_keys_for_an_open_service_are_refused() {
    in_world(|world| async {
        let many = (0..=159).map(|n| DescriptorSecret::from_bytes([n; 32]).public()).collect();
        let error = world.pod.launch(service(ServiceAccess::Restricted(many))).await.unwrap_err();
        assert!(matches!(error, LaunchError::TooManyKeys(160)), "{error}");

        let open = launch(&world.pod, ServiceAccess::Open).await;
        assert!(matches!(open.set_descriptor_keys(vec![]), Err(LaunchError::NotRestricted)));
    });
}

#[test]
fn nickname_belongs_to_one_service_and_one_key() {
    in_world(|world| async {
        let config = service(ServiceAccess::Restricted(vec![]));
        let first = world.pod.launch(config.clone()).await.unwrap();
        let twice = world.pod.launch(config.clone()).await.unwrap_err();
        assert!(matches!(twice, LaunchError::Running(_)), "{twice}");

        let other = autonomy_onion::ServiceConfig { key: OnionKey::from_seed([254; 32]), ..config.clone() };
        let taken = world.pod.launch(other).await.unwrap_err();
        assert!(matches!(taken, LaunchError::NicknameTaken(_)), "{taken}");

        let nameless = autonomy_onion::ServiceConfig { nickname: "../etc".to_owned(), ..config };
        let bad = world.pod.launch(nameless).await.unwrap_err();
        assert!(matches!(bad, LaunchError::Nickname(_)), "{bad}");

        // Nothing of this troubled the one that runs.
        reachability::watch(first).reachable().await;
    });
}

#[test]
fn dropped_service_relaunches_under_the_same_address() {
    in_world(|world| async {
        let config = service(ServiceAccess::Open);
        let before = world.pod.launch(config.clone()).await.unwrap();
        let mut stream = reach(&world.device, &before.address(), ECHO).await;
        echo(&mut stream, "before").await;
        let address = before.address();
        drop(before);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "its streams end with it");

        let after = world.pod.launch(config).await.unwrap();
        assert_eq!(after.address(), address);
        let mut stream = reach(&world.device, &address, ECHO).await;
        echo(&mut stream, "after").await;
    });
}

#[test]
fn relaunch_interrupts_no_connection() {
    in_world(|world| async {
        let key = DescriptorSecret::from_bytes([43; 32]);
        let service = launch(&world.pod, ServiceAccess::Restricted(vec![key.public()])).await;
        let onion = service.address();
        world.device.add_discovery_key(&onion, &key).unwrap();
        let mut stream = reach(&world.device, &onion, ECHO).await;
        echo(&mut stream, "before").await;

        service.republish().unwrap();
        echo(&mut stream, "published again").await;
        service.relaunch().await.unwrap();
        echo(&mut stream, "launched again").await;

        let report = reachability::watch(service.clone());
        report.reachable().await;
        let mut another = reach(&world.device, &onion, ECHO).await;
        echo(&mut another, "and open to others").await;
        service.set_descriptor_keys(vec![]).unwrap();
        echo(&mut stream, "still here").await;
    });
}

#[test]
fn keys_set_during_a_relaunch_open_the_relaunched_service() {
    in_world(|world| async {
        let (first, second) =
            (DescriptorSecret::from_bytes([44; 32]), DescriptorSecret::from_bytes([45; 32]));
        let service = launch(&world.pod, ServiceAccess::Restricted(vec![first.public()])).await;
        let onion = service.address();
        // The relaunch waits for the service of before to end, and the keys are set meanwhile.
        let set = async { service.set_descriptor_keys(vec![second.public()]) };
        let (relaunched, set) = tokio::join!(service.relaunch(), set);
        relaunched.unwrap();
        set.unwrap();

        world.device.add_discovery_key(&onion, &second).unwrap();
        let mut newcomer = reach(&world.device, &onion, ECHO).await;
        echo(&mut newcomer, "added meanwhile").await;
    });
}

#[test]
fn restarted_pod_keeps_address_and_locks_folder() {
    in_world(|world| async {
        let folder = folder();
        let config_of_service = service(ServiceAccess::Open);
        let tor = start_tor(folder.path()).await;
        let second = Tor::bootstrap(config(folder.path()), |_| {}).await.unwrap_err();
        assert!(matches!(second, BootstrapError::Locked { .. }), "{second}");

        let running = tor.launch(config_of_service.clone()).await.unwrap();
        let onion = running.address();
        let mut stream = reach(&world.device, &onion, ECHO).await;
        echo(&mut stream, "before").await;
        drop((running, tor));

        // The device still holds circuits and a descriptor of the earlier life.
        let tor = start_tor(folder.path()).await;
        let running = tor.launch(config_of_service).await.unwrap();
        assert_eq!(running.address(), onion);
        let mut stream = reach(&world.device, &onion, ECHO).await;
        echo(&mut stream, "after").await;
        let secret = std::fs::read_dir(folder.path().join("state/keystore")).map(Iterator::count);
        assert_eq!(secret.unwrap_or(0), 0, "no key lies on the disk");
    });
}
