//! Dealing: a secret becomes decks, one for each holder.

use rand_core::CryptoRngCore;

use crate::seal::Sealed;
use crate::{Contents, Deck, Name, Secret, SetId, SplitError, split};

/// The decks of one secret, one for each holder, all made at once.
///
/// They may lie together only until they are given away: as many as are needed give the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeckSet {
    /// In the order of the plan's holders; their shards are numbered from 1 in that order.
    decks: Vec<Deck>,
}

/// Who is to keep a secret, and how many of them are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What the owner calls the secret.
    pub label: Name,
    /// The holders, each with another name.
    pub holders: Vec<Name>,
    /// How many of them make the secret whole.
    pub threshold: u8,
    /// When: seconds since 1970, UTC.
    pub created_at: u64,
}

/// Why no decks were made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DealError {
    /// Two holders of one name: later nobody could say whose deck is whose.
    #[error("two holders are called {0}: give them different names")]
    SameName(Name),
    /// The split went wrong.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// What was sealed does not open again. Nothing may be given away.
    #[error("the sealed part does not open again: stop, and do not use this machine")]
    SelfCheck,
}

impl DeckSet {
    /// Splits `secret`, seals `contents` under it, and makes a deck for each holder of the plan.
    ///
    /// Every shard is verified and the sealed part opened once more before anything is returned, so that the
    /// caller may forget the secret as soon as the decks are stored.
    ///
    /// # Errors
    /// [`DealError::SameName`] for two holders of one name, [`DealError::Split`] where the plan's numbers are out of
    /// bounds or the generator is broken, [`DealError::SelfCheck`] where what was sealed does not open. Nothing may
    /// be given away then.
    pub fn deal(
        secret: &Secret,
        plan: &Plan,
        contents: &Contents,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Self, DealError> {
        if let Some(name) = repeated(&plan.holders) {
            return Err(DealError::SameName(name.clone()));
        }
        let total = u8::try_from(plan.holders.len()).unwrap_or(u8::MAX);
        let shards = split(secret, plan.threshold, total, rng)?;
        let mut set = SetId::default();
        rng.fill_bytes(&mut set);
        let sealed = Sealed::seal(secret, &set, contents, rng);
        if sealed.open(secret, &set).as_ref() != Ok(contents) {
            return Err(DealError::SelfCheck);
        }
        let decks = shards.into_iter().zip(&plan.holders).map(|(shard, holder)| Deck {
            set,
            created_at: plan.created_at,
            total,
            label: plan.label.clone(),
            holder: holder.clone(),
            shard,
            sealed: sealed.clone(),
        });
        Ok(Self { decks: decks.collect() })
    }

    /// The decks, in the order of the plan's holders.
    #[must_use]
    pub fn decks(&self) -> &[Deck] {
        &self.decks
    }
}

impl IntoIterator for DeckSet {
    type Item = Deck;
    type IntoIter = std::vec::IntoIter<Deck>;

    fn into_iter(self) -> Self::IntoIter {
        self.decks.into_iter()
    }
}

/// The first name that stands in the list before.
fn repeated(names: &[Name]) -> Option<&Name> {
    names.iter().enumerate().find(|(position, name)| names[..*position].contains(name)).map(|(_, name)| name)
}
