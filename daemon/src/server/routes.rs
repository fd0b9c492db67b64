//! One small function a route: parse, ask the node, answer. Here the pod and its devices; `money`,
//! `contacts`, `mail`, `files` and `parcels` hold the others.

mod card;
mod contacts;
mod files;
mod mail;
mod money;
mod parcels;

use axum::{
    Extension, Router,
    extract::{self, DefaultBodyLimit, State},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::Serialize;
use tokio::sync::watch;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    events::{__path_stream_events, stream_events},
    extract::{IdempotencyKey, Json, PathId},
    openapi,
    problem::ApiError,
};
use crate::driver::{self, Handle};
use autonomy_api::{
    AddDevice, Adopt, BackUp, Device, DeviceKey, Devices, MAX_BODY, OnionStatus, Problem, Reconcile,
    ServiceState, ServiceStatus, Status, schema,
};
use autonomy_messaging::messenger;
use autonomy_node::{Answer, Caller, Command, NodeStatus, Request, Timestamp};

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
    /// What the owner should know of Tor and the services now.
    pub warnings: Vec<String>,
    /// Why the relay beside the pod has ended; `None` while it runs, and where there is none. It stays until the pod ends.
    pub relay_failure: Option<String>,
}

impl OnionState {
    /// All that the owner should know.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let relay = self.relay_failure.as_ref().map(|why| {
            format!(
                "the relay of this pod has ended, and nobody reaches it until the pod is started again: {why}"
            )
        });
        self.warnings.iter().cloned().chain(relay).collect()
    }
}

type Answered<T> = Result<axum::Json<T>, ApiError>;

/// The routes, to be served with a [`Caller`] in each request's extensions.
pub fn router(state: ApiState) -> Router {
    let (routes, _) = documented().split_for_parts();
    routes
        .route("/v1/openapi.json", get(openapi::document))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(state.clone(), a_few_at_a_time))
        .with_state(state)
}

/// All routes with their part of the document: whatever is served stands in it.
pub(super) fn documented() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(devices, add_device))
        .routes(routes!(revoke_device))
        .routes(routes!(stream_events))
        .routes(routes!(adopt))
        .routes(routes!(back_up))
        .routes(routes!(reconcile))
        .merge(money::routes())
        .merge(contacts::routes())
        .merge(card::routes())
        .merge(mail::routes())
        .merge(files::routes())
        .merge(parcels::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .merge(money::signed_routes())
        .merge(files::chunk_routes())
        .merge(parcels::parcel_routes())
}

/// Asks the node and turns a refusal into a problem.
pub(super) async fn ask(
    handle: &Handle,
    caller: Caller,
    idempotency_key: Option<autonomy_node::IdempotencyKey>,
    command: Command,
) -> Result<Answer, ApiError> {
    let request = Request { caller, idempotency_key, command };
    Ok(handle.ask(request).await??)
}

/// Asks the node's messenger.
async fn ask_mail(
    state: &ApiState,
    caller: Caller,
    idempotency_key: Option<autonomy_node::IdempotencyKey>,
    command: messenger::Command,
) -> Result<Answer, ApiError> {
    ask(&state.handle, caller, idempotency_key, Command::Mail(command)).await
}

/// Gives the answer a route expects, or the mistake of the program that it would be not to get it.
macro_rules! answered {
    ($answer:expr, $variant:ident) => {
        match $answer {
            Answer::$variant(value) => Ok(axum::Json(value)),
            other => Err(unexpected(&other)),
        }
    };
}

/// The same for what may be long.
macro_rules! listed {
    ($answer:expr, $variant:ident) => {
        match $answer {
            Answer::$variant(value) => super::encoded(value).await,
            other => Err(unexpected(&other)),
        }
    };
}

use answered;
use listed;

/// The JSON of something long, written on a thread for such work: those that serve connections stay free.
async fn encoded<T: Serialize + Send + 'static>(value: T) -> Result<Response, ApiError> {
    let written = tokio::task::spawn_blocking(move || serde_json::to_vec(&value)).await;
    match written {
        Ok(Ok(json)) => Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response()),
        Ok(Err(error)) => Err(fault(&error)),
        Err(error) => Err(fault(&error)),
    }
}

/// Has a caller's lists answered a few at a time: the rest of them waits, and nothing else does.
async fn a_few_at_a_time(
    State(state): State<ApiState>,
    caller: Option<Extension<Caller>>,
    request: extract::Request,
    next: Next,
) -> Response {
    let _place = match caller {
        Some(Extension(caller)) if request.method() == Method::GET && is_list(request.uri().path()) => {
            state.handle.list(caller).await
        }
        _ => None,
    };
    next.run(request).await
}

/// Whatever is read but the status, which is short, and the event stream, which stays.
fn is_list(path: &str) -> bool {
    !matches!(path, "/v1/status" | "/v1/events")
}

fn unexpected(answer: &Answer) -> ApiError {
    tracing::error!("a command was answered with an answer of kind {}", answer.kind());
    internal("the pod gave an answer of another kind; this is a fault of the program")
}

