//! A payment that goes well, from the draft to the chain.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::collections::BTreeSet;

use autonomy_wallet::account::{Keychain, MapKind};
use autonomy_wallet::bitcoin::{Amount, FeeRate, Network, Weight, Witness};
use autonomy_wallet::check::{CheckRefusal, CoinView, Owner, Unchecked};
use autonomy_wallet::ledger::HistoryState;
use autonomy_wallet::payment::{DraftError, Intent, IntentError, MAX_FEE_RATE};
use autonomy_wallet::policy::{FeeLimits, Policy};
use common::{NETWORK, SHOP, THIEF, World, address, pay, rate, sat};
use proptest::prelude::*;

#[test]
fn device_and_pod_pay_and_the_change_returns() {
    let mut world = World::funded();
    let intent = pay(SHOP, 25_000_000);
    let tx = world.paid(&intent);
    let to_shop: Amount = tx
        .output
        .iter()
        .filter(|output| output.script_pubkey == address(SHOP).assume_checked().script_pubkey())
        .map(|output| output.value)
        .sum();
    assert_eq!(to_shop, sat(25_000_000));

    world.ledger.apply_unconfirmed([(tx.clone(), 1_700_100_000)]);
    let fee = world.ledger.entry(&tx.compute_txid()).unwrap().fee.unwrap();
    assert_eq!(world.ledger.balance().total(), sat(75_000_000) - fee);
    assert!(world.ledger.balance().trusted_pending > Amount::ZERO);
    assert_eq!(world.ledger.last_used(Keychain::Internal), Some(0));

    world.mine(vec![tx.clone()]);
    let entry = world.ledger.entry(&tx.compute_txid()).unwrap();
    assert_eq!(entry.state, HistoryState::Confirmed { height: 102, time: 1_700_061_200 });
    assert_eq!(entry.confirmations(world.ledger.tip().height), 1);
    assert_eq!(world.ledger.balance().confirmed, sat(75_000_000) - fee);
}

#[test]
fn summary_lists_recipients_change_and_fee() {
    let mut world = World::funded();
    let intent = pay(SHOP, 25_000_000);
    let draft = world.draft(&intent).to_bytes();
    let proposal = world.on_pod(&draft, Some(&intent)).unwrap();
    let summary = proposal.summary();
    assert_eq!(summary.paid(), sat(25_000_000));
    assert_eq!(summary.outputs.len(), 2);
    let change = summary.outputs.iter().find(|output| output.owner != Owner::Other).unwrap();
    assert_eq!(change.owner, Owner::Own { keychain: Keychain::Internal, index: 0 });
    let spent: Amount = summary.inputs.iter().map(|input| input.amount).sum();
    assert_eq!(spent, summary.paid() + change.amount + summary.fee);
    assert!(summary.fee_rate() <= rate(6) && summary.fee_rate() >= rate(4));
    assert!(proposal.signers().is_empty());
}

#[test]
fn any_two_members_can_pay_and_one_cannot() {
    for (first, second) in [("P", "G"), ("P", "R"), ("R", "G")] {
        let mut world = World::funded();
        let intent = pay(SHOP, 1_000_000);
        let draft = world.draft(&intent).to_bytes();
        let sign = |member| {
            let key = match member {
                "P" => &world.members.p,
                "R" => &world.members.r,
                _ => &world.members.g,
            };
            let proposal = world.on_pod(&draft, Some(&intent)).unwrap();
            let digest = proposal.summary().digest();
            proposal.approve(&digest).unwrap().sign(key).unwrap()
        };
        let alone = sign(first).finalise().unwrap_err();
        assert_eq!(alone, CheckRefusal::MissingSignatures { input: 0, found: 1, needed: 2 });
        let mut both = sign(first);
        both.merge(&Unchecked::from_bytes(&sign(second).to_bytes()).unwrap()).unwrap();
        assert!(both.is_complete());
        both.finalise().unwrap();
    }
}

