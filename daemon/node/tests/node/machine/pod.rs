//! Devices come and go, the clock jumps, the pod restarts.

use autonomy_api::{DeviceKey, PaymentId};
use autonomy_messaging::{Access, SigningKey};
use autonomy_node::{Caller, Command, HistoryPage, Input};
use proptest::prelude::*;

use super::Machine;

#[derive(Debug, Clone)]
pub(super) enum Event {
    Newcomer(u8),
    Revoke(u8),
    Stranger(u8),
    Look(u8, u32, u64),
    Reconcile(u64),
    Clock(i64),
    Restart,
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => any::<u8>().prop_map(Event::Newcomer),
        1 => any::<u8>().prop_map(Event::Revoke),
        1 => any::<u8>().prop_map(Event::Stranger),
        2 => any::<(u8, u32, u64)>().prop_map(|(which, limit, after)| Event::Look(which, limit, after)),
        1 => any::<u64>().prop_map(Event::Reconcile),
        2 => prop_oneof![-100_000_i64..200_000, 0_i64..120].prop_map(Event::Clock),
        2 => Just(Event::Restart),
    ]
}

impl Machine {
    pub(super) fn pod_event(&mut self, event: Event) {
        match event {
            Event::Newcomer(seed) => {
                let access = [Access::Minimal, Access::Limited, Access::Full][usize::from(seed) % 3];
                let newcomer = self.world.newcomer(&device(seed), access);
                drop(self.ask(None, Command::AddDevice(newcomer)));
            }
            Event::Revoke(seed) => {
                let key = device(seed).verifying_key().to_bytes();
                drop(self.ask(None, Command::RevokeDevice(DeviceKey(key))));
            }
            Event::Stranger(seed) => {
                let stranger = Caller::Device(DeviceKey([seed; 32]));
                for command in [Command::Status, Command::Accounts, Command::Events { after: 0 }] {
                    assert!(self.ask_as(stranger, None, command).is_err());
                }
            }
            Event::Look(choice, limit, after) => {
                let account = self.account_of(choice).id;
                self.ask(None, Command::History(account, HistoryPage { limit })).unwrap();
                self.ask(None, Command::Events { after }).unwrap();
                drop(self.ask(None, Command::Payment(PaymentId([choice; 16]))));
            }
            // Far above is refused; near above is taken, and never goes back.
            Event::Reconcile(seen) => drop(self.ask(None, Command::Reconcile { seen })),
            Event::Clock(seconds) => self.wait(seconds),
            Event::Restart => self.world.restart(),
        }
    }

    fn wait(&mut self, seconds: i64) {
        self.world.now = self.world.now.saturating_add_signed(seconds);
        self.world.give(Input::Wake);
        // Asked at once again, nothing is due that stays undone: the driver would spin.
        let (due, now) = (self.world.node.next_wake(), self.world.now);
        assert!(due.is_none_or(|due| due > now), "due at {due:?}, and it is {now}");
    }
}

/// A further device; never the owner's first one.
fn device(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed.max(30); 32])
}
