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
    prompt(&format!("{question} [y/N] "));
    let mut line = String::new();
    let read = io::stdin().lock().take(64).read_line(&mut line);
    understood(if read.is_ok() { &line } else { "" })
}

/// What an answer means. No answer, as at the end of the input, is a no.
///
/// # Errors
/// It is no yes.
pub(crate) fn understood(answer: &str) -> Result<(), Failure> {
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Check, "not-confirmed", "not confirmed; nothing was done")),
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

/// Prints a question on standard error.
pub(crate) fn prompt(text: &str) {
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
    fn confirm_with_yes_does_not_ask() {
        assert!(confirm("Pay?", true).is_ok());
    }
}