#[test]
fn time_locked_account_pays_by_its_members_branch() {
    let mut world = World::of_kind(MapKind::PersonalOrRecovery { blocks: 10 }).with_coins(&[50_000_000]);
    world.mine_empty(20);
    let tx = world.paid(&pay(SHOP, 1_000_000));
    // Two signatures, the placeholder of multi, the script: not the recovery branch, though its time has come.
    assert_eq!(tx.input[0].witness.len(), 4);
    assert_eq!(tx.input[0].witness.iter().filter(|item| item.len() > 64 && item.len() < 73).count(), 2);

    // R signs as a member too, and gets no further alone.
    let draft = world.draft(&pay(SHOP, 1_000_000)).to_bytes();
    let proposal = world.on_pod(&draft, None).unwrap();
    let digest = proposal.summary().digest();
    let alone = proposal.approve(&digest).unwrap().sign(&world.members.r).unwrap();
    assert_eq!(
        alone.finalise().unwrap_err(),
        CheckRefusal::MissingSignatures { input: 0, found: 1, needed: 2 }
    );
}

#[test]
fn drain_leaves_nothing() {
    let mut world = World::funded();
    let intent = Intent::drain(NETWORK, address(SHOP), rate(3)).unwrap();
    let tx = world.paid(&intent);
    assert_eq!((tx.input.len(), tx.output.len()), (3, 1));
    world.mine(vec![tx]);
    assert_eq!(world.ledger.balance().total(), Amount::ZERO);
}

#[test]
fn one_payment_takes_at_most_a_hundred_recipients() {
    let mut world = World::funded();
    let to = |count| (0..count).map(|i| (address(SHOP), sat(10_000 + i)));
    let intent = Intent::pay(NETWORK, to(100), rate(2)).unwrap();
    assert_eq!(world.paid(&intent).output.len(), 101);
    assert_eq!(Intent::pay(NETWORK, to(101), rate(2)), Err(IntentError::TooManyRecipients(101)));
}

/// The builder and the checker count the same weight, so that no number of inputs drives them apart.
#[test]
fn draft_of_eight_hundred_coins_meets_the_agreed_fee() {
    let mut world = World::new().with_coins(&[100_000; 800]);
    let intent = Intent::drain(NETWORK, address(SHOP), rate(9)).unwrap();
    let draft = world.draft(&intent).to_bytes();
    let proposal = world.on_pod(&draft, Some(&intent)).unwrap();
    assert_eq!(proposal.summary().inputs.len(), 800);
}

#[test]
fn refused_intent_names_the_recipient_and_rule() {
    let mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let both = [(address(SHOP), sat(5_000)), (address(mainnet), sat(5_000))];
    assert_eq!(
        Intent::pay(NETWORK, both, rate(2)),
        Err(IntentError::WrongNetwork { recipient: 1, expected: Network::Regtest })
    );
    assert_eq!(
        Intent::pay(NETWORK, [(address(SHOP), sat(293))], rate(2)),
        Err(IntentError::Dust { recipient: 0, amount: sat(293), least: sat(294) })
    );
    assert_eq!(Intent::pay(NETWORK, [], rate(2)), Err(IntentError::NoRecipients));
    for kwu in [0, 24, 250_001, u64::MAX] {
        let odd = FeeRate::from_sat_per_kwu(kwu);
        let intent = Intent::pay(NETWORK, [(address(SHOP), sat(5_000))], odd);
        assert_eq!(intent, Err(IntentError::FeeRate(odd)));
    }
    let low = IntentError::FeeRate(FeeRate::from_sat_per_kwu(10));
    assert_eq!(low.to_string(), "a fee rate of 0.04 sat/vB; it must be 0.1 to 1000 sat/vB");
    let most = [(address(SHOP), Amount::MAX_MONEY), (address(SHOP), sat(1_000))];
    assert_eq!(Intent::pay(NETWORK, most, rate(2)), Err(IntentError::Amount));
    assert!(autonomy_wallet::payment::parse_address(&"b".repeat(91)).is_err());
}

#[test]
fn intent_from_json_is_checked_again() {
    let intent = pay(SHOP, 5_000);
    let json = serde_json::to_string(&intent).unwrap();
    assert_eq!(serde_json::from_str::<Intent>(&json).unwrap(), intent);
    let drain = Intent::drain(NETWORK, address(SHOP), rate(3)).unwrap();
    let copy: Intent = serde_json::from_str(&serde_json::to_string(&drain).unwrap()).unwrap();
    assert_eq!(copy, drain);
    for bad in [json.replace("5000", "5"), json.replace("regtest", "bitcoin"), json.replace("bcrt1", "bcrt2")]
    {
        assert!(serde_json::from_str::<Intent>(&bad).is_err(), "{bad}");
    }
}

