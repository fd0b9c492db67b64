//! What the pod makes of its chain source: blocks that a ledger cannot take, and fees that grow old.

use std::sync::Arc;

use autonomy_api::{Account, ChainState, NewPayment, Payment};
use autonomy_blocks::{block_on, coinbase, spend};
use autonomy_node::{Answer, ChainEvent, Command, FeeFloor, Input, MAX_FEE_AGE, NodeStatus};
use autonomy_wallet::{
    bitcoin::{Block, FeeRate, OutPoint, Txid, hashes::Hash as _},
    rate,
};

use crate::world::{OUTSIDE, START, World, pays};

fn status(world: &mut World) -> NodeStatus {
    match world.device_asks(Command::Status).unwrap() {
        Answer::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

/// A block on the tip with a payment to the account of more than there will ever be.
fn impossible(world: &World, account: &Account) -> Block {
    let script = account.first_address.assume_checked_ref().script_pubkey();
    let from = OutPoint { txid: Txid::from_byte_array([5; 32]), vout: 0 };
    let transactions = vec![coinbase(world.height() + 1, 9, vec![]), spend(from, script, u64::MAX)];
    block_on(world.node.chain_points().last().unwrap().hash, START as u32, 9, transactions)
}

#[test]
fn block_that_a_ledger_cannot_take_is_not_skipped() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let height = world.height() + 1;
    let block = impossible(&world, &account);
    let next = block_on(block.block_hash(), START as u32, 10, vec![coinbase(height + 1, 10, vec![])]);
    world.give(Input::Chain(ChainEvent::Block { block: Arc::new(block), height }));
    for _ in 0..2 {
        let chain = status(&mut world).chain;
        assert_eq!((chain.state, chain.height), (ChainState::Away, height - 1));
        assert!(chain.detail.unwrap().contains(&format!("block {height} cannot be taken")));
        world.give(Input::Chain(ChainEvent::Header { header: next.header, height: height + 1 }));
    }
    // A block that can be taken in its place goes on.
    world.mine_empty(1);
    assert_eq!(status(&mut world).chain.state, ChainState::Synced);
}

/// A draft that names no fee rate.
fn at_usual_rate(world: &mut World, account: &Account) -> Payment {
    let body = NewPayment { recipients: vec![pays(OUTSIDE, 10_000)], fee_rate: None, note: None };
    let draft = world.device_asks(Command::NewPayment(account.id, body)).unwrap();
    let Answer::Payment(payment) = draft else { panic!("{draft:?}") };
    world.device_asks(Command::CancelPayment(payment.id)).unwrap();
    payment
}

#[test]
fn estimate_that_grew_old_sets_no_fee() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let usual = at_usual_rate(&mut world, &account).fee_rate;
    world.give(Input::Chain(ChainEvent::Fees(vec![(6, 20.0)])));
    assert_eq!(at_usual_rate(&mut world, &account).fee_rate, rate::sat_per_vb(20));
    world.now += MAX_FEE_AGE;
    assert_eq!(at_usual_rate(&mut world, &account).fee_rate, rate::sat_per_vb(20));
    world.now += 1;
    assert_eq!(at_usual_rate(&mut world, &account).fee_rate, usual);
    // Also when the source says that it cannot tell any more.
    world.give(Input::Chain(ChainEvent::Fees(vec![(6, 20.0)])));
    world.give(Input::Chain(ChainEvent::Fees(vec![])));
    assert_eq!(at_usual_rate(&mut world, &account).fee_rate, usual);
}

#[test]
fn usual_fee_is_never_below_what_the_node_takes() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let floor = FeeFloor { least: rate::sat_per_vb(7), increment: FeeRate::BROADCAST_MIN };
    world.give(Input::Chain(ChainEvent::FeeFloor(floor)));
    world.give(Input::Chain(ChainEvent::Fees(vec![(6, 3.0)])));
    assert_eq!(at_usual_rate(&mut world, &account).fee_rate, rate::sat_per_vb(7));
    world.give(Input::Chain(ChainEvent::Fees(vec![(6, 30.0)])));
    assert_eq!(at_usual_rate(&mut world, &account).fee_rate, rate::sat_per_vb(30));
}
