use std::fmt;

/// Longest name in bytes of UTF-8: a line that a terminal shows whole.
pub const MAX_NAME_LEN: usize = 64;

/// What people call a pod, a device, a contact, a holder or a secret: 1 to 64 bytes of one visible line.
///
/// Control characters and those that turn the direction of writing are refused: a name that somebody else chose is
/// printed in terminals and in the head of a deck's file, and must not pretend to be anything else there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Empty, or longer than [`MAX_NAME_LEN`].
    #[error("a name has 1 to {MAX_NAME_LEN} bytes, this has {0}")]
    Length(usize),
    /// A character that could not be seen, or hides others.
    #[error("a name is one line of visible characters without spaces at its ends")]
    Invisible,
}

impl Name {
    /// Takes a name as a person typed it.
    ///
    /// # Errors
    /// [`BadName`] says which rule the text breaks; it is never changed to fit.
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() || text.len() > MAX_NAME_LEN {
            return Err(BadName::Length(text.len()));
        }
        if text.trim() != text || text.chars().any(is_invisible) {
            return Err(BadName::Invisible);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that show nothing, or change what is shown around them: controls, soft hyphen, line and paragraph
/// separators, zero-width characters, those of bidirectional writing (UAX 9), annotations, and tags.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
