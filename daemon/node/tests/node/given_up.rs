//! An owner gives up a payment that is signed and in no mempool: its coins are free, and it is called what it is.

use autonomy_api::{Account, DeviceKey, Payment, PaymentState};
use autonomy_blocks::spend;
use autonomy_messaging::{Access, SigningKey};
use autonomy_node::{Answer, BURIED, BroadcastOutcome, Caller, ChainEvent, Command, Input, Refusal};
use autonomy_wallet::bitcoin::{ScriptBuf, Transaction, Txid};

use crate::world::World;

/// A payment that our node refuses for its policy.
fn stuck(world: &mut World, account: &Account) -> (Payment, Transaction) {
    let (payment, transaction) = world.signed(account, 250_000);
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused("dust".into())));
    (payment, transaction)
}

fn give_up(world: &mut World, payment: &Payment) -> Payment {
    match world.device_asks(Command::GiveUpPayment(payment.id)).unwrap() {
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

/// A node that did not answer may have it: whoever paid again then would pay twice.
#[test]
fn only_what_no_mempool_has_can_be_given_up() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, transaction) = world.signed(&account, 250_000);
    assert!(refused(&mut world, &payment).contains("on its way"), "nothing is known yet");
    let silent = || BroadcastOutcome::Unanswered("bitcoind does not answer".into());
    world.give(Input::Broadcast(payment.txid, silent()));
    assert!(world.payment(&payment).detail.unwrap().contains("does not answer"));
    assert!(refused(&mut world, &payment).contains("on its way"), "it was sent, and may have arrived");
    world.restart();
    assert!(refused(&mut world, &payment).contains("on its way"));
    for outcome in [BroadcastOutcome::Refused("dust".into()), silent()] {
        world.give(Input::Broadcast(payment.txid, outcome));
    }
    assert!(refused(&mut world, &payment).contains("on its way"), "the last word counts");
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused("dust".into())));
    world.now += 61;
    world.give(Input::Wake);
    assert!(world.sent().contains(&transaction));
    assert!(refused(&mut world, &payment).contains("on its way"), "it was just sent again");
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Accepted));
    assert!(refused(&mut world, &payment).contains("in the network"));
    world.mine(vec![transaction]);
    assert!(refused(&mut world, &payment).contains("over"));
}

#[test]
fn payment_that_left_the_mempool_can_be_given_up() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, _) = world.sent_payment(&account, 250_000);
    evict(&mut world, payment.txid);
    assert!(give_up(&mut world, &payment).detail.unwrap().starts_with("given up"));
    assert_eq!(world.balance(&account).total.to_sat(), 1_000_000);
}

/// Why a payment cannot be given up.
fn refused(world: &mut World, payment: &Payment) -> String {
    match world.refused(world.device.caller(), Command::GiveUpPayment(payment.id)) {
        Refusal::Conflict(why) => why,
        other => panic!("{other}"),
    }
}

fn evict(world: &mut World, txid: Txid) {
    world.give(Input::Chain(ChainEvent::Mempool { seen: vec![], evicted: vec![txid] }));
}

/// Whoever means to cancel a draft does not give up what was signed meanwhile.
#[test]
fn cancelling_a_draft_does_not_give_up_what_is_signed() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, _) = stuck(&mut world, &account);
    let refusal = world.refused(world.device.caller(), Command::CancelPayment(payment.id));
    assert!(matches!(&refusal, Refusal::Conflict(why) if why.contains("is signed")), "{refusal}");
    assert!(matches!(world.draft(&account, 250_000), Err(Refusal::Funds(_))));
    give_up(&mut world, &payment);
    let draft = world.draft(&account, 250_000).unwrap();
    assert_eq!(give_up(&mut world, &draft).state, PaymentState::Cancelled, "a draft goes by either");
}

/// Another spend of the first coin of a transaction.
fn rival(of: &Transaction) -> Transaction {
    spend(of.input[0].previous_output, ScriptBuf::new_op_return([7; 4]), 0)
}

/// A payment of two coins of which another transaction in a block spends the first.
fn contested(world: &mut World) -> (Account, Payment, Transaction) {
    let account = world.funded(600_000);
    world.coin(&account, 500_000);
    let (payment, transaction) = world.sent_payment(&account, 900_000);
    world.mine(vec![rival(&transaction)]);
    assert_eq!(world.payment(&payment).state, PaymentState::Signed);
    (account, payment, transaction)
}

#[test]
fn coins_of_what_was_given_up_stay_free_after_a_reorganisation() {
    let mut world = World::adopted();
    let (account, payment, transaction) = contested(&mut world);
    give_up(&mut world, &payment);
    assert!(world.draft(&account, 400_000).is_ok(), "the coin that the other one left alone");
    world.reorganise(1);
    evict(&mut world, rival(&transaction).compute_txid());
    let after = world.payment(&payment);
    assert_eq!(after.state, PaymentState::Signed);
    assert!(after.detail.unwrap().starts_with("given up"));
    assert!(world.draft(&account, 450_000).is_ok(), "the coin that the other one had spent");
    assert_eq!(world.balance(&account).total.to_sat(), 1_100_000);
    world.sent();
    world.now += 61;
    world.give(Input::Wake);
    assert!(world.sent().is_empty(), "it is not sent any more");
}

#[test]
fn coins_of_what_a_deep_reorganisation_revives_are_free() {
    let mut world = World::adopted();
    let (account, payment, transaction) = contested(&mut world);
    world.mine_empty(BURIED - 1);
    assert_eq!(world.payment(&payment).state, PaymentState::Failed);
    world.reorganise(BURIED as usize);
    evict(&mut world, rival(&transaction).compute_txid());
    let revived = world.payment(&payment);
    assert_eq!(revived.state, PaymentState::Signed);
    assert!(revived.detail.unwrap().contains("not sent"));
    assert!(world.draft(&account, 900_000).is_ok());
    // Its owner may send it after all.
    world.seen(vec![transaction]);
    assert_eq!(world.payment(&payment).state, PaymentState::Seen);
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
    let refusal = world.refused(limited, Command::GiveUpPayment(payment.id));
    assert!(matches!(refusal, Refusal::AccessTooLow { needed: Access::Full, .. }));
}

/// Without change the same wish is the same transaction: it is of the payment that was signed last.
#[test]
fn transaction_that_is_signed_once_more_is_of_one_payment() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (first, _) = world.signed(&account, 999_500);
    world.give(Input::Broadcast(first.txid, BroadcastOutcome::Refused("dust".into())));
    give_up(&mut world, &first);
    world.now += 1;
    let (second, transaction) = world.signed(&account, 999_500);
    assert_eq!((first.txid, transaction.output.len()), (second.txid, 1));
    world.give(Input::Broadcast(second.txid, BroadcastOutcome::Accepted));
    let stand = |world: &mut World| [&first, &second].map(|payment| world.payment(payment).state);
    assert_eq!(stand(&mut world), [PaymentState::Cancelled, PaymentState::Seen]);
    evict(&mut world, second.txid);
    assert_eq!(stand(&mut world), [PaymentState::Cancelled, PaymentState::Signed]);
    world.mine(vec![transaction]);
    assert_eq!(stand(&mut world), [PaymentState::Cancelled, PaymentState::Confirmed]);
}

/// The same wish again is often the same transaction: the one that was signed follows it, also after it was given up.
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
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused("dust".into())));
    give_up(&mut world, &payment);
    world.mine(vec![transaction]);
    assert_eq!(world.payment(&payment).state, PaymentState::Confirmed);
    for twin in &twins {
        assert_eq!(world.payment(twin).state, PaymentState::Cancelled);
    }
}
