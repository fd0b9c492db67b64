//! A request repeated after a lost connection is answered, not done again.

use autonomy_api::{AccountKind, BeginAccount, SetProfile};
use autonomy_node::{Answer, Caller, Command, Input, Refusal};

use crate::world::{World, read};

fn begin(name: &str) -> Command {
    Command::BeginAccount(BeginAccount { name: read(name), kind: AccountKind::TwoOfThree })
}

#[test]
fn the_same_key_and_command_get_the_same_answer() {
    let mut world = World::adopted();
    let caller = world.device.caller();
    let first = world.ask_with_key(caller, Some("k1"), begin("main")).unwrap();
    let again = world.ask_with_key(caller, Some("k1"), begin("main")).unwrap();
    assert_eq!(first, again);
    world.restart();
    assert_eq!(world.ask_with_key(caller, Some("k1"), begin("main")).unwrap(), first);
    assert_ne!(world.ask_with_key(caller, Some("k2"), begin("main")).unwrap(), first);
}

#[test]
fn the_same_key_with_another_command_is_refused() {
    let mut world = World::adopted();
    let caller = world.device.caller();
    world.ask_with_key(caller, Some("k1"), begin("main")).unwrap();
    assert_eq!(world.ask_with_key(caller, Some("k1"), begin("other")), Err(Refusal::KeyReused));
    assert!(
        world.ask_with_key(Caller::Owner, Some("k1"), begin("other")).is_ok(),
        "keys are each caller's own"
    );
}

#[test]
fn a_key_has_a_form() {
    let mut world = World::adopted();
    let caller = world.device.caller();
    for key in ["", "with space", &"x".repeat(65), "ümlaut"] {
        let refused = world.ask_with_key(caller, Some(key), begin("main"));
        assert!(matches!(refused, Err(Refusal::Invalid { field: "Idempotency-Key", .. })), "{key:?}");
    }
}

#[test]
fn answers_are_kept_for_a_day_and_bounded_for_each_caller() {
    let mut world = World::adopted();
    let account = world.account();
    let caller = world.device.caller();
    let address = Command::NewAddress(account.id);
    let first = world.ask_with_key(caller, Some("day"), address.clone()).unwrap();
    world.now += 86_402;
    world.give(Input::Wake);
    assert_ne!(world.ask_with_key(caller, Some("day"), address.clone()).unwrap(), first);

    let mut world = World::adopted();
    for number in 0..300 {
        world.ask_with_key(caller, Some(&format!("n{number}")), Command::Status).unwrap();
    }
    let replies = world.rows.keys().filter(|key| key[0] == 10).count();
    assert!(replies <= 256, "{replies} answers are kept");
}

fn rename(name: &str) -> Command {
    Command::SetProfile(SetProfile { name: Some(read(name)), reach: None })
}

/// All within one second: the clock cannot tell which answer is older.
#[test]
fn the_oldest_answer_goes_first_within_one_second() {
    let mut world = World::adopted();
    let caller = world.device.caller();
    for number in 0..300 {
        world.ask_with_key(caller, Some(&format!("n{number}")), rename("Alice")).unwrap();
        if number % 50 == 0 {
            world.restart();
        }
    }
    for number in 44..300 {
        let again = world.ask_with_key(caller, Some(&format!("n{number}")), rename("Bob"));
        assert_eq!(again, Err(Refusal::KeyReused), "the answer under n{number} is still there");
    }
}

#[test]
fn other_requests_push_out_no_answer_about_money() {
    let mut world = World::adopted();
    let account = world.account();
    let caller = world.device.caller();
    let address = Command::NewAddress(account.id);
    let first = world.ask_with_key(caller, Some("address"), address.clone()).unwrap();
    for number in 0..300 {
        world.ask_with_key(caller, Some(&format!("n{number}")), rename("Alice")).unwrap();
    }
    assert_eq!(world.ask_with_key(caller, Some("address"), address).unwrap(), first);
}

#[test]
fn one_program_pushes_out_no_answer_of_another() {
    let mut world = World::adopted();
    world.app_asks_with_key("quiet", Caller::Owner, Some("quiet"), rename("Alice")).unwrap();
    for number in 0..300 {
        world.app_asks_with_key("loud", Caller::Owner, Some(&format!("n{number}")), rename("Alice")).unwrap();
    }
    let again = world.app_asks_with_key("quiet", Caller::Owner, Some("quiet"), rename("Bob"));
    assert_eq!(again, Err(Refusal::KeyReused), "its answer is still there");
}

#[test]
fn answers_dated_in_the_future_expire() {
    let mut world = World::adopted();
    let caller = world.device.caller();
    let right = world.now;
    world.now = right + 5 * 365 * 86_400;
    world.ask_with_key(caller, Some("ahead"), rename("Alice")).unwrap();
    world.now = right;
    world.give(Input::Wake);
    assert_eq!(world.rows.keys().filter(|key| key[0] == 10).count(), 0);
}

#[test]
fn a_listener_that_was_away_reads_what_it_missed() {
    let mut world = World::adopted();
    let account = world.funded(50_000);
    let Answer::Events(all) = world.device_asks(Command::Events { after: 0 }).unwrap() else { panic!() };
    assert!(all.windows(2).all(|pair| pair[0].id + 1 == pair[1].id));
    let middle = all[all.len() / 2].id;
    let Answer::Events(rest) = world.device_asks(Command::Events { after: middle }).unwrap() else {
        panic!()
    };
    assert_eq!(rest, all[all.len() / 2 + 1..]);
    drop(account);
}
