//! Printing the result of a command: text for people, or exactly one JSON object.
//!
//! Results go to standard output; notes, questions and failures go to standard error, so that a
//! script can read the result alone.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;

use super::qr;

/// In which form this process prints.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// JSON in place of text.
    pub json: bool,
    /// Draw QR codes even if standard output is not a terminal.
    pub qr: bool,
}

/// The result of a command in both forms.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The form for programs.
    json: Value,
    /// The form for people.
    text: String,
    /// What a QR code shows beside the text.
    qr: Option<String>,
}

impl Answer {
    /// A result in both forms: `json` for programs, `text` for people.
    ///
    /// Results are made of strings, numbers and lists, which always have a JSON form.
    #[must_use]
    pub fn new(json: &impl Serialize, text: impl Into<String>) -> Self {
        Self { json: serde_json::to_value(json).unwrap_or(Value::Null), text: text.into(), qr: None }
    }

    /// The same result with a text for a QR code. The code is drawn for people only, and only if it
    /// fits.
    #[must_use]
    pub fn with_qr(mut self, text: impl Into<String>) -> Self {
        self.qr = Some(text.into());
        self
    }
}

impl Output {
    /// Prints the result of a command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn answer(self, answer: &Answer) -> io::Result<()> {
        let code = answer.qr.as_deref().filter(|_| self.draws()).and_then(qr::draw);
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", answer.json)?;
        } else {
            if let Some(code) = code {
                writeln!(out, "{code}")?;
            }
            writeln!(out, "{}", answer.text.trim_end())?;
        }
        out.flush()
    }

    /// Prints a note for people on standard error; nothing with `--json`.
    pub fn note(self, text: &str) {
        if !self.json {
            // Where standard error is closed, nobody reads notes.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Whether QR codes are drawn.
    fn draws(self) -> bool {
        !self.json && (self.qr || io::stdout().is_terminal())
    }
}

/// Lines of `name  value` with aligned values. Pairs with an empty value are left out.
#[must_use]
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// A table: columns as wide as their widest cell, separated by two spaces, without spaces at line
/// ends.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let length = |text: &str| text.chars().count();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell));
        cells.chain([length(head[column])]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let body = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(head.to_vec())).chain(body).collect()
}

/// A time in seconds since 1970 as people read it: `2026-11-23 14:02:07 UTC`.
#[must_use]
pub fn time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date
/// algorithms"): years begin in March, so that the leap day is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days.min(2_932_896) + 719_468; // not past the year 9999
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_prints_calendar_dates() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(951_827_696), "2000-02-29 12:34:56 UTC");
        assert_eq!(time(1_795_442_527), "2026-11-23 14:02:07 UTC");
        assert_eq!(time(253_402_300_799), "9999-12-31 23:59:59 UTC");
        assert!(time(u64::MAX).starts_with("9999-12-31"));
    }

    #[test]
    fn tables_align_and_pairs_omit_empty_values() {
        let rows = vec![vec!["main".into(), "1".into()], vec!["a".into(), "22".into()]];
        assert_eq!(table(&["name", "n"], &rows), "name  n\nmain  1\na     22\n");
        assert_eq!(pairs([("a", "1".into()), ("bcd", "2".into()), ("e", String::new())]), "a    1\nbcd  2\n");
    }
}
