//! `docs/limits.md` lists every limit of the program, as the code has it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders with code that is linked into the programs.
const SOURCES: [&str; 11] = [
    "codec/src",
    "wallet/src",
    "shards/src",
    "messaging/src",
    "onion/src",
    "daemon/api/src",
    "daemon/client/src",
    "daemon/cli/src",
    "daemon/node/src",
    "daemon/store/src",
    "daemon/src",
];

const HEAD: &str = "# Limits

Every constant of the code whose name says *most*, *least* or *limit*, with its value, and what its comment says of it: the
unit, and what it counts. Where a limit is refused, the answer names it. This page is compared with the code by
`testnet/tests/limits.rs`, which writes it anew to `target/tmp/limits.md`.

";

#[test]
fn limits_page_is_what_the_code_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = HEAD.to_owned() + &SOURCES.map(|folder| table(&root, folder)).concat();
    let written = fs::read_to_string(root.join("docs/limits.md")).unwrap_or_default();
    if page != written {
        let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("limits.md");
        fs::write(&copy, page).unwrap();
        panic!("docs/limits.md is not what the code says: put {} in its place", copy.display());
    }
}

/// The limits of one folder; nothing where it has none.
fn table(root: &Path, folder: &str) -> String {
    let mut files = Vec::new();
    find_sources(&root.join(folder), &mut files);
    files.sort();
    let rows: String = files.iter().flat_map(|file| limits(root, file)).collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("## {folder}\n\n| limit | value | what | where |\n|---|---|---|---|\n{rows}\n"),
    }
}

fn find_sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
            found.push(path);
        }
    }
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

/// A row for each limit of a file.
fn limits(root: &Path, file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    // What stands behind the first tests is theirs.
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let place = file.strip_prefix(root).unwrap().display().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let constants = lines.iter().enumerate().filter_map(|(number, line)| Some((number, name(line)?)));
    constants
        .filter(|(_, name)| is_limit(name))
        .map(|(number, name)| {
            let (value, what) = (value(&lines[number..]), comment(&lines[..number]));
            format!("| `{name}` | `{value}` | {what} | {place} |\n")
        })
        .collect()
}

/// The name of the constant that a line declares.
fn name(line: &str) -> Option<&str> {
    let declared = ["pub(crate) ", "pub(super) ", "pub "].iter().find_map(|seen| line.strip_prefix(seen));
    declared.unwrap_or(line).strip_prefix("const ")?.split_once(':').map(|(name, _)| name)
}

fn is_limit(name: &str) -> bool {
    let words = ["MAX", "MIN", "MOST", "LEAST", "LIMIT", "LOOKAHEAD"];
    name.split('_').any(|word| words.contains(&word)) && !name.starts_with("fn ")
}

/// What stands between `=` and `;`, on one line.
fn value(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        text += line;
        text.push(' ');
        if line.split("//").next().unwrap_or_default().trim_end().ends_with(';') {
            break;
        }
    }
    let value = text.split_once('=').map_or("", |(_, value)| value);
    value.split(';').next().unwrap_or_default().trim().replace('|', "\\|")
}

/// The first sentence of the comment above.
fn comment(lines: &[&str]) -> String {
    let above = lines.iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut lines: Vec<&str> = above.filter_map(|line| line.strip_prefix("///")).map(str::trim).collect();
    lines.reverse();
    let text = lines.join(" ").replace('|', "\\|");
    // Links lead nowhere on the page.
    let mut text = text.replace("[`", "`").replace("`]", "`");
    while let Some(at) = text.find("`(") {
        let end = text[at..].find(')').map_or(text.len(), |end| at + end + 1);
        text.replace_range(at + 1..end, "");
    }
    let end = text.match_indices(". ").find(|(at, _)| !text[..*at].ends_with("e.g"));
    end.map_or(text.clone(), |(at, _)| text[..=at].to_owned())
}
