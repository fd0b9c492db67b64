//! Private texts and secrets: a string in JSON, nothing in logs.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Text that no log may show: a message, an invite, a token.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private(String);

impl From<String> for Private {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Private {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Deref for Private {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_string_to_programs_and_a_length_to_logs() {
        let text = Private::from("meet me at noon");
        assert_eq!(serde_json::to_string(&text).unwrap(), "\"meet me at noon\"");
        assert_eq!(format!("{text:?}"), "[15 bytes]");
    }
}
