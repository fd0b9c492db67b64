//! One small function a route: parse, ask the node, answer.

use std::path::PathBuf;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::{delete, get, post},
};
use serde::Deserialize;
use tokio::sync::watch;

use super::{
    events::stream_events,
    extract::{FullCaller, IdempotencyKey, Json, MAX_BODY, MAX_SIGNED_BODY, PathId, Query},
    openapi,
    types::{
        Account, AccountOffer, Accounts, AddDevice, Adopt, ApprovePayment, BackUp, BeginAccount, ChainStatus,
        CompleteAccount, Device, Devices, History, NewPayment, OnionStatus, Payment, Payments, Problem,
        ReceiveAddress, Reconcile, ServiceStatus, Status,
    },
};
use crate::{
    driver::{self, Handle},
    node::{
        AccountId, Answer, Caller, CeremonyId, Command, DeviceKey, HistoryPage, NodeStatus, PaymentId,
        Refusal, Request, Timestamp,
    },
};

/// What every route needs.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// The way to the node.
    pub handle: Handle,
    /// How the onion services are.
    pub onion: watch::Receiver<OnionState>,
    /// When the process started.
    pub started_at: Timestamp,
}

/// How the onion services are, as the shell knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OnionState {
    /// Tor bootstrap, 0 to 100.
    pub bootstrap_percent: u8,
    /// The app service.
    pub app: Option<ServiceStatus>,
    /// The peer service.
    pub peer: Option<ServiceStatus>,
    /// What the owner should know.
    pub warnings: Vec<String>,
}

/// Lines of history given where no limit is asked for, and the most that can be asked for.
const HISTORY_DEFAULT: u32 = 50;
const HISTORY_MAX: u32 = 1000;

type Answered<T> = Result<axum::Json<T>, Problem>;

/// The routes, to be served with a [`Caller`] in each request's extensions.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/openapi.json", get(openapi::document))
        .route("/v1/devices", get(devices).post(add_device))
        .route("/v1/devices/{id}", delete(revoke_device))
        .route("/v1/accounts", get(accounts).post(begin_account))
        .route("/v1/accounts/{id}", get(account))
        .route("/v1/accounts/{id}/complete", post(complete_account))
        .route("/v1/accounts/{id}/addresses", get(addresses).post(new_address))
        .route("/v1/accounts/{id}/history", get(history))
        .route("/v1/accounts/{id}/payments", get(payments).post(new_payment))
        .route("/v1/payments/{id}", get(payment).delete(cancel_payment))
        .route("/v1/events", get(stream_events))
        .route("/v1/pod/adopt", post(adopt))
        .route("/v1/pod/backup", post(back_up))
        .route("/v1/pod/reconcile", post(reconcile))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route(
            "/v1/payments/{id}/approve",
            post(approve_payment).layer(DefaultBodyLimit::max(MAX_SIGNED_BODY)),
        )
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .with_state(state)
}

/// Asks the node and turns a refusal into a problem.
pub(super) async fn ask(
    handle: &Handle,
    caller: Caller,
    key: Option<IdempotencyKey>,
    command: Command,
) -> Result<Answer, Problem> {
    let request = Request { caller, idempotency_key: key.map(|key| key.0), command };
    Ok(handle.ask(request).await??)
}

/// Gives the answer a route expects, or the mistake of the program that it would be not to get it.
macro_rules! expect {
    ($answer:expr, $variant:ident) => {
        match $answer {
            Answer::$variant(value) => Ok(axum::Json(value)),
            other => Err(unexpected(&other)),
        }
    };
}

fn unexpected(answer: &Answer) -> Problem {
    tracing::error!("a command was answered with {answer:?}");
    let detail = "the pod gave an answer of another kind; this is a fault of the program";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "A fault of the program", detail)
}

async fn no_such_route() -> Problem {
    let detail = "this pod has no such route; `GET /v1/openapi.json` lists them";
    Problem::new(StatusCode::NOT_FOUND, "route", "No such route", detail)
}

async fn no_such_method() -> Problem {
    let detail = "this route does not take this method; `GET /v1/openapi.json` lists what each takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "Not this method", detail)
}

/// How the pod is.
#[utoipa::path(get, path = "/v1/status", tag = "pod",
    responses((status = 200, body = Status), (status = 403, body = Problem)))]
pub(super) async fn status(State(state): State<ApiState>, caller: Caller) -> Answered<Status> {
    match ask(&state.handle, caller, None, Command::Status).await? {
        Answer::Status(node) => Ok(axum::Json(full_status(&state, node))),
        other => Err(unexpected(&other)),
    }
}

