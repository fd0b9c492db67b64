//! What a hostile pod, device or builder may try. One story each: an honest draft is taken, one thing in it is
//! changed, and neither the device nor the pod signs.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::collections::BTreeMap;

use autonomy_wallet::account::{Keychain, MapKind, MemberLabel};
use autonomy_wallet::bitcoin::bip32::{DerivationPath, Fingerprint};
use autonomy_wallet::bitcoin::ecdsa::Signature;
use autonomy_wallet::bitcoin::hashes::Hash;
use autonomy_wallet::bitcoin::psbt::{PsbtSighashType, raw};
use autonomy_wallet::bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use autonomy_wallet::bitcoin::{
    Address, Amount, EcdsaSighashType, Network, OutPoint, Psbt, PublicKey, ScriptBuf, Sequence, TxOut, Txid,
    Witness, absolute, transaction,
};
use autonomy_wallet::check::{CheckRefusal, DeviceView, MAX_PSBT_BYTES, Unchecked};
use autonomy_wallet::payment::Intent;
use autonomy_wallet::policy::Policy;
use common::{NETWORK, SHOP, THIEF, World, address, coinbase, pay, rate, sat, spend};

const AMOUNT: u64 = 25_000_000;

fn script(text: &str) -> ScriptBuf {
    address(text).assume_checked().script_pubkey()
}

/// Takes an honest draft to the shop, lets `attack` change it, and returns why both sides refuse it.
fn refused(attack: impl FnOnce(&mut World, &mut Psbt)) -> CheckRefusal {
    let mut world = World::funded();
    let intent = pay(SHOP, AMOUNT);
    let mut psbt = world.draft_psbt(&intent);
    attack(&mut world, &mut psbt);
    world.refused(&psbt, Some(&intent))
}

/// Position of the output that pays the shop, and of the change.
fn shop(psbt: &Psbt) -> usize {
    psbt.unsigned_tx.output.iter().position(|output| output.script_pubkey == script(SHOP)).unwrap()
}

fn change(psbt: &Psbt) -> usize {
    1 - shop(psbt)
}

// --- where the money goes ---

#[test]
fn swapped_recipient_is_refused() {
    let refusal = refused(|_, psbt| {
        let output = shop(psbt);
        psbt.unsigned_tx.output[output].script_pubkey = script(THIEF);
    });
    let shop = address(SHOP).assume_checked();
    assert_eq!(refusal, CheckRefusal::RecipientMissing { recipient: 0, address: shop });
}

#[test]
fn reduced_amount_is_refused() {
    let mut at = 0;
    let refusal = refused(|_, psbt| {
        at = shop(psbt);
        psbt.unsigned_tx.output[at].value = sat(AMOUNT - 10_000);
        psbt.unsigned_tx.output.push(TxOut { value: sat(10_000), script_pubkey: script(THIEF) });
        psbt.outputs.push(Default::default());
    });
    let (found, agreed) = (sat(AMOUNT - 10_000), sat(AMOUNT));
    assert_eq!(refusal, CheckRefusal::AmountChanged { output: at, recipient: 0, found, agreed });
}

#[test]
fn payment_to_an_unnamed_recipient_is_refused() {
    let refusal = refused(|_, psbt| {
        let change = change(psbt);
        psbt.unsigned_tx.output[change].value -= sat(50_000);
        psbt.unsigned_tx.output.push(TxOut { value: sat(50_000), script_pubkey: script(THIEF) });
        psbt.outputs.push(Default::default());
    });
    let thief = address(THIEF).assume_checked();
    assert_eq!(refusal, CheckRefusal::UnknownRecipient { output: 2, address: thief, amount: sat(50_000) });
}

#[test]
fn foreign_script_marked_as_change_is_refused() {
    let mut at = 0;
    let refusal = refused(|_, psbt| {
        at = change(psbt);
        // Fingerprints, paths and scripts all claim that it is ours. The script itself is not.
        psbt.unsigned_tx.output[at].script_pubkey = script(THIEF);
    });
    assert_eq!(refusal, CheckRefusal::ForeignChange { output: at, keychain: Keychain::Internal, index: 0 });
}

