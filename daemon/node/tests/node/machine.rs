//! Any sequence of things that can happen, honest and hostile: the pod never falls over, a restored one equals the one
//! that kept running (checked in every step), and what must hold of its money holds.
//!
//! | module | what happens |
//! |---|---|
//! | `accounts` | accounts are made, well and badly, and asked for addresses |
//! | `chain` | blocks, the mempool, and how the source is |
//! | `money` | payments are drafted, approved, spoilt and sent |
//! | `pod` | devices, the clock, restarts |

mod accounts;
mod chain;
mod money;
mod pod;

use std::collections::BTreeSet;

use autonomy_api::{Account, Balance, Payment, PaymentState};
use autonomy_node::{Answer, Caller, Command, Input, PAYMENTS, Reply, Request};
use autonomy_wallet::bitcoin::Transaction;
use proptest::prelude::*;

use crate::world::World;

/// One thing that happens. Numbers choose among what is there.
#[derive(Debug, Clone)]
enum Event {
    Accounts(accounts::Event),
    Chain(chain::Event),
    Money(money::Event),
    Pod(pod::Event),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        7 => accounts::event().prop_map(Event::Accounts),
        22 => chain::event().prop_map(Event::Chain),
        23 => money::event().prop_map(Event::Money),
        10 => pod::event().prop_map(Event::Pod),
    ]
}

/// A pod's world, and what an onlooker remembers of it.
struct Machine {
    world: World,
    accounts: Vec<Account>,
    payments: Vec<Payment>,
    /// Transactions that wait for a block, as far as the onlooker knows.
    waiting: Vec<Transaction>,
    epoch: u64,
    last_event: u64,
}

impl Machine {
    fn new() -> Self {
        let mut world = World::adopted();
        let accounts = vec![world.funded(5_000_000)];
        let mut machine =
            Self { world, accounts, payments: Vec::new(), waiting: Vec::new(), epoch: 0, last_event: 0 };
        machine.check();
        machine
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Accounts(event) => self.account_event(event),
            Event::Chain(event) => self.chain_event(event),
            Event::Money(event) => self.money_event(event),
            Event::Pod(event) => self.pod_event(event),
        }
        self.check();
    }

    /// Asks as the owner's device; a refusal leaves no trace but in a ledger (where change was looked for).
    fn ask(&mut self, key: Option<u8>, command: Command) -> Reply {
        let caller = self.world.device.caller();
        self.ask_as(caller, key, command)
    }

    fn ask_as(&mut self, caller: Caller, key: Option<u8>, command: Command) -> Reply {
        // First whatever is due anyway, so that only the command's own rows are compared.
        self.world.give_unchecked(Input::Wake);
        let before = self.world.rows.clone();
        let key = key.map(|key| format!("key{key}"));
        let reply = self.world.ask_with_key(caller, key.as_deref(), command);
        if let Err(refusal) = &reply {
            let changed = |key: &&Vec<u8>| before.get(*key) != self.world.rows.get(*key);
            let all: BTreeSet<&Vec<u8>> = before.keys().chain(self.world.rows.keys()).collect();
            let traces: Vec<_> = all.into_iter().filter(changed).filter(|key| key[0] != 7).collect();
            assert!(traces.is_empty(), "a refused command left a trace ({refusal}): {traces:?}");
            assert!(!refusal.to_string().is_empty());
        }
        reply
    }

    fn account_of(&self, choice: u8) -> Account {
        self.accounts[usize::from(choice) % self.accounts.len()].clone()
    }

    fn payment_of(&self, choice: u8) -> Option<Payment> {
        let count = self.payments.len();
        (count > 0).then(|| self.payments[usize::from(choice) % count].clone())
    }

    /// Asks for something that changes nothing.
    fn look(&mut self, command: Command) -> Reply {
        let caller = self.world.device.caller();
        let request = Request { caller, idempotency_key: None, command };
        self.world.give_unchecked(Input::Request(request)).unwrap()
    }

    fn epoch(&mut self) -> u64 {
        match self.look(Command::Status) {
            Ok(Answer::Status(status)) => status.state_epoch,
            other => panic!("{other:?}"),
        }
    }

    fn state_of(&mut self, payment: &Payment) -> Option<PaymentState> {
        match self.look(Command::Payment(payment.id)) {
            Ok(Answer::Payment(payment)) => Some(payment.state),
            _ => None,
        }
    }

    /// What must always hold.
    fn check(&mut self) {
        let epoch = self.epoch();
        assert!(epoch >= self.epoch, "the state epoch went back");
        self.epoch = epoch;
        let Ok(Answer::Accounts(accounts)) = self.look(Command::Accounts) else { panic!("no accounts") };
        assert_eq!(accounts.accounts.len(), self.accounts.len());
        for account in &accounts.accounts {
            let Balance { confirmed, unconfirmed, immature, total } = account.balance;
            assert_eq!(confirmed + unconfirmed + immature, total);
        }
        self.check_coins();
        self.check_events();
    }

    /// No coin is in two drafts, or in a draft and a payment that was sent.
    fn check_coins(&self) {
        let rows = self.world.rows.iter().filter(|(key, _)| key[0] == 8);
        let mut held = BTreeSet::new();
        for (key, value) in rows {
            let (_, payment) = PAYMENTS.read(key, value).unwrap();
            let open =
                matches!(payment.state, PaymentState::Draft | PaymentState::Signed | PaymentState::Seen);
            if open {
                assert!(payment.inputs.iter().all(|coin| held.insert(*coin)), "{payment:?} shares a coin");
            }
            let signed = !matches!(payment.state, PaymentState::Draft | PaymentState::Cancelled);
            assert_eq!(signed, payment.transaction.is_some(), "{payment:?}");
        }
    }

    /// Events are numbered without a gap.
    fn check_events(&mut self) {
        let after = self.last_event;
        let Ok(Answer::Events(events)) = self.look(Command::Events { after }) else { panic!("no events") };
        for event in events {
            assert_eq!(event.id, self.last_event + 1);
            self.last_event = event.id;
        }
    }
}

proptest! {
    // A pod is restored after each event, two seconds a case: 8 of them, more by PROPTEST_CASES.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 32,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_pod_stays_sound(events in prop::collection::vec(event(), 1..40)) {
        let mut machine = Machine::new();
        events.into_iter().for_each(|event| machine.happens(event));
    }
}
