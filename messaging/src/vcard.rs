//! A contact as a vCard 4.0 (RFC 6350), so that address books can keep it.
//!
//! The identity is in `X-AUTONOMY-ROOT`, as `did:key`. A card that is imported pins the person and no more: there is no
//! session yet, but an invite of theirs is known to be theirs.
//!
//! Address books change cards: they fold lines, reorder and add properties. So what is read is tolerant of everything
//! that is not ours and strict about what is: name, note and root must each be there at most once and keep their
//! rules.

use std::fmt;

use crate::{BadDid, BadName, Name, RootPublic};

/// Longest vCard that is read: those of address books carry pictures, and this is what is looked through for a root.
pub const MAX_VCARD: usize = 64 * 1024;
/// Longest note, in bytes.
pub const MAX_NOTE_LEN: usize = 1_024;

/// Longest EMAIL, IMPP or PHOTO that is read, bytes: a picture of 8,192 bytes is a data URI of
/// 4/3 · 8,192 + 23 = 10,947. A longer one is passed over, as cards of address books carry pictures of any size.
pub const MAX_PROPERTY_LEN: usize = 12 * 1024;

/// Octets of a line before it is folded (RFC 6350, section 3.2).
const FOLD: usize = 75;
/// The property with the identity; `X-` names are free for programs (RFC 6350, section 6.10).
const ROOT: &str = "X-AUTONOMY-ROOT";

/// What a vCard says about a contact.
///
/// A card says who somebody is, and nothing about how to reach them.
#[derive(Clone, PartialEq, Eq)]
pub struct VCard {
    /// What they are called.
    pub name: Name,
    /// What the owner noted about them.
    pub note: Option<Note>,
    /// Who they are.
    pub root: RootPublic,
    /// What else address books know, unread.
    pub others: OtherProperties,
}

/// Properties of address books as they are written, each at most once: one visible line of 1 to [`MAX_PROPERTY_LEN`]
/// bytes. Whoever uses one has to check it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OtherProperties {
    /// EMAIL.
    pub email: Option<String>,
    /// IMPP: a URI by which they are reached.
    pub impp: Option<String>,
    /// PHOTO: a URI, here with the picture in it (`data:image/…;base64,…`).
    pub photo: Option<String>,
}

/// Some words about a contact: 1 to [`MAX_NOTE_LEN`] bytes, no controls but line breaks and tabs.
///
/// Kept by the owner, never sent to anybody.
#[derive(Clone, PartialEq, Eq)]
pub struct Note(String);

/// The text cannot be a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// Empty, or longer than [`MAX_NOTE_LEN`].
    #[error("a note has 1 to {MAX_NOTE_LEN} bytes, this has {0}")]
    Length(usize),
    /// A control character.
    #[error("a note has no control characters but line breaks and tabs")]
    Control,
}

