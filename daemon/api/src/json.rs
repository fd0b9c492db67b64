//! Reading JSON from outside, at a pod and at a device: what breaks a rule is refused with the field and the rule.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// The path of a body as a whole.
const WHOLE_BODY: &str = ".";

/// Why bytes are not the JSON that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No JSON, or something behind it. Says where.
    #[error("{0}")]
    Malformed(String),
    /// JSON whose shape or values break a rule.
    #[error("{}{rule}", field.as_ref().map_or_else(String::new, |field| format!("`{field}`: ")))]
    Broken {
        /// The path of the field, such as `recipients[0].amount_sat`; none for the body as a whole.
        field: Option<String>,
        /// The rule.
        rule: String,
    },
}

/// Reads the whole of `bytes` as one value. serde_json stops at 128 levels of nesting by itself.
///
/// # Errors
/// [`Unreadable`].
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| unreadable(&error.path().to_string(), &error.into_inner()))?;
    reader.end().map_err(|error| unreadable(WHOLE_BODY, &error))?;
    Ok(value)
}

fn unreadable(field: &str, error: &serde_json::Error) -> Unreadable {
    if error.classify() != Category::Data {
        return Unreadable::Malformed(error.to_string());
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let rule = text.strip_suffix(&place).unwrap_or(&text).to_owned();
    Unreadable::Broken { field: (field != WHOLE_BODY).then(|| field.to_owned()), rule }
}
