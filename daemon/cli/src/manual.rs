//! The manual pages: what the command line's definitions say, and the sections that every page has.

use std::{fs, io, path::Path};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::{args::Cli, failure::EXIT_STATUS};

/// Files and what is in them.
const FILES: [(&str, &str); 4] = [
    ("~/.config/autonomy/config.toml", "settings; docs/config.md names all of them"),
    (
        "~/.local/share/autonomy/device/",
        "the profile of this device: its keys, sealed; decks; the agent's socket and log",
    ),
    ("~/.local/share/autonomy/pod/", "the pod: pod.redb, sealed; pod.sock, for its owner; tor/"),
    ("~/.local/share/autonomy/relay/", "a relay: relay.key, relay.redb, relay.sock"),
];

/// Examples by verb; a page without its own has those of the program.
const EXAMPLES: [(&str, &[&str]); 13] = [
    ("autonomy", &["autonomy init", "autonomy status", "autonomy help pay"]),
    ("autonomy-init", &["autonomy init", "autonomy init --restore"]),
    ("autonomy-provision", &["autonomy provision @request > bundle"]),
    (
        "autonomy-pod",
        &["autonomy pod init --network regtest > request", "autonomy pod adopt @bundle", "autonomy pod run"],
    ),
    (
        "autonomy-pay",
        &["autonomy pay bcrt1q… 0.25 BTC --note rent", "autonomy pay 'bitcoin:bcrt1q…?amount=0.001'"],
    ),
    (
        "autonomy-payment",
        &["autonomy payment list", "autonomy payment resume b9882bea", "autonomy payment cancel b9882bea"],
    ),
    (
        "autonomy-passphrase",
        &["autonomy passphrase device", "autonomy passphrase pod --new-key-file /etc/autonomy/key"],
    ),
    ("autonomy-receive", &["autonomy receive", "autonomy receive --amount 25000 sat"]),
    ("autonomy-account", &["autonomy account create --name main", "autonomy account export > map.json"]),
    ("autonomy-contact", &["autonomy contact invite --note 'for Bob'", "autonomy contact confirm Bob"]),
    ("autonomy-message", &["autonomy message send Bob hello", "autonomy message watch"]),
    ("autonomy-device", &["autonomy device request --name phone", "autonomy device add @request > grant"]),
    (
        "autonomy-relay",
        &["autonomy relay run --data-dir /srv/relay", "autonomy relay add /onion3/…:4001/p2p/…"],
    ),
];

/// Writes a page for each visible verb into `dir`.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    page(&program, dir)
}

fn page(command: &Command, dir: &Path) -> io::Result<()> {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        page(verb, dir)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command.clone().after_help("").after_long_help(""));
    let mut text = Vec::new();
    man.render(&mut text)?;
    text.extend(sections(&name).into_bytes());
    fs::write(dir.join(man.get_filename()), text)
}

/// The sections behind those that the definitions give.
fn sections(name: &str) -> String {
    let mut text = String::from(".SH \"EXIT STATUS\"\n");
    for (status, meaning) in EXIT_STATUS {
        text.push_str(&entry(&status.to_string(), meaning));
    }
    text.push_str(".SH FILES\n");
    for (path, content) in FILES {
        text.push_str(&entry(path, content));
    }
    text.push_str(".SH EXAMPLES\n");
    for line in examples(name) {
        text.push_str(&format!(".PP\n.RS 4\n{}\n.RE\n", escaped(line)));
    }
    text
}

/// The examples of a verb, else of the verb that it is part of.
fn examples(name: &str) -> &'static [&'static str] {
    let own = EXAMPLES.iter().find(|(verb, _)| *verb == name).map(|(_, lines)| *lines);
    own.unwrap_or_else(|| name.rsplit_once('-').map_or(&[], |(above, _)| examples(above)))
}

fn entry(term: &str, text: &str) -> String {
    format!(".TP\n\\fB{}\\fR\n{}\n", escaped(term), escaped(text))
}

/// Text as roff takes it: no line is a request, no sign an escape.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('~', "\\(ti").replace('\'', "\\(aq");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_verb_has_a_page_with_status_files_and_examples() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        for page in ["autonomy.1", "autonomy-pay.1", "autonomy-account-create.1", "autonomy-agent-stop.1"] {
            assert!(dir.path().join(page).exists(), "{page}");
        }
        for file in fs::read_dir(dir.path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            for section in [".SH \"EXIT STATUS\"", ".SH FILES", ".SH EXAMPLES\n.PP"] {
                assert_eq!(text.matches(section).count(), 1, "{section} in {text}");
            }
        }
    }

    #[test]
    fn examples_are_understood() {
        use clap::Parser as _;
        for (_, lines) in EXAMPLES {
            for line in lines {
                let words = line.replace("'for Bob'", "for-Bob").replace(['\'', '…'], "");
                let words = words.split(" > ").next().unwrap().split(' ').map(str::to_owned);
                let parsed = Cli::try_parse_from(words);
                let shows_help =
                    parsed.as_ref().is_err_and(|error| error.kind() == clap::error::ErrorKind::DisplayHelp);
                assert!(parsed.is_ok() || shows_help, "{line}: {:?}", parsed.err());
            }
        }
    }

    #[test]
    fn text_is_no_request_of_the_page_language() {
        assert_eq!(escaped(".x -y 'z' ~"), "\\&.x \\-y \\(aqz\\(aq \\(ti");
    }
}
