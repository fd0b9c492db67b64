//! What a member of an account is called.

use core::fmt;
use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Longest label, in bytes of UTF-8: it stands beside a key or an amount on one line.
pub const MAX_LABEL_LEN: usize = 32;

/// What a member is called: [P](MemberLabel::P), [R](MemberLabel::R) and [G](MemberLabel::G) in a personal
/// account, a name that the members agreed on in any other.
///
/// A label says nothing about the key behind it; the kind of the account does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemberLabel(Cow<'static, str>);

/// Why a text is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a member's label must have 1 to {MAX_LABEL_LEN} bytes and no control characters")]
pub struct LabelError;

impl MemberLabel {
    /// The platform key, on the device.
    pub const P: Self = Self(Cow::Borrowed("P"));
    /// The recovery key, split as soon as it is drawn.
    pub const R: Self = Self(Cow::Borrowed("R"));
    /// The gordian key, in the pod.
    pub const G: Self = Self(Cow::Borrowed("G"));

    /// The members of a personal account, in the order of its descriptor.
    pub const PERSONAL: [Self; 3] = [Self::P, Self::R, Self::G];

    /// Takes a label of 1 to [`MAX_LABEL_LEN`] bytes without control characters.
    ///
    /// # Errors
    /// [`LabelError`] names the rule.
    pub fn new(text: impl Into<String>) -> Result<Self, LabelError> {
        let text = text.into();
        if is_one_line(&text, MAX_LABEL_LEN) { Ok(Self(text.into())) } else { Err(LabelError) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text can be shown on one line: not empty, not too long, no control characters.
pub(super) fn is_one_line(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl fmt::Display for MemberLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MemberLabel {
    type Error = LabelError;
    fn try_from(text: String) -> Result<Self, LabelError> {
        Self::new(text)
    }
}

impl From<MemberLabel> for String {
    fn from(label: MemberLabel) -> Self {
        label.0.into_owned()
    }
}
