//! Verifiable shares of a secret, and the decks that carry them.

mod armour;
mod codec;
mod deal;
mod deck;
mod name;
mod recover;
mod seal;
mod secret;
mod shard;
mod split;

pub use armour::{MAX_TEXT_LEN, MalformedText};
pub use deal::{DealError, DeckSet, Plan};
pub use deck::{Deck, MAX_DECK_LEN, MalformedDeck, SetId};
pub use name::{BadName, MAX_NAME_LEN, Name};
pub use recover::{MAX_DECKS, Reason, RecoverError, Recovered, Rejected, recover};
pub use seal::{BadContents, Contents, DoesNotOpen, MAX_MAP_LEN, MAX_MAPS};
pub use secret::{NotASecret, PublicKey, Secret};
pub use shard::{
    MAX_HOLDERS, MAX_SHARD_LEN, MIN_THRESHOLD, MalformedShard, Shard, ShardError, VerifiedShard,
};
pub use split::{CombineError, SplitError, combine, split};
