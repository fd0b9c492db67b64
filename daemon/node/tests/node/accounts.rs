//! Accounts made by two who do not trust each other's arithmetic.

use autonomy_api::{AccountKind, Balance, BeginAccount, EventKind, UnconfirmedReason};
use autonomy_node::{AddressPage, Answer, ChainEvent, Command, HistoryPage, Input, Refusal};

use autonomy_wallet::bitcoin::Amount;

use crate::world::{World, read};

/// What comes in.
const COIN: Amount = Amount::from_sat(100_000);

#[test]
fn device_and_pod_build_the_same_account() {
    let mut world = World::adopted();
    let offer = world.offer("main");
    let (body, map) = world.complete(&offer);
    let command = Command::CompleteAccount(offer.ceremony, Box::new(body));
    let Answer::Account(account) = world.device_asks(command).unwrap() else { panic!() };
    assert_eq!(account.descriptor, map.descriptor());
    assert_eq!(account.first_address, *map.first_address().as_unchecked());
    assert_eq!(world.receive(&account), account.first_address);
    assert!(world.told().iter().any(|event| matches!(event, EventKind::AccountCreated { .. })));
}

#[test]
fn a_descriptor_that_the_keys_do_not_make_is_refused() {
    let mut world = World::adopted();
    let offer = world.offer("main");
    let (honest, _) = world.complete(&offer);
    let ceremony = offer.ceremony;
    let other = world.offer("other");
    let (elsewhere, _) = world.complete(&other);

    let mut swapped_address = honest.clone();
    swapped_address.first_address = elsewhere.first_address.clone();
    let mut swapped_descriptor = honest.clone();
    swapped_descriptor.descriptor = elsewhere.descriptor.clone();
    let mut swapped_roles = honest.clone();
    swapped_roles.recovery_member_key = honest.device_member_key;
    let mut pods_key_twice = honest.clone();
    pods_key_twice.device_member_key = offer.pod_member_key;
    let mut other_index = honest.clone();
    other_index.device_member_key = elsewhere.device_member_key;
    for body in [swapped_address, swapped_descriptor, swapped_roles, pods_key_twice, other_index] {
        let refusal =
            world.refused(world.device.caller(), Command::CompleteAccount(ceremony, Box::new(body)));
        assert!(matches!(refusal, Refusal::Unsafe(_) | Refusal::Invalid { .. }), "{refusal}");
    }
    assert!(
        world.device_asks(Command::CompleteAccount(ceremony, Box::new(honest))).is_ok(),
        "nothing was spoilt"
    );
}

#[test]
fn an_offer_that_is_not_taken_up_is_burnt() {
    let mut world = World::adopted();
    let first = world.offer("main");
    let (body, _) = world.complete(&first);
    world.now += 3601;
    world.give(Input::Wake);
    let command = Command::CompleteAccount(first.ceremony, Box::new(body));
    assert!(matches!(world.refused(world.device.caller(), command), Refusal::Unknown { .. }));
    assert_eq!(world.offer("main").account_index.to_u32(), first.account_index.to_u32() + 1);
}

#[test]
fn offers_have_a_bound() {
    let mut world = World::adopted();
    for _ in 0..8 {
        world.offer("main");
    }
    let body = BeginAccount { name: read("one more"), kind: AccountKind::TwoOfThree };
    assert!(matches!(
        world.refused(world.device.caller(), Command::BeginAccount(body)),
        Refusal::Full { limit: 8, .. }
    ));
}

#[test]
fn shared_account_is_refused_when_it_is_begun() {
    let mut world = World::adopted();
    let body = BeginAccount { name: read("ours"), kind: AccountKind::Shared };
    let refusal = world.refused(world.device.caller(), Command::BeginAccount(body));
    assert!(matches!(refusal, Refusal::Invalid { field: "kind", .. }), "{refusal}");
}

#[test]
fn coins_come_in_and_are_told_about_once() {
    let mut world = World::adopted();
    let account = world.account();
    let address = world.receive(&account);
    world.told();
    let transaction = world.paid_in(&address, 100_000);
    assert_eq!(world.balance(&account), Balance { unconfirmed: COIN, total: COIN, ..Balance::default() });
    assert!(
        matches!(world.told()[..], [EventKind::TransactionSeen { net, .. }] if net == COIN.to_signed().unwrap())
    );
    world.seen(vec![transaction.clone()]);
    assert!(world.told().is_empty(), "news that is none");
    world.mine(vec![transaction]);
    assert_eq!(world.balance(&account), Balance { confirmed: COIN, total: COIN, ..Balance::default() });
    world.mine_empty(6);
    let depths: Vec<u32> = world
        .told()
        .into_iter()
        .filter_map(|event| match event {
            EventKind::TransactionConfirmed { confirmations, .. } => Some(confirmations),
            _ => None,
        })
        .collect();
    assert_eq!(depths, [1, 2, 3, 6]);
}

