//! Messages, the relays that hold them, and the owner's name.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answered, ApiError, ApiState, answered, ask, ask_mail, unexpected};
use crate::server::extract::{IdempotencyKey, Json, PathId, Query, at_most};
use autonomy_api::{
    AddRelay, Id, MailStatus, MarkRead, Messages, NewMessage, Problem, Profile, QueuedMessage, Relays,
    SetProfile,
    place::{parse, short_name},
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
#[utoipa::path(get, path = "/v1/mail", tag = "messages",
    responses((status = 200, body = MailStatus), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn mail(State(state): State<ApiState>, caller: Caller) -> Answered<MailStatus> {
    answered!(ask_mail(&state, caller, None, Mail::Status).await?, MailStatus)
}

/// How the owner is called on the cards that contacts get, and how they reach the pod.
#[utoipa::path(get, path = "/v1/profile", tag = "contacts",
    responses((status = 200, body = Profile), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn profile(State(state): State<ApiState>, caller: Caller) -> Answered<Profile> {
    answered!(ask(&state.handle, caller, None, Command::Profile).await?, Profile)
}

/// Changes either; contacts get a new card.
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
#[utoipa::path(get, path = "/v1/contacts/{id}/messages", tag = "messages",
    params(("id" = String, Path),
           ("before" = Option<u64>, Query, description = "Only messages before this number; the newest where absent"),
           ("limit" = Option<u32>, Query, description = "1 to 200, 50 where absent")),
    responses((status = 200, body = Messages), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn messages(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<Id<16>>,
    Query(query): Query<MessagesQuery>,
) -> Answered<Messages> {
    let limit = at_most("limit", query.limit, USUAL_PAGE, MAX_PAGE)?;
    let command = Mail::Messages { contact: contact.into(), before: query.before, limit };
    answered!(ask_mail(&state, caller, None, command).await?, Messages)
}

/// Says something to a contact. It will be delivered, or reported as expired after 21 days.
#[utoipa::path(post, path = "/v1/contacts/{id}/messages", tag = "messages", request_body = NewMessage,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = QueuedMessage), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::server) async fn new_message(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<Id<16>>,
    Json(body, bytes): Json<NewMessage>,
) -> Answered<QueuedMessage> {
    let command = Mail::Send { contact: contact.into(), text: body.text };
    answered!(ask_mail(&state, caller, Some(key.of(&bytes)), command).await?, Queued)
}

/// All up to a message was read. Only this pod knows.
#[utoipa::path(post, path = "/v1/contacts/{id}/read", tag = "messages", request_body = MarkRead,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(in crate::server) async fn mark_read(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<Id<16>>,
    Json(body, bytes): Json<MarkRead>,
) -> Result<StatusCode, ApiError> {
    let command = Mail::MarkRead { contact: contact.into(), up_to: body.up_to };
    ask_mail(&state, caller, Some(key.of(&bytes)), command).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All relays.
#[utoipa::path(get, path = "/v1/relays", tag = "relays",
    responses((status = 200, body = Relays), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn relays(State(state): State<ApiState>, caller: Caller) -> Answered<Relays> {
    answered!(ask_mail(&state, caller, None, Mail::Relays).await?, Relays)
}

/// Keeps queues at a relay too. The first three are in use, the others are spare.
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
#[utoipa::path(delete, path = "/v1/relays", tag = "relays",
    params(("place" = String, Query, description = "The relay's place"), ("Idempotency-Key" = String, Header)),
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
