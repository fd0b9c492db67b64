//! The checker's limits at their boundary: the last value that is taken, and the first that is not.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::collections::BTreeSet;

use autonomy_wallet::account::Keychain;
use autonomy_wallet::bitcoin::bip32::{ChildNumber, Fingerprint};
use autonomy_wallet::bitcoin::hashes::Hash;
use autonomy_wallet::bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use autonomy_wallet::bitcoin::{
    Amount, FeeRate, OutPoint, Psbt, PubkeyHash, ScriptBuf, ScriptHash, Sequence, Transaction, TxIn, TxOut,
    Txid, Weight, Witness, absolute, transaction,
};
use autonomy_wallet::check::{
    CheckRefusal, CoinView, Digest, MAX_HINTS, MAX_INPUTS, MAX_OUTPUTS, MAX_WEIGHT, Owner, Standing, Summary,
    Unchecked,
};
use autonomy_wallet::payment::Intent;
use autonomy_wallet::policy::{FeeLimits, Policy};
use common::{SHOP, THIEF, World, address, pay, sat};

const PAID: u64 = 25_000_000;

/// No limit but those that a test sets.
const UNLIMITED: FeeLimits = FeeLimits {
    absolute: Amount::MAX_MONEY,
    rate: FeeRate::from_sat_per_kwu(1_000_000_000),
    share_percent: 100,
    share_from: Amount::MAX_MONEY,
};

fn script(text: &str) -> ScriptBuf {
    address(text).assume_checked().script_pubkey()
}

/// A payment of one coin with change, whose fee can be set to the satoshi.
struct Payment {
    world: World,
    psbt: Psbt,
    intent: Intent,
    summary: Summary,
}

impl Payment {
    fn new() -> Self {
        let mut world = World::funded();
        let intent = pay(SHOP, PAID);
        let psbt = world.draft_psbt(&intent);
        let summary = world.on_pod(&psbt.serialize(), None).unwrap().summary().clone();
        Self { world, psbt, intent, summary }
    }

    fn with_fee(&self, fee: Amount) -> Vec<u8> {
        let mut psbt = self.psbt.clone();
        let shop = script(SHOP);
        let change = psbt.unsigned_tx.output.iter_mut().find(|output| output.script_pubkey != shop).unwrap();
        change.value = change.value + self.summary.fee - fee;
        psbt.serialize()
    }

    fn check(
        &self,
        fee: Amount,
        limits: FeeLimits,
        intent: Option<&Intent>,
    ) -> Result<Summary, CheckRefusal> {
        let unchecked = Unchecked::from_bytes(&self.with_fee(fee))?;
        let policy = Policy { fees: limits };
        Ok(unchecked.check(&self.world.map, &self.world.ledger, &policy, intent)?.summary().clone())
    }

    /// What a rate allows at most: its fee with change, and what spending that would cost at 10 sat/vB.
    fn most_at(&self, rate: FeeRate) -> Amount {
        let change = Weight::from_wu(4 * 43);
        let later = FeeRate::from_sat_per_vb(10).unwrap().fee_wu(Weight::from_wu(418)).unwrap();
        rate.fee_wu(self.summary.weight + change).unwrap() + later
    }
}

#[test]
fn fee_at_the_absolute_limit_is_the_last() {
    let payment = Payment::new();
    let most = sat(7_777);
    let limits = FeeLimits { absolute: most, ..UNLIMITED };
    assert_eq!(payment.check(most, limits, None).unwrap().fee, most);
    let fee = most + sat(1);
    assert_eq!(payment.check(fee, limits, None), Err(CheckRefusal::FeeAbsolute { fee, most }));
}

#[test]
fn fee_at_the_rate_limit_is_the_last() {
    let payment = Payment::new();
    let rate = FeeRate::from_sat_per_kwu(12_345);
    let limits = FeeLimits { rate, ..UNLIMITED };
    let most = payment.most_at(rate);
    assert!(payment.check(most, limits, None).is_ok());
    let refusal = payment.check(most + sat(1), limits, None).unwrap_err();
    let CheckRefusal::FeeRate { rate: found, most: limit } = refusal else { panic!("{refusal}") };
    assert!(found > limit && limit == rate, "{found} {limit}");
}

#[test]
fn fee_at_the_share_limit_is_the_last() {
    let payment = Payment::new();
    let limits = FeeLimits { share_percent: 1, share_from: Amount::ZERO, ..UNLIMITED };
    let share = sat(PAID / 100);
    assert!(payment.check(share, limits, None).is_ok());
    let fee = share + sat(1);
    let refusal = CheckRefusal::FeeShare { fee, paid: sat(PAID), percent: 1 };
    assert_eq!(payment.check(fee, limits, None), Err(refusal));
    // A fee up to this amount may be any share.
    let exempt = FeeLimits { share_percent: 0, share_from: fee, ..UNLIMITED };
    assert!(payment.check(fee, exempt, None).is_ok());
    assert!(payment.check(fee + sat(1), exempt, None).is_err());
}