#[test]
fn unmarked_foreign_change_is_refused() {
    let mut at = 0;
    let refusal = refused(|_, psbt| {
        at = change(psbt);
        psbt.unsigned_tx.output[at].script_pubkey = script(THIEF);
        psbt.outputs[at] = Default::default();
    });
    assert!(matches!(refusal, CheckRefusal::UnknownRecipient { output, .. } if output == at), "{refusal}");
}

#[test]
fn change_with_a_replaced_key_is_refused() {
    // The thief put one key of their own in place of G's: same fingerprints, same paths.
    let mut at = 0;
    let refusal = refused(|_, psbt| {
        at = change(psbt);
        let theirs = common::Members::new(200).map(MapKind::Personal);
        psbt.unsigned_tx.output[at].script_pubkey = theirs.script_pubkey(Keychain::Internal, 0).unwrap();
    });
    assert_eq!(refusal, CheckRefusal::ForeignChange { output: at, keychain: Keychain::Internal, index: 0 });
}

#[test]
fn change_past_the_gap_limit_is_refused() {
    let mut world = World::funded();
    let intent = pay(SHOP, AMOUNT);
    let mut psbt = world.draft_psbt(&intent);
    let at = change(&psbt);
    move_output(&world, &mut psbt, at, Keychain::Internal, 5_000);
    let refusal = world.on_device(&psbt.serialize(), Some(&intent)).unwrap_err();
    let (output, keychain, index) = (at, Keychain::Internal, 5_000);
    assert_eq!(refusal, CheckRefusal::ChangeBeyondGap { output, keychain, index, last: None });

    // 19 is the last one a restored wallet would find, 20 the first it would not.
    for (index, fine) in [(19, true), (20, false)] {
        move_output(&world, &mut psbt, at, Keychain::Internal, index);
        assert_eq!(world.on_device(&psbt.serialize(), Some(&intent)).is_ok(), fine);
    }
}

fn move_output(world: &World, psbt: &mut Psbt, at: usize, keychain: Keychain, index: u32) {
    psbt.unsigned_tx.output[at].script_pubkey = world.map.script_pubkey(keychain, index).unwrap();
    for (fingerprint, path) in psbt.outputs[at].bip32_derivation.values_mut() {
        let step = if keychain == Keychain::Internal { 1 } else { 0 };
        let base = path.len() - 2;
        let steps: Vec<_> = path.into_iter().take(base).copied().collect();
        let origin = world.map.keys().find(|key| key.fingerprint() == *fingerprint).unwrap();
        assert!(base >= origin.origin_path().len());
        *path = DerivationPath::from(steps).extend(
            [step, index].map(|index| autonomy_wallet::bitcoin::bip32::ChildNumber::Normal { index }),
        );
    }
    psbt.outputs[at].witness_script = None;
}

#[test]
fn change_on_a_receiving_address_is_refused() {
    let mut world = World::funded();
    let intent = pay(SHOP, AMOUNT);
    let mut psbt = world.draft_psbt(&intent);
    let at = change(&psbt);
    move_output(&world, &mut psbt, at, Keychain::External, 0);
    assert_eq!(world.refused(&psbt, Some(&intent)), CheckRefusal::UnexpectedChange { output: at });
}

#[test]
fn own_fingerprint_on_an_unused_path_is_refused() {
    let mut at = 0;
    let refusal = refused(|world, psbt| {
        at = shop(psbt);
        let fingerprint = world.map.key(&MemberLabel::P).unwrap().fingerprint();
        let key = psbt.outputs[1 - at].bip32_derivation.keys().next().copied().unwrap();
        let path: DerivationPath = "m/48h/1h/0h/2h/7/0".parse().unwrap();
        psbt.outputs[at].bip32_derivation = BTreeMap::from([(key, (fingerprint, path))]);
    });
    assert_eq!(refusal, CheckRefusal::ForeignPath { output: at });
}

#[test]
fn output_without_address_or_of_dust_is_refused() {
    let mut at = 0;
    let refusal = refused(|_, psbt| {
        at = shop(psbt);
        psbt.unsigned_tx.output[at].script_pubkey = ScriptBuf::new_op_return([1, 2, 3]);
    });
    assert_eq!(refusal, CheckRefusal::NoAddress { output: at });
    let refusal = refused(|_, psbt| {
        at = shop(psbt);
        psbt.unsigned_tx.output[at].value = sat(293);
    });
    assert_eq!(refusal, CheckRefusal::Dust { output: at, amount: sat(293) });
}

