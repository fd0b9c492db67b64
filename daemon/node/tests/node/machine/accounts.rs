//! Accounts are made, well and badly, and asked for addresses.

use autonomy_api::{AccountKind, AccountName, AccountOffer, BeginAccount, CompleteAccount};
use autonomy_node::{Answer, Command, Reply};
use proptest::prelude::*;

use super::Machine;
use crate::world::{OUTSIDE, read};

#[derive(Debug, Clone)]
pub(super) enum Event {
    Make,
    Begin(String),
    CompleteBadly(u8),
    Address(u8),
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Make),
        1 => ".{0,70}".prop_map(Event::Begin),
        1 => any::<u8>().prop_map(Event::CompleteBadly),
        3 => any::<u8>().prop_map(Event::Address),
    ]
}

impl Machine {
    pub(super) fn account_event(&mut self, event: Event) {
        match event {
            Event::Begin(name) => drop(AccountName::new(&name).map(|name| self.begin(name))),
            Event::Make => {
                let Some(offer) = self.begin(read("main")) else { return };
                let (body, _) = self.world.complete(&offer);
                match self.complete(&offer, body) {
                    Ok(Answer::Account(account)) => self.accounts.push(account),
                    other => panic!("an honest account: {other:?}"),
                }
            }
            Event::CompleteBadly(how) => {
                let Some(offer) = self.begin(read("main")) else { return };
                let (mut body, _) = self.world.complete(&offer);
                match how % 4 {
                    0 => body.recovery_member_key = body.device_member_key,
                    1 => body.descriptor.push('x'),
                    2 => body.first_address = read(OUTSIDE),
                    _ => body.device_member_key = offer.pod_member_key,
                }
                assert!(self.complete(&offer, body).is_err(), "completed badly ({how})");
            }
            Event::Address(choice) => {
                let account = self.account_of(choice).id;
                drop(self.ask(None, Command::NewAddress(account)));
            }
        }
    }

    /// An offer, if there is room.
    fn begin(&mut self, name: AccountName) -> Option<AccountOffer> {
        let begin = BeginAccount { name, kind: AccountKind::TwoOfThree };
        match self.ask(None, Command::BeginAccount(begin)) {
            Ok(Answer::Offer(offer)) => Some(offer),
            _ => None,
        }
    }

    fn complete(&mut self, offer: &AccountOffer, body: CompleteAccount) -> Reply {
        self.ask(None, Command::CompleteAccount(offer.ceremony, Box::new(body)))
    }
}
