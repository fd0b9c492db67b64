//! Fee rates that nobody chose, rates that the chain source does not relay, and chains that are not read to their end.

use autonomy_api::{Account, NewPayment, Payment};
use autonomy_node::{Answer, ChainEvent, Command, FeeFloor, Input, Refusal, SourceState};
use autonomy_wallet::{
    bitcoin::FeeRate,
    payment::{MAX_FEE_RATE, MIN_FEE_RATE},
    rate,
};

use crate::world::{OUTSIDE, World, pays};

/// A draft at a rate, given up at once.
fn draft(world: &mut World, account: &Account, fee_rate: Option<FeeRate>) -> Result<Payment, Refusal> {
    // Enough for the highest rate: a fee is a tenth of the payment at most.
    let recipients = vec![pays(OUTSIDE, if fee_rate == Some(MAX_FEE_RATE) { 50_000_000 } else { 100_000 })];
    match world
        .device_asks(Command::NewPayment(account.id, NewPayment { recipients, fee_rate, note: None }))?
    {
        Answer::Payment(payment) => {
            world.device_asks(Command::CancelPayment(payment.id))?;
            Ok(payment)
        }
        other => panic!("{other:?}"),
    }
}

fn told(world: &mut World, event: ChainEvent) {
    world.give(Input::Chain(event));
}

fn floor(sat_per_vb: f64) -> ChainEvent {
    let increment = FeeRate::BROADCAST_MIN;
    ChainEvent::FeeFloor(FeeFloor { least: rate::nearest(sat_per_vb).unwrap(), increment })
}

#[test]
fn an_estimate_below_one_sat_a_vbyte_is_paid() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    told(&mut world, ChainEvent::Fees(vec![(6, 0.3)]));
    assert_eq!(draft(&mut world, &account, None).unwrap().fee_rate, rate::nearest(0.3).unwrap());
    told(&mut world, ChainEvent::Fees(vec![(6, 0.01)]));
    assert_eq!(draft(&mut world, &account, None).unwrap().fee_rate, MIN_FEE_RATE);
}

#[test]
fn a_rate_below_what_the_source_relays_is_raised_or_refused() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    told(&mut world, ChainEvent::Fees(vec![(6, 0.3)]));
    told(&mut world, floor(2.5));
    assert_eq!(draft(&mut world, &account, None).unwrap().fee_rate, rate::nearest(2.5).unwrap());
    let refusal = draft(&mut world, &account, rate::nearest(0.5)).unwrap_err();
    let Refusal::Invalid { field: "fee_rate", rule } = refusal else { panic!("{refusal}") };
    assert_eq!(rule, "0.5 sat/vB; the chain source relays from 2.5 sat/vB on now: pay that or more");
    told(&mut world, floor(0.0));
    assert!(draft(&mut world, &account, Some(MIN_FEE_RATE)).is_ok());
}

#[test]
fn the_highest_rate_can_be_paid_and_a_higher_one_is_refused_with_its_unit() {
    let mut world = World::adopted();
    let account = world.funded(100_000_000);
    assert_eq!(draft(&mut world, &account, Some(MAX_FEE_RATE)).unwrap().fee_rate, MAX_FEE_RATE);
    let refusal = draft(&mut world, &account, rate::nearest(1000.004)).unwrap_err();
    assert!(refusal.to_string().contains("0.1 to 1000 sat/vB"), "{refusal}");
}

#[test]
fn nothing_is_drafted_while_many_blocks_are_unread() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let tip = world.height();
    told(&mut world, ChainEvent::Source(SourceState::Synced(tip + 6)));
    assert!(draft(&mut world, &account, None).is_ok());
    told(&mut world, ChainEvent::Source(SourceState::Synced(tip + 7)));
    let refusal = draft(&mut world, &account, None).unwrap_err();
    assert!(matches!(&refusal, Refusal::Conflict(why) if why.contains("7 blocks")), "{refusal}");
}
