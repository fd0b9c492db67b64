//! Refusals as `application/problem+json` (RFC 9457).

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::types::Problem;
use crate::{driver::AskError, node::Refusal};

/// Prefix of every problem type. `.invalid` never resolves (RFC 2606): the part after it is what counts.
pub const PROBLEM_PREFIX: &str = "https://autonomy.invalid/problems/";

impl Problem {
    /// A problem of a stable `kind`.
    #[must_use]
    pub fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{PROBLEM_PREFIX}{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
        }
    }

    /// The stable part of the type.
    #[must_use]
    pub fn slug(&self) -> &str {
        self.kind.strip_prefix(PROBLEM_PREFIX).unwrap_or(&self.kind)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

impl From<Refusal> for Problem {
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

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The pod is stopping", error.to_string())
    }
}
