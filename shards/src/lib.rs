//! Verifiable shares of a secret, and the decks that carry them.
//!
//! A recovery key is never stored whole. Once drawn it is split, each part goes to another holder, and it comes
//! back only when enough of them agree. Three things must hold, and this crate is where they are made to hold:
//!
//! **A bad share is found before it is used, and its holder is named.** Plain Shamir sharing gives a *wrong*
//! secret when one share was changed, and nobody knows whose. Here every share carries Feldman's commitments
//! to the polynomial, and the first of them **is** the public key that stands in the recovery key's xpub: any
//! share can be checked by anybody who has the account map ([`Shard::verify`]), and only checked shares can be
//! combined ([`VerifiedShard`], [`combine`]).
//!
//! **A holder learns neither addresses nor balance.** A [`Deck`] holds the shard in clear and everything else
//! (chain code, account maps) sealed under the secret itself: it opens when the secret is whole, never before.
//!
//! **A deck is kept by a person, for years.** It is a text file that says what it is and what to do with it,
//! survives mail programs, has one canonical encoding with a version and a checksum, and tells a slip of
//! copying from something that is no deck at all.
//!
//! ```
//! use autonomy_shards::{Contents, Deck, DeckSet, Name, Plan, Secret, recover};
//! # let mut rng = rand::rngs::OsRng;
//! let secret = Secret::from_bytes(&[7; 32])?;
//! let key_in_xpub = secret.public_key();
//! let plan = Plan {
//!     label: Name::new("recovery key of Alice")?,
//!     holders: vec![Name::new("Bob")?, Name::new("Carol")?, Name::new("Dan")?],
//!     threshold: 2,
//!     created_at: 1_795_392_000,
//! };
//! let contents = Contents::new(&[9; 32], &[b"the account map"])?;
//! let decks = DeckSet::deal(&secret, &plan, &contents, &mut rng)?;
//!
//! // Years later, Dan and Bob bring their files.
//! let files = [decks.decks()[2].to_text(), decks.decks()[0].to_text()];
//! let came = [Deck::from_text(&files[0])?, Deck::from_text(&files[1])?];
//! let recovered = recover(&came, &key_in_xpub)?;
//! assert_eq!(recovered.secret.as_bytes(), secret.as_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to | see |
//! |---|---|
//! | split, verify, combine | [`split`], [`Shard`], [`VerifiedShard`], [`combine`] |
//! | make decks | [`Plan`], [`Contents`], [`DeckSet::deal`] |
//! | keep and carry a deck | [`Deck::to_text`], [`Deck::from_text`], [`Deck::to_bytes`], [`Deck::from_bytes`] |
//! | get it back | [`recover`], [`Recovered`], [`Rejected`] |
//!
//! The arithmetic is that of `frost-secp256k1` (RFC 9591); none of it is ours. The crate is pure: no files, no
//! clock, no network, and randomness is an argument. Secrets are wiped when dropped and never printed; copies
//! that the library makes on the stack while it computes are beyond our reach.

mod deal;
mod deck;
mod recover;
mod seal;
mod secret;
mod shard;
mod split;
mod text;

pub use autonomy_codec::{BadName, MAX_NAME_LEN, Name, TextError, TextKind};
pub use deal::{DealError, DeckSet, Plan};
pub use deck::{Deck, MAX_DECK_LEN, MalformedDeck, SetId};
pub use recover::{MAX_DECKS, Reason, RecoverError, Recovered, Rejected, recover};
pub use seal::{BadContents, Contents, DoesNotOpen, MAX_MAP_LEN, MAX_MAPS};
pub use secret::{NotASecret, PublicKey, Secret};
pub use shard::{
    MAX_HOLDERS, MAX_SHARD_LEN, MIN_THRESHOLD, MalformedShard, Shard, ShardError, VerifiedShard,
};
pub use split::{CombineError, SplitError, combine, split};
pub use text::{MAX_TEXT_LEN, MalformedText};
