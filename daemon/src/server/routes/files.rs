//! Files between contacts. Their bytes travel as they are, chunk after chunk of 11,500 bytes, so that a broken connection
//! costs little.

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answered, ApiError, ApiState, answered, ask_mail, unexpected};
use crate::server::extract::{Body, IdempotencyKey, Json, PathId, PathIds, Query, at_most};
use autonomy_api::{File, Files, Id, MAX_CHUNKS_BODY, OfferFile, Problem};
use autonomy_messaging::{
    FileContent,
    messenger::{Command as Mail, MAX_LOADED},
};
use autonomy_node::{Answer, Caller};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(files, offer_file)).routes(routes!(file, remove_file))
}

/// The route that takes many bytes at a time.
pub(super) fn chunk_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(load_file, read_file)).layer(DefaultBodyLimit::max(MAX_CHUNKS_BODY))
}

/// Files to and from a contact.
#[utoipa::path(get, path = "/v1/contacts/{id}/files", tag = "files", params(("id" = String, Path)),
    responses((status = 200, body = Files), (status = 404, body = Problem)))]
pub(in crate::server) async fn files(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<Id<16>>,
) -> Answered<Files> {
    answered!(ask_mail(&state, caller, None, Mail::Files(contact.into())).await?, Files)
}

/// Begins to send a file: its bytes follow, then the contact hears of it.
#[utoipa::path(post, path = "/v1/contacts/{id}/files", tag = "files", request_body = OfferFile,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = File), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::server) async fn offer_file(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<Id<16>>,
    Json(body, bytes): Json<OfferFile>,
) -> Answered<File> {
    let OfferFile { name, size, sha256 } = body;
    let content = FileContent { size, sha256: sha256.0 };
    let command = Mail::OfferFile { contact: contact.into(), name, content };
    answered!(ask_mail(&state, caller, Some(key.of(&bytes)), command).await?, File)
}

/// One file.
#[utoipa::path(get, path = "/v1/contacts/{id}/files/{file}", tag = "files",
    params(("id" = String, Path), ("file" = String, Path)),
    responses((status = 200, body = File), (status = 404, body = Problem)))]
pub(in crate::server) async fn file(
    State(state): State<ApiState>,
    caller: Caller,
    PathIds(contact, file): PathIds,
) -> Answered<File> {
    answered!(ask_mail(&state, caller, None, Mail::File(contact.into(), file.into())).await?, File)
}

/// Stops sending or taking a file, and forgets it.
#[utoipa::path(delete, path = "/v1/contacts/{id}/files/{file}", tag = "files",
    params(("id" = String, Path), ("file" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(in crate::server) async fn remove_file(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathIds(contact, file): PathIds,
) -> Result<StatusCode, ApiError> {
    ask_mail(&state, caller, Some(key.of(b"")), Mail::RemoveFile(contact.into(), file.into())).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct LoadQuery {
    first: u32,
}

/// Takes the next chunks of a file: 1 to 40 of 11,500 bytes, all whole but for the end of the file. Repeats are harmless.
#[utoipa::path(put, path = "/v1/contacts/{id}/files/{file}/chunks", tag = "files",
    params(("id" = String, Path), ("file" = String, Path), ("Idempotency-Key" = String, Header),
           ("first" = u32, Query, description = "Number of the first chunk: the one after those loaded before")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = File), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::server) async fn load_file(
    State(state): State<ApiState>,
    caller: Caller,
    _: IdempotencyKey,
    PathIds(contact, file): PathIds,
    Query(query): Query<LoadQuery>,
    Body(bytes): Body,
) -> Answered<File> {
    let command = Mail::LoadFile {
        contact: contact.into(),
        transfer: file.into(),
        first: query.first,
        bytes: bytes.to_vec().into(),
    };
    answered!(ask_mail(&state, caller, None, command).await?, File)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct ReadQuery {
    first: u32,
    count: Option<u32>,
}

/// Bytes of a file that has arrived whole; none behind its end.
#[utoipa::path(get, path = "/v1/contacts/{id}/files/{file}/chunks", tag = "files",
    params(("id" = String, Path), ("file" = String, Path),
           ("first" = u32, Query, description = "Number of the first chunk of 11,500 bytes"),
           ("count" = Option<u32>, Query, description = "1 to 40 chunks, 40 where absent")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn read_file(
    State(state): State<ApiState>,
    caller: Caller,
    PathIds(contact, file): PathIds,
    Query(query): Query<ReadQuery>,
) -> Result<Response, ApiError> {
    let count = at_most("count", query.count, MAX_LOADED, MAX_LOADED)?;
    let (contact, transfer) = (contact.into(), file.into());
    let command = Mail::ReadFile { contact, transfer, first: query.first, count };
    match ask_mail(&state, caller, None, command).await? {
        Answer::Bytes(bytes) => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            Ok((kind, Bytes::from(bytes.into_vec())).into_response())
        }
        other => Err(unexpected(&other)),
    }
}
