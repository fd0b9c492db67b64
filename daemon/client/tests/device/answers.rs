//! Answers that are no answers: too long, too deep, misshapen, out of date, from somebody else.

use autonomy_client::{CallError, DeviceError, Distrust, Profile, profile::Birth};
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
async fn a_pod_that_forgot_something_is_refused_also_by_the_next_command() {
    let mut world = World::new().await;
    world.account().await;
    let seen = world.device.status().await.unwrap().state_epoch;
    assert!(seen > 1);
    world.change("GET", "/v1/status", move |status| status["state_epoch"] = json!(seen - 1));
    let mut world = world.reopen().await;
    let error = world.device.status().await.unwrap_err();
    let DeviceError::Distrust(Distrust::OlderState { seen: remembered, told }) = error else {
        panic!("{error}")
    };
    assert_eq!((remembered, told), (seen, seen - 1));
}

#[tokio::test]
async fn one_lie_about_the_state_does_not_lock_the_device_out_for_ever() {
    let mut world = World::new().await;
    world.change("GET", "/v1/status", |status| status["state_epoch"] = json!(u64::MAX));
    assert!(matches!(world.device.status().await, Err(DeviceError::Distrust(Distrust::StateLeapt { .. }))));
    world.honest();
    world.device.status().await.unwrap();
}

#[tokio::test]
async fn a_pod_that_says_to_be_another_or_on_another_network_is_refused() {
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
async fn an_answer_without_end_is_cut_off_at_its_limit() {
    let mut world = World::new().await;
    world.hand("GET", "/v1/status", Hand::Answer(vec![b' '; 10 << 20]));
    assert!(matches!(call_error(&mut world).await, CallError::TooLarge { max: 65_536, .. }));
}

#[tokio::test]
async fn nesting_is_bounded() {
    let mut world = World::new().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    world.hand("GET", "/v1/status", Hand::Answer(deep.into_bytes()));
    assert!(matches!(call_error(&mut world).await, CallError::Misshapen { .. }));
}

#[tokio::test]
async fn another_shape_is_refused() {
    for bytes in [&b"{}"[..], b"null", b"<html>", b"", b"\xff\xfe"] {
        let mut world = World::new().await;
        world.hand("GET", "/v1/status", Hand::Answer(bytes.to_vec()));
        assert!(matches!(call_error(&mut world).await, CallError::Misshapen { .. }));
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_kind() {
    let mut world = World::new().await;
    world.hand("GET", "/v1/status", Hand::Refuse(409));
    let error = call_error(&mut world).await;
    assert!(matches!(error, CallError::Refused { kind, status: 409, .. } if kind == "busy"));
}

#[tokio::test]
async fn a_connection_that_breaks_for_good_is_told_as_such() {
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
async fn a_device_without_a_pod_says_so_before_it_believes_anything() {
    let mut world = World::new().await;
    let birth = Birth { name: "stranger".into(), auth_seed: None, payment_seed: None };
    world.device.profile = Profile::create(&world.dir.path().join("other"), &key(), birth).unwrap();
    assert!(matches!(world.device.status().await, Err(DeviceError::NoPod)));
}

#[tokio::test]
async fn events_come_in_order_and_can_be_resumed() {
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
async fn nothing_secret_is_printed_for_debugging() {
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
