//! An owner gives up a payment that is signed and in no mempool: its coins are free, and it is called what it is.

use autonomy_api::{Account, DeviceKey, Payment, PaymentState};
use autonomy_messaging::{Access, SigningKey};
use autonomy_node::{Answer, BURIED, BroadcastOutcome, Caller, Command, Input, Refusal};
use autonomy_wallet::bitcoin::Transaction;

use crate::world::World;

/// A payment that our node refuses for its policy.
fn stuck(world: &mut World, account: &Account) -> (Payment, Transaction) {
    let (payment, transaction) = world.signed(account, 250_000);
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::refused("dust".into())));
    (payment, transaction)
}

fn give_up(world: &mut World, payment: &Payment) -> Payment {
    match world.device_asks(Command::CancelPayment(payment.id)).unwrap() {
        Answer::Payment(payment) => payment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn payment_that_was_given_up_frees_its_coins_and_is_not_sent() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, _) = stuck(&mut world, &account);
    let given_up = give_up(&mut world, &payment);
    assert_eq!(given_up.state, PaymentState::Signed, "it may still be mined");
    assert!(given_up.detail.unwrap().contains("may still send it"));
    assert_eq!(world.balance(&account).total.to_sat(), 1_000_000);
    world.sent();
    world.now += 61;
    world.give(Input::Wake);
    world.mine_empty(1);
    world.restart();
    assert!(world.sent().is_empty());

    let (second, transaction) = world.sent_payment(&account, 300_000);
    world.mine(vec![transaction]);
    assert_eq!(world.payment(&payment).state, PaymentState::Signed);
    world.mine_empty(BURIED - 1);
    assert_eq!(world.payment(&second).state, PaymentState::Confirmed);
    assert_eq!(world.payment(&payment).state, PaymentState::Failed, "the same coin is spent for good");
}

#[test]
fn payment_that_was_given_up_counts_again_when_it_is_seen() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, transaction) = stuck(&mut world, &account);
    give_up(&mut world, &payment);
    world.seen(vec![transaction.clone()]);
    let seen = world.payment(&payment);
    assert_eq!((seen.state, seen.detail), (PaymentState::Seen, None));
    assert!(world.balance(&account).total.to_sat() < 750_000);
    world.mine(vec![transaction]);
    assert_eq!(world.payment(&payment).state, PaymentState::Confirmed);
}

#[test]
fn only_what_is_known_to_be_stuck_can_be_given_up() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, transaction) = world.signed(&account, 250_000);
    let cancel = Command::CancelPayment(payment.id);
    let owner = world.device.caller();
    assert!(
        matches!(world.refused(owner, cancel.clone()), Refusal::Conflict(why) if why.contains("on its way"))
    );
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Accepted));
    assert!(
        matches!(world.refused(owner, cancel.clone()), Refusal::Conflict(why) if why.contains("in the network"))
    );
    world.mine(vec![transaction]);
    assert!(matches!(world.refused(owner, cancel), Refusal::Conflict(why) if why.contains("over")));
}

#[test]
fn limited_device_cannot_give_up_what_is_signed() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let laptop = SigningKey::from_bytes(&[20; 32]);
    let newcomer = world.newcomer(&laptop, Access::Limited);
    world.device_asks(Command::AddDevice(newcomer)).unwrap();
    let (payment, _) = stuck(&mut world, &account);
    let limited = Caller::Device(DeviceKey(laptop.verifying_key().to_bytes()));
    let refusal = world.refused(limited, Command::CancelPayment(payment.id));
    assert!(matches!(refusal, Refusal::AccessTooLow { needed: Access::Full, .. }));
}

/// The same wish again is often the same transaction: the one that was signed follows it, also after it failed.
#[test]
fn draft_that_shares_a_transaction_does_not_follow_it() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let mut twins: Vec<Payment> = Vec::new();
    let payment = loop {
        let draft = world.draft(&account, 250_000).unwrap();
        if twins.iter().any(|twin| twin.txid == draft.txid) {
            break draft;
        }
        world.device_asks(Command::CancelPayment(draft.id)).unwrap();
        twins.push(draft);
        assert!(twins.len() < 16, "two outputs have two orders");
    };
    let psbt = world.sign(&account, &payment);
    world.approve(&payment, psbt).unwrap();
    let transaction = world.sent().pop().unwrap();
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Invalid("bad-txns-in-belowout".into())));
    world.mine(vec![transaction]);
    assert_eq!(world.payment(&payment).state, PaymentState::Confirmed);
    for twin in &twins {
        assert_eq!(world.payment(twin).state, PaymentState::Cancelled);
    }
}