#[test]
fn refused_draft_names_what_is_missing() {
    let mut world = World::funded();
    let too_much = world.ledger.draft(&pay(SHOP, 200_000_000), &mut world.rng).unwrap_err();
    let DraftError::InsufficientFunds { needed, available } = too_much else { panic!("{too_much}") };
    assert!(needed > sat(200_000_000) && available == sat(100_000_000));
    let mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let foreign = Intent::pay(Network::Bitcoin, [(address(mainnet), sat(5_000))], rate(2)).unwrap();
    assert_eq!(
        world.ledger.draft(&foreign, &mut world.rng).unwrap_err(),
        DraftError::WrongNetwork { intent: Network::Bitcoin, account: Network::Regtest }
    );
}

#[test]
fn draft_leaves_untrusted_and_reserved_coins_alone() {
    let mut world = World::new().with_coins(&[50_000_000]);
    let incoming = world.payment_to_us(70_000_000);
    world.ledger.apply_unconfirmed([(incoming, 1_700_100_000)]);
    assert_eq!(world.ledger.balance().untrusted_pending, sat(70_000_000));
    assert!(world.ledger.draft(&pay(SHOP, 60_000_000), &mut world.rng).is_err());

    let first = world.draft(&pay(SHOP, 10_000_000));
    let summary = world.on_pod(&first.to_bytes(), None).unwrap().summary().clone();
    let coins = || summary.inputs.iter().map(|input| input.outpoint);
    world.ledger.reserve(coins());
    assert!(world.ledger.draft(&pay(SHOP, 10_000_000), &mut world.rng).is_err());
    world.ledger.release(coins());
    let _ = world.draft(&pay(SHOP, 10_000_000));
}

#[test]
fn abandoned_drafts_do_not_use_up_change_addresses() {
    let mut world = World::funded();
    for _ in 0..30 {
        let draft = world.draft(&pay(SHOP, 1_000_000)).to_bytes();
        let _ = world.on_device(&draft, None).unwrap();
    }
    assert_eq!(world.ledger.next_index(Keychain::Internal), 1);
}

#[test]
fn approval_fits_one_payment_only() {
    let mut world = World::funded();
    let honest = world.draft(&pay(SHOP, 1_000_000)).to_bytes();
    let shown = world.on_device(&honest, None).unwrap().summary().digest();
    for other in [pay(THIEF, 1_000_000), pay(SHOP, 1_000_001)] {
        let other = world.draft(&other).to_bytes();
        let proposal = world.on_device(&other, None).unwrap();
        assert_eq!(proposal.approve(&shown).unwrap_err(), CheckRefusal::NotWhatWasShown);
    }
}

#[test]
fn key_of_another_account_does_not_sign() {
    let mut world = World::funded();
    let stranger = common::Members::new(90);
    let draft = world.draft(&pay(SHOP, 1_000_000)).to_bytes();
    for key in [&stranger.p, &stranger.r, &stranger.g] {
        let proposal = world.on_device(&draft, None).unwrap();
        let digest = proposal.summary().digest();
        let refusal = proposal.approve(&digest).unwrap().sign(key).unwrap_err();
        assert_eq!(refusal, CheckRefusal::NotAMember(key.public().fingerprint()));
    }
}

/// Fee limits that stand in no payment's way, but for the rate: what is asked is whether builder and checker agree.
fn any_fee() -> Policy {
    let fees = FeeLimits { absolute: Amount::MAX_MONEY, share_percent: 100_000, ..FeeLimits::STANDARD };
    Policy { fees }
}

/// What the builder builds, device and pod accept; gives the number of inputs.
fn agreed(world: &mut World, intent: &Intent) -> usize {
    let draft = world.draft(intent).to_bytes();
    let on = |view: &dyn CoinView| {
        let unchecked = Unchecked::from_bytes(&draft).unwrap();
        unchecked.check(&world.map, view, &any_fee(), Some(intent)).unwrap().summary().clone()
    };
    let (device, pod) = (on(&world.device()), on(&world.ledger));
    assert_eq!(device.digest(), pod.digest());
    let least = intent.fee_rate().fee_wu(device.weight).unwrap();
    assert!(device.fee >= least);
    if device.outputs.len() > intent.recipients().len() || intent.is_drain() {
        assert_eq!(device.fee, least, "the rate on the largest weight, rounded up");
    }
    device.inputs.len()
}

