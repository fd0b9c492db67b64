//! What P has signed is remembered until its outcome is known: the next payment excludes it, or its owner is asked.

use std::time::Duration;

use autonomy_api::{NewPayment, Payment, PaymentState};
use autonomy_client::{CheckedDraft, DeviceError, payment::Earlier};
use autonomy_wallet::account::AccountId;
use serde_json::json;

use crate::world::{Hand, World};

/// A payment of 0.25 BTC that the pod has signed and the device heard nothing of; then the same wish, with a second coin.
async fn in_doubt() -> (World, AccountId, CheckedDraft) {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let address = world.device.receive(&id, false).await.unwrap().address;
    let first = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    let route: &'static str = format!("/v1/payments/{}", first.id()).leak();
    world.hand("POST", "/approve", Hand::Break(u32::MAX));
    world.hand("GET", route, Hand::Refuse(500));
    let signed = first.id();
    let error = world.device.approve(first).await.unwrap_err();
    assert!(matches!(error, DeviceError::MaybePaid { payment, .. } if payment == signed), "{error}");
    world.honest();
    world.fund(&address, 90_000_000).await;
    let mut world = world.reopen().await;
    let second = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    (world, id, second)
}

fn sent(draft: &CheckedDraft) -> Vec<bool> {
    draft.earlier().iter().map(|Earlier { sent, .. }| *sent).collect()
}

#[tokio::test]
async fn repeated_wish_of_a_lost_answer_is_asked_about() {
    let (mut world, id, second) = in_doubt().await;
    assert_eq!(sent(&second), [true], "the pod says that the first was sent");
    let error = world.device.approve(second).await.unwrap_err();
    assert!(matches!(error, DeviceError::PaidBefore { sent: true, .. }), "{error}");
    let third = world.device.draft(&id, &World::pays(5_000_000)).await;
    assert!(third.is_err() || third.unwrap().earlier().is_empty(), "it is known now");
}

#[tokio::test]
async fn other_wish_after_a_lost_answer_is_paid() {
    let (mut world, id, second) = in_doubt().await;
    world.device.give_up(&second.id()).await.unwrap();
    let other = world.device.draft(&id, &World::pays(5_000_000)).await.unwrap();
    assert!(other.earlier().is_empty());
    world.device.approve(other).await.unwrap();
}

#[tokio::test]
async fn signed_payment_that_the_pod_denies_stays_in_doubt() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let address = world.device.receive(&id, false).await.unwrap().address;
    let first = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    let route: &'static str = format!("/v1/payments/{}", first.id()).leak();
    world.hand("POST", "/approve", Hand::Break(u32::MAX));
    world.change("GET", route, |payment| payment["state"] = json!("cancelled"));
    world.device.approve(first).await.unwrap_err();
    world.fund(&address, 90_000_000).await;
    let second = world.device.draft(&id, &World::pays(7_000_000)).await.unwrap();
    assert_eq!(sent(&second), [false], "another wish, and yet both could be paid");
    let error = world.device.approve(second).await.unwrap_err();
    assert!(matches!(error, DeviceError::PaidBefore { sent: false, .. }), "{error}");
    assert_eq!(world.device.profile.account(&id).unwrap().unsettled.len(), 1);
}

#[tokio::test]
async fn owner_who_was_asked_may_pay_besides() {
    let (mut world, _, second) = in_doubt().await;
    let signed = second.earlier()[0].signed.clone();
    assert_eq!(signed.recipients, World::pays(25_000_000).recipients);
    world.device.approve(second.besides()).await.unwrap();
}

#[tokio::test]
async fn payment_of_the_same_coin_excludes_the_earlier_one() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let first = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    let first_id = first.id();
    world.hand("POST", "/approve", Hand::Refuse(409));
    world.device.approve(first).await.unwrap_err();
    world.honest();
    assert_eq!(world.device.profile.account(&id).unwrap().unsettled.len(), 1, "the signature has left");
    world.device.give_up(&first_id).await.unwrap();
    let wish = NewPayment { note: None, ..World::pays(25_000_000) };
    let second = world.device.draft(&id, &wish).await.unwrap();
    assert!(second.earlier().is_empty());
    world.device.approve(second).await.unwrap();
}