/// Why a text is not taken as a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VCardError {
    /// Longer than [`MAX_VCARD`].
    #[error("a vCard has at most {MAX_VCARD} bytes here, this has {0}")]
    Length(usize),
    /// It does not begin and end as one.
    #[error("this is not one vCard: it begins with BEGIN:VCARD and ends with END:VCARD")]
    NotAVCard,
    /// Not version 4.0.
    #[error("this vCard is not of version 4.0")]
    Version,
    /// A line that is none.
    #[error("line {0} of the vCard is malformed")]
    Line(usize),
    /// One of our properties twice.
    #[error("the vCard has more than one {0}")]
    Repeated(&'static str),
    /// One of our properties is missing.
    #[error("the vCard has no {0}")]
    Missing(&'static str),
    /// The name is invalid.
    #[error("the FN of the vCard cannot be taken: {0}")]
    Name(#[from] BadName),
    /// The note is none.
    #[error("the NOTE of the vCard cannot be taken: {0}")]
    Note(#[from] BadNote),
    /// The root is none.
    #[error("the {ROOT} of the vCard cannot be taken: {0}")]
    Root(#[from] BadDid),
}

impl Note {
    /// Takes words as a person wrote them.
    ///
    /// # Errors
    /// [`BadNote`] says which rule the text breaks; it is never changed to fit.
    pub fn new(text: &str) -> Result<Self, BadNote> {
        if text.is_empty() || text.len() > MAX_NOTE_LEN {
            return Err(BadNote::Length(text.len()));
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(BadNote::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl VCard {
    /// The text of the vCard, with the line ends and folds of RFC 6350.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        put_line(&mut out, "BEGIN:VCARD");
        put_line(&mut out, "VERSION:4.0");
        put_line(&mut out, &format!("FN:{}", escaped(self.name.as_str())));
        if let Some(note) = &self.note {
            put_line(&mut out, &format!("NOTE:{}", escaped(note.as_str())));
        }
        let OtherProperties { email, impp, photo } = &self.others;
        let email = email.as_deref().map(escaped);
        // URIs are written as they are (RFC 6350, section 4).
        for (name, value) in [("EMAIL", &email), ("IMPP", impp), ("PHOTO", photo)] {
            if let Some(value) = value.as_deref().filter(|value| is_property(value)) {
                put_line(&mut out, &format!("{name}:{value}"));
            }
        }
        put_line(&mut out, &format!("{ROOT}:{}", self.root));
        put_line(&mut out, "END:VCARD");
        out
    }

    /// Reads one vCard. Properties that are not ours are passed over; ours may come once, in any case and order, with
    /// parameters and a group.
    ///
    /// # Errors
    /// [`VCardError`] names the line, the property, or the rule that a value breaks.
    pub fn from_text(text: &str) -> Result<Self, VCardError> {
        if text.len() > MAX_VCARD {
            return Err(VCardError::Length(text.len()));
        }
        let lines = unfolded(text);
        let (first, rest) = lines.split_first().ok_or(VCardError::NotAVCard)?;
        let (last, inner) = rest.split_last().ok_or(VCardError::NotAVCard)?;
        if !first.eq_ignore_ascii_case("BEGIN:VCARD") || !last.eq_ignore_ascii_case("END:VCARD") {
            return Err(VCardError::NotAVCard);
        }
        Found::in_lines(inner)?.into_card()
    }
}

/// Our properties, as they were written.
#[derive(Default)]
struct Found<'a> {
    version: Option<&'a str>,
    name: Option<&'a str>,
    note: Option<&'a str>,
    root: Option<&'a str>,
    email: Option<&'a str>,
    impp: Option<&'a str>,
    photo: Option<&'a str>,
}

impl<'a> Found<'a> {
    /// Looks for our properties in the lines between BEGIN and END.
    fn in_lines(lines: &'a [String]) -> Result<Self, VCardError> {
        let mut found = Self::default();
        for (number, line) in lines.iter().enumerate() {
            // The first line is BEGIN, and people count from 1.
            let (property, value) = split(line).ok_or(VCardError::Line(number + 2))?;
            let property = property.to_ascii_uppercase();
            if let Some(slot) = found.of_address_book(&property) {
                // People have several addresses: the first is the one they put first.
                slot.get_or_insert(value);
                continue;
            }
            let (slot, what) = match property.as_str() {
                "BEGIN" | "END" => return Err(VCardError::NotAVCard),
                "VERSION" => (&mut found.version, "VERSION"),
                "FN" => (&mut found.name, "FN"),
                "NOTE" => (&mut found.note, "NOTE"),
                ROOT => (&mut found.root, ROOT),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(VCardError::Repeated(what));
            }
        }
        Ok(found)
    }

    /// Where a property of address books goes that is neither required nor refused when it comes twice.
    fn of_address_book(&mut self, property: &str) -> Option<&mut Option<&'a str>> {
        match property {
            "EMAIL" => Some(&mut self.email),
            "IMPP" => Some(&mut self.impp),
            "PHOTO" => Some(&mut self.photo),
            _ => None,
        }
    }

    /// Checks what was found. An empty note counts as none.
    fn into_card(self) -> Result<VCard, VCardError> {
        if self.version != Some("4.0") {
            return Err(VCardError::Version);
        }
        let name = Name::new(&unescaped(self.name.ok_or(VCardError::Missing("FN"))?))?;
        let note = self.note.filter(|note| !note.is_empty()).map(|note| Note::new(&unescaped(note)));
        let root = self.root.ok_or(VCardError::Missing(ROOT))?.parse()?;
        let uri = |value: Option<&str>| value.filter(|value| is_property(value)).map(str::to_owned);
        let email = self.email.map(unescaped).filter(|email| is_property(&escaped(email)));
        let others = OtherProperties { email, impp: uri(self.impp), photo: uri(self.photo) };
        Ok(VCard { name, note: note.transpose()?, root, others })
    }
}

/// Whether the value of a property is kept: others are passed over.
fn is_property(value: &str) -> bool {
    (1..=MAX_PROPERTY_LEN).contains(&value.len()) && !value.chars().any(char::is_control)
}

/// The name of the property without group and parameters, and its value.
fn split(line: &str) -> Option<(&str, &str)> {
    let (head, value) = split_outside_quotes(line)?;
    let name = head.split(';').next()?;
    let name = name.rsplit('.').next()?;
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    valid.then_some((name, value))
}

/// At the first colon that is not within the quotes of a parameter.
fn split_outside_quotes(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let colon = line.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b':' && !quoted
    })?;
    Some((&line[..colon], &line[colon + 1..]))
}

/// Whole lines: one that begins with a blank goes on with the line before it. Empty ones at the end do not count.
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for line in text.trim_end_matches(['\r', '\n']).split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some(last)) => last.push_str(more),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// One line with its end, folded at 75 octets and never within a character.
fn put_line(out: &mut String, line: &str) {
    let mut width = 0;
    for c in line.chars() {
        // The blank that begins a folded line counts too.
        if width + c.len_utf8() > FOLD {
            out.push_str("\r\n ");
            width = 1;
        }
        out.push(c);
        width += c.len_utf8();
    }
    out.push_str("\r\n");
}

/// RFC 6350, section 3.4.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' | ',' | ';' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// The reverse of [`escaped`]; a backslash before any other character stands for that character.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Note({} bytes)", self.0.len())
    }
}

/// Without the values, which are about a person.
impl fmt::Debug for OtherProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |value: &Option<String>| value.as_ref().map(String::len);
        f.debug_struct("OtherProperties")
            .field("email", &bytes(&self.email))
            .field("impp", &bytes(&self.impp))
            .field("photo", &bytes(&self.photo))
            .finish()
    }
}

impl fmt::Debug for VCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VCard")
            .field("name", &self.name)
            .field("note", &self.note)
            .field("root", &self.root)
            .field("others", &self.others)
            .finish()
    }
}
