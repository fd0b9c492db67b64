//! The deck as a text that a person can keep: a file, a mail, a sheet of paper.

use std::fmt::Write;

use autonomy_codec::{TextError, TextKind, armour};
use time::UtcDateTime;
use zeroize::Zeroizing;

use crate::{Deck, MAX_DECK_LEN, MalformedDeck};

/// Longest text that is looked at: 8 characters for 5 bytes of the longest deck (56,104), room for line
/// breaks of mail programs and for the lines that explain.
pub const MAX_TEXT_LEN: usize = 64 * 1_024;
const _: () = assert!(armour::text_len(TextKind::Deck, MAX_DECK_LEN) < MAX_TEXT_LEN - 4_096);

/// Why a text is no deck.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedText {
    /// It is not the line of a deck, or not all of it.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The bytes in it are no deck.
    #[error(transparent)]
    Deck(#[from] MalformedDeck),
}

impl Deck {
    /// The deck as a text: lines for the person who keeps it, and one [line](armour) with the deck.
    ///
    /// The lines that start with `#` are only there to be read; changing them changes nothing.
    #[must_use]
    #[expect(clippy::expect_used, reason = "writing to a string does not fail")]
    pub fn to_text(&self) -> Zeroizing<String> {
        let line = Zeroizing::new(armour::encode(TextKind::Deck, &self.to_bytes()));
        let mut text = Zeroizing::new(String::with_capacity(2_048 + line.len()));
        explain(self, &mut text).expect("writing to a string does not fail");
        text.push_str(&line);
        text.push('\n');
        text
    }

    /// Reads the text of a deck. Lines of comment are passed over, and breaks that a mail program put into
    /// the line of the deck do no harm.
    ///
    /// # Errors
    /// [`MalformedText`] says whether the line or the deck in it is malformed.
    pub fn from_text(text: &str) -> Result<Self, MalformedText> {
        let bytes = armour::decode_within(TextKind::Deck, text, MAX_TEXT_LEN)?;
        Ok(Self::from_bytes(&bytes)?)
    }
}

/// The lines for whoever keeps the deck: what it is, and what to do with it.
fn explain(deck: &Deck, out: &mut String) -> std::fmt::Result {
    let (index, total, threshold) = (deck.index(), deck.total(), deck.threshold());
    writeln!(
        out,
        "# A deck of Autonomy: part {index} of {total} of a secret. Any {threshold} make it whole."
    )?;
    writeln!(out, "#")?;
    writeln!(out, "# Secret:  {}", deck.label())?;
    writeln!(out, "# Keeper:  {}", deck.holder())?;
    writeln!(out, "# Made on: {}", date(deck.created_at()))?;
    writeln!(out, "#")?;
    writeln!(out, "# To the keeper: keep this file where only you reach it. Alone it opens nothing, and it")?;
    writeln!(out, "# shows no address and no balance. Give it back only to the owner, after you have heard")?;
    writeln!(out, "# their voice or seen their face: someone may write to you in their name.")?;
    writeln!(out, "# To the owner: do not keep {threshold} of these files in one place.")?;
    writeln!(out, "#")
}

/// The day of a Unix time as `2026-11-23` (UTC, proleptic Gregorian calendar), for times up to the year 9999.
fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| UtcDateTime::from_unix_timestamp(seconds).ok());
    time.map_or_else(|| format!("second {seconds}"), |time| time.date().to_string())
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_399), "2000-02-28");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(951_868_800), "2000-03-01");
        assert_eq!(date(1_795_392_000), "2026-11-23");
        assert_eq!(date(253_402_300_799), "9999-12-31");
        assert_eq!(date(253_402_300_800), "second 253402300800");
        assert_eq!(date(u64::MAX), format!("second {}", u64::MAX));
    }
}
