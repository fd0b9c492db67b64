//! The routes of the app API, one typed function each, with the largest answer that each may give.
//!
//! Ids are types that print as hexadecimal, so nothing else gets into a path. An answer has the types of
//! [`autonomy_api`]: each of its fields kept its rule, or the call ended with [`CallError::Misshapen`]. That is all that is
//! known of it here: whether it is true, [`Device`](crate::Device) and [`Mailbox`](crate::Mailbox) find out where that
//! can be found out.

use super::{
    call::{Call, CallError},
    sse::EventStream,
    transport::Transport,
};
use autonomy_api::{
    AbsolutePath, Account, AccountId, AccountOffer, Accounts, AddDevice, Adopt, ApprovePayment, BackUp,
    BeginAccount, CeremonyId, CompleteAccount, Device, DeviceKey, Devices, History, NewPayment, Payment,
    PaymentId, Payments, ReceiveAddress, Reconcile, Status,
};
use autonomy_messaging::provision::SealedBundle;

const KIB: usize = 1024;

/// A status: fixed fields and some warnings.
const MAX_STATUS: usize = 64 * KIB;
/// At most 160 devices of about 300 bytes: 48 KiB.
const MAX_DEVICES: usize = 128 * KIB;
/// A thousand accounts of about 1 KiB.
const MAX_ACCOUNTS: usize = 1_024 * KIB;
/// One account, offer or address: a descriptor has about 500 characters.
const MAX_SMALL: usize = 64 * KIB;
/// A draft is a PSBT of at most 4 MB, a third more in base64, and a hundred recipients: below 6 MB.
const MAX_PAYMENT: usize = 6_000 * KIB;
/// A list of payments comes without PSBTs but for drafts, of which few can be open at once.
const MAX_PAYMENTS: usize = 16_000 * KIB;
/// A thousand lines of about 500 bytes, and notes of 256 characters.
const MAX_HISTORY: usize = 2_048 * KIB;

/// A pod, as one device speaks to it. Every answer is untrusted: it has been bounded and parsed, not believed.
#[derive(Debug, Clone)]
pub struct PodClient {
    transport: Transport,
}

