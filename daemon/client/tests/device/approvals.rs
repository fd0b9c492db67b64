//! Approvals with lost or false answers: once P has signed, no result may suggest to try again.

use std::time::Duration;

use autonomy_api::{Note, PaymentState, Written as _};
use autonomy_client::{CallError, CheckedDraft, DeviceError, Distrust, Paid};
use autonomy_wallet::{
    account::{AccountId, Keychain},
    rate,
};
use serde_json::{Value, json};

use crate::world::{Hand, OUTSIDE, THIEF, World};

/// A world with a checked draft of 0.25 BTC in it.
async fn drafted() -> (World, AccountId, CheckedDraft) {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    (world, id, draft)
}

/// The route of one payment, as the hand wants it.
fn route(draft: &CheckedDraft) -> &'static str {
    format!("/v1/payments/{}", draft.id()).leak()
}

/// What the pod's lie did: the cause inside [`DeviceError::MaybePaid`], which names payment and transaction.
fn cause(outcome: Result<Paid, DeviceError>) -> DeviceError {
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("may have been sent, as transaction"), "{error}");
    match error {
        DeviceError::MaybePaid { cause, .. } => *cause,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn approval_with_lost_answer_is_found_signed() {
    let (mut world, _, draft) = drafted().await;
    world.hand("POST", "/approve", Hand::Break(u32::MAX));
    let paid = world.device.approve(draft).await.unwrap();
    assert_eq!(paid.payment.state, PaymentState::Signed);
    assert_eq!(world.device.pod.payments(&paid.payment.account).await.unwrap().payments.len(), 1);
}

#[tokio::test]
async fn unknown_outcome_is_reported_as_unknown() {
    let (mut world, id, draft) = drafted().await;
    let route = route(&draft);
    world.hand("POST", "/approve", Hand::Break(u32::MAX));
    world.hand("GET", route, Hand::Refuse(503));
    let cause = cause(world.device.approve(draft).await);
    assert!(matches!(cause, DeviceError::Call(CallError::Unanswered { .. })), "{cause}");
    world.honest();
    let payments = world.device.pod.payments(&id).await.unwrap().payments;
    assert_eq!(payments[0].state, PaymentState::Signed, "it was sent indeed");
}

#[tokio::test]
async fn draft_after_a_lost_approval_may_become_a_payment() {
    let (mut world, _, draft) = drafted().await;
    world.hand("POST", "/approve", Hand::Answer(b"<html>".to_vec()));
    let cause = cause(world.device.approve(draft).await);
    assert!(matches!(cause, DeviceError::Call(CallError::Misshapen { .. })), "{cause}");
}

#[tokio::test]
async fn refusal_counts_if_the_pod_still_has_the_draft() {
    let (mut world, id, draft) = drafted().await;
    world.hand("POST", "/approve", Hand::Refuse(409));
    let error = world.device.approve(draft).await.unwrap_err();
    assert!(matches!(error, DeviceError::Call(CallError::Refused { status: 409, .. })), "{error}");
    world.honest();
    let payments = world.device.pod.payments(&id).await.unwrap().payments;
    assert_eq!(payments[0].state, PaymentState::Draft);
}

#[tokio::test]
async fn refusal_of_a_signed_payment_is_not_a_refusal() {
    let (mut world, _, draft) = drafted().await;
    let route = route(&draft);
    world.hand("POST", "/approve", Hand::Refuse(503));
    world.change("GET", route, |payment| payment["state"] = json!("seen"));
    assert_eq!(world.device.approve(draft).await.unwrap().payment.state, PaymentState::Seen);
}

#[tokio::test]
async fn unsent_approval_is_reported_as_not_sent() {
    let (mut world, _, draft) = drafted().await;
    std::fs::remove_file(&world.socket).unwrap();
    let nobody = autonomy_client::Transport::socket(&world.socket);
    world.device.pod = autonomy_client::PodClient::new(nobody);
    let error = world.device.approve(draft).await.unwrap_err();
    assert!(matches!(error, DeviceError::Call(CallError::Unreachable { never_sent: true, .. })), "{error}");
}

/// Answers to an approval that are about something else, or take it back.
#[tokio::test]
async fn false_answer_does_not_undo_the_approval() {
    let lies = [
        ("txid", json!("00".repeat(32)), "another-transaction"),
        ("id", json!("00".repeat(16)), "another-payment"),
        ("state", json!("draft"), "taken-back"),
        ("state", json!("cancelled"), "taken-back"),
    ];
    for (field, value, expected) in lies {
        let (mut world, _, draft) = drafted().await;
        world.change("POST", "/approve", move |payment| payment[field] = value.clone());
        let cause = cause(world.device.approve(draft).await);
        assert!(
            matches!(&cause, DeviceError::Distrust(error) if error.kind() == expected),
            "{field}: {cause}"
        );
    }
}

#[tokio::test]
async fn lost_state_after_signing_is_a_warning() {
    let (mut world, _, draft) = drafted().await;
    world.change("GET", "/v1/status", |status| status["state_epoch"] = json!(0));
    let paid = world.device.approve(draft).await.unwrap();
    assert_eq!(paid.payment.state, PaymentState::Signed);
    assert!(matches!(paid.warning, Some(DeviceError::Distrust(Distrust::OlderState { .. }))));
}

#[tokio::test]
async fn receipt_shows_what_the_device_checked() {
    let (mut world, _, draft) = drafted().await;
    let (route, fee) = (route(&draft), draft.summary().fee);
    let lie = |payment: &mut Value| {
        payment["recipients"] = json!([{ "address": THIEF, "amount_sat": 1 }]);
        payment["fee_sat"] = json!(1);
        payment["fee_rate"] = json!(0.001);
        payment["note"] = json!("gift");
        payment["account"] = json!("00".repeat(16));
    };
    world.change("POST", "/approve", lie);
    world.change("GET", route, move |payment| {
        lie(payment);
        payment["state"] = json!("confirmed");
        payment["confirmations"] = json!(2);
    });
    let paid = world.device.approve(draft).await.unwrap().payment;
    let followed = world.device.follow_payment(&paid, Duration::from_secs(1)).await.unwrap();
    assert_eq!((followed.state, followed.confirmations), (PaymentState::Confirmed, 2));
    for payment in [paid, followed] {
        assert_eq!(
            (payment.recipients[0].address.write().as_str(), payment.recipients[0].amount.to_sat()),
            (OUTSIDE, 25_000_000)
        );
        assert_eq!((payment.fee, payment.note.as_ref().map(Note::as_str)), (fee, Some("rent")));
        let rate = rate::to_sat_per_vb(payment.fee_rate);
        assert!(rate > 1.9 && rate < 2.1, "{rate}");
    }
}

#[tokio::test]
async fn followed_payment_must_keep_its_identity() {
    let (mut world, _, draft) = drafted().await;
    let route = route(&draft);
    let paid = world.device.approve(draft).await.unwrap().payment;
    world.change("GET", route, |payment| payment["txid"] = json!("00".repeat(32)));
    let error = world.device.follow_payment(&paid, Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, DeviceError::MaybePaid { .. }), "{error}");
}

#[tokio::test]
async fn coin_at_a_far_index_does_not_extend_receive_range() {
    let mut world = World::new().await;
    let made = world.account().await;
    let id = made.map.id();
    // Given out by another device of the same owner, as far as this one can tell.
    let mut last = 0;
    for _ in 0..3 {
        for _ in 0..20 {
            last = world.device.pod.new_address(&id).await.unwrap().index;
        }
        let address = made.map.address(Keychain::External, last).unwrap().into_unchecked();
        world.fund(&address, 10_000_000).await;
    }
    assert_eq!(last, 59);
    let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    assert_eq!(draft.summary().inputs.len(), 3, "coins far out can be spent");
    world.device.approve(draft).await.unwrap();
    let view = world.device.profile.account(&id).unwrap().view;
    assert_eq!(view.external, Some(19), "only what lies within reach is remembered");
}