fn full_status(state: &ApiState, node: NodeStatus) -> Status {
    let onion = state.onion.borrow().clone();
    let nothing = || ServiceStatus {
        address: None,
        state: "unpublished".into(),
        since: state.started_at,
        detail: None,
    };
    Status {
        version: env!("CARGO_PKG_VERSION").into(),
        network: node.network,
        uptime_seconds: driver::now().saturating_sub(state.started_at),
        pod_key: node.pod_key,
        owner: node.owner,
        state_epoch: node.state_epoch,
        onion: OnionStatus {
            bootstrap_percent: onion.bootstrap_percent,
            app: onion.app.unwrap_or_else(nothing),
            peer: onion.peer.unwrap_or_else(nothing),
        },
        chain: ChainStatus {
            state: node.chain_state,
            height: node.height,
            tip: node.tip,
            source_height: node.source_height,
            detail: node.chain_detail,
        },
        devices: node.devices,
        accounts: node.accounts,
        warnings: onion.warnings,
    }
}

/// Gives the pod its owner. Only on the Unix socket of the pod's machine.
#[utoipa::path(post, path = "/v1/pod/adopt", tag = "pod", request_body = Adopt,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn adopt(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<Adopt>,
) -> Result<StatusCode, Problem> {
    on_the_machine(caller)?;
    ask(&state.handle, caller, Some(key), Command::Adopt(body.bundle)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes a sealed copy of the pod's database on the pod's machine. Only on its Unix socket.
#[utoipa::path(post, path = "/v1/pod/backup", tag = "pod", request_body = BackUp,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn back_up(
    State(state): State<ApiState>,
    caller: Caller,
    _: IdempotencyKey,
    Json(body): Json<BackUp>,
) -> Result<StatusCode, Problem> {
    on_the_machine(caller)?;
    let file = PathBuf::from(body.file);
    if !file.is_absolute() {
        let rule = "an absolute path; the pod's working folder is not the caller's";
        return Err(Refusal::invalid("file", rule).into());
    }
    state.handle.back_up(file).await?.map_err(|error| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "backup",
            "The copy was not written",
            error.to_string(),
        )
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a pod from an old backup cosign again. Only on its Unix socket: whoever restored it is at the machine.
#[utoipa::path(post, path = "/v1/pod/reconcile", tag = "pod", request_body = Reconcile,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn reconcile(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<Reconcile>,
) -> Result<StatusCode, Problem> {
    on_the_machine(caller)?;
    ask(&state.handle, caller, Some(key), Command::Reconcile { seen: body.seen }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn on_the_machine(caller: Caller) -> Result<(), Problem> {
    match caller {
        Caller::Owner => Ok(()),
        Caller::Device(_) => {
            let detail = "this is done on the pod's own machine, by `autonomy pod`";
            Err(Problem::new(StatusCode::FORBIDDEN, "machine", "Only on the pod's machine", detail))
        }
    }
}

/// Who may enter.
#[utoipa::path(get, path = "/v1/devices", tag = "devices",
    responses((status = 200, body = Devices), (status = 403, body = Problem)))]
pub(super) async fn devices(State(state): State<ApiState>, caller: Caller) -> Answered<Devices> {
    expect!(ask(&state.handle, caller, None, Command::Devices).await?, Devices)
}

/// Lets a device in.
#[utoipa::path(post, path = "/v1/devices", tag = "devices", request_body = AddDevice,
    params(("Idempotency-Key" = String, Header, description = "Fresh and random; the same when repeated")),
    responses((status = 200, body = Device), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn add_device(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<AddDevice>,
) -> Answered<Device> {
    expect!(ask(&state.handle, caller, Some(key), Command::AddDevice(body)).await?, Device)
}

/// Shuts a device out, at once: its open connections get no further answer.
#[utoipa::path(delete, path = "/v1/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "Key of the device"), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn revoke_device(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(device): PathId<DeviceKey>,
) -> Result<StatusCode, Problem> {
    ask(&state.handle, caller, Some(key), Command::RevokeDevice(device)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All accounts.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts",
    responses((status = 200, body = Accounts), (status = 403, body = Problem)))]
pub(super) async fn accounts(State(state): State<ApiState>, caller: Caller) -> Answered<Accounts> {
    expect!(ask(&state.handle, caller, None, Command::Accounts).await?, Accounts)
}

/// Begins an account: the pod offers its key G.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", request_body = BeginAccount,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = AccountOffer), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn begin_account(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<BeginAccount>,
) -> Answered<AccountOffer> {
    expect!(ask(&state.handle, caller, Some(key), Command::BeginAccount(body)).await?, Offer)
}

