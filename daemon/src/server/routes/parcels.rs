//! What is carried by hand: parcels of sealed messages, and cards of people for address books.

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answered, ApiError, ApiState, answered, ask_mail, unexpected};
use crate::server::extract::{Body, IdempotencyKey, Json, Large, LimitedCaller, PathId};
use autonomy_api::{Contact, ContactId, ImportCard, Imported, InviteId, MAX_PARCEL_BODY, Problem, schema};
use autonomy_messaging::{carrier::Parcel, messenger::Command as Mail};
use autonomy_node::{Answer, Caller, Refusal};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(export_parcel))
        .routes(routes!(export_invite))
        .routes(routes!(export_card))
        .routes(routes!(import_card))
}

/// The route that takes a whole parcel.
pub(super) fn parcel_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(import_parcel)).layer(DefaultBodyLimit::max(MAX_PARCEL_BODY))
}

/// Everything that a contact waits for, sealed, to be carried to them by hand: at most 16.7 MB. It goes beside the network,
/// where the same is sent all the while. Made anew each time, so no answer is kept.
///
/// Needs limited access. `conflict` for somebody who asks to be confirmed, is blocked, or is known by a card only.
#[utoipa::path(post, path = "/v1/contacts/{id}/parcel", tag = "messages",
    params(("id" = schema::ContactId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 403, body = Problem),
              (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn export_parcel(
    State(state): State<ApiState>,
    caller: Caller,
    _: IdempotencyKey,
    PathId(contact): PathId<ContactId>,
) -> Result<Response, ApiError> {
    parcel(ask_mail(&state, caller, None, Mail::ExportParcel(contact)).await?)
}

/// What waits at the place of an invite, for somebody who has the invite and cannot reach that place.
///
/// Needs full access. `conflict` for an invite that can be redeemed no more.
#[utoipa::path(post, path = "/v1/invites/{id}/parcel", tag = "contacts",
    params(("id" = schema::InviteId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 403, body = Problem),
              (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn export_invite(
    State(state): State<ApiState>,
    caller: Caller,
    _: IdempotencyKey,
    PathId(invite): PathId<InviteId>,
) -> Result<Response, ApiError> {
    parcel(ask_mail(&state, caller, None, Mail::ExportInvite(invite)).await?)
}

fn parcel(answer: Answer) -> Result<Response, ApiError> {
    match answer {
        Answer::Bytes(bytes) => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            Ok((kind, Bytes::from(bytes.into_vec())).into_response())
        }
        other => Err(unexpected(&other)),
    }
}

/// Takes in a parcel that was carried here. Each message in it is taken as if it had come by the network, once.
///
/// Needs limited access. For whom each message is, is sealed: one that is for another pod, or cannot be opened any more,
/// counts as refused. Read twice, a parcel changes nothing.
#[utoipa::path(post, path = "/v1/parcels", tag = "messages", params(("Idempotency-Key" = String, Header)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Imported), (status = 403, body = Problem), (status = 409, body = Problem),
              (status = 413, body = Problem), (status = 422, body = Problem),
              (status = 503, description = "`busy`: as many large bodies are on their way as the pod takes at once", body = Problem)))]
pub(in crate::server) async fn import_parcel(
    State(state): State<ApiState>,
    LimitedCaller(caller): LimitedCaller,
    key: IdempotencyKey,
    Large(Body(bytes), _place): Large<Body>,
) -> Answered<Imported> {
    let carried = Parcel::parse(&bytes).map_err(|error| Refusal::invalid("parcel", error.to_string()))?;
    let key = key.of(&bytes);
    drop(bytes);
    answered!(ask_mail(&state, caller, Some(key), Mail::ImportParcel(carried)).await?, Imported)
}

/// A contact as a vCard 4.0 for an address book; their identity is in `X-AUTONOMY-ROOT`.
///
/// Needs limited access. It tells who they are, and nothing that leads to them.
#[utoipa::path(get, path = "/v1/contacts/{id}/vcard", tag = "contacts", params(("id" = schema::ContactId, Path)),
    responses((status = 200, body = String, content_type = "text/vcard"), (status = 404, body = Problem)))]
pub(in crate::server) async fn export_card(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<ContactId>,
) -> Result<Response, ApiError> {
    match ask_mail(&state, caller, None, Mail::ExportCard(contact)).await? {
        Answer::Card(text) => {
            Ok(([(header::CONTENT_TYPE, "text/vcard; charset=utf-8")], text).into_response())
        }
        other => Err(unexpected(&other)),
    }
}

/// Puts a person on record by their card. An invite of theirs that comes later is known to be theirs.
///
/// Needs full access. `conflict` for the owner's own card, and for a person who is among the contacts already.
#[utoipa::path(post, path = "/v1/vcards", tag = "contacts", request_body = ImportCard,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Contact), (status = 403, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::server) async fn import_card(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<ImportCard>,
) -> Answered<Contact> {
    let command = Mail::ImportCard(Box::new(body.vcard));
    answered!(ask_mail(&state, caller, Some(key.of(&bytes)), command).await?, Contact)
}
