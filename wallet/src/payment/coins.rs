//! Which coins a payment spends: the cheapest of several selections, the same for the same coins.
//!
//! A selection costs what it pays now and what its change will cost to be spent one day, at
//! [`LONG_TERM_FEE_RATE`](crate::weight::LONG_TERM_FEE_RATE). All coins of an account have one weight, so of the
//! selections with change those of the fewest coins are the cheapest, and the largest coins find that number. Then a
//! search by branch and bound looks for coins that need no change and cost less still.
//!
//! No coin is taken that costs more to spend than it holds. Coins are not joined beyond need, though that might be
//! cheap today: it shows everybody that they have one owner.

mod search;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Intent, Recipient};
use crate::account::AccountMap;
use crate::bitcoin::{Amount, FeeRate, OutPoint, TxOut};
use crate::check::{MAX_INPUTS, MAX_WEIGHT};
use crate::weight::{self, Outputs, Scale};
use search::Search;

/// A coin that may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) outpoint: OutPoint,
    pub(super) value: Amount,
}

/// Coins that pay for something, and what is left of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    /// The largest first.
    pub(super) coins: Vec<OutPoint>,
    /// What returns to the account; nothing where that is worth less than it costs.
    pub(super) change: Option<Amount>,
    cost: Amount,
    total: Amount,
}

/// Why no coins can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    /// All coins that are worth spending are not enough.
    Funds { needed: Amount, available: Amount },
    /// Not even the largest coins are few enough for one transaction.
    Inputs { needed: usize, most: usize },
}

/// What is to be paid, and what that costs in the transactions of one account.
#[derive(Debug)]
pub(super) struct Demand {
    scale: Scale,
    rate: FeeRate,
    paid: Amount,
    outputs: Outputs,
}

impl Demand {
    pub(super) fn new(map: &AccountMap, intent: &Intent) -> Self {
        let output = |to: &Recipient| TxOut { value: to.amount, script_pubkey: to.script() }.weight();
        let outputs = Outputs::of(intent.recipients().iter().map(output));
        Self { scale: Scale::of(map), rate: intent.fee_rate(), paid: intent.total(), outputs }
    }

    /// The cheapest selection.
    ///
    /// # Errors
    /// [`Shortage`].
    pub(super) fn select(&self, coins: impl IntoIterator<Item = Candidate>) -> Result<Selection, Shortage> {
        let coins = self.worth_spending(coins);
        let (count, first) = self.fewest(&coins)?;
        let smaller = self.smaller(&coins, count);
        let best = [Some(first), smaller].into_iter().flatten().min_by(Selection::compare);
        let changeless = best.as_ref().and_then(|best| Search::new(self, &coins, best.cost).run());
        let cheapest = best.into_iter().chain(changeless).min_by(Selection::compare);
        cheapest.ok_or_else(|| self.too_little(&coins))
    }

    /// All coins that are worth spending, with nothing left.
    ///
    /// # Errors
    /// [`Shortage`]; what is needed is then the fee and this least.
    pub(super) fn drain(
        &self,
        coins: impl IntoIterator<Item = Candidate>,
        least: Amount,
    ) -> Result<(Vec<OutPoint>, Amount), Shortage> {
        let coins = self.worth_spending(coins);
        let most = self.most_inputs();
        if coins.len() > most {
            return Err(Shortage::Inputs { needed: coins.len(), most });
        }
        let fee = weight::fee(self.rate, self.scale.of_parts(coins.len(), self.outputs));
        let available = sum(&coins);
        match available.checked_sub(fee).filter(|left| *left >= least) {
            Some(left) => Ok((coins.iter().map(|coin| coin.outpoint).collect(), left)),
            None => Err(Shortage::Funds { needed: fee.checked_add(least).unwrap_or(Amount::MAX), available }),
        }
    }

