//! Printing the result of a command: text for people, or exactly one JSON object.
//!
//! Results go to standard output; notes, questions and failures go to standard error, so that a
//! script can read the result alone.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

use serde::Serialize;
use serde_json::Value;
use time::{Date, Time, UtcDateTime};
use unicode_width::UnicodeWidthStr as _;

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
pub struct Report {
    /// The form for programs.
    json: Value,
    /// The form for people.
    text: String,
    /// What a QR code shows beside the text.
    qr: Option<String>,
    /// What a person may do next. It is no part of the result.
    hint: String,
}

impl Report {
    /// A result in both forms: `json` for programs, `text` for people.
    ///
    /// Results are made of strings, numbers and lists, which always have a JSON form.
    #[must_use]
    pub fn new(json: &impl Serialize, text: impl Into<String>) -> Self {
        Self { json: serde_json::to_value(json).unwrap_or(Value::Null), text: text.into(), ..Self::default() }
    }

    /// The same result with what a person may do next. It is shown on standard error, so that a file or a pipe gets the
    /// result alone.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
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
    /// Prints the result of a command on standard output, and the hint on standard error.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn answer(self, answer: &Report) -> io::Result<()> {
        self.begin_answer(answer)?;
        self.end_answer()?;
        if !answer.hint.is_empty() {
            self.note(&format!("\n{}", answer.hint.trim_end()));
        }
        Ok(())
    }

    /// Prints a result but for its line end: for what is done only once the result has arrived.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn begin_answer(self, answer: &Report) -> io::Result<()> {
        let code = answer.qr.as_deref().filter(|_| self.draws()).and_then(qr::draw);
        let mut out = io::stdout().lock();
        if self.json {
            write!(out, "{}", answer.json)?;
        } else {
            if let Some(code) = code {
                writeln!(out, "{code}")?;
            }
            write!(out, "{}", answer.text.trim_end())?;
        }
        out.flush()
    }

    /// Prints the line end of a result that was begun.
    ///
    /// # Errors
    /// Standard output cannot be written, or nobody reads it any more.
    pub fn end_answer(self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out)?;
        out.flush()
    }

    /// Prints a note for people on standard error; nothing with `--json`.
    pub fn note(self, text: &str) {
        if !self.json {
            // Where standard error is closed, nobody reads notes.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Prints on standard error what a person must see to answer the question that follows, with `--json` too. Where nobody is
    /// asked, since `yes` is the answer, it is a note.
    pub fn before_question(self, yes: bool, text: &str) {
        Self { json: self.json && yes, ..self }.note(text);
    }

    /// Whether QR codes are drawn.
    fn draws(self) -> bool {
        !self.json && (self.qr || io::stdout().is_terminal())
    }
}

/// A path in a result. Bytes that are no text are shown as replacement characters: a path may have any, JSON may not.
#[must_use]
pub fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Lines of `name  value` with aligned values. Pairs with an empty value are left out.
#[must_use]
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// A table: columns as wide as their widest cell takes on the screen, separated by two spaces, without spaces at line
/// ends.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let length = |text: &str| text.width();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell));
        cells.chain([length(head[column])]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(length(cell)))));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let body = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(head.to_vec())).chain(body).collect()
}

/// A time, in seconds since 1970, as RFC 3339 writes it in UTC, with the space that its section 5.6 allows for people:
/// `2026-11-23 14:02:07Z`. The calendar ends with the year 9999; a later time is shown as its last second.
#[must_use]
pub fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| UtcDateTime::from_unix_timestamp(seconds).ok());
    let (date, time) = time.map_or((Date::MAX, Time::MAX), |time| (time.date(), time.time()));
    format!("{date} {:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_prints_calendar_dates() {
        assert_eq!(time(0), "1970-01-01 00:00:00Z");
        assert_eq!(time(951_827_696), "2000-02-29 12:34:56Z");
        assert_eq!(time(1_795_442_527), "2026-11-23 14:02:07Z");
        assert_eq!(time(253_402_300_799), "9999-12-31 23:59:59Z");
        assert_eq!(time(253_402_300_800), "9999-12-31 23:59:59Z");
        assert_eq!(time(u64::MAX), "9999-12-31 23:59:59Z");
    }

    #[test]
    fn tables_align_and_pairs_omit_empty_values() {
        let rows = vec![vec!["main".into(), "1".into()], vec!["a".into(), "22".into()]];
        assert_eq!(table(&["name", "n"], &rows), "name  n\nmain  1\na     22\n");
        let wide = vec![vec!["父親".into(), "1".into()], vec!["a".into(), "22".into()]];
        assert_eq!(table(&["name", "n"], &wide), "name  n\n父親  1\na     22\n", "two columns a character");
        assert_eq!(pairs([("a", "1".into()), ("bcd", "2".into()), ("e", String::new())]), "a    1\nbcd  2\n");
    }
}
