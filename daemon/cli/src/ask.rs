//! Questions to the person, and texts that are passed as an argument, from a file, or through a
//! pipe.

use std::{
    io::{self, BufRead, Read, Write},
    path::Path,
};

use zeroize::Zeroizing;

use super::{Exit, Failure, terminal};
use autonomy_api::Written;
use autonomy_store::small_file;

/// Longest text that is read, bytes. The longest in use is a grant with all of its 16 account maps
/// of 4 KiB each: 66 kB in all, below 150,000 characters.
const MAX_TEXT: u64 = 256 * 1024;

/// A text of the command line, parsed by the rule of its type.
///
/// # Errors
/// The text breaks the rule; the failure names `what` and the rule.
pub fn written<T: Written>(what: &str, text: &str) -> Result<T, Failure> {
    T::read(text).map_err(|rule| Failure::usage(format!("`{what}`: {rule}")))
}

/// Asks before something that cannot be undone. `yes` is the answer in advance.
///
/// # Errors
/// The person says no, or there is nobody to ask.
pub fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    can_confirm(yes)?;
    let question = Question::new(question);
    question.ask();
    let mut line = String::new();
    let read = io::stdin().lock().take(64).read_line(&mut line);
    question.understood(if read.is_ok() { &line } else { "" })
}

/// A question, and what says yes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// The question.
    text: String,
    /// The one word that says yes, in place of `y`.
    word: Option<&'static str>,
}

impl Question {
    /// A question that `y` or `yes` says yes to.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), word: None }
    }

    /// A question that nobody answers by habit: only this word says yes.
    pub(crate) fn with_word(text: impl Into<String>, word: &'static str) -> Self {
        Self { text: text.into(), word: Some(word) }
    }

    /// Prints it on standard error.
    pub(crate) fn ask(&self) {
        prompt(&format!("{} [{}/N] ", self.text, self.word.unwrap_or("y")));
    }

    /// What an answer means. No answer, as at the end of the input, is a no.
    ///
    /// # Errors
    /// It is no yes.
    pub(crate) fn understood(&self, answer: &str) -> Result<(), Failure> {
        let answer = answer.trim().to_ascii_lowercase();
        let agreed = match self.word {
            Some(word) => answer == word,
            None => matches!(answer.as_str(), "y" | "yes"),
        };
        match agreed {
            true => Ok(()),
            false => Err(Failure::new(Exit::Check, "not-confirmed", "not confirmed; nothing was done")),
        }
    }
}

/// Fails where [`confirm`] would have nobody to ask. Called before anything is begun.
///
/// # Errors
/// There is no terminal and no `yes`.
pub fn can_confirm(yes: bool) -> Result<(), Failure> {
    if yes || terminal::has_person() {
        return Ok(());
    }
    let detail = "this needs a confirmation, and there is no terminal to ask at";
    Err(Failure::new(Exit::Check, "not-confirmed", detail).help("repeat it with --yes if you are sure"))
}

/// A text given as itself, as `@FILE`, or as `-` for standard input.
///
/// # Errors
/// The file cannot be read, is not text, or is longer than 256 KiB.
pub fn text(argument: &str) -> Result<Zeroizing<String>, Failure> {
    let source: Box<dyn Read> = match (argument, argument.strip_prefix('@')) {
        ("-", _) => Box::new(io::stdin()),
        (_, Some(path)) => Box::new(
            small_file::open(Path::new(path))
                .map_err(|error| Failure::other("file", format!("cannot read {path}: {error}")))?,
        ),
        (text, None) => return Ok(Zeroizing::new(text.trim().to_owned())),
    };
    let mut text = Zeroizing::new(String::new());
    source
        .take(MAX_TEXT + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::other("file", format!("cannot read {argument}: {error}")))?;
    if text.len() as u64 > MAX_TEXT {
        return Err(Failure::usage(format!("{argument} is longer than {MAX_TEXT} bytes")));
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Prints a question on standard error. What was typed before does not answer it.
pub(crate) fn prompt(text: &str) {
    terminal::discard_typed();
    let mut err = io::stderr().lock();
    // An unanswerable question is answered with no by the caller.
    let _ = write!(err, "{text}").and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_from_argument_or_file() {
        assert_eq!(text(" autonomy-x1 ").unwrap().as_str(), "autonomy-x1");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("request");
        std::fs::write(&path, "autonomy-y1\n").unwrap();
        assert_eq!(text(&format!("@{}", path.display())).unwrap().as_str(), "autonomy-y1");
        assert!(text("@/nowhere/at/all").unwrap_err().detail.contains("/nowhere/at/all"));
        std::fs::write(&path, vec![b'x'; MAX_TEXT as usize + 1]).unwrap();
        assert_eq!(text(&format!("@{}", path.display())).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn question_with_a_word_takes_no_other_yes() {
        let (plain, special) = (Question::new("Pay?"), Question::with_word("Pay twice?", "again"));
        for (answer, says) in
            [("y\n", (true, false)), ("Yes", (true, false)), ("again\n", (false, true)), ("", (false, false))]
        {
            assert_eq!(
                (plain.understood(answer).is_ok(), special.understood(answer).is_ok()),
                says,
                "{answer:?}"
            );
        }
    }

    #[test]
    fn confirm_with_yes_does_not_ask() {
        assert!(confirm("Pay?", true).is_ok());
    }
}