#[test]
fn intent_for_another_network_is_refused() {
    let mut world = World::funded();
    let mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let intent = Intent::pay(Network::Bitcoin, [(address(mainnet), sat(AMOUNT))], rate(5)).unwrap();
    // The script is the same on both networks; only the intent can tell.
    let psbt = world.draft_psbt(&pay(SHOP, AMOUNT));
    let (intent_on, account) = (Network::Bitcoin, NETWORK);
    assert_eq!(
        world.refused(&psbt, Some(&intent)),
        CheckRefusal::WrongNetwork { intent: intent_on, account }
    );
}

// --- what miners get ---

#[test]
fn change_turned_into_fee_is_refused() {
    let refusal = refused(|_, psbt| {
        let change = change(psbt);
        psbt.unsigned_tx.output.remove(change);
        psbt.outputs.remove(change);
    });
    assert!(matches!(refusal, CheckRefusal::FeeAbsolute { most, .. } if most == sat(1_000_000)), "{refusal}");
}

#[test]
fn fee_above_the_agreed_rate_is_refused() {
    let refusal = refused(|_, psbt| {
        let change = change(psbt);
        psbt.unsigned_tx.output[change].value -= sat(2_500);
    });
    assert!(matches!(refusal, CheckRefusal::FeeAboveAgreed { .. }), "{refusal}");
}

#[test]
fn fee_limits_hold_without_an_intent() {
    let with_fee = |amount, fee| {
        let mut world = World::funded();
        let mut psbt = world.draft_psbt(&pay(SHOP, amount));
        let change = change(&psbt);
        psbt.unsigned_tx.output[change].value -= sat(fee);
        world.refused(&psbt, None)
    };
    assert!(matches!(with_fee(AMOUNT, 999_500), CheckRefusal::FeeAbsolute { .. }));
    assert!(matches!(with_fee(AMOUNT, 400_000), CheckRefusal::FeeRate { .. }));
    assert!(matches!(with_fee(100_000, 25_000), CheckRefusal::FeeShare { percent: 10, .. }));
}

#[test]
fn outputs_above_inputs_or_all_money_are_refused() {
    let refusal = refused(|_, psbt| {
        let change = change(psbt);
        psbt.unsigned_tx.output[change].value = sat(80_000_000);
    });
    assert!(matches!(refusal, CheckRefusal::Overspent { .. }), "{refusal}");
    for amount in [Amount::MAX_MONEY, Amount::MAX] {
        let refusal = refused(|_, psbt| {
            let change = change(psbt);
            psbt.unsigned_tx.output[change].value = amount;
        });
        assert_eq!(refusal, CheckRefusal::AmountRange("outputs"));
    }
}

// --- what is spent ---

fn stray_coin() -> OutPoint {
    OutPoint::new(Txid::from_byte_array([9; 32]), 0)
}

fn add_input(psbt: &mut Psbt, previous: autonomy_wallet::bitcoin::Transaction) {
    let mut txin = psbt.unsigned_tx.input[0].clone();
    txin.previous_output = OutPoint::new(previous.compute_txid(), 0);
    psbt.unsigned_tx.input.push(txin);
    let mut fields = psbt.inputs[0].clone();
    fields.witness_utxo = Some(previous.output[0].clone());
    fields.non_witness_utxo = Some(previous);
    psbt.inputs.push(fields);
}

/// The checks differ here by design: the device sees a stranger's script, the pod a coin it does not know.
fn refused_by_each(attack: impl FnOnce(&mut World, &mut Psbt)) -> (CheckRefusal, CheckRefusal) {
    let mut world = World::funded();
    let mut psbt = world.draft_psbt(&pay(SHOP, AMOUNT));
    attack(&mut world, &mut psbt);
    let bytes = psbt.serialize();
    (world.on_device(&bytes, None).unwrap_err(), world.on_pod(&bytes, None).unwrap_err())
}

#[test]
fn input_of_another_wallet_is_refused() {
    let (device, pod) = refused_by_each(|_, psbt| add_input(psbt, spend(stray_coin(), script(THIEF), 5_000)));
    assert!(matches!(device, CheckRefusal::ForeignInput { input: 1, .. }), "{device}");
    assert!(matches!(pod, CheckRefusal::UnknownCoin { input: 1, .. }), "{pod}");
}