#[test]
fn a_reorganisation_makes_a_coin_unconfirmed_again() {
    let mut world = World::adopted();
    let account = world.funded(100_000);
    world.reorganise(1);
    assert_eq!(world.balance(&account).unconfirmed, COIN);
    let told = world.told();
    let reorganised = |event: &EventKind| matches!(event, EventKind::TransactionUnconfirmed { reason, .. } if *reason == UnconfirmedReason::Reorganised);
    assert!(told.iter().any(reorganised), "{told:?}");
}

#[test]
fn the_block_an_account_was_born_in_may_be_reorganised_away() {
    let mut world = World::adopted();
    world.mine_empty(3);
    let account = world.account();
    world.reorganise(2);
    let address = world.receive(&account);
    let transaction = world.paid_in(&address, 5_000);
    world.mine(vec![transaction]);
    assert_eq!(world.balance(&account).confirmed.to_sat(), 5_000);
}

#[test]
fn an_account_made_at_a_high_block_survives_reorganisations() {
    let mut world = World::adopted();
    // More than the pod remembers: the block an account's ledger begins with is forgotten with the next one.
    world.mine_empty(200);
    let account = world.funded(5_000);
    assert_eq!(world.balance(&account).confirmed.to_sat(), 5_000);
    world.reorganise(1);
    assert_eq!(world.balance(&account).unconfirmed.to_sat(), 5_000);

    let mut world = World::adopted();
    world.mine_empty(200);
    let account = world.account();
    world.mine_empty(2);
    world.reorganise(10);
    let address = world.receive(&account);
    let transaction = world.paid_in(&address, 7_000);
    world.mine(vec![transaction]);
    world.mine_empty(150);
    assert_eq!(world.balance(&account).confirmed.to_sat(), 7_000);
}

#[test]
fn a_coin_that_leaves_the_mempool_is_told_and_gone() {
    let mut world = World::adopted();
    let account = world.account();
    let address = world.receive(&account);
    let transaction = world.paid_in(&address, 100_000);
    assert!(world.node.watch().txids.contains(&transaction.compute_txid()));
    world.told();
    world.now += 60;
    let evicted = vec![transaction.compute_txid()];
    world.give(Input::Chain(ChainEvent::Mempool { seen: vec![], evicted }));
    assert_eq!(world.balance(&account).total, Amount::ZERO);
    assert!(
        matches!(&world.told()[..], [EventKind::TransactionUnconfirmed { reason, .. }] if *reason == UnconfirmedReason::Dropped)
    );
}

#[test]
fn addresses_stop_at_the_gap_limit() {
    let mut world = World::adopted();
    let account = world.account();
    for _ in 0..20 {
        world.receive(&account);
    }
    let id = account.id;
    let refusal = world.refused(world.device.caller(), Command::NewAddress(id));
    assert!(matches!(refusal, Refusal::Conflict(_)), "{refusal}");
    let Answer::Addresses(addresses) =
        world.device_asks(Command::Addresses(id, AddressPage::default())).unwrap()
    else {
        panic!()
    };
    assert_eq!(addresses.len(), 20);
    let transaction = world.paid_in(&addresses[4].address, 1_000);
    world.mine(vec![transaction]);
    for _ in 0..5 {
        world.receive(&account);
    }
}

#[test]
fn history_is_newest_first() {
    let mut world = World::adopted();
    let account = world.account();
    for sat in [1_000, 2_000, 3_000] {
        let address = world.receive(&account);
        let transaction = world.paid_in(&address, sat);
        world.mine(vec![transaction]);
    }
    let command = Command::History(account.id, HistoryPage { limit: 2 });
    let Answer::History(history) = world.device_asks(command).unwrap() else { panic!() };
    let amounts: Vec<i64> = history.entries.iter().map(|entry| entry.net.to_sat()).collect();
    assert_eq!(amounts, [3_000, 2_000]);
    assert_eq!(history.entries[0].confirmations, 1);
}