impl PodClient {
    /// Speaks over `transport`.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self { transport }
    }

    /// The way it speaks.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// `GET /v1/status`.
    ///
    /// # Errors
    /// As for any call, see [`CallError`]; so for all functions below.
    pub async fn status(&self) -> Result<Status, CallError> {
        Call::get("/v1/status", MAX_STATUS).send(&self.transport).await
    }

    /// `GET /v1/devices`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn devices(&self) -> Result<Devices, CallError> {
        Call::get("/v1/devices", MAX_DEVICES).send(&self.transport).await
    }

    /// `POST /v1/devices`: lets a device in.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn add_device(&self, device: &AddDevice) -> Result<Device, CallError> {
        Call::post("/v1/devices", device, MAX_SMALL).send(&self.transport).await
    }

    /// `DELETE /v1/devices/{id}`: shuts a device out.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn revoke_device(&self, device: &DeviceKey) -> Result<(), CallError> {
        Call::delete(format!("/v1/devices/{device}"), MAX_SMALL)
            .send_for_bytes(&self.transport)
            .await
            .map(drop)
    }

    /// `GET /v1/accounts`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn accounts(&self) -> Result<Accounts, CallError> {
        Call::get("/v1/accounts", MAX_ACCOUNTS).send(&self.transport).await
    }

    /// `GET /v1/accounts/{id}`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn account(&self, account: &AccountId) -> Result<Account, CallError> {
        Call::get(format!("/v1/accounts/{account}"), MAX_SMALL).send(&self.transport).await
    }

    /// `POST /v1/accounts`: begins an account.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn begin_account(&self, wish: &BeginAccount) -> Result<AccountOffer, CallError> {
        Call::post("/v1/accounts", wish, MAX_SMALL).send(&self.transport).await
    }

    /// `POST /v1/accounts/{ceremony}/complete`: ends the ceremony.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn complete_account(
        &self,
        ceremony: &CeremonyId,
        keys: &CompleteAccount,
    ) -> Result<Account, CallError> {
        Call::post(format!("/v1/accounts/{ceremony}/complete"), keys, MAX_SMALL).send(&self.transport).await
    }

    /// `POST /v1/accounts/{id}/addresses`: a fresh receive address.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn new_address(&self, account: &AccountId) -> Result<ReceiveAddress, CallError> {
        let path = format!("/v1/accounts/{account}/addresses");
        Call::post(path, &serde_json::json!({}), MAX_SMALL).send(&self.transport).await
    }

    /// `GET /v1/accounts/{id}/history`, newest first.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn history(&self, account: &AccountId, limit: u32) -> Result<History, CallError> {
        Call::get(format!("/v1/accounts/{account}/history?limit={limit}"), MAX_HISTORY)
            .send(&self.transport)
            .await
    }

    /// `POST /v1/accounts/{id}/payments`: drafts a payment.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn draft_payment(&self, account: &AccountId, wish: &NewPayment) -> Result<Payment, CallError> {
        Call::post(format!("/v1/accounts/{account}/payments"), wish, MAX_PAYMENT).send(&self.transport).await
    }

    /// `GET /v1/accounts/{id}/payments`, newest first.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn payments(&self, account: &AccountId) -> Result<Payments, CallError> {
        Call::get(format!("/v1/accounts/{account}/payments"), MAX_PAYMENTS).send(&self.transport).await
    }

    /// `GET /v1/payments/{id}`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn payment(&self, payment: &PaymentId) -> Result<Payment, CallError> {
        Call::get(format!("/v1/payments/{payment}"), MAX_PAYMENT).send(&self.transport).await
    }

    /// `POST /v1/payments/{id}/approve`: hands over the device's signature.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn approve_payment(
        &self,
        payment: &PaymentId,
        approval: &ApprovePayment,
    ) -> Result<Payment, CallError> {
        Call::post(format!("/v1/payments/{payment}/approve"), approval, MAX_PAYMENT)
            .send(&self.transport)
            .await
    }

    /// `DELETE /v1/payments/{id}`: gives up a draft.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn cancel_payment(&self, payment: &PaymentId) -> Result<(), CallError> {
        Call::delete(format!("/v1/payments/{payment}"), MAX_PAYMENT)
            .send_for_bytes(&self.transport)
            .await
            .map(drop)
    }

    /// `DELETE /v1/payments/{id}?signed=true`: gives up a payment that may be signed, and tells how it stands then.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn give_up_payment(&self, payment: &PaymentId) -> Result<Payment, CallError> {
        Call::delete(format!("/v1/payments/{payment}?signed=true"), MAX_PAYMENT).send(&self.transport).await
    }

    /// `POST /v1/pod/adopt`, over the pod's own socket only.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn adopt(&self, bundle: SealedBundle) -> Result<(), CallError> {
        let body = Adopt { bundle };
        Call::post("/v1/pod/adopt", &body, MAX_SMALL).send_for_bytes(&self.transport).await.map(drop)
    }

    /// `POST /v1/pod/backup`, over the pod's own socket only. `file` is a path on the pod's machine.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn back_up(&self, file: AbsolutePath) -> Result<(), CallError> {
        let body = BackUp { file };
        Call::post("/v1/pod/backup", &body, MAX_SMALL).send_for_bytes(&self.transport).await.map(drop)
    }

    /// `POST /v1/pod/reconcile`, over the pod's own socket only.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn reconcile(&self, seen: u64) -> Result<(), CallError> {
        let body = Reconcile { seen };
        Call::post("/v1/pod/reconcile", &body, MAX_SMALL).send_for_bytes(&self.transport).await.map(drop)
    }

    /// `GET /v1/events`, after the event `after`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn events(&self, after: Option<u64>, follow: bool) -> Result<EventStream, CallError> {
        EventStream::open(&self.transport, after, follow).await
    }
}
