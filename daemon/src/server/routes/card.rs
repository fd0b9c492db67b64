//! What cards carry beside the name, and who gets it.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answered, ApiError, ApiState, ask, unexpected};
use crate::server::extract::{IdempotencyKey, Json, PathId};
use autonomy_api::{CardFields, ContactCard, Id, Problem, ShareCard};
use autonomy_node::{
    Answer, Caller, SessionAnswer, SessionCommand,
    sessions::card::{CardAnswer, CardCommand},
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(own_card, set_own_card))
        .routes(routes!(contact_card, share_contact_card))
}

async fn ask_cards(
    state: &ApiState,
    caller: Caller,
    key: Option<autonomy_node::IdempotencyKey>,
    command: CardCommand,
) -> Result<CardAnswer, ApiError> {
    let command = autonomy_node::Command::Session(SessionCommand::Card(command));
    match ask(&state.handle, caller, key, command).await? {
        Answer::Session(SessionAnswer::Card(answer)) => Ok(answer),
        other => Err(unexpected(&other)),
    }
}

fn own(answer: CardAnswer) -> Answered<CardFields> {
    match answer {
        CardAnswer::Own(fields) => Ok(axum::Json(*fields)),
        other => Err(unexpected(&Answer::Session(SessionAnswer::Card(other)))),
    }
}

fn of_contact(answer: CardAnswer) -> Answered<ContactCard> {
    match answer {
        CardAnswer::Of(card) => Ok(axum::Json(*card)),
        other => Err(unexpected(&Answer::Session(SessionAnswer::Card(other)))),
    }
}

/// What the owner's card may carry beside the name. Contacts get the fields that were chosen for them.
#[utoipa::path(get, path = "/v1/card", tag = "contacts",
    responses((status = 200, body = CardFields), (status = 403, body = Problem)))]
pub(in crate::server) async fn own_card(
    State(state): State<ApiState>,
    caller: Caller,
) -> Answered<CardFields> {
    own(ask_cards(&state, caller, None, CardCommand::Own).await?)
}

/// Replaces it: what is absent is removed. Contacts get a new card where a field that they see has changed.
#[utoipa::path(put, path = "/v1/card", tag = "contacts", request_body = CardFields,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = CardFields), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn set_own_card(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<CardFields>,
) -> Answered<CardFields> {
    let command = CardCommand::SetOwn(Box::new(body));
    own(ask_cards(&state, caller, Some(key.of(&bytes)), command).await?)
}

/// What a contact shares, and what is shared with them.
#[utoipa::path(get, path = "/v1/contacts/{id}/card", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = ContactCard), (status = 404, body = Problem)))]
pub(in crate::server) async fn contact_card(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<Id<16>>,
) -> Answered<ContactCard> {
    of_contact(ask_cards(&state, caller, None, CardCommand::Of(contact.into())).await?)
}

/// Chooses the fields that a contact gets, in place of those they got. A field that is withdrawn disappears at their pod
/// once they have the new card; what they have seen they may remember.
#[utoipa::path(put, path = "/v1/contacts/{id}/card", tag = "contacts", request_body = ShareCard,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = ContactCard), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn share_contact_card(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<Id<16>>,
    Json(body, bytes): Json<ShareCard>,
) -> Answered<ContactCard> {
    let command = CardCommand::Share(contact.into(), body);
    of_contact(ask_cards(&state, caller, Some(key.of(&bytes)), command).await?)
}
