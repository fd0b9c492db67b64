//! Drafts of devices with limited access beside those of the owner: what they hold, and when they yield.

use autonomy_api::{Account, DeviceKey, NewPayment, Payment, PaymentState};
use autonomy_messaging::{Access, SigningKey};
use autonomy_node::{Answer, Caller, Command, Refusal};

use crate::world::{OUTSIDE, RATE, World, pays};

#[test]
fn limited_device_cannot_tie_up_or_cancel_the_owners_drafts() {
    let mut world = World::adopted();
    let account = world.account();
    coins(&mut world, &account, 6);
    let owners = world.draft(&account, 50_000).unwrap();
    let caller = limited_device(&mut world);
    let cancel = Command::CancelPayment(owners.id);
    assert!(matches!(world.refused(caller, cancel), Refusal::AccessTooLow { .. }));
    let draft = Command::NewPayment(account.id, payment_of(10_000));
    for _ in 0..4 {
        world.ask(caller, draft.clone()).unwrap();
    }
    assert!(matches!(world.refused(caller, draft), Refusal::Full { limit: 4, .. }));
    assert!(world.draft(&account, 50_000).is_ok());
}

/// A device with limited access.
fn limited_device(world: &mut World) -> Caller {
    let laptop = SigningKey::from_bytes(&[20; 32]);
    let newcomer = world.newcomer(&laptop, Access::Limited);
    world.device_asks(Command::AddDevice(newcomer)).unwrap();
    Caller::Device(DeviceKey(laptop.verifying_key().to_bytes()))
}

/// So many coins of 100,000 satoshi.
fn coins(world: &mut World, account: &Account, count: usize) {
    (0..count).for_each(|_| coin(world, account, 100_000));
}

/// A coin.
fn coin(world: &mut World, account: &Account, sat: u64) {
    let address = world.receive(account);
    let coin = world.paid_in(&address, sat);
    world.mine(vec![coin]);
}

/// A draft of a device.
fn draft_of(world: &mut World, caller: Caller, account: &Account, sat: u64) -> Payment {
    let asked = world.ask(caller, Command::NewPayment(account.id, payment_of(sat)));
    let Ok(Answer::Payment(draft)) = asked else { panic!("{asked:?}") };
    draft
}

fn payment_of(sat: u64) -> NewPayment {
    NewPayment { recipients: vec![pays(OUTSIDE, sat)], fee_rate: Some(RATE), note: None }
}

#[test]
fn drafts_of_limited_devices_yield_their_coins_to_full_access() {
    let mut world = World::adopted();
    let account = world.account();
    coins(&mut world, &account, 3);
    let limited = limited_device(&mut world);
    let mut drafts = Vec::new();
    for sat in [90_000, 150_000] {
        world.now += 1;
        drafts.push(draft_of(&mut world, limited, &account, sat));
    }
    // All coins are held now. A payment that cannot be made for all that cancels nothing.
    let caller = world.device.caller();
    let too_much = Command::NewPayment(account.id, payment_of(700_000));
    assert!(matches!(world.refused(caller, too_much), Refusal::Funds(_)));
    let more = Command::NewPayment(account.id, payment_of(10_000));
    assert!(matches!(world.refused(limited, more), Refusal::Funds(_)), "they yield to full access only");

    let owners = world.draft(&account, 80_000).unwrap();
    let [first, second] = [&drafts[0], &drafts[1]].map(|draft| world.payment(draft));
    assert_eq!(
        [first.state, second.state],
        [PaymentState::Cancelled, PaymentState::Draft],
        "the oldest first"
    );
    assert!(first.detail.unwrap().contains("full access"));
    assert!(
        matches!(world.draft(&account, 250_000), Err(Refusal::Funds(_))),
        "one coin is the owner's own draft's"
    );
    let psbt = world.sign(&account, &owners);
    world.approve(&owners, psbt).unwrap();
    assert!(world.draft(&account, 150_000).is_ok());
    assert_eq!(world.payment(&drafts[1]).state, PaymentState::Cancelled);
}

#[test]
fn drafts_of_limited_devices_yield_their_place_to_full_access() {
    let mut world = World::adopted();
    let account = world.account();
    coins(&mut world, &account, 17);
    let limited = limited_device(&mut world);
    let theirs = draft_of(&mut world, limited, &account, 50_000);
    for _ in 0..15 {
        world.draft(&account, 50_000).unwrap();
    }
    assert_eq!(world.payment(&theirs).state, PaymentState::Draft);
    world.draft(&account, 50_000).unwrap();
    assert_eq!(world.payment(&theirs).state, PaymentState::Cancelled);
    assert!(matches!(world.draft(&account, 50_000), Err(Refusal::Full { limit: 16, .. })));
}

#[test]
fn a_draft_that_yields_its_coins_yields_its_place_too() {
    let mut world = World::adopted();
    let account = world.account();
    let limited = limited_device(&mut world);
    // Each draft takes the one coin that is free. The older draft holds the newer coin.
    coin(&mut world, &account, 100_000);
    let before = draft_of(&mut world, limited, &account, 50_000);
    coin(&mut world, &account, 30_000);
    let small = draft_of(&mut world, limited, &account, 10_000);
    world.now += 1;
    world.ask(limited, Command::CancelPayment(before.id)).unwrap();
    let large = draft_of(&mut world, limited, &account, 50_000);
    for _ in 0..14 {
        coin(&mut world, &account, 100_000);
        world.draft(&account, 50_000).unwrap();
    }
    world.draft(&account, 80_000).unwrap();
    let states = [&small, &large].map(|draft| world.payment(draft).state);
    assert_eq!(states, [PaymentState::Draft, PaymentState::Cancelled], "one place, and it is free");
}