#[test]
fn fee_of_a_payment_to_oneself_is_a_share_of_what_it_moves() {
    let mut world = World::funded();
    let own = world.map.address(Keychain::External, 0).unwrap();
    let intent = Intent::drain(common::NETWORK, own.as_unchecked().clone(), common::rate(100)).unwrap();
    let draft = world.draft(&intent).to_bytes();
    let check = |share_percent| {
        let fees = FeeLimits { share_percent, share_from: Amount::ZERO, ..UNLIMITED };
        Unchecked::from_bytes(&draft).unwrap().check(&world.map, &world.ledger, &Policy { fees }, None)
    };
    assert!(check(1).is_ok());
    let refusal = check(0).unwrap_err();
    assert!(matches!(refusal, CheckRefusal::FeeShare { paid, .. } if paid > sat(99_000_000)), "{refusal}");
}

#[test]
fn agreed_rate_is_paid_exactly_beside_change() {
    let payment = Payment::new();
    let (rate, intent) = (payment.intent.fee_rate(), Some(&payment.intent));
    let least = rate.fee_wu(payment.summary.weight).unwrap();
    assert_eq!(payment.summary.fee, least);
    assert!(payment.check(least, UNLIMITED, intent).is_ok());
    let fee = least - sat(1);
    assert_eq!(payment.check(fee, UNLIMITED, intent), Err(CheckRefusal::FeeBelowAgreed { fee, least }));
    let (fee, most) = (least + sat(1), least);
    assert_eq!(payment.check(fee, UNLIMITED, intent), Err(CheckRefusal::FeeAboveAgreed { fee, most }));
}

#[test]
fn without_change_the_agreed_rate_allows_what_change_would_cost() {
    let payment = Payment::new();
    let total = payment.psbt.unsigned_tx.output.iter().map(|output| output.value).sum::<Amount>()
        + payment.summary.fee;
    let check = |fee: Amount| {
        let (mut psbt, shop) = (payment.psbt.clone(), script(SHOP));
        let change = psbt.unsigned_tx.output.iter().position(|output| output.script_pubkey != shop).unwrap();
        psbt.unsigned_tx.output.remove(change);
        psbt.outputs.remove(change);
        psbt.unsigned_tx.output[0].value = total - fee;
        let intent = pay(SHOP, (total - fee).to_sat());
        let unchecked = Unchecked::from_bytes(&psbt.serialize())?;
        let policy = Policy { fees: UNLIMITED };
        unchecked.check(&payment.world.map, &payment.world.ledger, &policy, Some(&intent)).map(drop)
    };
    let rate = payment.intent.fee_rate();
    let least = rate.fee_wu(payment.summary.weight - Weight::from_wu(4 * 43)).unwrap();
    assert_eq!(check(least), Ok(()));
    let fee = least - sat(1);
    assert_eq!(check(fee), Err(CheckRefusal::FeeBelowAgreed { fee, least }));
    let later = FeeRate::from_sat_per_vb(10).unwrap().fee_wu(Weight::from_wu(418)).unwrap();
    let most = rate.fee_wu(payment.summary.weight).unwrap() + later;
    assert_eq!(check(most), Ok(()));
    let fee = most + sat(1);
    assert_eq!(check(fee), Err(CheckRefusal::FeeAboveAgreed { fee, most }));
}

/// A transaction that spends coins of the world as its drafts do.
fn spending(world: &World, inputs: usize, output: Vec<TxOut>) -> Psbt {
    let input = world.ledger.coins().take(inputs).map(|coin| TxIn {
        previous_output: coin.outpoint,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    });
    let (version, lock_time) = (transaction::Version::TWO, absolute::LockTime::ZERO);
    let tx = Transaction { version, lock_time, input: input.collect(), output };
    let mut psbt = Psbt::from_unsigned_tx(tx).unwrap();
    for (txin, fields) in psbt.unsigned_tx.input.iter().zip(&mut psbt.inputs) {
        let previous = world.ledger.transaction(&txin.previous_output.txid).unwrap();
        fields.non_witness_utxo = Some(previous.as_ref().clone());
    }
    psbt
}

