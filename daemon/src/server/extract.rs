//! The checked edge: nothing unparsed, unbounded or anonymous goes further.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{self, FromRequest, FromRequestParts, Request, rejection::BytesRejection},
    http::{StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{problem::ApiError, routes::ApiState};
use crate::driver::LargeBodyPlace;
use autonomy_api::{
    Access, ContactId, MAX_BODY, MAX_CHUNKS_BODY, MAX_KEY_LEN, MAX_PARCEL_BODY, MAX_SIGNED_BODY, TransferId,
    Unreadable, Written, from_json,
};
use autonomy_node::{Caller, Refusal};

/// How long a body may take. The largest, a parcel, needs 56 s at the 0.3 MB/s that Tor gives on most days.
const BODY_LIMIT: Duration = Duration::from_secs(120);

/// Seconds after which a large body may be sent again: a parcel takes a minute through Tor, and less on the machine.
const LARGE_RETRY: u32 = 5;

/// JSON of type `T`, and the bytes that it was read from. What breaks a rule of a field is refused with a problem that
/// names both.
#[derive(Debug)]
pub struct Json<T>(pub T, pub Bytes);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(&request) {
            let detail = "send JSON with `Content-Type: application/json`";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Not JSON", detail));
        }
        let Body(bytes) = Body::from_request(request, state).await?;
        // A list would be read as an object whose fields come in order.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            let detail = "the body is no JSON object";
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "malformed",
                "The body cannot be read",
                detail,
            ));
        }
        Ok(Self(parse(&bytes)?, bytes))
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    from_json(bytes).map_err(|error| match &error {
        Unreadable::Malformed(_) => {
            ApiError::new(StatusCode::BAD_REQUEST, "malformed", "The body cannot be read", error.to_string())
        }
        Unreadable::Broken { .. } => ApiError::invalid(error.to_string()),
    })
}

/// The bytes of a body as they are.
#[derive(Debug)]
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let read = tokio::time::timeout(BODY_LIMIT, Bytes::from_request(request, state)).await;
        read.map_err(|_| too_slow())?.map(Self).map_err(too_large)
    }
}

/// A body of megabytes, of which few are taken at a time: others are asked to come again. The right to it lasts until the
/// request is answered.
#[derive(Debug)]
pub struct Large<T>(pub T, pub LargeBodyPlace);

impl<T: FromRequest<ApiState, Rejection = ApiError>> FromRequest<ApiState> for Large<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let place = state.handle.large_body(caller).ok_or_else(too_many_large)?;
        Ok(Self(T::from_request(Request::from_parts(parts, body), state).await?, place))
    }
}

fn too_many_large() -> ApiError {
    let detail = "as many large bodies are on their way as the pod takes at once; send it again in a moment";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many large bodies", detail).after(LARGE_RETRY)
}

fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    })
}

fn too_slow() -> ApiError {
    let detail = format!("the body did not arrive within {} seconds", BODY_LIMIT.as_secs());
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The body came too slowly", detail)
}

fn too_large(rejection: BytesRejection) -> ApiError {
    let status = rejection.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!(
            "a body has at most {MAX_BODY} bytes, that of a signed payment at most {MAX_SIGNED_BODY}, a piece of a \
             file at most {MAX_CHUNKS_BODY}, a parcel at most {MAX_PARCEL_BODY}"
        );
        return ApiError::new(status, "too-large", "The body is too large", detail);
    }
    ApiError::new(status, "malformed", "The body cannot be read", rejection.body_text())
}

/// Who calls, as the listener has proved it.
impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().copied().ok_or_else(|| {
            ApiError::new(
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
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        caller_with(Access::Full, parts, state).await.map(Self)
    }
}

/// The same for a caller with at least limited access.
#[derive(Debug, Clone, Copy)]
pub struct LimitedCaller(pub Caller);

impl FromRequestParts<ApiState> for LimitedCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        caller_with(Access::Limited, parts, state).await.map(Self)
    }
}

async fn caller_with(needed: Access, parts: &mut Parts, state: &ApiState) -> Result<Caller, ApiError> {
    let caller = Caller::from_request_parts(parts, state).await?;
    let has = match caller {
        Caller::Owner => Some(Access::Full),
        Caller::Device(key) => state.handle.admitted().borrow().devices.get(&key).copied(),
    };
    match has {
        Some(has) if has >= needed => Ok(caller),
        Some(has) => Err(Refusal::AccessTooLow { needed, has }.into()),
        None => Err(Refusal::NotAdmitted.into()),
    }
}

/// The `Idempotency-Key` of a request that changes something, and where the request goes.
#[derive(Debug)]
pub struct IdempotencyKey {
    key: String,
    target: Sha256,
    /// What the program that asks calls itself.
    app: String,
}

impl IdempotencyKey {
    /// The key of this request, with what it was given: `body` as it came, empty where the route reads none.
    #[must_use]
    pub fn of(self, body: &[u8]) -> autonomy_node::IdempotencyKey {
        let request = self.target.chain_update(body).finalize().into();
        autonomy_node::IdempotencyKey { key: self.key, request, app: self.app }
    }
}

/// The name in `User-Agent`, without its version: a program stays itself when it is updated. Empty where there is none.
fn app(parts: &Parts) -> String {
    let agent =
        parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent.split(['/', ' ']).next().unwrap_or_default().to_owned()
}

