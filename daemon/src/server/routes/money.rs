//! Accounts and payments.

use axum::{
    extract::{DefaultBodyLimit, State},
    response::Response,
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answered, ApiError, ApiState, answered, ask, listed, unexpected};
use crate::server::extract::{FullCaller, IdempotencyKey, Json, Large, PathId, Query, at_most};
use autonomy_api::{
    Account, AccountOffer, Accounts, ApprovePayment, BeginAccount, CompleteAccount, History, MAX_SIGNED_BODY,
    NewPayment, Payment, Payments, Problem, ReceiveAddress, schema,
};
use autonomy_node::{AccountId, AddressPage, Answer, Caller, CeremonyId, Command, HistoryPage, PaymentId};

/// Lines of history given where no limit is asked for, and the most that can be asked for.
const HISTORY_DEFAULT: u32 = 50;
const HISTORY_MAX: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(accounts, begin_account))
        .routes(routes!(account))
        .routes(routes!(complete_account))
        .routes(routes!(addresses, new_address))
        .routes(routes!(history))
        .routes(routes!(payments, new_payment))
        .routes(routes!(payment, cancel_payment))
}

/// The route that takes megabytes.
pub(super) fn signed_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(approve_payment)).layer(DefaultBodyLimit::max(MAX_SIGNED_BODY))
}

/// All accounts.
///
/// Needs limited access. Oldest first, each with its balance as the pod's own chain source tells it.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts",
    responses((status = 200, body = Accounts), (status = 403, body = Problem)))]
pub(in crate::server) async fn accounts(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Response, ApiError> {
    listed!(ask(&state.handle, caller, None, Command::Accounts).await?, Accounts)
}

/// Begins an account: the pod offers its key G.
///
/// Needs full access. The offer's number is never offered again, and lapses after an hour. `chain` until the pod has seen
/// the tip, which is the account's birthday; `full` for a pod with 64 accounts or 8 open offers.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", request_body = BeginAccount,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = AccountOffer), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(in crate::server) async fn begin_account(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<BeginAccount>,
) -> Answered<AccountOffer> {
    answered!(ask(&state.handle, caller, Some(key.of(&bytes)), Command::BeginAccount(body)).await?, Offer)
}

/// Completes an account: both sides have built the same descriptor.
///
/// Needs full access. The pod builds the descriptor again from the three keys. `unsafe` where it is another text, where a
/// key is not of this offer's account, or where the first address differs: nothing is opened then, and the offer stands.
#[utoipa::path(post, path = "/v1/accounts/{id}/complete", tag = "accounts", request_body = CompleteAccount,
    params(("id" = schema::CeremonyId, Path, description = "The ceremony of the offer"), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Account), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn complete_account(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(ceremony): PathId<CeremonyId>,
    Json(body, bytes): Json<CompleteAccount>,
) -> Answered<Account> {
    let command = Command::CompleteAccount(ceremony, Box::new(body));
    answered!(ask(&state.handle, caller, Some(key.of(&bytes)), command).await?, Account)
}

/// One account.
///
/// Needs limited access. `unknown` where there is none of this id.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "accounts", params(("id" = schema::AccountId, Path)),
    responses((status = 200, body = Account), (status = 404, body = Problem)))]
pub(in crate::server) async fn account(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(account): PathId<AccountId>,
) -> Answered<Account> {
    answered!(ask(&state.handle, caller, None, Command::Account(account)).await?, Account)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct AddressesQuery {
    from: Option<u32>,
    limit: Option<u32>,
}

/// Receive addresses revealed so far.
///
/// Needs limited access. In order of their numbers; a device derives each again before it shows one. The next page begins
/// at the number after the last one given.
#[utoipa::path(get, path = "/v1/accounts/{id}/addresses", tag = "accounts",
    params(("id" = schema::AccountId, Path),
           ("from" = Option<u32>, Query, description = "The number of the first; 0 where absent"),
           ("limit" = Option<u32>, Query, description = "1 to 1000, all where absent")),
    responses((status = 200, body = [ReceiveAddress]), (status = 404, body = Problem)))]
pub(in crate::server) async fn addresses(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(account): PathId<AccountId>,
    Query(query): Query<AddressesQuery>,
) -> Result<Response, ApiError> {
    let limit =
        query.limit.map(|limit| at_most("limit", Some(limit), HISTORY_MAX, HISTORY_MAX)).transpose()?;
    let page = AddressPage { from: query.from.unwrap_or_default(), limit };
    listed!(ask(&state.handle, caller, None, Command::Addresses(account, page)).await?, Addresses)
}

/// A fresh receive address, at most 20 beyond the last one used.
///
/// Needs limited access. `conflict` at the gap limit: a wallet that is restored looks 20 unused addresses ahead, and would
/// not find money beyond them.
#[utoipa::path(post, path = "/v1/accounts/{id}/addresses", tag = "accounts",
    params(("id" = schema::AccountId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = ReceiveAddress), (status = 409, body = Problem)))]
