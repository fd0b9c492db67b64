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
use autonomy_api::{ContactId, File, Files, MAX_CHUNKS_BODY, OfferFile, Problem, schema};
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
///
/// Needs limited access. Oldest first, at most 64 a contact; a file that is over makes room for another.
#[utoipa::path(get, path = "/v1/contacts/{id}/files", tag = "files", params(("id" = schema::ContactId, Path)),
    responses((status = 200, body = Files), (status = 404, body = Problem)))]
pub(in crate::server) async fn files(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<ContactId>,
) -> Answered<Files> {
    answered!(ask_mail(&state, caller, None, Mail::Files(contact)).await?, Files)
}

/// Begins to send a file: its bytes follow, then the contact hears of it.
///
/// Needs limited access. The file is `loading` until all its chunks were handed over. `conflict` where messages do not go
/// to this contact yet, `full` where 64 files are there, `invalid` for one that is longer than any that is sent.
#[utoipa::path(post, path = "/v1/contacts/{id}/files", tag = "files", request_body = OfferFile,
    params(("id" = schema::ContactId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = File), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::server) async fn offer_file(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<ContactId>,
    Json(body, bytes): Json<OfferFile>,
) -> Answered<File> {
    let OfferFile { name, size, sha256 } = body;
    let content = FileContent { size, sha256: sha256.0 };
    let command = Mail::OfferFile { contact, name, content };
    answered!(ask_mail(&state, caller, Some(key.of(&bytes)), command).await?, File)
}

/// One file.
///
/// Needs limited access. `done` counts the bytes that were loaded, or that the one who takes it has.
#[utoipa::path(get, path = "/v1/contacts/{id}/files/{file}", tag = "files",
    params(("id" = schema::ContactId, Path), ("file" = schema::FileId, Path)),
    responses((status = 200, body = File), (status = 404, body = Problem)))]
pub(in crate::server) async fn file(
    State(state): State<ApiState>,
    caller: Caller,
    PathIds(contact, file): PathIds,
) -> Answered<File> {
    answered!(ask_mail(&state, caller, None, Mail::File(contact, file)).await?, File)
}

/// Stops sending or taking a file, and forgets it.
///
/// Needs limited access. The contact hears that it does not come after all, or is not wanted (event `file_cancelled`).
#[utoipa::path(delete, path = "/v1/contacts/{id}/files/{file}", tag = "files",
    params(("id" = schema::ContactId, Path), ("file" = schema::FileId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(in crate::server) async fn remove_file(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathIds(contact, file): PathIds,
) -> Result<StatusCode, ApiError> {
    ask_mail(&state, caller, Some(key.of(b"")), Mail::RemoveFile(contact, file)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct LoadQuery {
    first: u32,
}

/// Takes the next chunks of a file: 1 to 40 of 11,500 bytes, all whole but for the end of the file. Repeats are harmless.
///
/// Needs limited access. `first` is the number of the chunk that the body begins with: at most the one after those that
/// are there. `conflict` for a file that is not loading.
#[utoipa::path(put, path = "/v1/contacts/{id}/files/{file}/chunks", tag = "files",
    params(("id" = schema::ContactId, Path), ("file" = schema::FileId, Path), ("Idempotency-Key" = String, Header),
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
    let command =
        Mail::LoadFile { contact, transfer: file, first: query.first, bytes: bytes.to_vec().into() };
    answered!(ask_mail(&state, caller, None, command).await?, File)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct ReadQuery {
    first: u32,
    count: Option<u32>,
}

/// Bytes of a file that has arrived whole; none behind its end.
///
/// Needs limited access. Whoever reads it out compares the hash: the pod does not. `conflict` for a file of the owner's
/// own, and for one that is still on its way.
#[utoipa::path(get, path = "/v1/contacts/{id}/files/{file}/chunks", tag = "files",
    params(("id" = schema::ContactId, Path), ("file" = schema::FileId, Path),
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
    let command = Mail::ReadFile { contact, transfer: file, first: query.first, count };
    match ask_mail(&state, caller, None, command).await? {
        Answer::Bytes(bytes) => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            Ok((kind, Bytes::from(bytes.into_vec())).into_response())
        }
        other => Err(unexpected(&other)),
    }
}
