//! Answers that must be refused: too long, too deep, of a wrong shape, outdated, from another pod.

use autonomy_client::{CallError, DeviceError, Distrust, Profile, profile::NewProfile};
use autonomy_messaging::{PublicKey, SigningKey};
use serde_json::json;

use crate::world::{Hand, World, key};

async fn call_error(world: &mut World) -> CallError {
    match world.device.status().await.unwrap_err() {
        DeviceError::Call(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn lower_state_epoch_is_refused_by_later_commands_too() {
    let mut world = World::new().await;
    world.account().await;
    let seen = world.device.status().await.unwrap().state_epoch;
    assert!(seen > 1);
    world.change("GET", "/v1/status", move |status| status["state_epoch"] = json!(seen - 1));
    let mut world = world.reopen().await;
    let error = world.device.status().await.unwrap_err();
    let DeviceError::Distrust(Distrust::OlderState { seen: remembered, reported }) = error else {
        panic!("{error}")
    };
    assert_eq!((remembered, reported), (seen, seen - 1));
}

#[tokio::test]
async fn one_false_state_epoch_does_not_lock_the_device_out() {
    let mut world = World::new().await;
    world.change("GET", "/v1/status", |status| status["state_epoch"] = json!(u64::MAX));
    assert!(matches!(world.device.status().await, Err(DeviceError::Distrust(Distrust::StateLeapt { .. }))));
    world.honest();
    world.device.status().await.unwrap();
}

#[tokio::test]
async fn other_pod_key_or_network_is_refused() {
    let mut world = World::new().await;
    let key = PublicKey::from(&SigningKey::from_bytes(&[50; 32])).to_string();
    world.change("GET", "/v1/status", move |status| status["pod_key"] = json!(key));
    assert!(matches!(world.device.status().await, Err(DeviceError::Distrust(Distrust::AnotherPod { .. }))));
    world.honest();
    world.change("GET", "/v1/status", |status| status["network"] = json!("bitcoin"));
    assert!(matches!(
        world.device.status().await,
        Err(DeviceError::Distrust(Distrust::AnotherNetwork { .. }))
    ));
}

#[tokio::test]
async fn endless_answer_is_cut_off_at_its_limit() {
    let mut world = World::new().await;
    world.hand("GET", "/v1/status", Hand::Answer(vec![b' '; 10 << 20]));
    assert!(matches!(call_error(&mut world).await, CallError::TooLarge { max: 65_536, .. }));
}

#[tokio::test]
async fn nesting_of_json_is_bounded() {
    let mut world = World::new().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    world.hand("GET", "/v1/status", Hand::Answer(deep.into_bytes()));
    assert!(matches!(call_error(&mut world).await, CallError::Misshapen { .. }));
}

#[tokio::test]
async fn answer_of_another_shape_is_refused() {
    for bytes in [&b"{}"[..], b"null", b"<html>", b"", b"\xff\xfe"] {
        let mut world = World::new().await;
        world.hand("GET", "/v1/status", Hand::Answer(bytes.to_vec()));
        assert!(matches!(call_error(&mut world).await, CallError::Misshapen { .. }));
    }
}

#[tokio::test]
async fn refusal_keeps_its_kind() {
    let mut world = World::new().await;
    world.hand("GET", "/v1/status", Hand::Refuse(409));
    let error = call_error(&mut world).await;
    assert!(matches!(error, CallError::Refused { kind, status: 409, .. } if kind == "busy"));
}

#[tokio::test]
async fn permanently_broken_connection_is_reported() {
    let mut world = World::new().await;
    world.hand("GET", "/v1/status", Hand::Break(u32::MAX));
    assert!(matches!(call_error(&mut world).await, CallError::Unreachable { never_sent: false, .. }));
    world.honest();
    std::fs::remove_file(&world.socket).unwrap();
    let nobody = autonomy_client::Transport::socket(&world.socket);
    world.device.pod = autonomy_client::PodClient::new(nobody);
    assert!(matches!(call_error(&mut world).await, CallError::Unreachable { never_sent: true, .. }));
}

#[tokio::test]
async fn device_without_a_pod_trusts_no_answer() {
    let mut world = World::new().await;
    let new_profile = NewProfile { name: "stranger".into(), auth_seed: None, payment_seed: None };
    world.device.profile = Profile::create(&world.dir.path().join("other"), &key(), new_profile).unwrap();
    assert!(matches!(world.device.status().await, Err(DeviceError::NoPod)));
}

#[tokio::test]
async fn events_arrive_in_order_and_resume() {
    let mut world = World::new().await;
    world.account().await;
    let mut stream = world.device.pod.events(Some(0), false).await.unwrap();
    let mut ids = Vec::new();
    while let Some(event) = stream.next().await.unwrap() {
        ids.push(event.id);
    }
    assert!(ids.len() >= 2 && ids.is_sorted(), "{ids:?}");
    let mut rest = world.device.pod.events(Some(ids[0]), true).await.unwrap();
    assert_eq!(rest.next().await.unwrap().unwrap().id, ids[1]);
}

#[tokio::test]
async fn debug_output_has_no_secrets() {
    let world = World::new().await;
    let profile = &world.device.profile;
    let text = format!("{:?} {:?} {:?}", world.device, profile.pod(), profile.setup(&Default::default()));
    for secret in
        [profile.device_key().to_bytes(), *profile.sealing_secret(), *profile.own_descriptor_secret()]
    {
        let (decimal, hex) = (format!("{secret:?}"), data_encoding::HEXLOWER.encode(&secret));
        assert!(!text.contains(decimal.trim_matches(['[', ']'])) && !text.contains(&hex), "{text}");
    }
    assert!(text.contains("[secret]"));
}