pub(in crate::server) async fn new_address(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(account): PathId<AccountId>,
) -> Answered<ReceiveAddress> {
    answered!(ask(&state.handle, caller, Some(key.of(b"")), Command::NewAddress(account)).await?, Address)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct HistoryQuery {
    limit: Option<u32>,
}

/// What happened in an account, newest first.
///
/// Needs limited access. Unconfirmed transactions come before confirmed ones; those that were replaced or dropped are left
/// out.
#[utoipa::path(get, path = "/v1/accounts/{id}/history", tag = "accounts",
    params(("id" = schema::AccountId, Path), ("limit" = Option<u32>, Query, description = "1 to 1000, 50 where absent")),
    responses((status = 200, body = History), (status = 404, body = Problem)))]
pub(in crate::server) async fn history(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(account): PathId<AccountId>,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, ApiError> {
    let limit = at_most("limit", query.limit, HISTORY_DEFAULT, HISTORY_MAX)?;
    let command = Command::History(account, HistoryPage { limit });
    listed!(ask(&state.handle, caller, None, command).await?, History)
}

/// Payments of an account, newest first.
///
/// Needs limited access. The last 366, drafts without their PSBTs: ask for the one that is to be signed.
#[utoipa::path(get, path = "/v1/accounts/{id}/payments", tag = "payments", params(("id" = schema::AccountId, Path)),
    responses((status = 200, body = Payments), (status = 404, body = Problem)))]
pub(in crate::server) async fn payments(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(account): PathId<AccountId>,
) -> Result<Response, ApiError> {
    listed!(ask(&state.handle, caller, None, Command::Payments(account)).await?, Payments)
}

/// Builds a payment for the device to check and sign.
///
/// Needs limited access. The draft holds its coins for a day, or until it is cancelled. `invalid` names the recipient or
/// the fee rate that cannot be, `funds` tells that there is too little, `unsafe` that the checker refuses what it would be,
/// and `full` that 16 drafts are open (4 of a device without full access).
#[utoipa::path(post, path = "/v1/accounts/{id}/payments", tag = "payments", request_body = NewPayment,
    params(("id" = schema::AccountId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Payment), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn new_payment(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(account): PathId<AccountId>,
    Json(body, bytes): Json<NewPayment>,
) -> Answered<Payment> {
    answered!(
        ask(&state.handle, caller, Some(key.of(&bytes)), Command::NewPayment(account, body)).await?,
        Payment
    )
}

/// One payment.
///
/// Needs limited access. A draft comes with its PSBT, full previous transactions included.
#[utoipa::path(get, path = "/v1/payments/{id}", tag = "payments", params(("id" = schema::PaymentId, Path)),
    responses((status = 200, body = Payment), (status = 404, body = Problem)))]
pub(in crate::server) async fn payment(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(payment): PathId<PaymentId>,
) -> Answered<Payment> {
    answered!(ask(&state.handle, caller, None, Command::Payment(payment)).await?, Payment)
}

/// Takes the device's signatures, checks again, signs, and sends.
///
/// Needs full access. Of the PSBT only P's signatures are taken; what is signed is the pod's own draft. `behind` where the
/// device has seen a later state of this pod, `unsafe` where a signature is missing or wrong, `conflict` for a payment that
/// is no draft. The debit is remembered before the signature leaves the pod.
#[utoipa::path(post, path = "/v1/payments/{id}/approve", tag = "payments", request_body = ApprovePayment,
    params(("id" = schema::PaymentId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Payment), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn approve_payment(
    State(state): State<ApiState>,
    FullCaller(caller): FullCaller,
    key: IdempotencyKey,
    PathId(payment): PathId<PaymentId>,
    Large(Json(body, bytes), _place): Large<Json<ApprovePayment>>,
) -> Answered<Payment> {
    let command = Command::ApprovePayment(payment, body);
    answered!(ask(&state.handle, caller, Some(key.of(&bytes)), command).await?, Payment)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct CancelQuery {
    #[serde(default)]
    signed: bool,
}

/// Gives a draft up; its coins are free again. With `signed=true`, a signed payment too.
///
/// Needs limited access for a device's own draft, full access for another's and for `signed=true`. `conflict` for a signed
/// payment without that; and with it, where a mempool may have the payment, or it is over. A signed payment that is given up
/// stays `signed`: it is not sent any more and its coins are free, but whoever has it may still send it.
#[utoipa::path(delete, path = "/v1/payments/{id}", tag = "payments",
    params(("id" = schema::PaymentId, Path),
        ("signed" = Option<bool>, Query, description = "Give it up also where it is signed"),
        ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Payment), (status = 409, body = Problem)))]
pub(in crate::server) async fn cancel_payment(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(payment): PathId<PaymentId>,
    Query(query): Query<CancelQuery>,
) -> Answered<Payment> {
    let command = match query.signed {
        true => Command::GiveUpPayment(payment),
        false => Command::CancelPayment(payment),
    };
    answered!(ask(&state.handle, caller, Some(key.of(b"")), command).await?, Payment)
}