fn fault(error: &dyn std::error::Error) -> ApiError {
    tracing::error!("an answer was not written: {error}");
    internal("the answer could not be written; this is a fault of the program")
}

fn internal(detail: &str) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "A fault of the program", detail)
}

async fn no_such_route() -> ApiError {
    let detail = "this pod has no such route; `GET /v1/openapi.json` lists them";
    ApiError::new(StatusCode::NOT_FOUND, "route", "No such route", detail)
}

async fn no_such_method() -> ApiError {
    let detail = "this route does not take this method; `GET /v1/openapi.json` lists what each takes";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", "Not this method", detail)
}

/// How the pod is.
///
/// Needs minimal access. A device compares `pod_key` and `network` with what it has pinned, and `state_epoch` with the
/// highest that it has seen: a lower one is a pod from an old backup.
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
    let mut warnings = onion.warnings();
    warnings.extend(state.handle.disk_warning());
    warnings.extend(state.handle.clock_warning());
    warnings.extend(node.warnings);
    let nothing = || ServiceStatus {
        address: None,
        state: ServiceState::Unpublished,
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
        chain: node.chain,
        devices: node.devices,
        accounts: node.accounts,
        warnings,
    }
}

/// Gives the pod its owner. Only on the Unix socket of the pod's machine.
///
/// `invalid` for a bundle that is sealed to another pod or was changed, `conflict` for one of somebody else's where the
/// pod has an owner.
#[utoipa::path(post, path = "/v1/pod/adopt", tag = "pod", request_body = Adopt,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn adopt(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<Adopt>,
) -> Result<StatusCode, ApiError> {
    on_the_machine(caller)?;
    ask(&state.handle, caller, Some(key.of(&bytes)), Command::Adopt(body.bundle)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes a sealed copy of the pod's database on the pod's machine. Only on its Unix socket.
///
/// The copy opens with the same passphrase or key file. An existing file is not overwritten (`backup`). Conversations'
/// keys are not in it: contacts agree on new ones after a restore.
#[utoipa::path(post, path = "/v1/pod/backup", tag = "pod", request_body = BackUp,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn back_up(
    State(state): State<ApiState>,
    caller: Caller,
    _: IdempotencyKey,
    Json(body, _): Json<BackUp>,
) -> Result<StatusCode, ApiError> {
    on_the_machine(caller)?;
    state.handle.back_up(body.file.to_path_buf()).await?.map_err(|error| {
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "backup",
            "The copy was not written",
            error.to_string(),
        )
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a pod from an old backup cosign again. Only on its Unix socket: whoever restored it is at the machine.
///
/// `seen` is the highest state epoch that a device knows of. `conflict` where the pod is not behind it, and for a number
/// that no pod gets to.
#[utoipa::path(post, path = "/v1/pod/reconcile", tag = "pod", request_body = Reconcile,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn reconcile(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<Reconcile>,
) -> Result<StatusCode, ApiError> {
    on_the_machine(caller)?;
    ask(&state.handle, caller, Some(key.of(&bytes)), Command::Reconcile { seen: body.seen }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn on_the_machine(caller: Caller) -> Result<(), ApiError> {
    match caller {
        Caller::Owner => Ok(()),
        Caller::Device(_) => {
            let detail = "this is done on the pod's own machine, by `autonomy pod`";
            Err(ApiError::new(StatusCode::FORBIDDEN, "machine", "Only on the pod's machine", detail))
        }
    }
}

/// Who may enter.
///
/// Needs full access. With the descriptor keys that no device uses yet: one of them lets the next device find the pod at
/// once.
#[utoipa::path(get, path = "/v1/devices", tag = "devices",
    responses((status = 200, body = Devices), (status = 403, body = Problem)))]
pub(super) async fn devices(State(state): State<ApiState>, caller: Caller) -> Answered<Devices> {
    answered!(ask(&state.handle, caller, None, Command::Devices).await?, Devices)
}

/// Lets a device in.
///
/// Needs full access. `invalid` for a certificate that is not the owner's, has run out, or is older than the one known;
/// `full` where there are 64 devices.
#[utoipa::path(post, path = "/v1/devices", tag = "devices", request_body = AddDevice,
    params(("Idempotency-Key" = String, Header, description = "Fresh and random; the same when repeated")),
    responses((status = 200, body = Device), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn add_device(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<AddDevice>,
) -> Answered<Device> {
    answered!(ask(&state.handle, caller, Some(key.of(&bytes)), Command::AddDevice(body)).await?, Device)
}

/// Shuts a device out, at once: its open connections get no further answer.
///
/// Needs full access. Its descriptor key is used no more; the descriptor that it could find is replaced within about a
/// minute. `unknown` where there is no such device.
#[utoipa::path(delete, path = "/v1/devices/{id}", tag = "devices",
    params(("id" = schema::DeviceKey, Path, description = "Key of the device"), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn revoke_device(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(device): PathId<DeviceKey>,
) -> Result<StatusCode, ApiError> {
    ask(&state.handle, caller, Some(key.of(b"")), Command::RevokeDevice(device)).await?;
    Ok(StatusCode::NO_CONTENT)
}