#[test]
fn made_up_coin_is_refused_by_the_pod() {
    // A made-up transaction that pays us: the device, without a chain, cannot know. The pod does.
    let mut world = World::funded();
    let mut psbt = world.draft_psbt(&pay(SHOP, AMOUNT));
    let own = world.map.script_pubkey(Keychain::External, 1).unwrap();
    let fake = spend(stray_coin(), own, 5_000);
    let outpoint = OutPoint::new(fake.compute_txid(), 0);
    psbt.unsigned_tx.input[0].previous_output = outpoint;
    psbt.inputs[0].witness_utxo = Some(fake.output[0].clone());
    psbt.inputs[0].non_witness_utxo = Some(fake);
    let refusal = world.on_pod(&psbt.serialize(), None).unwrap_err();
    assert_eq!(refusal, CheckRefusal::UnknownCoin { input: 0, outpoint });
}

#[test]
fn spent_coin_is_refused_by_the_pod() {
    let mut world = World::funded();
    let draft = world.draft(&pay(SHOP, AMOUNT)).to_bytes();
    let tx = {
        let proposal = world.on_pod(&draft, None).unwrap();
        let digest = proposal.summary().digest();
        let p = proposal.approve(&digest).unwrap().sign(&world.members.p).unwrap().to_bytes();
        let proposal = world.on_pod(&p, None).unwrap();
        proposal.approve(&digest).unwrap().sign(&world.members.g).unwrap().finalise().unwrap()
    };
    let by = tx.compute_txid();
    // Spent the moment it is broadcast, not only when it is mined.
    world.ledger.apply_unconfirmed([(tx.clone(), 1_700_100_000)]);
    assert_eq!(world.on_pod(&draft, None).unwrap_err(), CheckRefusal::SpentCoin { input: 0, by });
    world.mine(vec![tx]);
    assert_eq!(world.on_pod(&draft, None).unwrap_err(), CheckRefusal::SpentCoin { input: 0, by });
}

#[test]
fn immature_mining_reward_is_refused() {
    let mut world = World::funded();
    let reward = coinbase(world.map.first_address().script_pubkey(), 5_000_000_000, 1);
    world.mine(vec![reward.clone()]);
    assert_eq!(world.ledger.balance().immature, sat(5_000_000_000));
    let mut psbt = world.draft_psbt(&pay(SHOP, AMOUNT));
    add_input(&mut psbt, reward);
    assert_eq!(world.on_pod(&psbt.serialize(), None).unwrap_err(), CheckRefusal::ImmatureCoin { input: 1 });
}

#[test]
fn same_coin_twice_is_refused() {
    let refusal = refused(|_, psbt| {
        let (txin, fields) = (psbt.unsigned_tx.input[0].clone(), psbt.inputs[0].clone());
        psbt.unsigned_tx.input.push(txin);
        psbt.inputs.push(fields);
    });
    assert_eq!(refusal, CheckRefusal::DuplicateInput { input: 1, first: 0 });
}

#[test]
fn input_address_past_the_gap_limit_is_refused() {
    let mut world = World::funded();
    let far = world.map.script_pubkey(Keychain::External, 60).unwrap();
    let coin = world.payment_to(far, 90_000_000);
    world.mine(vec![coin]);
    let psbt = world.draft_psbt(&pay(SHOP, 60_000_000));
    // The device gave out three addresses and knows of no sixtieth.
    let view = DeviceView { external: Some(2), internal: None, height: None };
    let unchecked = Unchecked::from_bytes(&psbt.serialize()).unwrap();
    let refusal = unchecked.check(&world.map, &view, &Policy::STANDARD, None).unwrap_err();
    assert!(matches!(refusal, CheckRefusal::InputBeyondGap { index: 60, last: Some(2), .. }), "{refusal}");
}

// --- lies about amounts and scripts ---

#[test]
fn witness_utxo_unlike_the_previous_tx_is_refused() {
    let lie =
        |change: fn(&mut TxOut)| refused(|_, psbt| change(psbt.inputs[0].witness_utxo.as_mut().unwrap()));
    assert_eq!(lie(|utxo| utxo.value -= sat(1)), CheckRefusal::LyingUtxo { input: 0, field: "amount" });
    assert_eq!(
        lie(|utxo| utxo.script_pubkey = script(THIEF)),
        CheckRefusal::LyingUtxo { input: 0, field: "script" }
    );
}

