//! The event stream: live, interrupted, resumed, and ended with the pod.

use autonomy_api::Written as _;
use autonomy_testnet::clock;

use crate::{
    home::{Home, TEST_TIMEOUT, bitcoind},
    http::{Listener, ids},
};

#[test]
fn event_stream_resumes_after_the_last_event() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let mut live = Listener::open(&home.socket(), "", &[]);
    let account = home.account();
    let heard = live.until("event: account_created\n");
    assert!(heard.contains(&account.id.to_string()), "{heard}");
    drop(live);

    node.send_to(&account.first_address.write(), 5_000).unwrap();
    home.wait_for_balance("total_sat", 5_000);
    let last = ids(&heard).pop().unwrap();
    let resumed = |home: &Home, last: u64| {
        let header = format!("Last-Event-ID: {last}");
        Listener::open(&home.socket(), "?follow=false", &[&header]).read_out()
    };
    let missed = resumed(&home, last);
    assert!(missed.contains("event: transaction_seen\n") && !missed.contains("account_created"), "{missed}");
    home.cut();
    assert_eq!(ids(&resumed(&home, last))[0], last + 1, "across a power cut");
    let all = ids(&resumed(&home, 0));
    assert_eq!(all[0], 1);
    assert!(all.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{all:?}");
    assert_eq!(ids(&resumed(&home, u64::MAX)), [0; 0]);
}

#[test]
fn last_event_id_must_be_a_number() {
    let (_chain, node) = bitcoind();
    let home = Home::adopted(node);
    for id in ["-1", "x", "1.5", "", "18446744073709551616", "\u{e9}"] {
        let header = format!("Last-Event-ID: {id}");
        home.ask("GET", "/v1/events?follow=false", &[&header], b"").refused(422, "invalid");
    }
    home.ask("GET", "/v1/events?follow=maybe", &[], b"").refused(422, "invalid");
}

#[test]
fn stopping_pod_ends_streams_and_removes_socket() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let listeners: Vec<Listener> = (0..3).map(|_| Listener::open(&home.socket(), "", &[])).collect();
    let begun = clock::now();
    assert!(home.terminate(), "{}", home.log());
    assert!(begun.elapsed() < TEST_TIMEOUT / 2);
    assert!(!home.socket().exists());
    listeners.into_iter().for_each(|listener| drop(listener.read_out()));
}
