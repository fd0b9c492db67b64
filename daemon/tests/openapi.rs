//! The committed API document is the one that the pod serves.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use autonomy_daemon::server::openapi::document_text;
use serde_json::Value;

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
    let document: Value = serde_json::from_str(document_text()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 14, "{} paths", paths.len());
    assert!(paths.contains_key("/v1/payments/{id}/approve"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["Status", "Payment", "Problem", "Event"] {
        assert!(schemas.contains_key(name), "{name}");
    }
}

/// Fields that name something, and those that say where it stands: by the end of their names.
const RULED: [&str; 23] = [
    "id",
    "account",
    "contact",
    "payment",
    "device",
    "ceremony",
    "transfer",
    "txid",
    "place",
    "by",
    "identity",
    "address",
    "owner",
    "pod_key",
    "sha256",
    "entropy",
    "signature",
    "psbt",
    "tip",
    "network",
    "state",
    "reason",
    "member_key",
];

/// Whether a schema is of no text, or says more of it than that it is one.
fn has_a_rule(schema: &Value) -> bool {
    let rules = ["$ref", "pattern", "enum", "format", "maxLength"];
    let is_text = schema["type"].to_string().contains("string");
    let either = schema["oneOf"].as_array().into_iter().chain(schema["anyOf"].as_array()).flatten();
    let types = schema.get("type").is_some() && !is_text;
    types
        || rules.iter().any(|rule| schema.get(rule).is_some())
        || either.clone().any(|one| one["type"] != "null" && has_a_rule(one))
}

/// All properties of all objects within a schema, by name.
fn properties<'a>(schema: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
    match schema {
        Value::Object(fields) => {
            let own = schema["properties"].as_object().into_iter().flatten();
            found.extend(own.map(|(name, of)| (name.as_str(), of)));
            fields.values().for_each(|inner| properties(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| properties(inner, found)),
        _ => {}
    }
}

#[test]
fn no_field_that_names_a_thing_or_a_state_is_a_plain_text() {
    let document: Value = serde_json::from_str(document_text()).unwrap();
    let mut found = Vec::new();
    properties(&document["components"]["schemas"], &mut found);
    let ruled = found.iter().filter(|(name, _)| RULED.iter().any(|end| name.ends_with(end)));
    let ruled: Vec<_> = ruled.collect();
    assert!(ruled.len() > 70, "{} fields", ruled.len());
    for (name, schema) in ruled {
        assert!(has_a_rule(schema), "{name}: {schema}");
    }
}

#[test]
fn every_part_of_a_path_has_a_rule() {
    let document: Value = serde_json::from_str(document_text()).unwrap();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let parameters = operations.filter_map(|(_, operation)| operation["parameters"].as_array()).flatten();
    let parts: Vec<&Value> = parameters.filter(|parameter| parameter["in"] == "path").collect();
    assert!(parts.len() > 30, "{} parts", parts.len());
    for part in parts {
        assert!(has_a_rule(&part["schema"]), "{part}");
    }
}

#[test]
fn every_schema_that_is_named_is_there() {
    let document: Value = serde_json::from_str(document_text()).unwrap();
    for reference in document_text().split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

/// All operations, with method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, methods)| {
        methods
            .as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    operations.collect()
}

#[test]
fn refusals_are_declared_as_problems_and_say_their_kinds() {
    let document: Value = serde_json::from_str(document_text()).unwrap();
    for (name, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let said = response["description"].as_str().unwrap();
            assert!(!said.is_empty(), "{name} {status}");
            if status.starts_with('2') {
                continue;
            }
            let content = response["content"].as_object().unwrap();
            assert_eq!(content.keys().collect::<Vec<_>>(), ["application/problem+json"], "{name} {status}");
        }
    }
}

#[test]
fn each_operation_declares_every_status_it_can_answer() {
    let document: Value = serde_json::from_str(document_text()).unwrap();
    for (name, operation) in operations(&document) {
        let declares = |status: &str| operation["responses"].get(status).is_some();
        let has_key = operation["parameters"].to_string().contains("Idempotency-Key");
        let has_body = operation["requestBody"].is_object();
        assert!(declares("403") && declares("503"), "{name}");
        assert!(["400", "422", "507"].into_iter().all(|status| !has_key || declares(status)), "{name}");
        assert!(["408", "413"].into_iter().all(|status| !has_body || declares(status)), "{name}");
        assert!(!name.contains('{') || declares("404"), "{name}");
    }
}

#[test]
fn bytes_are_declared_as_bytes() {
    let document = document_text();
    assert!(document.contains(r#""format": "binary""#));
    assert!(!document.contains(
        r#""format": "int32",
            "minimum": 0
          },
          "type": "array""#
    ));
}

#[test]
fn each_kind_of_event_has_a_name_and_a_tag() {
    let document: Value = serde_json::from_str(document_text()).unwrap();
    let schemas = &document["components"]["schemas"];
    let mapping = schemas["EventKind"]["discriminator"]["mapping"].as_object().unwrap();
    assert_eq!(schemas["EventKind"]["discriminator"]["propertyName"], "kind");
    assert_eq!(mapping.len(), schemas["EventKind"]["oneOf"].as_array().unwrap().len());
    for (tag, reference) in mapping {
        let name = reference.as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!(schemas[name]["properties"]["kind"]["enum"][0], tag.as_str());
    }
}