/// Completes an account: both sides have built the same descriptor.
#[utoipa::path(post, path = "/v1/accounts/{id}/complete", tag = "accounts", request_body = CompleteAccount,
    params(("id" = String, Path, description = "The ceremony of the offer"), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Account), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn complete_account(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(ceremony): PathId<CeremonyId>,
    Json(body): Json<CompleteAccount>,
) -> Answered<Account> {
    let command = Command::CompleteAccount(ceremony, body);
    expect!(ask(&state.handle, caller, Some(key), command).await?, Account)
}

/// One account.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "accounts", params(("id" = String, Path)),
    responses((status = 200, body = Account), (status = 404, body = Problem)))]
pub(super) async fn account(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(account): PathId<AccountId>,
) -> Answered<Account> {
    expect!(ask(&state.handle, caller, None, Command::Account(account)).await?, Account)
}

/// Receive addresses revealed so far.
#[utoipa::path(get, path = "/v1/accounts/{id}/addresses", tag = "accounts", params(("id" = String, Path)),
    responses((status = 200, body = [ReceiveAddress]), (status = 404, body = Problem)))]
pub(super) async fn addresses(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(account): PathId<AccountId>,
) -> Answered<Vec<ReceiveAddress>> {
    expect!(ask(&state.handle, caller, None, Command::Addresses(account)).await?, Addresses)
}

/// A fresh receive address, at most 20 beyond the last one used.
#[utoipa::path(post, path = "/v1/accounts/{id}/addresses", tag = "accounts",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = ReceiveAddress), (status = 409, body = Problem)))]
pub(super) async fn new_address(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(account): PathId<AccountId>,
) -> Answered<ReceiveAddress> {
    expect!(ask(&state.handle, caller, Some(key), Command::NewAddress(account)).await?, Address)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    limit: Option<u32>,
}

/// What happened in an account, newest first.
#[utoipa::path(get, path = "/v1/accounts/{id}/history", tag = "accounts",
    params(("id" = String, Path), ("limit" = Option<u32>, Query, description = "1 to 1000, 50 where absent")),
    responses((status = 200, body = History), (status = 404, body = Problem)))]
pub(super) async fn history(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(account): PathId<AccountId>,
    Query(query): Query<HistoryQuery>,
) -> Answered<History> {
    let limit = query.limit.unwrap_or(HISTORY_DEFAULT);
    if !(1..=HISTORY_MAX).contains(&limit) {
        return Err(Refusal::invalid("limit", format!("1 to {HISTORY_MAX}")).into());
    }
    let command = Command::History(account, HistoryPage { limit });
    expect!(ask(&state.handle, caller, None, command).await?, History)
}

/// Payments of an account, newest first.
#[utoipa::path(get, path = "/v1/accounts/{id}/payments", tag = "payments", params(("id" = String, Path)),
    responses((status = 200, body = Payments), (status = 404, body = Problem)))]
pub(super) async fn payments(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(account): PathId<AccountId>,
) -> Answered<Payments> {
    expect!(ask(&state.handle, caller, None, Command::Payments(account)).await?, Payments)
}

/// Builds a payment for the device to check and sign.
#[utoipa::path(post, path = "/v1/accounts/{id}/payments", tag = "payments", request_body = NewPayment,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Payment), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn new_payment(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(account): PathId<AccountId>,
    Json(body): Json<NewPayment>,
) -> Answered<Payment> {
    expect!(ask(&state.handle, caller, Some(key), Command::NewPayment(account, body)).await?, Payment)
}

/// One payment.
#[utoipa::path(get, path = "/v1/payments/{id}", tag = "payments", params(("id" = String, Path)),
    responses((status = 200, body = Payment), (status = 404, body = Problem)))]
pub(super) async fn payment(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(payment): PathId<PaymentId>,
) -> Answered<Payment> {
    expect!(ask(&state.handle, caller, None, Command::Payment(payment)).await?, Payment)
}

/// Takes the device's signatures, checks again, signs, and sends.
#[utoipa::path(post, path = "/v1/payments/{id}/approve", tag = "payments", request_body = ApprovePayment,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Payment), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn approve_payment(
    State(state): State<ApiState>,
    FullCaller(caller): FullCaller,
    key: IdempotencyKey,
    PathId(payment): PathId<PaymentId>,
    Json(body): Json<ApprovePayment>,
) -> Answered<Payment> {
    let command = Command::ApprovePayment(payment, body);
    expect!(ask(&state.handle, caller, Some(key), command).await?, Payment)
}

/// Gives a draft up; its coins are free again.
#[utoipa::path(delete, path = "/v1/payments/{id}", tag = "payments",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Payment), (status = 409, body = Problem)))]
pub(super) async fn cancel_payment(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(payment): PathId<PaymentId>,
) -> Answered<Payment> {
    expect!(ask(&state.handle, caller, Some(key), Command::CancelPayment(payment)).await?, Payment)
}
