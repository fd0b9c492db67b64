//! Selections against their own rules, and against all that there are.

use proptest::prelude::*;

use super::*;
use crate::bitcoin::hashes::Hash;
use crate::bitcoin::{Txid, Weight};
use crate::payment::{MAX_FEE_RATE, MIN_FEE_RATE};
use crate::rate::sat_per_vb;

/// Of a personal account: 41 bytes and a witness of 254 units.
const INPUT: Weight = Weight::from_wu(164 + 254);

/// One recipient, P2WPKH.
fn demand(paid: u64, rate: FeeRate) -> Demand {
    let outputs = Outputs::of([Weight::from_wu(4 * 31)]);
    Demand { scale: Scale { input: INPUT }, rate, paid: Amount::from_sat(paid), outputs }
}

fn coins(values: &[u64]) -> Vec<Candidate> {
    let coin = |(number, value): (usize, &u64)| Candidate {
        outpoint: OutPoint::new(Txid::all_zeros(), number as u32),
        value: Amount::from_sat(*value),
    };
    values.iter().enumerate().map(coin).collect()
}

fn total(coins: &[Candidate], selection: &Selection) -> Amount {
    coins.iter().filter(|coin| selection.coins.contains(&coin.outpoint)).map(|coin| coin.value).sum()
}

#[test]
fn one_large_coin_is_taken_rather_than_thirty_small_ones() {
    let mut values = vec![10_000; 30];
    values.push(100_000_000);
    let selection = demand(10_000_000, sat_per_vb(10)).select(coins(&values)).unwrap();
    assert_eq!(selection.coins.len(), 1);
    let fee = Amount::from_sat(90_000_000) - selection.change.unwrap();
    assert!(fee < Amount::from_sat(1_900), "{fee}");
}

#[test]
fn of_coins_that_cost_the_same_the_smallest_is_taken() {
    let values = [50_000_000, 900_000, 2_000_000, 70_000_000];
    let selection = demand(1_000_000, sat_per_vb(5)).select(coins(&values)).unwrap();
    assert_eq!(selection.coins, [OutPoint::new(Txid::all_zeros(), 2)]);
}

#[test]
fn coins_that_fit_are_taken_without_change() {
    // Two coins of 104.5 vB each, an output and the frame: 251 vB at 5 sat/vB.
    let values = [3_000_000, 400_000, 601_300, 10_000_000];
    let selection = demand(1_000_000, sat_per_vb(5)).select(coins(&values)).unwrap();
    assert_eq!((selection.coins.len(), selection.change), (2, None));
}

#[test]
fn coin_that_costs_more_than_it_holds_is_left() {
    let rate = sat_per_vb(100);
    let worthless = weight::fee(rate, INPUT).to_sat();
    let all = coins(&[worthless, worthless + 1, 5_000_000]);
    let (drained, _) = demand(0, rate).drain(all.clone(), Amount::from_sat(294)).unwrap();
    assert_eq!(drained, [all[2].outpoint, all[1].outpoint]);
    let short = demand(6_000_000, rate).select(all).unwrap_err();
    let available = Amount::from_sat(5_000_000 + worthless + 1);
    assert!(matches!(short, Shortage::Funds { available: told, .. } if told == available), "{short:?}");
}

#[test]
fn what_would_be_costly_change_goes_to_the_fee() {
    let rate = sat_per_vb(1);
    let exact = demand(1_000_000, rate);
    let least = exact.scale.least_change().to_sat();
    let with_change = 1_000_000 + exact.fee(1, true).to_sat();
    let one = |value| exact.select(coins(&[value])).unwrap().change;
    assert_eq!(one(with_change + least - 1), None);
    assert_eq!(one(with_change + least), Some(Amount::from_sat(least)));
}

#[test]
fn too_many_small_coins_are_refused_with_both_numbers() {
    let demand = demand(100_000_000, sat_per_vb(1));
    let most = demand.most_inputs();
    let refused = demand.select(coins(&vec![100_000; 2_000])).unwrap_err();
    assert_eq!(refused, Shortage::Inputs { needed: 1_002, most });
    assert_eq!(most, 956, "of 418 units each, in 400,000");
    let mut values = vec![100_000; 2_000];
    values.extend([60_000_000, 60_000_000]);
    assert_eq!(demand.select(coins(&values)).unwrap().coins.len(), 2);
}

fn values() -> impl Strategy<Value = Vec<u64>> {
    // Of one magnitude and of several; equal ones among them.
    let value = prop_oneof![1_000..100_000_u64, 100..2_000_000_000_u64, Just(50_000)];
    prop::collection::vec(value, 1..40)
}

fn rates() -> impl Strategy<Value = FeeRate> {
    let (least, most) = (MIN_FEE_RATE.to_sat_per_kwu(), MAX_FEE_RATE.to_sat_per_kwu());
    prop_oneof![least..2_500, least..=most].prop_map(FeeRate::from_sat_per_kwu)
}

/// What all subsets would cost at least.
fn cheapest_of_all(demand: &Demand, coins: &[Candidate]) -> Option<Amount> {
    let coins = demand.worth_spending(coins.iter().copied());
    let subset = |set: u32| -> Option<Amount> {
        let chosen: Vec<_> = (0..coins.len()).filter(|i| set >> i & 1 == 1).map(|i| coins[i]).collect();
        Some(demand.selection(sum(&chosen), &chosen)?.cost)
    };
    (1..1_u32 << coins.len()).filter_map(subset).min()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn selection_pays_the_rate_on_the_weight(values in values(), rate in rates(), part in 1..120_u64) {
        let all = coins(&values);
        let demand = demand((values.iter().sum::<u64>() * part / 100).max(294), rate);
        let Ok(selection) = demand.select(all.clone()) else { return Ok(()) };
        let (total, count) = (total(&all, &selection), selection.coins.len());
        let fee = total - demand.paid - selection.change.unwrap_or_default();
        match selection.change {
            Some(change) => {
                prop_assert_eq!(fee, demand.fee(count, true));
                prop_assert!(change >= demand.scale.least_change());
            }
            None => {
                prop_assert!(fee >= demand.fee(count, false));
                let weight = demand.scale.of_parts(count, demand.outputs);
                prop_assert!(fee <= demand.scale.highest_fee(rate, weight));
            }
        }
        let own_fee = weight::fee(rate, INPUT);
        let taken = all.iter().filter(|coin| selection.coins.contains(&coin.outpoint));
        prop_assert!(taken.into_iter().all(|coin| coin.value > own_fee));
    }

    #[test]
    fn the_same_coins_in_any_order_give_the_same(values in values(), rate in rates(), part in 1..95_u64, turn in 0..40_usize) {
        let mut all = coins(&values);
        let demand = demand((values.iter().sum::<u64>() * part / 100).max(294), rate);
        let first = demand.select(all.clone());
        let length = all.len();
        all.rotate_left(turn % length);
        all.reverse();
        prop_assert_eq!(demand.select(all), first);
    }

    /// With few coins the search is complete: nothing is cheaper than what it finds.
    #[test]
    fn no_subset_of_few_coins_is_cheaper(
        values in prop::collection::vec(1_000..60_000_u64, 1..11),
        rate in 25..7_500_u64,
        part in 1..100_u64,
    ) {
        let all = coins(&values);
        let paid = (values.iter().sum::<u64>() * part / 100).max(294);
        let demand = demand(paid, FeeRate::from_sat_per_kwu(rate));
        let selected = demand.select(all.clone());
        prop_assert_eq!(selected.ok().map(|selection| selection.cost), cheapest_of_all(&demand, &all));
    }
}
