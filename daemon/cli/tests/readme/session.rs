//! A session in a text: commands, and what the text shows of their output.

/// A command, and the lines that the text shows below it.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) command: String,
    pub(crate) shown: Vec<String>,
}

/// The commands of a section, in order: lines that begin with `$ ` in blocks of `console`.
pub(crate) fn lines_of(text: &str, section: &str) -> Vec<Line> {
    let section = text.split_once(section).unwrap().1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let mut lines: Vec<Line> = Vec::new();
    for block in section.split("```console\n").skip(1) {
        for line in block.split_once("\n```").unwrap().0.lines() {
            match (line.strip_prefix("$ "), lines.last_mut()) {
                (Some(command), _) => lines.push(Line { command: command.to_owned(), shown: Vec::new() }),
                (None, Some(last)) if !line.trim().is_empty() && line != "…" => {
                    last.shown.push(line.to_owned())
                }
                _ => {}
            }
        }
    }
    lines
}

/// Whether a line of output is the one that is shown. Ids, addresses, times and paths differ from run to run; `…` stands
/// for anything.
pub(crate) fn shows(shown: &str, said: &str) -> bool {
    let (shown, said): (Vec<&str>, Vec<&str>) =
        (shown.split_whitespace().collect(), said.split_whitespace().collect());
    shown.len() == said.len() && shown.iter().zip(said).all(|(shown, said)| fits(shown, said))
}

fn fits(shown: &str, said: &str) -> bool {
    let alike = kind(shown).is_some_and(|of| kind(said) == Some(of));
    alike
        || match shown.split_once('…') {
            Some((head, tail)) => said.starts_with(head) && said.ends_with(tail),
            None => shown == said,
        }
}

/// What a word is that differs from run to run.
fn kind(word: &str) -> Option<&'static str> {
    let all = |fits: fn(char) -> bool| word.chars().all(fits);
    let is_address = word.strip_prefix("bitcoin:").unwrap_or(word).starts_with("bcrt1");
    match word {
        _ if is_address => Some("address"),
        _ if word.ends_with(".onion") => Some("onion"),
        _ if word.len() >= 8 && all(|c| c.is_ascii_hexdigit()) => Some("id"),
        _ if word.len() == 10 && word.matches('-').count() == 2 => Some("date"),
        _ if word.ends_with('Z') && word.matches(':').count() == 2 => Some("time"),
        _ if word.contains("http://127.0.0.1:") => Some("url"),
        _ if word.contains('/') => Some("path"),
        _ => None,
    }
}

#[test]
fn session_is_read_from_blocks_of_its_section() {
    let text = "# A\n```console\n$ no\n```\n## S\n```console\n$ one\nsaid\n…\n$ two\n```\nx\n```sh\n$ not\n```\n## T\n```console\n$ no\n```\n";
    let line = |command: &str, shown: &[&str]| Line {
        command: command.to_owned(),
        shown: shown.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(lines_of(text, "## S"), [line("one", &["said"]), line("two", &[])]);
}

#[test]
fn words_that_differ_by_run_are_compared_by_kind_and_others_exactly() {
    assert!(shows("id  0123456789abcdef", "id    fedcba9876543210"));
    assert!(shows("pay 0.25 BTC bcrt1qa", "pay 0.25 BTC bcrt1qzz"));
    assert!(!shows("pay 0.25 BTC bcrt1qa", "pay 0.26 BTC bcrt1qzz"));
    assert!(shows("service […]qid.onion is up", "service […]abc.onion is up"));
    assert!(shows("URL=…/cookie", "URL=/tmp/x/cookie") && !shows("paid …", "paid"));
    assert!(!shows("a b", "a b c"));
}
