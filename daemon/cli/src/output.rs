//! What a command says: text for people, or exactly one JSON object on standard output.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;
use time::{Date, Time, UtcDateTime};

use super::qr;

/// How this process speaks.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// JSON in place of text.
    pub json: bool,
    /// QR codes even where standard output is no terminal.
    pub qr: bool,
}

/// The result of a command, in both forms.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    json: Value,
    text: String,
    qr: Option<String>,
}

impl Answer {
    /// The same said twice: `json` for programs, `text` for people.
    ///
    /// Our answers are made of strings, numbers and lists, which always have a JSON form.
    pub fn new(json: &impl Serialize, text: impl Into<String>) -> Self {
        Self { json: serde_json::to_value(json).unwrap_or(Value::Null), text: text.into(), qr: None }
    }

    /// With something to scan.
    #[must_use]
    pub fn with_qr(mut self, text: impl Into<String>) -> Self {
        self.qr = Some(text.into());
        self
    }
}

impl Output {
    /// Prints the answer of a command.
    ///
    /// # Errors
    /// When standard output cannot be written.
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

    /// Says something that is not the answer, to people only.
    pub fn note(self, text: &str) {
        if !self.json {
            // Where standard error is closed nobody waits for notes.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    fn draws(self) -> bool {
        !self.json && (self.qr || io::stdout().is_terminal())
    }
}

/// Lines of `name  value`, values aligned. Pairs with an empty value are left out.
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// A table: columns as wide as their widest cell, two spaces between, nothing behind the last.
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

/// A time, in seconds since 1970, as RFC 3339 writes it in UTC, with the space that its section 5.6 allows for people:
/// `2026-11-23 14:02:07Z`. The calendar ends with the year 9999; a later time is shown as its last second.
pub fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| UtcDateTime::from_unix_timestamp(seconds).ok());
    let (date, time) = time.map_or((Date::MAX, Time::MAX), |time| (time.date(), time.time()));
    format!("{date} {:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01 00:00:00Z");
        assert_eq!(time(951_827_696), "2000-02-29 12:34:56Z");
        assert_eq!(time(1_795_442_527), "2026-11-23 14:02:07Z");
        assert_eq!(time(253_402_300_799), "9999-12-31 23:59:59Z");
        assert_eq!(time(253_402_300_800), "9999-12-31 23:59:59Z");
        assert_eq!(time(u64::MAX), "9999-12-31 23:59:59Z");
    }

    #[test]
    fn tables_line_up_and_empty_values_vanish() {
        let rows = vec![vec!["main".into(), "1".into()], vec!["a".into(), "22".into()]];
        assert_eq!(table(&["name", "n"], &rows), "name  n\nmain  1\na     22\n");
        assert_eq!(pairs([("a", "1".into()), ("bcd", "2".into()), ("e", String::new())]), "a    1\nbcd  2\n");
    }
}
