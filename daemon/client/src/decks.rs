//! The decks of a recovery key: dealt, proven, and written as files to give away.

use std::path::{Path, PathBuf};

use autonomy_shards::{
    BadContents, BadName, Contents, DealError, Deck, DeckSet, Name, NotASecret, Plan, Secret,
};
use autonomy_wallet::{
    account::{AccountError, AccountMap, MemberLabel},
    keys::RecoveryKey,
};
use rand_core::{CryptoRng, RngCore};

use super::files::{FileError, private_dir, write_private};

/// Decks of one recovery key.
pub const HOLDERS: usize = 3;

/// How many of them make it whole again.
pub const THRESHOLD: u8 = 2;

/// Who keeps the decks, where nothing else was said.
pub const USUAL_HOLDERS: [&str; HOLDERS] = ["first holder", "second holder", "third holder"];

/// Splits R for its three holders. The account map goes sealed into each deck.
///
/// # Errors
/// [`DeckError`]; then nothing may be given away, and the account is not made.
pub fn deal(
    recovery: &RecoveryKey,
    map: &AccountMap,
    holders: &[String; HOLDERS],
    now: u64,
    mut rng: impl CryptoRng + RngCore,
) -> Result<Vec<Deck>, DeckError> {
    let secret = Secret::from_bytes(&recovery.scalar_bytes())?;
    let contents = Contents::new(recovery.chain_code(), &[map.to_bytes()])?;
    let names = holders.iter().map(|name| Name::new(name)).collect::<Result<_, _>>()?;
    let plan = Plan { label: Name::new(map.name())?, holders: names, threshold: THRESHOLD, created_at: now };
    let decks: Vec<Deck> = DeckSet::deal(&secret, &plan, &contents, &mut rng)?.into_iter().collect();
    // The key in the account map is what a holder's shard will be checked against one day: now or never.
    let expected = map.key(&MemberLabel::R)?.xpub().public_key.serialize();
    if decks.iter().all(|deck| deck.verify(&expected).is_ok()) {
        Ok(decks)
    } else {
        Err(DeckError::NotOfThisAccount)
    }
}

/// Checks the names of an account and its holders, before anything is begun with them.
///
/// # Errors
/// A name that cannot be one, or two holders of one name.
pub fn check_names(account: &str, holders: &[String; HOLDERS]) -> Result<(), DeckError> {
    Name::new(account)?;
    for (number, holder) in holders.iter().enumerate() {
        let name = Name::new(holder)?;
        if holders[..number].contains(holder) {
            return Err(DealError::SameName(name).into());
        }
    }
    Ok(())
}

/// The files of an account's decks.
pub fn paths(dir: &Path, map: &AccountMap) -> [PathBuf; HOLDERS] {
    let id = map.id().to_string();
    [1, 2, 3].map(|number| dir.join(format!("{}-deck-{number}-of-{HOLDERS}.txt", &id[..8])))
}

/// Writes the decks. When it returns, all of them lie on the disk.
///
/// # Errors
/// [`FileError`] with the file.
pub fn write(dir: &Path, map: &AccountMap, decks: &[Deck]) -> Result<(), FileError> {
    private_dir(dir)?;
    paths(dir, map)
        .iter()
        .zip(decks)
        .try_for_each(|(path, deck)| write_private(path, deck.to_text().as_bytes()))
}

/// Removes the decks of an account that never came to be. What is not there is no error.
pub fn discard(dir: &Path, map: &AccountMap) {
    for path in paths(dir, map) {
        // A deck that stays behind belongs to an account without addresses: it harms nobody.
        let _ = std::fs::remove_file(path);
    }
}

/// Why no decks were dealt.
#[derive(Debug, thiserror::Error)]
pub enum DeckError {
    /// A name that cannot be one.
    #[error("the name of the account or of a holder cannot be used: {0}")]
    Name(#[from] BadName),
    /// R cannot be split.
    #[error(transparent)]
    Secret(#[from] NotASecret),
    /// The account map is too long for a deck.
    #[error(transparent)]
    Contents(#[from] BadContents),
    /// The split failed.
    #[error(transparent)]
    Deal(#[from] DealError),
    /// The account map has no recovery key.
    #[error(transparent)]
    Map(#[from] AccountError),
    /// A shard does not fit R in the account map.
    #[error("a deck does not fit the recovery key of the account: stop, and do not use this machine")]
    NotOfThisAccount,
}