/// Method, path and query, each ended by a byte that it cannot hold.
fn target(parts: &Parts) -> Sha256 {
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    Sha256::new_with_prefix(parts.method.as_str()).chain_update(b" ").chain_update(path).chain_update(b"\n")
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(key) = parts.headers.get("idempotency-key") else {
            let detail =
                "send a fresh random `Idempotency-Key` header, and the same one when you repeat this request";
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "idempotency-key",
                "Idempotency-Key missing",
                detail,
            ));
        };
        let fits = |key: &&str| (1..=MAX_KEY_LEN).contains(&key.len()) && !key.contains(' ');
        let key = key.to_str().ok().filter(fits);
        key.map(|key| Self { key: key.to_owned(), target: target(parts), app: app(parts) }).ok_or_else(|| {
            Refusal::invalid("Idempotency-Key", format!("1 to {MAX_KEY_LEN} printable characters")).into()
        })
    }
}

/// The id in a path.
#[derive(Debug)]
pub struct PathId<T>(pub T);

impl<T: Written, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = extract::Path::<String>::from_request_parts(parts, state).await;
        let extract::Path(text) = path.map_err(|rejection| Refusal::invalid("id", rejection.body_text()))?;
        named("id", &text).map(Self)
    }
}

/// A contact and one of their files in a path.
#[derive(Debug)]
pub struct PathIds(pub ContactId, pub TransferId);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = extract::Path::<(String, String)>::from_request_parts(parts, state).await;
        let extract::Path((contact, file)) =
            path.map_err(|rejection| Refusal::invalid("id", rejection.body_text()))?;
        Ok(Self(named("id", &contact)?, named("file", &file)?))
    }
}

/// What a part of a path names.
fn named<T: Written>(field: &'static str, text: &str) -> Result<T, ApiError> {
    T::read(text).map_err(|rule| Refusal::invalid(field, rule.to_string()).into())
}

/// A number that is asked for, or the usual one; from 1 to `most`.
///
/// # Errors
/// A refusal that names the field.
pub fn at_most(field: &'static str, asked: Option<u32>, usual: u32, most: u32) -> Result<u32, ApiError> {
    let number = asked.unwrap_or(usual);
    match (1..=most).contains(&number) {
        true => Ok(number),
        false => Err(Refusal::invalid(field, format!("1 to {most}")).into()),
    }
}

/// What stands behind the `?` of a path.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
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
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(id) = parts.headers.get("last-event-id") else { return Ok(Self(None)) };
        let id = id.to_str().ok().and_then(|id| id.parse().ok());
        let wrong = || Refusal::invalid("Last-Event-ID", "the `id` of an event, a whole number");
        id.map(|id| Self(Some(id))).ok_or_else(|| wrong().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autonomy_api::{NewMessage, NewPayment, Problem, SetProfile};
    use axum::{body::to_bytes, response::IntoResponse as _};

    async fn problem<T: std::fmt::Debug>(outcome: Result<T, ApiError>) -> Problem {
        let response = outcome.unwrap_err().into_response();
        serde_json::from_slice(&to_bytes(response.into_body(), MAX_BODY).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_field_that_breaks_a_rule_is_named_with_the_rule() {
        let name = problem(parse::<SetProfile>(br#"{"name":"Al\u200bice"}"#)).await;
        assert_eq!((name.status, name.kind.ends_with("/invalid")), (422, true), "{name:?}");
        assert!(name.detail.starts_with("`name`: ") && !name.detail.contains("column"), "{name:?}");
        let text = problem(parse::<NewMessage>(br#"{"text":""}"#)).await;
        assert!(text.detail.starts_with("`text`: "), "{text:?}");
        let within =
            br#"{"recipients":[{"address":"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080","amount_sat":-1}]}"#;
        let within = problem(parse::<NewPayment>(within)).await;
        assert!(within.detail.starts_with("`recipients[0].amount_sat`: "), "{within:?}");
        let missing = problem(parse::<NewMessage>(b"{}")).await;
        assert_eq!((missing.status, missing.detail.as_str()), (422, "missing field `text`"));
        let misspelt = problem(parse::<NewMessage>(br#"{"text":"a","txet":1}"#)).await;
        assert!(misspelt.status == 422 && misspelt.detail.contains("txet"), "{misspelt:?}");
    }

    #[tokio::test]
    async fn what_is_no_json_cannot_be_read() {
        for body in [&b"{"[..], b"", br#"{"text":"a"} x"#, b"\xff"] {
            let malformed = problem(parse::<NewMessage>(body)).await;
            assert_eq!(
                (malformed.status, malformed.kind.ends_with("/malformed")),
                (400, true),
                "{malformed:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_number_that_is_asked_for_is_within_its_bounds() {
        assert_eq!(at_most("limit", None, 50, 200).unwrap(), 50);
        assert_eq!(at_most("limit", Some(200), 50, 200).unwrap(), 200);
        for asked in [0, 201] {
            let refused = problem(at_most("limit", Some(asked), 50, 200)).await;
            assert!(refused.status == 422 && refused.detail.contains("`limit`"), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn a_request_is_told_by_its_method_path_and_body() {
        let of = |method: &str, path: &str, body: &[u8]| {
            let request = Request::builder().method(method).uri(path).header("Idempotency-Key", "k");
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let key = futures::executor::block_on(IdempotencyKey::from_request_parts(&mut parts, &()));
            key.unwrap().of(body).request
        };
        let first = of("POST", "/v1/a", b"{}");
        assert_eq!(of("POST", "/v1/a", b"{}"), first);
        for other in [
            of("PUT", "/v1/a", b"{}"),
            of("POST", "/v1/b", b"{}"),
            of("POST", "/v1/a?b=1", b"{}"),
            of("POST", "/v1/a", b"{ }"),
        ] {
            assert_ne!(other, first);
        }
    }
}
