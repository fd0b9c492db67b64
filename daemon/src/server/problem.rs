//! Refusals as `application/problem+json` (RFC 9457).

use autonomy_api::Problem;
use autonomy_node::Refusal;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::driver::AskError;

/// Seconds after which a write that the disk did not take may be repeated: as often as the pod itself tries.
const RETRY_WRITING: u32 = 10;

/// What a route answers where it cannot do what it was asked.
#[derive(Debug)]
pub struct ApiError {
    problem: Problem,
    /// Seconds after which the same request may succeed.
    retry_after: Option<u32>,
}

impl ApiError {
    /// An error of a stable `kind`; see [`Problem::new`].
    #[must_use]
    pub fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self { problem: Problem::new(status.as_u16(), kind, title, detail), retry_after: None }
    }

    /// The same, where the request may be repeated after so many seconds.
    #[must_use]
    pub fn after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

impl ApiError {
    /// A request that breaks a rule: `detail` names the field and the rule.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field breaks a rule", detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { problem, retry_after } = self;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (status, kind, title) = match &refusal {
            Refusal::NotAdmitted => (StatusCode::FORBIDDEN, "not-admitted", "Device not admitted"),
            Refusal::CertificateInvalid(_) => (StatusCode::FORBIDDEN, "certificate", "Certificate not valid"),
            Refusal::AccessTooLow { .. } => (StatusCode::FORBIDDEN, "access", "Access level too low"),
            Refusal::Unknown { .. } => (StatusCode::NOT_FOUND, "unknown", "No such thing"),
            Refusal::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field breaks a rule"),
            Refusal::NotAdopted => (StatusCode::CONFLICT, "not-adopted", "The pod has no owner yet"),
            Refusal::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Not in this state"),
            Refusal::KeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "Idempotency-Key used before")
            }
            Refusal::Full { .. } => (StatusCode::CONFLICT, "full", "A limit is reached"),
            Refusal::Unsafe(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unsafe", "Refused by the checker"),
            Refusal::Funds(_) => (StatusCode::CONFLICT, "funds", "Not enough funds"),
            Refusal::Behind { .. } => (StatusCode::CONFLICT, "behind", "The pod is behind"),
            Refusal::ChainNotReady(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "chain", "The chain source is not ready")
            }
        };
        Self::new(status, kind, title, refusal.to_string())
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        let detail = error.to_string();
        match error {
            AskError::NotKept(_) => {
                let title = "The disk takes no more";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk", title, detail).after(RETRY_WRITING)
            }
            AskError::Stopped | AskError::NoAnswer => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The pod is stopping", detail)
            }
        }
    }
}
