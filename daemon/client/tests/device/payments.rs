//! Payments: the device signs what it checked, and nothing else.

use autonomy_api::{AccountKind, PaymentState};
use autonomy_client::{AccountWish, CallError, CheckedDraft, DeviceError, Distrust};
use autonomy_wallet::{
    account::AccountId,
    bitcoin::{Address, Amount, EcdsaSighashType, FeeRate, Psbt, absolute::LockTime},
    check::CheckRefusal,
};
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::world::{Hand, OUTSIDE, THIEF, World, now, read};

#[tokio::test]
async fn payment_is_drafted_checked_and_signed_by_both() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    assert_eq!(draft.summary().paid(), Amount::from_sat(25_000_000));
    let txid = draft.summary().txid;
    let paid = world.device.approve(draft).await.unwrap();
    assert_eq!((paid.payment.state, &paid.payment.txid), (PaymentState::Signed, &txid));
    assert!(paid.warning.is_none(), "{:?}", paid.warning);
    let view = world.reopen().await.device.profile.account(&id).unwrap().view;
    assert_eq!(view.internal, Some(0), "the change address is remembered");
}

#[tokio::test]
async fn time_locked_account_pays_by_device_and_pod() {
    let mut world = World::new().await;
    let wish = AccountWish { kind: AccountKind::TwoOfThreeOrRecovery, ..World::wish() };
    let id = world.device.create_account(&wish, now()).await.unwrap().map.id();
    let address = world.device.receive(&id, false).await.unwrap().address;
    world.fund(&address, 100_000_000).await;
    let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    assert_eq!(world.device.approve(draft).await.unwrap().payment.state, PaymentState::Signed);
}

#[tokio::test]
async fn estimated_fee_rate_is_shown_and_limited() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let wish = autonomy_api::NewPayment { fee_rate: None, ..World::pays(25_000_000) };
    let draft = world.device.draft(&id, &wish).await.unwrap();
    assert!(draft.summary().fee < Amount::from_sat(10_000));
}

#[tokio::test]
async fn cancelled_draft_frees_its_coins() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let draft = world.device.draft(&id, &World::pays(90_000_000)).await.unwrap();
    world.device.give_up(&draft.id()).await.unwrap();
    world.device.draft(&id, &World::pays(90_000_000)).await.unwrap();
}

#[tokio::test]
async fn draft_that_the_pod_does_not_give_up_is_not_told_as_cancelled() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let draft = world.device.draft(&id, &World::pays(90_000_000)).await.unwrap();
    let route: &'static str = format!("/v1/payments/{}", draft.id()).leak();
    world.hand("DELETE", route, Hand::Refuse(503));
    let error = world.device.give_up(&draft.id()).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { status: 503, .. }), "{error}");
    world.honest();
    let payment = world.device.approve(draft).await.unwrap().payment;
    let error = world.device.give_up(&payment.id).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { status: 409, .. }), "signed meanwhile: {error}");
}

/// Nobody answered for it: whoever paid again may pay twice.
#[tokio::test]
async fn signed_payment_of_unknown_fate_is_not_given_up() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    let payment = world.device.approve(draft).await.unwrap().payment;
    let error = world.device.pod.give_up_payment(&payment.id).await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { status: 409, .. }), "{error}");
    let other = world.device.draft(&id, &World::pays(5_000_000)).await;
    assert!(other.is_err(), "its coin is held");
}

#[tokio::test]
async fn draft_left_behind_is_taken_up_checked_and_paid() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let left = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    let (payment, txid) = (left.id(), left.summary().txid);
    drop(left);
    let taken = world.device.resume(&payment).await.unwrap();
    assert_eq!((taken.summary().txid, taken.account()), (txid, id));
    assert_eq!(world.device.approve(taken).await.unwrap().payment.txid, txid);
    let error = world.device.resume(&payment).await.unwrap_err();
    assert!(matches!(error, DeviceError::NotADraft { .. }), "{error}");
}

