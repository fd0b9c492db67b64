//! Malformed requests: the answer is a problem that says what is wrong, nothing changes, and the pod keeps running.

use std::{io::Write as _, os::unix::net::UnixStream};

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::{
    home::{Home, bitcoind},
    http,
};

const JSON: &str = "Content-Type: application/json";
const KEY: &str = "Idempotency-Key: k1";
/// The id of a payment that is not there.
const NOTHING: &str = "00000000000000000000000000000000";

#[test]
fn served_api_document_equals_committed_one() {
    let (_chain, node) = bitcoind();
    let home = Home::adopted(node);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(home.get("/v1/openapi.json") == committed, "write docs/openapi.json anew (tests/openapi.rs)");
}

/// Every operation of the API document as method and path, with ids that name nothing.
fn operations(home: &Home) -> Vec<(String, String)> {
    let document = home.get("/v1/openapi.json");
    let device = "00".repeat(32);
    let with_ids = |path: &str| match path.split('/').nth(2) {
        Some("devices") => path.replace("{id}", &device),
        Some("invites") => path.replace("{id}", &NOTHING[..16]),
        _ => path.replace("{id}", NOTHING).replace("{file}", NOTHING),
    };
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), with_ids(path)))
    });
    let operations: Vec<_> = operations.collect();
    assert!(operations.len() >= 46, "{operations:?}");
    operations
}

/// The statuses that the API document declares for an operation with these ids.
fn declared(home: &Home, method: &str, path: &str) -> Vec<u16> {
    let document = home.get("/v1/openapi.json");
    let of = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let is = |template: &str| {
        let (template, path) = (of(template), of(path));
        template.len() == path.len()
            && template.iter().zip(path).all(|(part, own)| *part == own || part.starts_with('{'))
    };
    let paths = document["paths"].as_object().unwrap();
    let (_, operations) = paths.iter().find(|(template, _)| is(template)).unwrap();
    let responses = operations[method.to_lowercase()]["responses"].as_object().unwrap();
    responses.keys().map(|status| status.parse().unwrap()).collect()
}

/// What must not change by any refused request.
fn state(home: &Home) -> Vec<Value> {
    let epoch = home.get("/v1/status")["state_epoch"].clone();
    let lists = ["accounts", "devices", "contacts", "invites", "relays", "profile"];
    let lists = lists.map(|list| home.get(&format!("/v1/{list}")));
    std::iter::once(epoch).chain(lists).collect()
}

#[test]
fn every_route_refuses_malformed_input_as_a_problem() {
    let (_chain, node) = bitcoind();
    let home = Home::adopted(node);
    home.account();
    let before = state(&home);
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    let deep_within = format!(r#"{{"name":{deep}}}"#);
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\"text\"",
        b"\xff\xfe\x00",
        br#"{"surprise":1}"#,
        deep.as_bytes(),
        deep_within.as_bytes(),
    ];
    for (method, path) in operations(&home) {
        let declared = declared(&home, &method, &path);
        if method == "GET" {
            let nowhere = path.contains(&NOTHING[..16]);
            let answer = home.ask("GET", &format!("{path}?surprise=1"), &[], b"");
            assert!(declared.contains(&answer.status), "{path} does not declare {}", answer.status);
            if nowhere || answer.status != 200 {
                answer.problem();
            }
            continue;
        }
        home.ask(&method, &path, &[JSON], b"{}").refused(400, "idempotency-key");
        home.ask(&method, &path, &[JSON, "Idempotency-Key: "], b"{}").refused(422, "invalid");
        home.ask(&method, &path, &[JSON, "Idempotency-Key: two words"], b"{}").refused(422, "invalid");
        let long = format!("Idempotency-Key: {}", "k".repeat(65));
        home.ask(&method, &path, &[JSON, &long], b"{}").refused(422, "invalid");
        for body in bodies {
            let answer = home.ask(&method, &path, &[JSON, KEY], body);
            assert!([400, 404, 422].contains(&answer.status), "{method} {path}: {answer:?}");
            assert!(declared.contains(&answer.status), "{method} {path} does not declare {}", answer.status);
            answer.problem();
        }
    }
    assert_eq!(state(&home), before);
}