/// 955 inputs of 418 units, six outputs, and the rest: 400,000 units to the last.
#[test]
fn transaction_of_the_highest_weight_is_the_last() {
    let world = World::new().with_coins(&[1_000_000; 955]);
    let output = |script_pubkey| TxOut { value: sat(1_000), script_pubkey };
    let p2sh = || output(ScriptBuf::new_p2sh(&ScriptHash::all_zeros()));
    let heaviest = vec![output(script(SHOP)), output(script(SHOP)), p2sh(), p2sh(), p2sh(), p2sh()];
    let check = |outputs: Vec<TxOut>| {
        let psbt = spending(&world, 955, outputs).serialize();
        let policy = Policy { fees: UNLIMITED };
        let unchecked = Unchecked::from_bytes(&psbt).unwrap();
        unchecked.check(&world.map, &world.ledger, &policy, None).map(|proposal| proposal.summary().weight)
    };
    assert_eq!(check(heaviest.clone()).unwrap(), Weight::from_wu(MAX_WEIGHT));
    let mut heavier = heaviest;
    heavier[5] = output(ScriptBuf::new_p2pkh(&PubkeyHash::all_zeros()));
    assert_eq!(check(heavier).unwrap_err(), CheckRefusal::TooHeavy(MAX_WEIGHT + 8));
}

#[test]
fn signed_transaction_never_weighs_more_than_was_said() {
    let mut world = World::funded();
    let intent = pay(SHOP, 90_000_000);
    let draft = world.draft(&intent).to_bytes();
    let said = world.on_pod(&draft, Some(&intent)).unwrap().summary().weight;
    let tx = world.paid(&intent);
    assert!(tx.input.len() > 1 && tx.weight() <= said, "{} {said}", tx.weight());
    // Two signatures of 71 bytes each, where 72 are counted.
    assert!(tx.weight() + Weight::from_wu(4 * tx.input.len() as u64) >= said, "{} {said}", tx.weight());
}

#[test]
fn inputs_and_outputs_past_their_number_are_refused() {
    let world = World::funded();
    let coin = |number| OutPoint::new(Txid::all_zeros(), number);
    let refused = |inputs: u32, outputs: usize| {
        let mut tx = common::spend(coin(0), script(SHOP), 1_000);
        tx.input =
            (0..inputs).map(|number| TxIn { previous_output: coin(number), ..tx.input[0].clone() }).collect();
        tx.output = vec![tx.output[0].clone(); outputs];
        let psbt = Psbt::from_unsigned_tx(tx).unwrap();
        world.refused(&psbt, None)
    };
    let count = MAX_INPUTS + 1;
    let too_many = CheckRefusal::TooMany { what: "inputs", count, most: MAX_INPUTS };
    assert_eq!(refused(count as u32, 1), too_many);
    assert_eq!(refused(MAX_INPUTS as u32, 1), CheckRefusal::MissingPrevious { input: 0 });
    let check = |outputs: usize| {
        let output = TxOut { value: sat(1_000), script_pubkey: script(SHOP) };
        let psbt = spending(&world, 1, vec![output; outputs]).serialize();
        let policy = Policy { fees: UNLIMITED };
        let unchecked = Unchecked::from_bytes(&psbt).unwrap();
        unchecked.check(&world.map, &world.ledger, &policy, None).map(drop)
    };
    assert_eq!(check(MAX_OUTPUTS), Ok(()));
    let count = MAX_OUTPUTS + 1;
    assert_eq!(check(count), Err(CheckRefusal::TooMany { what: "outputs", count, most: MAX_OUTPUTS }));
}

#[test]
fn hints_past_their_number_are_refused() {
    let payment = Payment::new();
    let secp = Secp256k1::new();
    let strangers = |count: usize| {
        let mut psbt = payment.psbt.clone();
        let hints = &mut psbt.inputs[0].bip32_derivation;
        for number in (1..=u8::MAX).take(count - hints.len()) {
            let key = PublicKey::from_secret_key(&secp, &SecretKey::from_slice(&[number; 32]).unwrap());
            hints.insert(key, (Fingerprint::from([number; 4]), Default::default()));
        }
        psbt.serialize()
    };
    assert!(payment.world.on_device(&strangers(MAX_HINTS), None).is_ok());
    let count = MAX_HINTS + 1;
    assert_eq!(
        payment.world.on_device(&strangers(count), None).unwrap_err(),
        CheckRefusal::TooManyHints { place: "input", number: 0, count }
    );
}

/// Steps 2 and 3 are those of a recovery branch, which only R has.
#[test]
fn step_of_the_recovery_branch_counts_for_its_key_only() {
    let payment = Payment::new();
    let change = payment.psbt.outputs.iter().position(|output| !output.bip32_derivation.is_empty()).unwrap();
    let with_step = |step: u32| {
        let mut psbt = payment.psbt.clone();
        let p = payment.world.members.p.public().fingerprint();
        for (fingerprint, path) in psbt.outputs[change].bip32_derivation.values_mut() {
            let mut steps: Vec<ChildNumber> = path.into_iter().copied().collect();
            let at = steps.len() - 2;
            steps[at] = ChildNumber::Normal { index: step };
            *path = steps.into();
            if *fingerprint != p {
                // A stranger's, so that only one key speaks.
                *fingerprint = Fingerprint::from([9; 4]);
            }
        }
        payment.world.on_device(&psbt.serialize(), None).map(|proposal| proposal.summary().clone())
    };
    assert!(with_step(1).is_ok());
    for step in [2, 3, 4] {
        assert_eq!(with_step(step).unwrap_err(), CheckRefusal::ForeignPath { output: change }, "{step}");
    }
}

