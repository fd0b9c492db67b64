//! Payments are drafted, approved, spoilt and sent.

use autonomy_api::{Account, ApprovePayment, NewPayment, Payment, PaymentState, PsbtBytes, Written as _};
use autonomy_node::{Answer, BroadcastOutcome, Command, Input};
use autonomy_wallet::{
    bitcoin::{Amount, OutPoint, Psbt},
    rate,
};
use proptest::prelude::*;

use super::Machine;
use crate::world::{AnyAddress, OUTSIDE, pays};

#[derive(Debug, Clone)]
pub(super) enum Event {
    Draft { account: u8, sat: u64, rate: Option<f64>, key: Option<u8> },
    DraftTo(String),
    Approve { payment: u8, key: Option<u8> },
    ApproveBadly(u8, u8),
    Cancel(u8),
    GiveUp(u8),
    Outcome(u8, u8),
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let rate =
        prop_oneof![Just(None), Just(Some(2.0)), any::<f64>().prop_map(Some), (0.0..2000.0).prop_map(Some)];
    let sat = prop_oneof![0_u64..2_000_000, any::<u64>(), Just(0), Just(546), Just(21_000_000 * 100_000_000)];
    let key = prop::option::of(0_u8..4);
    let draft = (any::<u8>(), sat, rate, key.clone());
    prop_oneof![
        8 => draft.prop_map(|(account, sat, rate, key)| Event::Draft { account, sat, rate, key }),
        1 => ".{0,100}".prop_map(Event::DraftTo),
        6 => (any::<u8>(), key).prop_map(|(payment, key)| Event::Approve { payment, key }),
        3 => any::<(u8, u8)>().prop_map(|(payment, how)| Event::ApproveBadly(payment, how)),
        2 => any::<u8>().prop_map(Event::Cancel),
        1 => any::<u8>().prop_map(Event::GiveUp),
        3 => any::<(u8, u8)>().prop_map(|(payment, how)| Event::Outcome(payment, how)),
    ]
}

impl Machine {
    pub(super) fn money_event(&mut self, event: Event) {
        match event {
            Event::Draft { account, sat, rate, key } => self.draft(account, sat, rate, key),
            Event::DraftTo(address) => {
                // What is no address is refused before the node hears of it.
                assert!(AnyAddress::read(&address).is_err());
            }
            Event::Approve { payment, key } => {
                let Some((account, payment)) = self.draft_of(payment) else { return };
                let psbt = self.world.sign(&account, &payment);
                self.approve(key, &payment, psbt, 0);
            }
            Event::ApproveBadly(choice, how) => {
                let Some((account, payment)) = self.draft_of(choice) else { return };
                let psbt = spoilt(&self.world.sign(&account, &payment), how);
                let epoch = if how % 8 == 0 { u64::MAX } else { 0 };
                let signed = self.approve(None, &payment, psbt, epoch);
                assert!(!signed || how % 8 == 7, "signed for {how}");
            }
            Event::Cancel(choice) => {
                let Some(payment) = self.payment_of(choice) else { return };
                drop(self.ask(None, Command::CancelPayment(payment.id)));
            }
            Event::GiveUp(choice) => {
                let Some(payment) = self.payment_of(choice) else { return };
                drop(self.ask(None, Command::GiveUpPayment(payment.id)));
            }
            Event::Outcome(choice, how) => {
                let Some(payment) = self.payment_of(choice) else { return };
                let outcome = match how % 3 {
                    0 => BroadcastOutcome::Accepted,
                    1 => BroadcastOutcome::Unanswered("bitcoind does not answer".into()),
                    _ => BroadcastOutcome::Refused("dust".into()),
                };
                self.world.give(Input::Broadcast(payment.txid, outcome));
            }
        }
    }

    fn draft(&mut self, account: u8, sat: u64, rate: Option<f64>, key: Option<u8>) {
        let id = self.account_of(account).id;
        let recipients = vec![pays(OUTSIDE, sat)];
        let body = NewPayment { recipients, fee_rate: rate.and_then(rate::nearest), note: None };
        if let Ok(Answer::Payment(payment)) = self.ask(key, Command::NewPayment(id, body))
            && self.payments.iter().all(|known| known.id != payment.id)
        {
            assert_eq!(payment.recipients[0].amount.to_sat(), sat);
            self.payments.push(payment);
        }
    }

    fn draft_of(&self, choice: u8) -> Option<(Account, Payment)> {
        let payment = self.payment_of(choice)?;
        let account = self.accounts.iter().find(|account| account.id == payment.account)?;
        Some((account.clone(), payment))
    }

    /// Gives whether the pod signed.
    fn approve(&mut self, key: Option<u8>, payment: &Payment, psbt: PsbtBytes, epoch: u64) -> bool {
        let before = self.epoch();
        let was = self.state_of(payment);
        let body = ApprovePayment { psbt, state_epoch: epoch };
        let reply = self.ask(key, Command::ApprovePayment(payment.id, body));
        let is = self.state_of(payment);
        let signed = was == Some(PaymentState::Draft) && is == Some(PaymentState::Signed);
        if signed {
            assert!(reply.is_ok());
            assert_eq!(self.epoch(), before + 1, "a debit is counted");
            let sent = self.world.sent();
            let sent = sent.into_iter().find(|sent| sent.compute_txid() == payment.txid);
            self.waiting.push(sent.expect("what is signed is sent"));
        } else {
            assert_eq!(self.epoch(), before, "nothing was signed");
        }
        signed
    }
}

/// The first coin that a payment spends, while its draft is shown.
pub(super) fn first_coin(payment: &Payment) -> Option<OutPoint> {
    let psbt = Psbt::deserialize(payment.psbt.as_ref()?).unwrap();
    Some(psbt.unsigned_tx.input[0].previous_output)
}

/// A signed draft, spoilt in one of eight ways; 0 and 7 leave it as it is.
fn spoilt(honest: &PsbtBytes, how: u8) -> PsbtBytes {
    let mut psbt = Psbt::deserialize(honest).unwrap();
    let bytes = |bytes: &[u8]| PsbtBytes::new(bytes.to_vec()).unwrap();
    match how % 8 {
        1 => psbt.unsigned_tx.output[0].value += Amount::from_sat(1),
        2 => psbt.inputs.iter_mut().for_each(|input| input.partial_sigs.clear()),
        3 => psbt.unsigned_tx.input[0].previous_output.vout ^= 1,
        4 => return bytes(&honest[..honest.len() / 2]),
        5 => return bytes(&[]),
        6 => psbt.unsigned_tx.output.truncate(1),
        _ => {}
    }
    bytes(&psbt.serialize())
}