#[test]
fn unknown_routes_and_methods_are_problems() {
    let (_chain, node) = bitcoind();
    let home = Home::adopted(node);
    for path in ["/", "/v1", "/v2/status", "/v1/status/", "/v1//status", "/v1/../status", "/v1/%2e"] {
        home.ask("GET", path, &[], b"").refused(404, "route");
    }
    for (method, path) in [("PATCH", "/v1/accounts"), ("DELETE", "/v1/status"), ("POST", "/v1/events")] {
        let answer = home.ask(method, path, &[JSON, KEY], b"{}");
        answer.refused(405, "method");
        assert!(answer.head.contains("allow: "), "{answer:?}");
    }
    for id in ["zz", "0", &NOTHING[1..], "%ff%fe", "%00", &"g".repeat(32), &"0".repeat(4000)] {
        home.ask("GET", &format!("/v1/accounts/{id}"), &[], b"").refused(422, "invalid");
    }
    home.ask("GET", &format!("/v1/accounts/{NOTHING}"), &[], b"").refused(404, "unknown");
    for query in ["limit=ten", "limit=0", "limit=1001", "limit=-1", "limit=1&limit=2", "page=1"] {
        let path = format!("/v1/accounts/{NOTHING}/history?{query}");
        home.ask("GET", &path, &[], b"").refused(422, "invalid");
    }
    for query in ["limit=0", "limit=201", "before=-1", "after=1"] {
        let path = format!("/v1/contacts/{NOTHING}/messages?{query}");
        home.ask("GET", &path, &[], b"").refused(422, "invalid");
    }
    let chunks = |query: &str| {
        let path = format!("/v1/contacts/{NOTHING}/files/{NOTHING}/chunks?{query}");
        home.ask("GET", &path, &[], b"")
    };
    for query in ["first=0&count=0", "first=0&count=41", "first=-1", "count=1", "first=0&last=1"] {
        chunks(query).refused(422, "invalid");
    }
    chunks("first=0&count=40").refused(404, "unknown");
    for parcel in [&b""[..], b"{}", b"apcl\x01\x00\x00", &[0xff; 16_363]] {
        let answer = home.ask("POST", "/v1/parcels", &[KEY], parcel);
        answer.refused(422, "invalid");
        assert!(answer.body.contains("`parcel`"), "{answer:?}");
    }
    for query in ["", "?place=", "?place=/onion3/abc:4001/p2p/x", "?relay=1"] {
        let path = format!("/v1/relays{query}");
        home.ask("DELETE", &path, &[JSON, KEY], b"").refused(422, "invalid");
    }
    home.ask("POST", "/v1/pod/backup", &[JSON, KEY], br#"{"file":"relative"}"#).refused(422, "invalid");
}

#[test]
fn body_must_be_json_of_bounded_size() {
    let (_chain, node) = bitcoind();
    let home = Home::adopted(node);
    let good = br#"{"name":"main","kind":"two_of_three"}"#;
    let accounts = "/v1/accounts";
    home.ask("POST", accounts, &[KEY], good).refused(415, "media-type");
    home.ask("POST", accounts, &[KEY, "Content-Type: text/plain"], good).refused(415, "media-type");
    let shouted = ["Content-Type: APPLICATION/JSON; charset=utf-8", "Idempotency-Key: k2"];
    assert_ne!(home.ask("POST", accounts, &shouted, good).status, 415, "names of media types have no case");
    home.ask("POST", accounts, &[JSON, KEY], &vec![b' '; 64 * 1024 + 1]).refused(413, "too-large");
    let approve = format!("/v1/payments/{NOTHING}/approve");
    home.ask("POST", &approve, &[JSON, KEY], &vec![b' '; 6 * 1024 * 1024 + 1]).refused(413, "too-large");
    home.ask("POST", &approve, &[JSON, KEY], &vec![b' '; 10_000_000]).refused(413, "too-large");
    // The largest PSBT is read whole; one byte more is refused before anything is looked up.
    let psbt = |len: usize| json!({"psbt": BASE64.encode(&vec![0; len]), "state_epoch": 0}).to_string();
    home.ask("POST", &approve, &[JSON, KEY], psbt(4_000_000).as_bytes()).refused(404, "unknown");
    home.ask("POST", &approve, &[JSON, KEY], psbt(4_000_001).as_bytes()).refused(422, "invalid");
    // In chunks nobody says beforehand how long it will be.
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, " ".repeat(60_000));
    let chunked = format!(
        "POST {accounts} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n{JSON}\r\n{KEY}\r\nTransfer-Encoding: chunked\r\n\r\n\
         {chunk}{chunk}0\r\n\r\n"
    );
    http::send(&home.socket(), chunked.as_bytes()).refused(413, "too-large");
    assert_eq!(home.get(accounts), json!({"accounts": []}));
}

#[test]
fn repeat_gets_same_answer_and_reused_key_is_refused() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let first = home.begin("k2").ok();
    assert_eq!(home.begin("k2").ok(), first);
    let other = json!({"name": "other", "kind": "two_of_three"});
    home.post("/v1/accounts", "k2", &other).refused(422, "key-reused");
    home.cut();
    assert_eq!(home.begin("k2").ok(), first, "across a power cut");
    home.post("/v1/accounts", "k2", &other).refused(422, "key-reused");
}

#[test]
fn broken_and_non_http_requests_do_not_stop_the_server() {
    let (_chain, node) = bitcoind();
    let home = Home::adopted(node);
    let before = state(&home);
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage";
    for nonsense in
        [&tls[..], b"\r\n\r\n", b"GET", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/accounts HTTP/1.1\r\n\r\n"]
    {
        let mut stream = UnixStream::connect(home.socket()).unwrap();
        stream.write_all(nonsense).unwrap();
    }
    let whole = http::request("POST", "/v1/accounts", &[JSON, KEY], br#"{"name":"a","kind":"two_of_three"}"#);
    // Begun, and left there with open connections: none of them holds up the next.
    let idle: Vec<UnixStream> = (0..200)
        .map(|number| {
            let mut stream = UnixStream::connect(home.socket()).unwrap();
            stream.write_all(&whole[..number % (whole.len() - 1)]).unwrap();
            stream
        })
        .collect();
    assert_eq!(state(&home), before, "what never arrived whole did nothing");
    drop(idle);
    assert_eq!(state(&home), before);
}

#[test]
fn oversized_headers_are_not_read_to_the_end() {
    let (_chain, node) = bitcoind();
    let home = Home::adopted(node);
    let long = format!("X: {}", "x".repeat(1 << 20));
    let answer = home.ask("GET", "/v1/status", &[&long], b"");
    assert!([0, 400, 431].contains(&answer.status), "{answer:?}");
    let many: Vec<String> = (0..5_000).map(|number| format!("X{number}: x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = home.ask("GET", "/v1/status", &many, b"");
    assert!([0, 400, 431].contains(&answer.status), "{answer:?}");
    home.get("/v1/status");
}
