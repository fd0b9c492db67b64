//! Whatever is sent to the door, the answer is a problem that says what is wrong, and the pod goes on.

use serde_json::{Value, json};

use crate::home::{Home, chain};

const JSON: &str = "Content-Type: application/json";
const KEY: &str = "Idempotency-Key: k1";

/// A refusal is a problem of this kind, with words.
fn problem((status, body): (u16, Value), expected: u16, kind: &str) {
    assert_eq!(status, expected, "{body}");
    let found = body["type"].as_str().unwrap_or_default();
    assert!(found.ends_with(&format!("/{kind}")), "{kind}: {body}");
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    assert_eq!(body["status"], expected, "{body}");
}

#[test]
fn bad_requests_are_told_what_is_wrong_with_them() {
    let world = chain();
    let home = Home::adopted(world.bitcoind().unwrap());
    let begin = "/v1/accounts";
    let good = json!({"name": "main", "kind": "two_of_three"}).to_string();
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let post = |headers: &[&str], body: &[u8]| home.ask("POST", begin, headers, body);

    problem(post(&[JSON, KEY], b"{"), 400, "malformed");
    problem(post(&[JSON, KEY], br#"{"name":"main","kind":"two_of_three","limit":1}"#), 400, "malformed");
    problem(post(&[JSON, KEY], br#"{"name":"main","kind":"one_of_one"}"#), 400, "malformed");
    problem(post(&[JSON, KEY], deep.as_bytes()), 400, "malformed");
    problem(post(&[KEY], good.as_bytes()), 415, "media-type");
    problem(post(&[JSON], good.as_bytes()), 400, "idempotency-key");
    problem(post(&[JSON, "Idempotency-Key: two words"], good.as_bytes()), 422, "invalid");
    problem(post(&[JSON, KEY], br#"{"name":"","kind":"two_of_three"}"#), 422, "invalid");
    problem(post(&[JSON, KEY], &vec![b' '; 70_000]), 413, "too-large");
    let approve = "/v1/payments/00000000000000000000000000000000/approve";
    problem(home.ask("POST", approve, &[JSON, KEY], &vec![b' '; 10_000_000]), 413, "too-large");

    problem(home.ask("GET", "/v1/nothing", &[], b""), 404, "route");
    problem(home.ask("PATCH", "/v1/accounts", &[], b""), 405, "method");
    problem(home.ask("GET", "/v1/accounts/zz", &[], b""), 422, "invalid");
    problem(home.ask("GET", "/v1/accounts/00000000000000000000000000000000", &[], b""), 404, "unknown");
    let history = "/v1/accounts/00000000000000000000000000000000/history?limit=ten";
    problem(home.ask("GET", history, &[], b""), 422, "invalid");
    problem(home.ask("POST", "/v1/pod/backup", &[JSON, KEY], br#"{"file":"relative"}"#), 422, "invalid");

    let first = post(&[JSON, "Idempotency-Key: k2"], good.as_bytes());
    assert_eq!(first.0, 200, "{}", first.1);
    assert_eq!(post(&[JSON, "Idempotency-Key: k2"], good.as_bytes()), first, "a repeat");
    let other = good.replace("main", "other");
    problem(post(&[JSON, "Idempotency-Key: k2"], other.as_bytes()), 422, "key-reused");
    home.raw(b"\x16\x03\x01garbage\r\n\r\n");
    assert_eq!(home.ask("GET", "/v1/status", &[], b"").0, 200, "the pod goes on");
}

#[test]
fn an_event_stream_resumes_where_it_was_left() {
    let world = chain();
    let home = Home::adopted(world.bitcoind().unwrap());
    home.device(&["account", "create"]);
    let stream =
        |last: &str| home.ask("GET", "/v1/events?follow=false", &[last], b"").1.as_str().unwrap().to_owned();
    let all = stream("Last-Event-ID: 0");
    let ids: Vec<u64> = all.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert!(ids.len() >= 2 && ids.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{all}");
    assert!(all.contains("event: account_created"), "{all}");
    let rest = stream(&format!("Last-Event-ID: {}", ids[0]));
    assert!(
        !rest.contains(&format!("id: {}\n", ids[0])) && rest.contains(&format!("id: {}\n", ids[1])),
        "{rest}"
    );
}
