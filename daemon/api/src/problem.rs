//! Errors as `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Prefix of every problem type. `.invalid` never resolves (RFC 2606): the part after it is what counts.
pub const PROBLEM_PREFIX: &str = "https://autonomy.invalid/problems/";

/// `application/problem+json` (RFC 9457): what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `https://autonomy.invalid/problems/<kind>`: the part after the last slash is stable.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in plain words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong here: names the field and the rule.
    pub detail: String,
}

impl Problem {
    /// A problem of a stable `kind`, answered with the HTTP status `status`.
    #[must_use]
    pub fn new(status: u16, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{PROBLEM_PREFIX}{kind}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
        }
    }
}