#[test]
fn missing_or_wrong_previous_tx_is_refused() {
    let refusal = refused(|_, psbt| psbt.inputs[0].non_witness_utxo = None);
    assert_eq!(refusal, CheckRefusal::MissingPrevious { input: 0 });
    let refusal = refused(|_, psbt| {
        // A larger amount, and so another transaction id.
        psbt.inputs[0].non_witness_utxo.as_mut().unwrap().output[0].value += sat(1);
    });
    assert!(matches!(refusal, CheckRefusal::WrongPrevious { input: 0, .. }), "{refusal}");
    let refusal = refused(|_, psbt| psbt.unsigned_tx.input[0].previous_output.vout = 7);
    assert_eq!(refusal, CheckRefusal::NoSuchOutput { input: 0, vout: 7 });
}

#[test]
fn replaced_or_final_scripts_are_refused() {
    let refusal = refused(|_, psbt| {
        psbt.inputs[0].witness_script = Some(ScriptBuf::from_bytes(vec![0x51]));
    });
    assert_eq!(refusal, CheckRefusal::WitnessScript { input: 0 });
    let refusal = refused(|_, psbt| psbt.inputs[0].redeem_script = Some(script(THIEF)));
    assert_eq!(refusal, CheckRefusal::RedeemScript { input: 0 });
    let refusal = refused(|_, psbt| {
        psbt.inputs[0].final_script_witness = Some(Witness::from_slice(&[[1u8]]));
    });
    assert_eq!(refusal, CheckRefusal::AlreadyFinal { input: 0 });
}

#[test]
fn missing_or_too_many_hints_are_refused() {
    let mut world = World::funded();
    let mut psbt = world.draft_psbt(&pay(SHOP, AMOUNT));
    let entry = psbt.inputs[0].bip32_derivation.values().next().cloned().unwrap();
    psbt.inputs[0].bip32_derivation.clear();
    // The pod recognises the coin without hints, the device does not look for it.
    assert!(world.on_pod(&psbt.serialize(), None).is_ok());
    let refusal = world.on_device(&psbt.serialize(), None).unwrap_err();
    assert!(matches!(refusal, CheckRefusal::ForeignInput { input: 0, .. }), "{refusal}");

    let secp = Secp256k1::new();
    for i in 1..=17u8 {
        let key = SecretKey::from_slice(&[i; 32]).unwrap().public_key(&secp);
        psbt.inputs[0].bip32_derivation.insert(key, entry.clone());
    }
    let refusal = world.refused(&psbt, None);
    assert_eq!(refusal, CheckRefusal::TooManyHints { place: "input", number: 0, count: 17 });
}

#[test]
fn hints_that_name_two_addresses_are_refused() {
    let mut at = 0;
    let refusal = refused(|_, psbt| {
        at = change(psbt);
        let (_, path) = psbt.outputs[at].bip32_derivation.values_mut().next().unwrap();
        let mut steps: Vec<_> = path.into_iter().copied().collect();
        let last = steps.last_mut().unwrap();
        *last = last.increment().unwrap();
        *path = steps.into();
    });
    assert_eq!(refusal, CheckRefusal::ContradictoryHints { place: "output", number: at });
}

// --- signatures ---

#[test]
fn sighash_request_other_than_all_is_refused() {
    use EcdsaSighashType as Type;
    for kind in [
        Type::None,
        Type::Single,
        Type::AllPlusAnyoneCanPay,
        Type::NonePlusAnyoneCanPay,
        Type::SinglePlusAnyoneCanPay,
    ] {
        let refusal = refused(|_, psbt| psbt.inputs[0].sighash_type = Some(kind.into()));
        assert_eq!(refusal, CheckRefusal::Sighash { input: 0, found: kind.to_u32() });
    }
    let refusal = refused(|_, psbt| psbt.inputs[0].sighash_type = Some(PsbtSighashType::from_u32(0x42)));
    assert_eq!(refusal, CheckRefusal::Sighash { input: 0, found: 0x42 });
}

