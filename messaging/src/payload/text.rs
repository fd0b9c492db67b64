//! Words of people, with the few rules that let every program show and keep them.

use std::fmt;

use zeroize::Zeroize as _;

/// Longest text in bytes of UTF-8: ten pages. What is longer is a file.
pub const MAX_TEXT_LEN: usize = 16 * 1024;

/// Words from one person to another: 1 to 16,384 bytes without NUL. Never printed by `Debug`, wiped when dropped.
///
/// Line breaks and the controls of writing are part of it: who shows it to a terminal has to take care of those.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

/// The words cannot be sent as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Empty, or longer than [`MAX_TEXT_LEN`].
    #[error("a text has 1 to {MAX_TEXT_LEN} bytes, this has {0}: send it as a file")]
    Length(usize),
    /// A character 0.
    /// Texts end up in terminals, files and databases, of which some stop there.
    #[error("a text cannot have the character NUL")]
    Nul,
}

impl Text {
    /// Takes words as a person wrote them.
    ///
    /// # Errors
    /// [`BadText`] says which rule the text breaks; it is never changed to fit.
    pub fn new(text: &str) -> Result<Self, BadText> {
        if text.is_empty() || text.len() > MAX_TEXT_LEN {
            return Err(BadText::Length(text.len()));
        }
        if text.contains('\0') {
            return Err(BadText::Nul);
        }
        Ok(Self(text.to_owned()))
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Text {
    /// The length only: what was said is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}
