//! The owner's device as far as these tests need one: it answers offers and signs drafts.

use autonomy_api::{Account, AccountOffer, ApprovePayment, Payment, PaymentId, PaymentState, Written as _};
use autonomy_testnet::{bitcoind::Bitcoind, clock};
use serde_json::{Value, json};

use crate::{
    cosigner,
    home::{Home, TEST_TIMEOUT},
    http::Answer,
};

/// An address outside, on regtest.
pub(crate) const OUTSIDE: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

impl Home {
    /// An account of device, pod and recovery key.
    pub(crate) fn account(&self) -> Account {
        let offer = self.begin("begin").ok();
        as_type(self.complete("complete", &offer).ok())
    }

    pub(crate) fn begin(&self, key: &str) -> Answer {
        self.begin_named(key, "main")
    }

    pub(crate) fn begin_named(&self, key: &str, name: &str) -> Answer {
        self.post("/v1/accounts", key, &json!({"name": name, "kind": "two_of_three"}))
    }

    pub(crate) fn complete(&self, key: &str, offer: &Value) -> Answer {
        let offer: AccountOffer = as_type(offer.clone());
        let (body, _) = cosigner::complete(self.payer.as_ref().unwrap(), &offer);
        let body = serde_json::to_value(&body).unwrap();
        self.post(&format!("/v1/accounts/{}/complete", offer.ceremony), key, &body)
    }

    pub(crate) fn receive(&self, account: &Account, key: &str) -> Answer {
        self.post(&format!("/v1/accounts/{}/addresses", account.id), key, &json!({}))
    }

    /// An account with one confirmed coin.
    pub(crate) fn funded(&self, node: &Bitcoind, sat: u64) -> Account {
        let account = self.account();
        node.send_to(&account.first_address.write(), sat).unwrap();
        node.mine(1).unwrap();
        self.wait_for_balance("confirmed_sat", sat);
        account
    }

    pub(crate) fn draft(&self, account: &Account, key: &str, sat: u64) -> Answer {
        let recipients = json!([{"address": OUTSIDE, "amount_sat": sat}]);
        let body = json!({"recipients": recipients, "fee_rate": 2.0, "note": "rent"});
        self.post(&format!("/v1/accounts/{}/payments", account.id), key, &body)
    }

    pub(crate) fn approve(&self, account: &Account, key: &str, draft: &Payment) -> Answer {
        let psbt = cosigner::sign(self.payer.as_ref().unwrap(), account, draft);
        let body = json!(ApprovePayment { psbt, state_epoch: 0 });
        self.post(&format!("/v1/payments/{}/approve", draft.id), key, &body)
    }

    /// Waits until the network has a payment.
    pub(crate) fn wait_until_sent(&self, id: &PaymentId) {
        let sent = || matches!(self.payment(id).state, PaymentState::Seen | PaymentState::Confirmed);
        assert!(clock::wait_until(TEST_TIMEOUT, sent).is_ok(), "{:?}\n{}", self.payment(id), self.log());
    }

    pub(crate) fn payment(&self, id: &PaymentId) -> Payment {
        as_type(self.get(&format!("/v1/payments/{id}")))
    }
}

pub(crate) fn as_type<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