/// Payments that this device remembers.
fn remembered(world: &World, id: &AccountId) -> usize {
    world.device.profile.account(id).unwrap().unsettled.len()
}

/// A payment that the pod signed, and the route that tells of it; then a second coin.
async fn signed() -> (World, AccountId, Payment, &'static str) {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let address = world.device.receive(&id, false).await.unwrap().address;
    let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    let payment = world.device.approve(draft).await.unwrap().payment;
    let route: &'static str = format!("/v1/payments/{}", payment.id).leak();
    world.fund(&address, 90_000_000).await;
    (world.reopen().await, id, payment, route)
}

const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn payment_is_remembered_until_the_network_has_it() {
    let (mut world, id, payment, route) = signed().await;
    assert_eq!(remembered(&world, &id), 1, "so far it is only signed");
    world.change("GET", route, |payment| payment["state"] = json!("seen"));
    world.device.follow_payment(&payment, SOON).await.unwrap();
    assert_eq!(remembered(&world.reopen().await, &id), 0);
}

/// The pod has the signature: it can say that the payment failed, and send it after another was made in its place.
#[tokio::test]
async fn payment_that_the_pod_calls_failed_is_asked_about() {
    let (mut world, id, payment, route) = signed().await;
    world.change("GET", route, |payment| payment["state"] = json!("failed"));
    let failed = world.device.follow_payment(&payment, SOON).await.unwrap();
    assert_eq!(failed.state, PaymentState::Failed);
    for sat in [25_000_000, 7_000_000] {
        let again = world.device.draft(&id, &World::pays(sat)).await.unwrap();
        assert_eq!(sent(&again), [false]);
        let error = world.device.approve(again).await.unwrap_err();
        assert!(matches!(error, DeviceError::PaidBefore { sent: false, .. }), "{error}");
        assert_eq!(remembered(&world, &id), 1);
    }
    // Its owner knows, and means it.
    let again = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    let besides = world.device.approve(again.besides()).await.unwrap().payment;
    let held = world.device.profile.account(&id).unwrap();
    assert_eq!(held.unsettled.iter().map(|left| left.payment).collect::<Vec<_>>(), [besides.id]);
}

#[tokio::test]
async fn approval_that_is_answered_with_failed_is_remembered() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    world.change("POST", "/approve", |payment| payment["state"] = json!("failed"));
    let paid = world.device.approve(draft).await.unwrap();
    assert_eq!((paid.payment.state, remembered(&world, &id)), (PaymentState::Failed, 1));
}

/// A draft tells nobody anything: its owner may never have seen it.
#[tokio::test]
async fn earlier_payment_is_told_until_its_owner_pays_besides() {
    let (mut world, id, second) = in_doubt().await;
    let first = second.earlier()[0].signed.payment;
    world.device.give_up(&second.id()).await.unwrap();
    world.change("GET", format!("/v1/payments/{first}").leak(), |payment| payment["state"] = json!("seen"));
    for _ in 0..2 {
        let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
        assert_eq!(sent(&draft), [true]);
        let error = world.device.approve(draft).await.unwrap_err();
        assert!(matches!(error, DeviceError::PaidBefore { sent: true, .. }), "{error}");
        let mut payments = world.device.pod.payments(&id).await.unwrap().payments;
        payments.retain(|payment| payment.state == PaymentState::Draft);
        assert!(payments.is_empty(), "a draft that was not signed is given up");
    }
    let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    world.device.approve(draft.besides()).await.unwrap();
    let left = &world.device.profile.account(&id).unwrap().unsettled;
    assert!(left.iter().all(|signed| signed.payment != first), "it was told");
}

/// The owner saw its receipt: nothing is left to tell once the network has it.
#[tokio::test]
async fn answered_payment_is_forgotten_with_the_next_one() {
    let (mut world, id, payment, route) = signed().await;
    world.change("GET", route, |payment| payment["state"] = json!("confirmed"));
    let other = world.device.draft(&id, &World::pays(7_000_000)).await.unwrap();
    assert!(other.earlier().is_empty());
    assert_eq!(remembered(&world, &id), 1);
    world.device.approve(other).await.unwrap();
    let left = &world.device.profile.account(&id).unwrap().unsettled;
    assert!(left.iter().all(|signed| signed.payment != payment.id));
}
