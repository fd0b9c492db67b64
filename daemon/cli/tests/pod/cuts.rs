//! Power cuts in the middle of a session: after each one, everything acknowledged is as it was
//! reported, and a request without an answer can be repeated and is carried out once.

use std::{thread, time::Duration};

use autonomy_api::{Account, Payment, PaymentState};
use autonomy_testnet::clock;

use crate::{
    home::{Home, TEST_TIMEOUT, bitcoind},
    http::Answer,
    owner::as_type,
};

/// Asks until there is an answer. The pod loses its power `after` the first request began, and gets it back.
fn through_a_cut(home: &mut Home, after: Duration, ask: impl Fn(&Home) -> Answer + Sync) -> Answer {
    let early = thread::scope(|scope| {
        let asking = scope.spawn(|| ask(home));
        thread::sleep(after);
        home.power_off();
        asking.join().unwrap()
    });
    home.cut();
    let late = ask(home);
    if early.status == 200 {
        assert_eq!(early.json()["id"], late.json()["id"]);
    }
    late
}

/// Moments of a cut, from before a request arrives to after it is answered.
fn moments() -> impl Iterator<Item = Duration> {
    [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 30].into_iter().map(Duration::from_millis)
}

#[test]
fn addresses_are_given_once_across_power_cuts() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let account = home.account();
    let mut given = Vec::new();
    for (number, after) in moments().enumerate() {
        let key = format!("address {number}").replace(' ', "-");
        let answer = through_a_cut(&mut home, after, |home| home.receive(&account, &key)).ok();
        assert_eq!(home.receive(&account, &key).ok(), answer, "repeated once more");
        given.push(answer["index"].as_u64().unwrap());
    }
    let expected: Vec<u64> = (0..given.len() as u64).collect();
    assert_eq!(given, expected, "none twice, none left out");
}

#[test]
fn account_is_made_once_across_power_cuts() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let mut indices = Vec::new();
    for (number, after) in moments().step_by(2).enumerate() {
        let (key, name) = (format!("begin{number}"), format!("account {number}"));
        let begun = through_a_cut(&mut home, after, |home| home.begin_named(&key, &name)).ok();
        indices.push(begun["account_index"].as_u64().unwrap());
        let key = format!("complete{number}");
        let account: Account =
            as_type(through_a_cut(&mut home, after, |home| home.complete(&key, &begun)).ok());
        let accounts = home.get("/v1/accounts");
        let accounts: Vec<Account> = as_type(accounts["accounts"].clone());
        assert_eq!(accounts.len(), number + 1);
        assert!(accounts.contains(&account), "as it was reported");
    }
    let expected: Vec<u64> = (0..indices.len() as u64).collect();
    assert_eq!(indices, expected, "no number is offered twice");
}

#[test]
fn payments_are_made_once_across_power_cuts() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let account = home.funded(node, 100_000_000);
    let mut confirmed = 100_000_000;
    let mut epoch = home.get("/v1/status")["state_epoch"].as_u64().unwrap();
    for (number, after) in moments().step_by(2).enumerate() {
        let key = format!("draft{number}");
        let draft = through_a_cut(&mut home, after, |home| home.draft(&account, &key, 1_000_000)).ok();
        let draft: Payment = as_type(draft);
        assert_eq!(draft.state, PaymentState::Draft);
        let key = format!("approve{number}");
        let signed = through_a_cut(&mut home, after, |home| home.approve(&account, &key, &draft)).ok();
        let signed: Payment = as_type(signed);
        assert_eq!(signed.txid, draft.txid);
        epoch += 1;
        assert_eq!(home.get("/v1/status")["state_epoch"], epoch, "one debit");
        home.wait_until_sent(&signed.id);
        node.mine(1).unwrap();
        confirmed -= 1_000_000 + signed.fee.to_sat();
        home.wait_for_balance("confirmed_sat", confirmed);
        assert_eq!(home.payment(&signed.id).state, PaymentState::Confirmed);
    }
    home.cut();
    let payments = home.get(&format!("/v1/accounts/{}/payments", account.id));
    assert_eq!(payments["payments"].as_array().unwrap().len(), moments().step_by(2).count());
}

#[test]
fn cli_payment_survives_a_power_cut_after_every_step() {
    let (_chain, node) = bitcoind();
    let mut home = Home::adopted(node);
    let account = home.device(&["account", "create"])["id"].clone();
    home.cut();
    assert_eq!(home.device(&["account", "list"])["accounts"][0]["id"], account);
    let first = home.device(&["receive"]);
    home.cut();
    let second = home.device(&["receive"]);
    assert_eq!(second["index"].as_u64(), first["index"].as_u64().map(|index| index + 1));
    node.send_to(first["address"].as_str().unwrap(), 1_000_000).unwrap();
    node.mine(1).unwrap();
    home.wait_for_balance("confirmed_sat", 1_000_000);
    home.cut();
    let outside = node.address().unwrap();
    let paid = home.device(&["pay", &outside, "250000 sat", "--yes"]);
    let txid = paid["txid"].as_str().or(paid["checked"]["txid"].as_str()).unwrap().to_owned();
    home.cut();
    let payment = home.device(&["payment", "list"])["payments"][0].clone();
    assert_eq!(payment["txid"], txid.as_str());
    home.wait_until_sent(&payment["id"].as_str().unwrap().parse().unwrap());
    node.mine(1).unwrap();
    let state = || home.device(&["payment", "list"])["payments"][0]["state"].clone();
    assert!(clock::wait_until(TEST_TIMEOUT, || state() == "confirmed").is_ok(), "{}", state());
    home.cut();
    assert_eq!(home.device(&["history"])["entries"].as_array().unwrap().len(), 2);
}
