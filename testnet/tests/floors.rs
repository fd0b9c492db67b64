//! The crates use each other as the table in `ARCHITECTURE.md` says, and in no other way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

/// Which crates each crate uses, by the names without `autonomy-`.
type Uses = BTreeMap<String, BTreeSet<String>>;

#[test]
fn crates_depend_on_each_other_as_drawn() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let drawn = drawn(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    assert_eq!(drawn, declared(&root), "left: the table in ARCHITECTURE.md; right: the manifests");
}

/// The rows ``| `autonomy-NAME` (…) | pure | uses | owns |``.
fn drawn(text: &str) -> Uses {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `autonomy-"));
    rows.map(|row| {
        let (name, rest) = row.split_once('`').unwrap();
        let uses = rest.split('|').nth(2).unwrap();
        let uses = uses.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        (name.to_owned(), uses.collect())
    })
    .collect()
}

/// What the manifests declare, tests and benchmarks left aside: nothing of theirs is linked into a program.
fn declared(root: &Path) -> Uses {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let own = |name: &Value| name.as_str().unwrap().strip_prefix("autonomy-").map(str::to_owned);
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let normal =
                package["dependencies"].as_array().unwrap().iter().filter(|one| one["kind"].is_null());
            (own(&package["name"]).unwrap(), normal.filter_map(|one| own(&one["name"])).collect())
        })
        .collect()
}