/// An honest PSBT with P's signature, taken apart.
fn signed_by_p() -> (World, Psbt) {
    let mut world = World::funded();
    let draft = world.draft(&pay(SHOP, AMOUNT)).to_bytes();
    let proposal = world.on_device(&draft, None).unwrap();
    let digest = proposal.summary().digest();
    let bytes = proposal.approve(&digest).unwrap().sign(&world.members.p).unwrap().to_bytes();
    let psbt = Psbt::deserialize(&bytes).unwrap();
    (world, psbt)
}

fn signature(psbt: &mut Psbt) -> (PublicKey, &mut Signature) {
    psbt.inputs[0].partial_sigs.iter_mut().next().map(|(key, signature)| (*key, signature)).unwrap()
}

#[test]
fn signature_with_sighash_other_than_all_is_refused() {
    use EcdsaSighashType as Type;
    for kind in [Type::None, Type::Single, Type::AllPlusAnyoneCanPay] {
        let (world, mut psbt) = signed_by_p();
        let (key, signature) = signature(&mut psbt);
        signature.sighash_type = kind;
        let found = kind.to_u32();
        assert_eq!(world.refused(&psbt, None), CheckRefusal::SignatureSighash { input: 0, key, found });
    }
}

#[test]
fn invalid_signature_is_refused() {
    let (world, mut psbt) = signed_by_p();
    let secret = SecretKey::from_slice(&[3; 32]).unwrap();
    let (_, signature) = signature(&mut psbt);
    signature.signature = Secp256k1::new().sign_ecdsa(&Message::from_digest([1; 32]), &secret);
    assert_eq!(world.refused(&psbt, None), CheckRefusal::BadSignature { input: 0, member: MemberLabel::P });
}

#[test]
fn signature_of_a_stranger_is_refused() {
    let (world, mut psbt) = signed_by_p();
    let stranger = SecretKey::from_slice(&[3; 32]).unwrap().public_key(&Secp256k1::new());
    let key = PublicKey::new(stranger);
    let copy = *signature(&mut psbt).1;
    psbt.inputs[0].partial_sigs.insert(key, copy);
    let refusal = world.refused(&psbt, None);
    assert_eq!(refusal, CheckRefusal::UnknownSigner { input: 0, key });
}

#[test]
fn change_after_a_signature_is_refused() {
    let (world, mut psbt) = signed_by_p();
    let change = change(&psbt);
    psbt.unsigned_tx.output[change].value -= sat(100);
    assert_eq!(world.refused(&psbt, None), CheckRefusal::BadSignature { input: 0, member: MemberLabel::P });
}

#[test]
fn signature_of_the_recovery_branch_is_refused() {
    let mut world = World::of_kind(MapKind::PersonalOrRecovery { blocks: 10 }).with_coins(&[50_000_000]);
    let mut psbt = world.draft_psbt(&pay(SHOP, AMOUNT));
    let branch = psbt.inputs[0]
        .bip32_derivation
        .iter()
        .find(|(_, (_, path))| path.to_string().starts_with("0/2/"))
        .map(|(key, _)| PublicKey::new(*key))
        .unwrap();
    let secret = SecretKey::from_slice(&[3; 32]).unwrap();
    let signature = Secp256k1::new().sign_ecdsa(&Message::from_digest([1; 32]), &secret);
    psbt.inputs[0].partial_sigs.insert(branch, Signature { signature, sighash_type: EcdsaSighashType::All });
    assert_eq!(world.refused(&psbt, None), CheckRefusal::UnknownSigner { input: 0, key: branch });
}