/// Knows one coin otherwise than the PSBT says.
struct Knows(TxOut);

impl CoinView for Knows {
    fn standing(&self, _: &OutPoint) -> Standing {
        Standing::Unspent(self.0.clone())
    }

    fn last_known(&self, _: Keychain) -> Option<u32> {
        Some(0)
    }

    fn height(&self) -> Option<u32> {
        None
    }
}

#[test]
fn coin_that_the_chain_knows_otherwise_is_named_by_what_differs() {
    let payment = Payment::new();
    let coin = payment.world.ledger.coin(&payment.summary.inputs[0].outpoint).unwrap().txout.clone();
    let check = |known: TxOut| {
        let unchecked = Unchecked::from_bytes(&payment.psbt.serialize()).unwrap();
        unchecked.check(&payment.world.map, &Knows(known), &Policy::STANDARD, None).map(drop)
    };
    assert_eq!(check(coin.clone()), Ok(()));
    let other_value = TxOut { value: coin.value + sat(1), ..coin.clone() };
    assert_eq!(check(other_value), Err(CheckRefusal::LyingUtxo { input: 0, field: "amount" }));
    let other_script = TxOut { script_pubkey: script(THIEF), ..coin };
    assert_eq!(check(other_script), Err(CheckRefusal::LyingUtxo { input: 0, field: "script" }));
}

/// Shows something else.
type Change = Box<dyn Fn(&mut Summary)>;

#[test]
fn everything_that_is_shown_has_a_part_in_the_digest() {
    let summary = Payment::new().summary;
    let change = summary.outputs.iter().position(|output| output.owner != Owner::Other).unwrap();
    let own = |keychain, index| Owner::Own { keychain, index };
    let mut changes: Vec<Change> = vec![
        Box::new(|_| {}),
        Box::new(|summary| summary.txid = Txid::all_zeros()),
        Box::new(|summary| summary.inputs[0].amount += sat(1)),
        Box::new(|summary| summary.inputs[0].outpoint.vout += 1),
        Box::new(|summary| summary.inputs[0].index += 1),
        Box::new(|summary| summary.inputs[0].keychain = Keychain::Internal),
        Box::new(|summary| summary.inputs.push(summary.inputs[0].clone())),
        Box::new(|summary| summary.fee += sat(1)),
        Box::new(|summary| summary.weight += Weight::from_wu(1)),
        Box::new(|summary| summary.lock_height += 1),
        Box::new(move |summary| summary.outputs[change].amount += sat(1)),
        Box::new(move |summary| summary.outputs[change].address = address(THIEF).assume_checked()),
    ];
    let owners =
        [Owner::Other, own(Keychain::External, 0), own(Keychain::Internal, 1), own(Keychain::Internal, 256)];
    for owner in owners {
        changes.push(Box::new(move |summary| summary.outputs[change].owner = owner));
    }
    let digests: BTreeSet<[u8; 32]> = changes
        .iter()
        .map(|change| {
            let mut changed = summary.clone();
            change(&mut changed);
            changed.digest().to_bytes()
        })
        .collect();
    assert_eq!(digests.len(), changes.len());
}

#[test]
fn digest_reads_back_from_its_bytes_and_its_text() {
    let digest = Payment::new().summary.digest();
    assert_eq!(Digest::from_bytes(digest.to_bytes()), digest);
    let text = digest.to_string();
    assert_eq!(text.len(), 64);
    assert_eq!(Digest::try_from(text.clone()), Ok(digest));
    assert_eq!(String::from(digest), text);
    assert_ne!(Digest::try_from("00".repeat(32)), Ok(digest));
    assert!(Digest::try_from(text[2..].to_owned()).is_err());
}

#[test]
fn payment_is_complete_with_the_last_signature() {
    let payment = Payment::new();
    let approved = || {
        let proposal = payment.world.on_pod(&payment.psbt.serialize(), None).unwrap();
        assert_eq!(Psbt::deserialize(&proposal.to_bytes()).unwrap().unsigned_tx, payment.psbt.unsigned_tx);
        let digest = proposal.summary().digest();
        proposal.approve(&digest).unwrap()
    };
    assert!(!approved().collect().is_complete());
    let mut signed = approved().sign(&payment.world.members.p).unwrap();
    assert!(!signed.is_complete());
    let other = approved().sign(&payment.world.members.g).unwrap().to_bytes();
    signed.merge(&Unchecked::from_bytes(&other).unwrap()).unwrap();
    assert!(signed.is_complete());
}
