//! Messages, the relays that hold them, and the owner's name.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answered, ApiError, ApiState, answered, ask, ask_mail, listed, unexpected};
use crate::server::extract::{IdempotencyKey, Json, PathId, Query, at_most};
use autonomy_api::{
    AddRelay, ContactId, MailStatus, MarkRead, Messages, NewMessage, Problem, Profile, QueuedMessage, Relays,
    SetProfile,
    place::{parse, short_name},
    schema,
};
use autonomy_messaging::{messenger::Command as Mail, place::Place};
use autonomy_node::{Answer, Caller, Command, Refusal};

/// Messages given where no limit is asked for, and the most that can be asked for: of the longest kind they are 3 MB.
const USUAL_PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(mail))
        .routes(routes!(profile, set_profile))
        .routes(routes!(messages, new_message))
        .routes(routes!(mark_read))
        .routes(routes!(relays, add_relay, remove_relay))
}

/// How messages flow.
///
/// Needs limited access. The counts of refused frames begin anew with each start of the pod.
#[utoipa::path(get, path = "/v1/mail", tag = "messages",
    responses((status = 200, body = MailStatus), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn mail(State(state): State<ApiState>, caller: Caller) -> Answered<MailStatus> {
    answered!(ask_mail(&state, caller, None, Mail::Status).await?, MailStatus)
}

/// How the owner is called on the cards that contacts get, and how they reach the pod.
///
/// Needs limited access. Contacts see the name on the card that they hold.
#[utoipa::path(get, path = "/v1/profile", tag = "contacts",
    responses((status = 200, body = Profile), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn profile(State(state): State<ApiState>, caller: Caller) -> Answered<Profile> {
    answered!(ask(&state.handle, caller, None, Command::Profile).await?, Profile)
}

/// Changes either; contacts get a new card.
///
/// Needs full access. What is absent or `null` stays as it is. `conflict` where `relays` is chosen and there is no relay.
#[utoipa::path(put, path = "/v1/profile", tag = "contacts", request_body = SetProfile,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Profile), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn set_profile(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<SetProfile>,
) -> Answered<Profile> {
    let command = Command::SetProfile(body);
    answered!(ask(&state.handle, caller, Some(key.of(&bytes)), command).await?, Profile)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct MessagesQuery {
    before: Option<u64>,
    limit: Option<u32>,
}

/// What was said with a contact, newest last.
///
/// Needs limited access. At most `limit` messages before the number `before`, the newest where it is absent; numbers grow,
/// and some are left out.
#[utoipa::path(get, path = "/v1/contacts/{id}/messages", tag = "messages",
    params(("id" = schema::ContactId, Path),
           ("before" = Option<u64>, Query, description = "Only messages before this number; the newest where absent"),
           ("limit" = Option<u32>, Query, description = "1 to 200, 50 where absent")),
    responses((status = 200, body = Messages), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn messages(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<ContactId>,
    Query(query): Query<MessagesQuery>,
) -> Result<Response, ApiError> {
    let limit = at_most("limit", query.limit, USUAL_PAGE, MAX_PAGE)?;
    let command = Mail::Messages { contact, before: query.before, limit };
    listed!(ask_mail(&state, caller, None, command).await?, Messages)
}

/// Says something to a contact. It will be delivered, or reported as expired after 21 days.
///
/// Needs limited access. The answer comes once the message cannot be lost. `conflict` where messages do not go to this
/// contact yet, `full` where too many wait for them.
#[utoipa::path(post, path = "/v1/contacts/{id}/messages", tag = "messages", request_body = NewMessage,
    params(("id" = schema::ContactId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = QueuedMessage), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::server) async fn new_message(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<ContactId>,
    Json(body, bytes): Json<NewMessage>,
) -> Answered<QueuedMessage> {
    let command = Mail::Send { contact, text: body.text };
    answered!(ask_mail(&state, caller, Some(key.of(&bytes)), command).await?, Queued)
}

/// All up to a message was read. Only this pod knows.
///
/// Needs limited access. Contacts do not hear of it.
#[utoipa::path(post, path = "/v1/contacts/{id}/read", tag = "messages", request_body = MarkRead,
    params(("id" = schema::ContactId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(in crate::server) async fn mark_read(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<ContactId>,
    Json(body, bytes): Json<MarkRead>,
) -> Result<StatusCode, ApiError> {
    let command = Mail::MarkRead { contact, up_to: body.up_to };
    ask_mail(&state, caller, Some(key.of(&bytes)), command).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All relays.
///
/// Needs limited access. At most 16, with what is wrong where something is.
#[utoipa::path(get, path = "/v1/relays", tag = "relays",
    responses((status = 200, body = Relays), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn relays(State(state): State<ApiState>, caller: Caller) -> Answered<Relays> {
    answered!(ask_mail(&state, caller, None, Mail::Relays).await?, Relays)
}

/// Keeps queues at a relay too. The first three are in use, the others are spare.
///
/// Needs full access. Gives all relays. A place that was added before gets the new name and token, and one that was
/// found to keep frames to itself is used again. `full` where there are 16.
#[utoipa::path(post, path = "/v1/relays", tag = "relays", request_body = AddRelay,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Relays), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn add_relay(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<AddRelay>,
) -> Answered<Relays> {
    let AddRelay { place, name, token } = body;
    let name = name.unwrap_or_else(|| short_name(&place));
    let command = Mail::AddRelay { place, name, token };
    answered!(ask_mail(&state, caller, Some(key.of(&bytes)), command).await?, Relays)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct RelayQuery {
    place: String,
}

/// Keeps no queues at a relay any more.
///
/// Needs full access. Gives the relays that stay. `conflict` where contacts reach the pod through relays only and no
/// other one is of use.
#[utoipa::path(delete, path = "/v1/relays", tag = "relays",
    params(("place" = schema::Place, Query, description = "The relay's place"), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Relays), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn remove_relay(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Query(query): Query<RelayQuery>,
) -> Answered<Relays> {
    let place: Place = parse(&query.place).map_err(|error| Refusal::invalid("place", error.to_string()))?;
    answered!(ask_mail(&state, caller, Some(key.of(b"")), Mail::RemoveRelay(place)).await?, Relays)
}