#[test]
fn merge_takes_signatures_and_nothing_else() {
    let (world, with_p) = signed_by_p();
    let approve = |bytes: &[u8]| {
        let proposal = world.on_pod(bytes, None).unwrap();
        let digest = proposal.summary().digest();
        proposal.approve(&digest).unwrap()
    };
    let mut bare = with_p.clone();
    bare.inputs[0].partial_sigs.clear();

    // Everything but the signature is poisoned; none of it is looked at.
    let mut poisoned = with_p.clone();
    poisoned.inputs[0].witness_script = Some(ScriptBuf::from_bytes(vec![0x51]));
    poisoned.inputs[0].witness_utxo = Some(TxOut { value: sat(1), script_pubkey: script(THIEF) });
    poisoned.inputs[0].sighash_type = Some(EcdsaSighashType::None.into());
    let mut ours = approve(&bare.serialize()).sign(&world.members.g).unwrap();
    ours.merge(&Unchecked::from_bytes(&poisoned.serialize()).unwrap()).unwrap();
    assert_eq!(ours.signers(), [MemberLabel::P, MemberLabel::G]);
    ours.finalise().unwrap();

    // A bad signature takes nothing, another transaction neither.
    let mut ours = approve(&bare.serialize()).sign(&world.members.g).unwrap();
    let mut garbage = with_p.clone();
    signature(&mut garbage).1.sighash_type = EcdsaSighashType::None;
    assert!(ours.merge(&Unchecked::from_bytes(&garbage.serialize()).unwrap()).is_err());
    let mut other = with_p;
    other.unsigned_tx.output[0].value -= sat(1);
    let refusal = ours.merge(&Unchecked::from_bytes(&other.serialize()).unwrap()).unwrap_err();
    assert!(matches!(refusal, CheckRefusal::DifferentTransaction { .. }), "{refusal}");
    assert_eq!(ours.signers(), [MemberLabel::G]);
}

// --- when it may be mined ---

#[test]
fn lock_time_in_the_future_is_refused() {
    let mut world = World::funded();
    let mut psbt = world.draft_psbt(&pay(SHOP, AMOUNT));
    let tip = world.ledger.tip().height;
    for (lock, fine) in [(tip + 6, true), (tip + 7, false), (499_999_999, false)] {
        psbt.unsigned_tx.lock_time = absolute::LockTime::from_height(lock).unwrap();
        assert_eq!(world.on_pod(&psbt.serialize(), None).is_ok(), fine, "{lock}");
    }
    // A clock time: long past, and still nothing a pure check can judge.
    psbt.unsigned_tx.lock_time = absolute::LockTime::from_time(1_700_000_000).unwrap();
    let refusal = world.on_device(&psbt.serialize(), None).unwrap_err();
    assert_eq!(refusal, CheckRefusal::LockTime { found: 1_700_000_000, height: None });
}

#[test]
fn locking_or_final_sequence_is_refused() {
    for sequence in
        [Sequence::MAX, Sequence::ENABLE_LOCKTIME_NO_RBF, Sequence::from_height(10), Sequence::ZERO]
    {
        let refusal = refused(|_, psbt| psbt.unsigned_tx.input[0].sequence = sequence);
        let found = sequence.to_consensus_u32();
        assert_eq!(refusal, CheckRefusal::Sequence { input: 0, found });
    }
}

#[test]
fn other_transaction_versions_are_refused() {
    for version in [0, 1, 3, -1, i32::MAX] {
        let refusal = refused(|_, psbt| psbt.unsigned_tx.version = transaction::Version(version));
        assert_eq!(refusal, CheckRefusal::TxVersion(version));
    }
}

// --- the bytes ---

#[test]
fn oversized_psbt_is_refused_unparsed() {
    let refusal = Unchecked::from_bytes(&vec![0x70; 10_000_000]).unwrap_err();
    assert_eq!(refusal, CheckRefusal::TooLarge(10_000_000));
    let text = "A".repeat(10_000_000);
    assert!(matches!(Unchecked::from_base64(&text).unwrap_err(), CheckRefusal::TooLarge(_)));
    // Right at the limit it is parsed, and refused for what it is.
    let refusal = Unchecked::from_bytes(&vec![0x70; MAX_PSBT_BYTES]).unwrap_err();
    assert!(matches!(refusal, CheckRefusal::Malformed(_)), "{refusal}");
}

#[test]
fn truncated_or_extended_psbt_is_refused() {
    let mut world = World::funded();
    let bytes = world.draft(&pay(SHOP, AMOUNT)).to_bytes();
    for end in 0..bytes.len() {
        assert!(matches!(Unchecked::from_bytes(&bytes[..end]), Err(CheckRefusal::Malformed(_))), "{end}");
    }
    for junk in [&[0u8][..], b"psbt", &bytes] {
        let longer = [&bytes, junk].concat();
        assert_eq!(Unchecked::from_bytes(&longer).unwrap_err(), CheckRefusal::TrailingBytes(junk.len()));
    }
}

