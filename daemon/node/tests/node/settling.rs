//! When a signed payment is over: a block decides, and buries what it decided. Until then its coins are nobody else's.

use autonomy_api::{EventKind, Payment, PaymentState};
use autonomy_blocks::spend;
use autonomy_node::{BURIED, BroadcastOutcome, ChainEvent, Command, Input, Refusal};
use autonomy_wallet::bitcoin::{ScriptBuf, Transaction};

use crate::world::World;

/// Another spend of the first coin of a transaction, as its payer or the owner's other keys would make it.
fn rival(of: &Transaction) -> Transaction {
    spend(of.input[0].previous_output, ScriptBuf::new_op_return([7; 4]), 0)
}

fn evict(world: &mut World, payment: &Payment) {
    world.give(Input::Chain(ChainEvent::Mempool { seen: vec![], evicted: vec![payment.txid] }));
}

fn state(world: &mut World, payment: &Payment) -> PaymentState {
    world.payment(payment).state
}

/// Device and pod have checked it, and the scripts have been run: whoever calls it invalid is wrong, or lies and sends it.
#[test]
fn no_refusal_ends_a_payment_or_frees_its_coins() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, transaction) = world.signed(&account, 250_000);
    for reason in [
        "mandatory-script-verify-flag-failed (false/empty top stack element)",
        "bad-txns-in-belowout",
        "dust",
        "bad-txns-inputs-missingorspent",
        "too-long-mempool-chain",
    ] {
        world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused(reason.into())));
        let waits = world.payment(&payment);
        assert_eq!(waits.state, PaymentState::Signed, "{reason}");
        assert!(waits.detail.unwrap().contains(reason));
        assert!(matches!(world.draft(&account, 250_000), Err(Refusal::Funds(_))), "{reason}");
        world.sent();
        world.now += 61;
        world.give(Input::Wake);
        assert!(world.sent().contains(&transaction), "it is sent again after {reason}");
    }
    world.mine(vec![transaction]);
    assert_eq!(state(&mut world, &payment), PaymentState::Confirmed);
}

#[test]
fn refusal_of_what_a_node_had_frees_no_coin() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, transaction) = world.sent_payment(&account, 250_000);
    evict(&mut world, &payment);
    // Whatever it says now: others may have it, and mine it.
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused("dust".into())));
    let waits = world.payment(&payment);
    assert_eq!(waits.state, PaymentState::Signed);
    assert!(waits.detail.unwrap().contains("dust"));
    assert!(matches!(world.draft(&account, 250_000), Err(Refusal::Funds(_))));
    world.mine(vec![transaction]);
    assert_eq!(state(&mut world, &payment), PaymentState::Confirmed);
}

#[test]
fn another_spend_ends_a_payment_once_it_is_buried() {
    let mut world = World::adopted();
    let account = world.funded(600_000);
    world.coin(&account, 500_000);
    let (payment, transaction) = world.sent_payment(&account, 900_000);
    assert_eq!(transaction.input.len(), 2);
    world.mine(vec![rival(&transaction)]);
    for confirmations in 1..BURIED {
        let contested = world.payment(&payment);
        assert_eq!((contested.state, contested.confirmations), (PaymentState::Signed, 0), "{confirmations}");
        assert!(contested.detail.unwrap().contains("another transaction"));
        assert!(matches!(world.draft(&account, 100_000), Err(Refusal::Funds(_))), "the other coin is free");
        world.sent();
        world.now += 61;
        world.give(Input::Wake);
        assert!(world.sent().is_empty(), "no node takes it as long as the other counts");
        world.mine_empty(1);
    }
    assert_eq!(state(&mut world, &payment), PaymentState::Failed);
    assert!(world.draft(&account, 100_000).is_ok());
}

#[test]
fn payment_goes_on_when_the_other_spend_is_reorganised_away() {
    let mut world = World::adopted();
    let account = world.funded(600_000);
    let (payment, transaction) = world.sent_payment(&account, 250_000);
    world.mine(vec![rival(&transaction)]);
    assert_eq!(state(&mut world, &payment), PaymentState::Signed);
    world.sent();
    world.reorganise(1);
    // The rival was of the owner's other keys, and is still known: it left every mempool.
    let evicted = vec![rival(&transaction).compute_txid()];
    world.give(Input::Chain(ChainEvent::Mempool { seen: vec![], evicted }));
    assert!(world.sent().contains(&transaction), "it is sent again at once");
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Accepted));
    assert_eq!(state(&mut world, &payment), PaymentState::Seen);
    world.mine(vec![transaction]);
    assert_eq!(state(&mut world, &payment), PaymentState::Confirmed);
}