    /// Those that hold more than they cost to spend, the largest first, then by outpoint.
    fn worth_spending(&self, coins: impl IntoIterator<Item = Candidate>) -> Vec<Candidate> {
        let cost = weight::fee(self.rate, self.scale.input);
        let mut coins: Vec<_> = coins.into_iter().filter(|coin| coin.value > cost).collect();
        coins.sort_unstable_by_key(|coin| (Reverse(coin.value), coin.outpoint));
        coins
    }

    /// The fewest coins that suffice, and how many: the largest.
    ///
    /// # Errors
    /// [`Shortage`].
    fn fewest(&self, coins: &[Candidate]) -> Result<(usize, Selection), Shortage> {
        let mut total = Amount::ZERO;
        for (before, coin) in coins.iter().enumerate() {
            total += coin.value;
            let count = before + 1;
            if let Some(selection) = self.selection(total, &coins[..count]) {
                let most = self.most_inputs();
                let fits = count <= most;
                return if fits {
                    Ok((count, selection))
                } else {
                    Err(Shortage::Inputs { needed: count, most })
                };
            }
        }
        Err(self.too_little(coins))
    }

    /// As many coins, the smallest that suffice: large coins stay whole, and change is small. One coin after the other, from
    /// the largest, gives way to the smallest that will do.
    fn smaller(&self, coins: &[Candidate], count: usize) -> Option<Selection> {
        let mut chosen: BTreeSet<usize> = (0..count).collect();
        let mut total = sum(&coins[..count]);
        let needed = self.paid + self.fee(count, false);
        for place in 0..count {
            let spare = total.checked_sub(needed)?;
            let least = coins[place].value.checked_sub(spare).unwrap_or_default();
            let end = coins.partition_point(|coin| coin.value >= least);
            let Some(smallest) = (place + 1..end).rev().find(|other| !chosen.contains(other)) else {
                continue;
            };
            chosen.remove(&place);
            chosen.insert(smallest);
            total = total - coins[place].value + coins[smallest].value;
        }
        let chosen: Vec<_> = chosen.into_iter().map(|place| coins[place]).collect();
        self.selection(total, &chosen)
    }

    /// What these coins come to; `None` where they do not suffice.
    fn selection(&self, total: Amount, coins: &[Candidate]) -> Option<Selection> {
        let left = total.checked_sub(self.paid)?;
        let count = coins.len();
        let change =
            left.checked_sub(self.fee(count, true)).filter(|change| *change >= self.scale.least_change());
        let cost = match change {
            Some(change) => left - change + self.scale.later(),
            None if left >= self.fee(count, false) => left,
            None => return None,
        };
        Some(Selection { coins: coins.iter().map(|coin| coin.outpoint).collect(), change, cost, total })
    }

    fn fee(&self, inputs: usize, change: bool) -> Amount {
        let outputs = if change { self.outputs.with_change() } else { self.outputs };
        weight::fee(self.rate, self.scale.of_parts(inputs, outputs))
    }

    /// Most inputs of one transaction with these outputs and change.
    fn most_inputs(&self) -> usize {
        let rest = self.scale.of_parts(MAX_INPUTS, self.outputs.with_change())
            - self.scale.input * MAX_INPUTS as u64;
        let room = MAX_WEIGHT.saturating_sub(rest.to_wu());
        MAX_INPUTS.min((room / self.scale.input.to_wu()) as usize)
    }

    fn too_little(&self, coins: &[Candidate]) -> Shortage {
        let needed = self.paid.checked_add(self.fee(coins.len().max(1), false)).unwrap_or(Amount::MAX);
        Shortage::Funds { needed, available: sum(coins) }
    }
}

impl Selection {
    /// By cost; of those that cost the same the one with fewer coins, then with less in them, then by outpoints.
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let key = |selection: &Self| (selection.cost, selection.coins.len(), selection.total);
        key(self).cmp(&key(other)).then_with(|| self.coins.cmp(&other.coins))
    }
}

/// Coins of the chain and of our own change add up to less than 21 million bitcoin.
fn sum(coins: &[Candidate]) -> Amount {
    coins.iter().map(|coin| coin.value).sum()
}
