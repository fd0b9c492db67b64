//! The checked edge: nothing unparsed, unbounded or anonymous goes further.

use std::{fmt::Display, str::FromStr, time::Duration};

use autonomy_messaging::carrier::MAX_PARCEL;
use axum::{
    body::Bytes,
    extract::{self, FromRequest, FromRequestParts, Request, rejection::BytesRejection},
    http::{StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;

use super::{
    routes::ApiState,
    types::{AccessLevel, Problem},
};
use crate::node::{Caller, Id, IdError, MAX_KEY_LEN, Refusal};

/// Largest body but for a signed payment, bytes: the longest command is a certificate in hexadecimal with names,
/// about 1 kB; a payment to 100 recipients about 12 kB.
pub const MAX_BODY: usize = 64 * 1024;
/// Largest body of a signed payment, bytes: a PSBT of the wallet's 4 MiB in base64 (4/3), and some JSON around it.
pub const MAX_SIGNED_BODY: usize = 6 * 1024 * 1024;
/// Largest piece of a file, bytes: 40 chunks of 11,500 are 460,000.
pub const MAX_CHUNKS_BODY: usize = 460_000;
/// Largest parcel of carried messages, bytes: 1,024 of 16 KiB are 16.7 MB.
pub const MAX_PARCEL_BODY: usize = MAX_PARCEL;

/// How long a body may take. The largest, a parcel, needs 56 s at the 0.3 MB/s that Tor gives on most days.
const BODY_LIMIT: Duration = Duration::from_secs(120);

/// JSON of type `T`, refused with a problem that says where it goes wrong.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            let detail = "send JSON with `Content-Type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Not JSON", detail));
        }
        let Body(bytes) = Body::from_request(request, state).await?;
        // A list would be read as an object whose fields come in order.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            let detail = "the body is no JSON object";
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed",
                "The body cannot be read",
                detail,
            ));
        }
        // serde_json stops at 128 levels of nesting by itself.
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "malformed", "The body cannot be read", error.to_string())
        })
    }
}

/// The bytes of a body as they are.
#[derive(Debug)]
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = tokio::time::timeout(BODY_LIMIT, Bytes::from_request(request, state)).await;
        read.map_err(|_| too_slow())?.map(Self).map_err(too_large)
    }
}

fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json"))
}

fn too_slow() -> Problem {
    let detail = format!("the body did not arrive within {} seconds", BODY_LIMIT.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The body came too slowly", detail)
}

fn too_large(rejection: BytesRejection) -> Problem {
    let status = rejection.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!(
            "a body has at most {MAX_BODY} bytes, that of a signed payment at most {MAX_SIGNED_BODY}, a piece of a \
             file at most {MAX_CHUNKS_BODY}, a parcel at most {MAX_PARCEL_BODY}"
        );
        return Problem::new(status, "too-large", "The body is too large", detail);
    }
    Problem::new(status, "malformed", "The body cannot be read", rejection.body_text())
}

/// Who calls, as the listener has proved it.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().copied().ok_or_else(|| {
            Problem::new(
                StatusCode::FORBIDDEN,
                "not-admitted",
                "Unknown caller",
                "the listener named no caller",
            )
        })
    }
}

/// A caller with full access, told apart before the body is read: megabytes are taken from nobody else. The node
/// checks again.
#[derive(Debug, Clone, Copy)]
pub struct FullCaller(pub Caller);

impl FromRequestParts<ApiState> for FullCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        caller_with(AccessLevel::Full, parts, state).await.map(Self)
    }
}

/// The same for a caller with at least limited access.
#[derive(Debug, Clone, Copy)]
pub struct LimitedCaller(pub Caller);

impl FromRequestParts<ApiState> for LimitedCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        caller_with(AccessLevel::Limited, parts, state).await.map(Self)
    }
}

async fn caller_with(needed: AccessLevel, parts: &mut Parts, state: &ApiState) -> Result<Caller, Problem> {
    let caller = Caller::from_request_parts(parts, state).await?;
    let has = match caller {
        Caller::Owner => Some(AccessLevel::Full),
        Caller::Device(key) => state.handle.admitted().borrow().devices.get(&key).copied(),
    };
    match has {
        Some(has) if has >= needed => Ok(caller),
        Some(has) => Err(Refusal::AccessTooLow { needed, has }.into()),
        None => Err(Refusal::NotAdmitted.into()),
    }
}

/// The `Idempotency-Key` of a request that changes something.
#[derive(Debug)]
pub struct IdempotencyKey(pub String);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get("idempotency-key") else {
            let detail =
                "send a fresh random `Idempotency-Key` header, and the same one when you repeat this request";
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "idempotency-key",
                "Idempotency-Key missing",
                detail,
            ));
        };
        let fits = |key: &&str| (1..=MAX_KEY_LEN).contains(&key.len()) && !key.contains(' ');
        let key = key.to_str().ok().filter(fits);
        key.map(|key| Self(key.to_owned())).ok_or_else(|| {
            Refusal::invalid("Idempotency-Key", format!("1 to {MAX_KEY_LEN} printable characters")).into()
        })
    }
}

/// The id in a path.
#[derive(Debug)]
pub struct PathId<T>(pub T);

impl<T: FromStr<Err: Display>, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refused = |why: String| Problem::from(Refusal::invalid("id", why));
        let extract::Path(text) = extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| refused(rejection.body_text()))?;
        text.parse().map(Self).map_err(|error: T::Err| refused(error.to_string()))
    }
}

/// A contact and one of their files in a path.
#[derive(Debug)]
pub struct PathIds(pub Id<16>, pub Id<16>);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refused = |field: &'static str, why: String| Problem::from(Refusal::invalid(field, why));
        let extract::Path((contact, file)) =
            extract::Path::<(String, String)>::from_request_parts(parts, state)
                .await
                .map_err(|rejection| refused("id", rejection.body_text()))?;
        let contact = contact.parse().map_err(|error: IdError| refused("id", error.to_string()))?;
        let file = file.parse().map_err(|error: IdError| refused("file", error.to_string()))?;
        Ok(Self(contact, file))
    }
}

/// What stands behind the `?` of a path.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Query::from_request_parts(parts, state).await {
            Ok(extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Refusal::invalid("query", rejection.body_text()).into()),
        }
    }
}

/// The `Last-Event-ID` of a listener that comes again.
#[derive(Debug)]
pub struct LastEventId(pub Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(id) = parts.headers.get("last-event-id") else { return Ok(Self(None)) };
        let id = id.to_str().ok().and_then(|id| id.parse().ok());
        let wrong = || Refusal::invalid("Last-Event-ID", "the `id` of an event, a whole number");
        id.map(|id| Self(Some(id))).ok_or_else(|| wrong().into())
    }
}