#[test]
fn payment_whose_coin_a_reorganisation_took_is_not_confirmed() {
    let mut world = World::adopted();
    let account = world.funded(600_000);
    let incoming = world.coin(&account, 500_000);
    let (payment, transaction) = world.sent_payment(&account, 900_000);
    world.mine(vec![transaction.clone()]);
    assert_eq!(state(&mut world, &payment), PaymentState::Confirmed);
    world.told();
    // Whoever paid us spends the coin otherwise in the new chain.
    world.reorganise_with(2, vec![rival(&incoming)]);
    let lost = world.payment(&payment);
    assert_eq!((lost.state, lost.confirmations), (PaymentState::Signed, 0));
    let told =
        |event: &EventKind| matches!(event, EventKind::PaymentChanged { state: PaymentState::Signed, .. });
    assert!(world.told().iter().any(told));
    assert!(
        matches!(world.draft(&account, 250_000), Err(Refusal::Funds(_))),
        "the coin spent with it is free"
    );
    world.mine_empty(BURIED);
    assert_eq!(state(&mut world, &payment), PaymentState::Failed);
    assert!(world.draft(&account, 250_000).is_ok());
}

#[test]
fn given_up_mined_and_reorganised_payment_is_sent_again() {
    let mut world = World::adopted();
    let account = world.funded(600_000);
    world.mine_empty(1);
    let (payment, transaction) = world.signed(&account, 250_000);
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused("bad-txns-in-belowout".into())));
    world.device_asks(Command::GiveUpPayment(payment.id)).unwrap();
    world.mine(vec![transaction.clone()]);
    assert_eq!(state(&mut world, &payment), PaymentState::Confirmed, "our node was wrong");
    world.sent();
    world.reorganise(1);
    let lost = world.payment(&payment);
    assert_eq!((lost.state, lost.confirmations), (PaymentState::Signed, 0));
    assert!(world.sent().contains(&transaction));
    assert!(matches!(world.draft(&account, 250_000), Err(Refusal::Funds(_))));
}

#[test]
fn change_of_a_payment_that_no_node_took_pays_nothing() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, _) = world.signed(&account, 100_000);
    assert!(matches!(world.draft(&account, 100_000), Err(Refusal::Funds(_))));
    world.give(Input::Broadcast(
        payment.txid,
        BroadcastOutcome::Refused("min relay fee not met, 1 < 2".into()),
    ));
    assert!(matches!(world.draft(&account, 100_000), Err(Refusal::Funds(_))));
    world.coin(&account, 300_000);
    let (other, transaction) = world.signed(&account, 100_000);
    assert!(transaction.input.iter().all(|input| input.previous_output.txid != payment.txid));
    for taken in [&payment, &other] {
        world.give(Input::Broadcast(taken.txid, BroadcastOutcome::Accepted));
    }
    assert!(world.draft(&account, 900_000).is_ok(), "both have change now");
}

#[test]
fn payment_is_sent_again_with_each_block() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, transaction) = world.signed(&account, 100_000);
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused("too-long-mempool-chain".into())));
    assert!(world.sent().is_empty());
    world.mine_empty(1);
    assert_eq!(world.sent(), [transaction]);
}

#[test]
fn giving_up_after_a_clock_set_back_frees_the_coins_once() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, _) = world.signed(&account, 250_000);
    world.now -= 3_600;
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused("dust".into())));
    world.device_asks(Command::GiveUpPayment(payment.id)).unwrap();
    world.told();
    for _ in 0..3 {
        world.now += 61;
        world.give(Input::Wake);
    }
    assert_eq!(world.told(), []);
    assert_eq!(world.balance(&account).total.to_sat(), 1_000_000);
    assert!(world.draft(&account, 250_000).is_ok());
}

#[test]
fn reasons_that_differ_in_figures_are_told_once() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, _) = world.signed(&account, 250_000);
    world.told();
    for least in 0..50 {
        let reason = format!("mempool min fee not met, 226 < {}", 1_000 + least);
        world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused(reason)));
    }
    let changed = |event: &EventKind| matches!(event, EventKind::PaymentChanged { .. });
    assert_eq!(world.told().iter().filter(|event| changed(event)).count(), 1);
}