/// Where a number is written in one byte, and in three; and as many coins as one transaction takes.
#[test]
fn builder_and_checker_agree_up_to_the_most_coins() {
    let mut world = World::new().with_coins(&[2_000_000; 955]);
    for (coins, rate) in [(1, 1000), (2, 999), (252, 3), (253, 1000), (254, 7), (600, 1), (955, 1000)] {
        let rate = FeeRate::from_sat_per_vb(rate).unwrap();
        let input = rate.fee_wu(Weight::from_wu(418)).unwrap();
        let paid = (sat(2_000_000) - input) * coins - rate.fee_wu(Weight::from_wu(500)).unwrap();
        let intent = Intent::pay(NETWORK, [(address(SHOP), paid)], rate).unwrap();
        assert_eq!(agreed(&mut world, &intent), coins as usize);
    }
    let drain = Intent::drain(NETWORK, address(SHOP), MAX_FEE_RATE).unwrap();
    assert_eq!(agreed(&mut world, &drain), 955);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn builder_and_checker_agree_at_every_rate(
        values in prop::collection::vec(1_000..50_000_000_u64, 1..24),
        kwu in prop_oneof![25..1_000_u64, 25..=250_000_u64],
        part in 1..100_u64,
        kind in prop_oneof![Just(MapKind::Personal), Just(MapKind::PersonalOrRecovery { blocks: 10 })],
    ) {
        let mut world = World::of_kind(kind).with_coins(&values);
        let rate = FeeRate::from_sat_per_kwu(kwu);
        let paid = sat((values.iter().sum::<u64>() * part / 100).max(294));
        let intent = Intent::pay(NETWORK, [(address(SHOP), paid)], rate).unwrap();
        if world.ledger.draft(&intent, &mut world.rng).is_ok() {
            agreed(&mut world, &intent);
        }
        let drain = Intent::drain(NETWORK, address(SHOP), rate).unwrap();
        if world.ledger.draft(&drain, &mut world.rng).is_ok() {
            agreed(&mut world, &drain);
        }
    }
}

#[test]
fn same_state_spends_the_same_coins_whatever_the_randomness() {
    let mut world = World::new().with_coins(&[40_000, 40_000, 70_000, 70_000, 110_000, 20_000]);
    let intent = Intent::pay(NETWORK, [(address(SHOP), sat(130_000))], rate(3)).unwrap();
    let mut coins = || {
        let draft = world.draft(&intent).to_bytes();
        let summary = world.on_pod(&draft, Some(&intent)).unwrap().summary().clone();
        let coins: BTreeSet<_> = summary.inputs.iter().map(|input| input.outpoint).collect();
        (coins, summary.fee)
    };
    let first = coins();
    assert!((0..8).all(|_| coins() == first));
}

#[test]
fn own_unconfirmed_change_is_spent_only_where_needed() {
    let mut world = World::new().with_coins(&[60_000_000, 3_000_000]);
    let tx = world.paid(&pay(SHOP, 10_000_000));
    let change = tx.compute_txid();
    world.ledger.apply_unconfirmed([(tx, 1_700_100_000)]);
    let spends_change = |world: &mut World, amount| {
        let draft = world.draft_psbt(&pay(SHOP, amount));
        draft.unsigned_tx.input.iter().any(|input| input.previous_output.txid == change)
    };
    assert!(!spends_change(&mut world, 2_000_000), "the confirmed coin suffices");
    assert!(spends_change(&mut world, 20_000_000));
}

/// Three hundred coins of one transaction: the previous transaction of 13 kB is carried once.
#[test]
fn coins_of_one_large_transaction_are_spent_together() {
    let mut world = World::new();
    let mut batch = world.payment_to_us(100_000);
    batch.output = vec![batch.output[0].clone(); 300];
    batch.input[0].witness = Witness::from_slice(&[vec![7; 300_000]]);
    world.mine(vec![batch]);
    let intent = Intent::drain(NETWORK, address(SHOP), rate(2)).unwrap();
    let draft = world.draft(&intent).to_bytes();
    assert!(draft.len() < 400_000, "{}", draft.len());
    let tx = world.paid(&intent);
    assert_eq!(tx.input.len(), 300);
}
