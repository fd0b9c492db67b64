//! The committed API document is the one that the pod serves.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use autonomy_daemon::server::openapi::document_text;

/// Set to write the document anew: `AUTONOMY_WRITE_OPENAPI=1 cargo test -p autonomy-daemon --test openapi`.
const WRITE: &str = "AUTONOMY_WRITE_OPENAPI";

#[test]
fn the_committed_document_is_the_served_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let served = format!("{}\n", document_text());
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &served).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(
        committed == served,
        "docs/openapi.json is not what the pod serves: set {WRITE}=1 and run this test"
    );
}

#[test]
fn every_route_has_an_operation_and_every_schema_is_named() {
    let document: serde_json::Value = serde_json::from_str(document_text()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 14, "{} paths", paths.len());
    assert!(paths.contains_key("/v1/payments/{id}/approve"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["Status", "Payment", "Problem", "Event"] {
        assert!(schemas.contains_key(name), "{name}");
    }
}
