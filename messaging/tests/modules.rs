//! The modules of the messenger use each other in one direction only.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

type Uses = BTreeMap<String, BTreeSet<String>>;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

fn name(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

/// The file of a module, and those of the modules within it.
fn text_of(file: &Path) -> String {
    let within = file.with_extension("");
    let files = if within.is_dir() { sources(&within) } else { Vec::new() };
    let texts = [file.to_path_buf()].into_iter().chain(files).map(|file| fs::read_to_string(file).unwrap());
    texts.collect()
}

/// Names that follow `use super` or `use crate::messenger`, up to the semicolon.
fn used(text: &str) -> BTreeSet<String> {
    let statements = text.split("\nuse ").skip(1).map(|rest| rest.split(';').next().unwrap());
    let ours =
        statements.filter(|statement| statement.starts_with("super") || statement.contains("messenger::"));
    let word = |c: char| !c.is_alphanumeric() && c != '_';
    ours.flat_map(|statement| statement.split(word)).map(str::to_owned).collect()
}

/// Which module each name comes from that the messenger gives out.
fn given_out(root: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(root).unwrap();
    let block = text.split("pub use self::{").nth(1).unwrap().split("\n};").next().unwrap();
    let mut names = BTreeMap::new();
    for line in block.split(",\n    ") {
        let Some((module, items)) = line.trim().split_once("::") else { continue };
        let items = items.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|item| !item.is_empty());
        names.extend(items.map(|item| (item.to_owned(), module.trim().to_owned())));
    }
    names
}

fn uses() -> Uses {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/messenger");
    let given = given_out(&folder.with_extension("rs"));
    let files = sources(&folder);
    let modules: BTreeSet<String> = files.iter().map(|file| name(file)).collect();
    let of = |file: &PathBuf| {
        let names = used(&text_of(file));
        let direct = names.iter().filter(|name| modules.contains(*name)).cloned();
        let through = names.iter().filter_map(|name| given.get(name)).cloned();
        let mut all: BTreeSet<String> = direct.chain(through).collect();
        all.remove(&name(file));
        (name(file), all)
    };
    files.iter().map(of).collect()
}

/// A way from a module back to itself.
fn cycle(uses: &Uses, at: &str, path: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
    if let Some(start) = path.iter().position(|module| module == at) {
        return Some(path[start..].to_vec());
    }
    if !done.insert(at.to_owned()) {
        return None;
    }
    path.push(at.to_owned());
    let found = uses[at].iter().find_map(|next| cycle(uses, next, path, done));
    path.pop();
    found
}

#[test]
fn modules_of_the_messenger_form_no_cycle() {
    let uses = uses();
    assert!(uses.len() > 30 && uses["turn"].contains("contact_turn"), "the sources were not read: {uses:?}");
    let mut done = BTreeSet::new();
    for module in uses.keys() {
        assert_eq!(cycle(&uses, module, &mut Vec::new(), &mut done), None);
    }
}
