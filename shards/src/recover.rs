//! Recovery: a secret made whole from the decks that came back.

use std::fmt;

use crate::{CombineError, Contents, Deck, Name, PublicKey, Secret, ShardError, VerifiedShard, combine};

/// A secret made whole, with what was sealed under it, and what was wrong with decks that were not used.
///
/// A recovered R may only sweep: move everything to a new account, once.
#[derive(Debug)]
pub struct Recovered {
    /// The secret.
    pub secret: Secret,
    /// Chain code and account maps.
    pub contents: Contents,
    /// Decks that could not be used, each with its reason. Tell the owner: a changed deck is no accident.
    pub rejected: Vec<Rejected>,
}

/// A deck that does not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Who kept it, as the deck says.
    pub holder: Name,
    /// Number of the deck within its set.
    pub index: u8,
    /// Why it does not help.
    pub reason: Reason,
}

/// Why a deck does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The shard belongs to another secret, or was changed.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// This shard is there already.
    #[error("the same shard was given twice")]
    Twice,
    /// A good shard of another split of the same secret.
    #[error("it comes from another dealing of the same secret")]
    OtherDealing,
    /// The shard is good, what is sealed was changed.
    #[error("its shard is good, but its sealed part was changed")]
    SealedPart,
}

/// Most decks looked at in one recovery: two full sets, an old and a new one.
pub const MAX_DECKS: usize = 2 * crate::MAX_HOLDERS as usize;

/// Why no secret was recovered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// More than [`MAX_DECKS`].
    #[error("{0} decks at once are too many: take one set of them, at most {MAX_DECKS}")]
    TooMany(usize),
    /// Too few decks are good.
    #[error("{have} good decks, {need} are needed{}", listed(rejected))]
    TooFew {
        /// Good decks of one dealing.
        have: usize,
        /// How many it takes.
        need: u8,
        /// Those that could not be used, and why.
        rejected: Vec<Rejected>,
    },
    /// The shards are good, but no sealed part opens: chain code and account maps must come from elsewhere.
    #[error(
        "the shards are good, but no sealed part opens{}: find the account map elsewhere",
        listed(rejected)
    )]
    Sealed {
        /// Every deck, and why.
        rejected: Vec<Rejected>,
    },
    /// The good shards do not make the secret. It cannot happen with decks that one program dealt.
    #[error(transparent)]
    Combine(#[from] CombineError),
}

/// Makes the secret whole whose public key is `expected`, from as many good decks as are needed.
///
/// Bad decks among them do no harm: each is named with its reason, and the others are used.
///
/// # Errors
/// [`RecoverError::TooMany`] above [`MAX_DECKS`]; [`RecoverError::TooFew`] where not enough shards of one dealing are
/// good; [`RecoverError::Sealed`] where the secret is whole but no sealed part opens; [`RecoverError::Combine`] never
/// with decks that one program dealt. Each names the decks that were not used.
pub fn recover(decks: &[Deck], expected: &PublicKey) -> Result<Recovered, RecoverError> {
    if decks.len() > MAX_DECKS {
        return Err(RecoverError::TooMany(decks.len()));
    }
    let mut rejected = Vec::new();
    let good = verified(decks, expected, &mut rejected);
    let chosen = largest_dealing(&good);
    for (deck, shard) in &good {
        if chosen.first().is_some_and(|(_, first)| !shard.same_split(first)) {
            rejected.push(reject(deck, Reason::OtherDealing));
        }
    }
    let need = chosen.first().map_or(crate::MIN_THRESHOLD, |(_, shard)| shard.threshold());
    if chosen.len() < usize::from(need) {
        return Err(RecoverError::TooFew { have: chosen.len(), need, rejected });
    }
    let shards: Vec<VerifiedShard> = chosen.iter().map(|(_, shard)| (*shard).clone()).collect();
    let secret = combine(&shards, expected)?;
    let mut contents = None;
    for (deck, _) in &chosen {
        match deck.open(&secret) {
            Ok(opened) => contents = contents.or(Some(opened)),
            Err(_) => rejected.push(reject(deck, Reason::SealedPart)),
        }
    }
    match contents {
        Some(contents) => Ok(Recovered { secret, contents, rejected }),
        None => Err(RecoverError::Sealed { rejected }),
    }
}

/// The decks whose shards belong to the key, each shard once.
fn verified<'a>(
    decks: &'a [Deck],
    expected: &PublicKey,
    rejected: &mut Vec<Rejected>,
) -> Vec<(&'a Deck, VerifiedShard)> {
    let mut good: Vec<(&Deck, VerifiedShard)> = Vec::new();
    for deck in decks {
        match deck.verify(expected) {
            Err(error) => rejected.push(reject(deck, error.into())),
            Ok(shard)
                if good.iter().any(|(_, seen)| seen.index() == shard.index() && seen.same_split(&shard)) =>
            {
                rejected.push(reject(deck, Reason::Twice));
            }
            Ok(shard) => good.push((deck, shard)),
        }
    }
    good
}

/// The decks of the dealing that lacks the fewest; of two such, the one given first.
fn largest_dealing<'a, 'b>(good: &'b [(&'a Deck, VerifiedShard)]) -> Vec<(&'a Deck, &'b VerifiedShard)> {
    let dealing = |first: &VerifiedShard| -> Vec<(&'a Deck, &'b VerifiedShard)> {
        good.iter().filter(|(_, s)| s.same_split(first)).map(|(deck, shard)| (*deck, shard)).collect()
    };
    let lacking = |first: &VerifiedShard| usize::from(first.threshold()).saturating_sub(dealing(first).len());
    good.iter().min_by_key(|(_, shard)| lacking(shard)).map_or(Vec::new(), |(_, first)| dealing(first))
}

/// How a deck that was not used is reported.
fn reject(deck: &Deck, reason: Reason) -> Rejected {
    Rejected { holder: deck.holder().clone(), index: deck.index(), reason }
}

/// The list as it ends an error message.
fn listed(rejected: &[Rejected]) -> String {
    rejected.iter().map(|one| format!("; {one}")).collect()
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deck of {} not used: {}", self.holder, self.reason)
    }
}
