//! The search for coins that need no change.

use super::{Candidate, Demand, Selection, sum};
use crate::bitcoin::Amount;

/// Steps of the search for a selection without change, as in Bitcoin Core (`TOTAL_TRIES` in its
/// `wallet/coinselection.cpp`): about a millisecond.
const MAX_TRIES: u32 = 100_000;

/// The search for a selection without change that costs less than the best known: depth first over the coins, largest
/// first, each taken and then left out (branch and bound, as Bitcoin Core has it since 0.17).
///
/// Counted in thousandths of a satoshi, since a rate times a weight comes in these; so nothing is rounded on the way.
pub(super) struct Search<'a> {
    demand: &'a Demand,
    coins: &'a [Candidate],
    /// What each coin brings beyond its own fee.
    worth: Vec<i128>,
    /// What all coins from this one on bring together.
    from: Vec<i128>,
    /// What they must bring: what is paid, and the fee of all that is no input.
    target: i128,
    /// The fee of one input.
    input: i128,
    /// Only what costs less is looked for.
    limit: i128,
    best: Option<Vec<usize>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(demand: &'a Demand, coins: &'a [Candidate], known: Amount) -> Self {
        let rate = i128::from(demand.rate.to_sat_per_kwu());
        let input = rate * i128::from(demand.scale.input.to_wu());
        let rest = demand.scale.of_parts(1, demand.outputs) - demand.scale.input;
        let worth: Vec<_> = coins.iter().map(|coin| thousandths(coin.value) - input).collect();
        let mut from = vec![0; coins.len() + 1];
        (0..coins.len()).rev().for_each(|place| from[place] = from[place + 1] + worth[place]);
        let target = thousandths(demand.paid) + rate * i128::from(rest.to_wu());
        Self { demand, coins, worth, from, target, input, limit: thousandths(known), best: None }
    }

    pub(super) fn run(mut self) -> Option<Selection> {
        let mut taken: Vec<usize> = Vec::new();
        let (mut next, mut value) = (0, 0);
        for _ in 0..MAX_TRIES {
            if value + self.from[next] < self.target
                || value >= self.target
                || !self.is_cheaper(value, taken.len())
            {
                self.note(value, &taken);
                // Back to the coin taken last: from here on without it.
                let Some(last) = taken.pop() else { break };
                value -= self.worth[last];
                next = last + 1;
                continue;
            }
            let worth = self.worth[next];
            // Its like was left out just before: with this one in its place nothing would be new.
            if next == 0 || taken.last() == Some(&(next - 1)) || self.worth[next - 1] != worth {
                taken.push(next);
                value += worth;
            }
            next += 1;
        }
        let coins: Vec<_> = self.best?.into_iter().map(|place| self.coins[place]).collect();
        self.demand.selection(sum(&coins), &coins)
    }

    /// Whether these and one more, or these where they suffice, may cost less than the best known.
    fn is_cheaper(&self, value: i128, count: usize) -> bool {
        let more = i128::from(value < self.target);
        let beyond = (value - self.target).max(0);
        self.input * (count as i128 + more) + self.target - thousandths(self.demand.paid) + beyond
            < self.limit
    }

    /// Keeps what suffices and is cheaper than all before.
    fn note(&mut self, value: i128, taken: &[usize]) {
        if value >= self.target
            && self.is_cheaper(value, taken.len())
            && taken.len() <= self.demand.most_inputs()
        {
            let cost = self.input * taken.len() as i128 + value - thousandths(self.demand.paid);
            self.limit = cost;
            self.best = Some(taken.to_vec());
        }
    }
}

fn thousandths(amount: Amount) -> i128 {
    i128::from(amount.to_sat()) * 1000
}
