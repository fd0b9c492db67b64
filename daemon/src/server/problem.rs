//! Refusals as `application/problem+json` (RFC 9457).

use autonomy_api::Problem;
use autonomy_node::Refusal;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::driver::AskError;

/// What a route answers where it cannot do what it was asked.
#[derive(Debug)]
pub struct ApiError(Problem);

impl ApiError {
    /// An error of a stable `kind`; see [`Problem::new`].
    #[must_use]
    pub fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self(Problem::new(status.as_u16(), kind, title, detail))
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
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
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
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The pod is stopping", error.to_string())
    }
}