#[test]
fn duplicate_psbt_field_is_refused() {
    let mut world = World::funded();
    let bytes = world.draft(&pay(SHOP, AMOUNT)).to_bytes();
    // The global map: magic (5), key length 1, key 0x00, value. Repeat that one pair.
    let length = bytes[7] as usize;
    let pair = &bytes[5..8 + length];
    let twice = [&bytes[..5], pair, pair, &bytes[8 + length..]].concat();
    assert!(matches!(Unchecked::from_bytes(&twice).unwrap_err(), CheckRefusal::Malformed(_)));
}

#[test]
fn unknown_psbt_fields_are_dropped() {
    let mut world = World::funded();
    let intent = pay(SHOP, AMOUNT);
    let mut psbt = world.draft_psbt(&intent);
    let honest = world.on_pod(&psbt.serialize(), Some(&intent)).unwrap();
    let secret = b"left here by somebody";
    let key = raw::Key { type_value: 0xf7, key: vec![1] };
    psbt.unknown.insert(key.clone(), secret.to_vec());
    let proprietary = raw::ProprietaryKey { prefix: b"evil".to_vec(), subtype: 1u8, key: vec![] };
    psbt.proprietary.insert(proprietary.clone(), secret.to_vec());
    for input in &mut psbt.inputs {
        input.unknown.insert(key.clone(), secret.to_vec());
        input.proprietary.insert(proprietary.clone(), secret.to_vec());
        input.tap_internal_key =
            Some(SecretKey::from_slice(&[3; 32]).unwrap().x_only_public_key(&Secp256k1::new()).0);
    }
    for output in &mut psbt.outputs {
        output.unknown.insert(key.clone(), secret.to_vec());
        output.redeem_script = Some(script(THIEF));
    }
    let xpub = *world.map.key(&MemberLabel::P).unwrap().xpub();
    psbt.xpub.insert(xpub, (Fingerprint::default(), DerivationPath::master()));
    let proposal = world.on_pod(&psbt.serialize(), Some(&intent)).unwrap();
    assert_eq!(proposal.to_bytes(), honest.to_bytes());
    assert_eq!(proposal.summary(), honest.summary());
}

#[test]
fn too_many_inputs_or_outputs_are_refused() {
    let refusal = refused(|_, psbt| {
        let (txin, fields) = (psbt.unsigned_tx.input[0].clone(), psbt.inputs[0].clone());
        for vout in 0..970 {
            let mut txin = txin.clone();
            txin.previous_output.vout = vout + 1;
            psbt.unsigned_tx.input.push(txin);
            psbt.inputs.push(fields.clone());
        }
    });
    assert_eq!(refusal, CheckRefusal::TooMany { what: "inputs", count: 971, most: 970 });
    let refusal = refused(|_, psbt| {
        for _ in 0..100 {
            psbt.unsigned_tx.output.push(TxOut { value: sat(1_000), script_pubkey: script(SHOP) });
            psbt.outputs.push(Default::default());
        }
    });
    assert_eq!(refusal, CheckRefusal::TooMany { what: "outputs", count: 102, most: 101 });
    let refusal = refused(|_, psbt| {
        psbt.unsigned_tx.output.clear();
        psbt.outputs.clear();
    });
    assert!(matches!(refusal, CheckRefusal::Empty("outputs") | CheckRefusal::Malformed(_)), "{refusal}");
}

#[test]
fn text_that_is_no_psbt_is_refused() {
    for text in ["", "not base64!", "cHNidA==", "cHNidP8="] {
        assert!(matches!(Unchecked::from_base64(text).unwrap_err(), CheckRefusal::Malformed(_)));
    }
    let mut world = World::funded();
    let psbt = world.draft_psbt(&pay(SHOP, AMOUNT));
    assert!(Unchecked::from_base64(&format!("\n{psbt} \n")).is_ok());
}

/// The words a person reads name the input or output and the rule.
#[test]
fn refusal_text_names_the_place_and_the_rule() {
    let address: Address = address(SHOP).assume_checked();
    assert_eq!(
        CheckRefusal::RecipientMissing { recipient: 0, address }.to_string(),
        format!("recipient 1 ({SHOP}) is not paid")
    );
    assert_eq!(
        CheckRefusal::Sighash { input: 3, found: 2 }.to_string(),
        "input 3: asks for sighash type 0x2; only ALL (0x1) is signed"
    );
}