#[tokio::test]
async fn draft_that_pays_otherwise_than_it_says_is_not_taken_up() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let payment = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap().id();
    let changes: [fn(&mut Value); 3] = [
        |payment| payment["recipients"][0]["address"] = THIEF.into(),
        |payment| payment["recipients"][0]["amount_sat"] = 1_000_000.into(),
        |payment| payment["id"] = "00000000000000000000000000000007".into(),
    ];
    for change in changes {
        world.change("GET", "/payments/", change);
        assert!(matches!(world.device.resume(&payment).await, Err(DeviceError::Distrust(_))));
        world.honest();
    }
}

/// Lets the pod draft 0.25 of 1 BTC, changes the PSBT on its way, and gives what the device says.
async fn tampered(change: impl Fn(&mut Psbt) + Send + 'static) -> CheckRefusal {
    let text = move |payment: &mut Value| {
        let bytes = BASE64.decode(payment["psbt"].as_str().unwrap().as_bytes()).unwrap();
        let mut psbt = Psbt::deserialize(&bytes).unwrap();
        change(&mut psbt);
        payment["psbt"] = json!(BASE64.encode(&psbt.serialize()));
    };
    match tampered_payment(text).await {
        Distrust::Payment(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

async fn tampered_payment(change: impl Fn(&mut Value) + Send + 'static) -> Distrust {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    world.change("POST", "/payments", change);
    let error = draft(&mut world, &id).await.unwrap_err();
    let DeviceError::Distrust(distrust) = error else { panic!("{error:?}") };
    world.honest();
    draft(&mut world, &id).await.expect("the refused draft was given up, its coins are free");
    distrust
}

async fn draft(world: &mut World, id: &AccountId) -> Result<CheckedDraft, DeviceError> {
    world.device.draft(id, &World::pays(25_000_000)).await
}

fn script(address: &str) -> autonomy_wallet::bitcoin::ScriptBuf {
    address.parse::<Address<_>>().unwrap().assume_checked().script_pubkey()
}

fn to_outside(psbt: &mut Psbt) -> &mut autonomy_wallet::bitcoin::TxOut {
    let paid = script(OUTSIDE);
    psbt.unsigned_tx.output.iter_mut().find(|output| output.script_pubkey == paid).unwrap()
}

fn change_output(psbt: &mut Psbt) -> &mut autonomy_wallet::bitcoin::TxOut {
    let paid = script(OUTSIDE);
    psbt.unsigned_tx.output.iter_mut().find(|output| output.script_pubkey != paid).unwrap()
}

#[tokio::test]
async fn draft_with_swapped_recipient_is_refused() {
    let refusal = tampered(|psbt| to_outside(psbt).script_pubkey = script(THIEF)).await;
    assert!(matches!(refusal, CheckRefusal::RecipientMissing { recipient: 0, .. }), "{refusal}");
}

#[tokio::test]
async fn draft_with_changed_amount_is_refused() {
    let refusal = tampered(|psbt| to_outside(psbt).value = Amount::from_sat(25_000_001)).await;
    assert!(matches!(refusal, CheckRefusal::AmountChanged { .. }), "{refusal}");
}

#[tokio::test]
async fn change_to_a_foreign_address_is_refused() {
    let refusal = tampered(|psbt| change_output(psbt).script_pubkey = script(THIEF)).await;
    assert!(matches!(refusal, CheckRefusal::ForeignChange { .. }), "{refusal}");
    let refusal = tampered(|psbt| {
        change_output(psbt).script_pubkey = script(THIEF);
        psbt.outputs.iter_mut().for_each(|hints| *hints = Default::default());
    });
    let refusal = refusal.await;
    assert!(matches!(refusal, CheckRefusal::UnknownRecipient { .. }), "{refusal}");
}

#[tokio::test]
async fn fee_above_the_agreed_rate_is_refused() {
    let refusal = tampered(|psbt| change_output(psbt).value -= Amount::from_sat(5_000)).await;
    assert!(matches!(refusal, CheckRefusal::FeeAboveAgreed { .. }), "{refusal}");
}

#[tokio::test]
async fn fee_below_the_agreed_rate_is_refused() {
    let refusal = tampered(|psbt| change_output(psbt).value += Amount::from_sat(100)).await;
    assert!(matches!(refusal, CheckRefusal::FeeBelowAgreed { .. }), "{refusal}");
}

#[tokio::test]
async fn draft_that_is_valid_only_later_is_refused() {
    let later = LockTime::from_height(50_000).unwrap();
    let refusal = tampered(move |psbt| psbt.unsigned_tx.lock_time = later).await;
    assert!(matches!(refusal, CheckRefusal::LockTime { found: 50_000, height: Some(_) }), "{refusal}");
}

#[tokio::test]
async fn false_input_amount_is_refused() {
    let refusal = tampered(|psbt| {
        if let Some(utxo) = &mut psbt.inputs[0].witness_utxo {
            utxo.value = Amount::from_sat(50_000_000);
        }
    })
    .await;
    assert!(matches!(refusal, CheckRefusal::LyingUtxo { field: "amount", .. }), "{refusal}");
}

#[tokio::test]
async fn input_without_previous_transaction_is_refused() {
    let refusal = tampered(|psbt| psbt.inputs[0].non_witness_utxo = None).await;
    assert!(matches!(refusal, CheckRefusal::MissingPrevious { input: 0 }), "{refusal}");
}

#[tokio::test]
async fn sighash_other_than_all_is_refused() {
    for kind in [EcdsaSighashType::None, EcdsaSighashType::Single, EcdsaSighashType::AllPlusAnyoneCanPay] {
        let refusal = tampered(move |psbt| psbt.inputs[0].sighash_type = Some(kind.into())).await;
        assert!(matches!(refusal, CheckRefusal::Sighash { input: 0, .. }), "{refusal}");
    }
}

#[tokio::test]
async fn malformed_draft_is_refused() {
    let nothing = tampered_payment(|payment| payment["psbt"] = Value::Null).await;
    assert!(matches!(nothing, Distrust::NoDraft));
    let nonsense = tampered_payment(|payment| payment["psbt"] = json!("AAAA")).await;
    assert!(matches!(nonsense, Distrust::Payment(CheckRefusal::Malformed(_))), "{nonsense}");
    let cut = tampered_payment(|payment| {
        let text = payment["psbt"].as_str().unwrap();
        payment["psbt"] = json!(text[..text.len() / 2 / 4 * 4]);
    });
    assert!(matches!(cut.await, Distrust::Payment(CheckRefusal::Malformed(_))));
}

#[tokio::test]
async fn oversized_draft_is_not_read_to_the_end() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    world.change("POST", "/payments", |payment| payment["psbt"] = json!("A".repeat(10 << 20)));
    let error = draft(&mut world, &id).await.unwrap_err();
    assert!(matches!(error, DeviceError::Call(CallError::TooLarge { .. })), "{error}");
}

#[tokio::test]
async fn pod_without_recorded_debit_gets_no_second_signature() {
    let mut world = World::new().await;
    let id = world.funded(100_000_000).await.map.id();
    let before = world.device.status().await.unwrap().state_epoch;
    let checked = draft(&mut world, &id).await.unwrap();
    world.device.approve(checked).await.unwrap();
    world.change("GET", "/v1/status", move |status| status["state_epoch"] = json!(before));
    let error = draft(&mut world, &id).await.unwrap_err();
    assert!(matches!(error, DeviceError::Distrust(Distrust::OlderState { .. })), "{error}");
}

#[tokio::test]
async fn impossible_payment_is_refused_before_the_pod_is_asked() {
    let mut world = World::new().await;
    let id = world.account().await.map.id();
    for (address, sat) in [("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 10_000), (OUTSIDE, 1)] {
        let mut wish = World::pays(sat);
        wish.recipients[0].address = read(address);
        assert!(
            matches!(world.device.draft(&id, &wish).await, Err(DeviceError::Intent(_))),
            "{address} {sat}"
        );
    }
    for rate in [FeeRate::ZERO, FeeRate::from_sat_per_kwu(1), FeeRate::MAX] {
        let wish = autonomy_api::NewPayment { fee_rate: Some(rate), ..World::pays(10_000) };
        assert!(matches!(world.device.draft(&id, &wish).await, Err(DeviceError::Intent(_))), "{rate}");
    }
}
