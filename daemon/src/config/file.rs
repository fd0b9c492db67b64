//! Reading the settings file: whatever an editor made of it, and without showing what is in it.

use std::{io::Read as _, ops::Range, os::unix::fs::PermissionsExt as _, path::Path};

use autonomy_store::small_file;

use super::{Config, ConfigError, MAX_FILE};

/// What editors of some systems put before the first line: a byte order mark.
const BYTE_ORDER_MARK: char = '\u{feff}';

impl Config {
    /// Reads and parses one file.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_bounded(path)?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Malformed { path: path.to_owned(), why: told(&text, &error) })?;
        if config.holds_secret() && is_readable_by_others(path) {
            let path = path.display();
            config
                .warnings
                .push(format!("{path} holds a secret and others can read it; run: chmod 600 {path}"));
        }
        Ok(config)
    }

    fn holds_secret(&self) -> bool {
        self.bitcoind.password.is_some() || !self.relay.tokens.is_empty()
    }
}

fn is_readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o044 != 0)
}

/// Reads a file of at most [`MAX_FILE`] bytes as text.
pub(super) fn read_bounded(path: &Path) -> Result<String, ConfigError> {
    let refused = |why: String| ConfigError::Read { path: path.to_owned(), why };
    let mut bytes = Vec::new();
    let read = small_file::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    read.map_err(|error| refused(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(refused(format!("it has more than {MAX_FILE} bytes")));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(refused("it is text in UTF-16; save it as UTF-8".to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
        refused(format!("line {line} is not text in UTF-8"))
    })?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map_or_else(|| text.clone(), str::to_owned))
}

/// Where and what is wrong, without the line itself and without values: either may hold a password.
pub(super) fn told(text: &str, error: &toml::de::Error) -> String {
    let place = error.span().map(|Range { start, .. }| format!("line {}: ", line_of(text.as_bytes(), start)));
    let message = without_value(error.message());
    let remedy =
        if message.contains("escape") { "; a value with \\ stands in single quotes: '…'" } else { "" };
    format!("{}{message}{remedy}", place.unwrap_or_default())
}

/// The number of the line in which byte `at` is; people count from 1.
fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// Takes the value out of `invalid type: string "…", expected …`.
fn without_value(message: &str) -> String {
    let quotes = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let parts = quotes.and_then(|rest| rest.split_once(['`', '"']).zip(rest.rsplit_once(", expected ")));
    match parts {
        Some(((kind, _), (_, expected))) => {
            format!("here is a value of type {}, expected {expected}", kind.trim())
        }
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a file with these bytes.
    fn read(bytes: &[u8]) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Config::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn files_of_all_editors_are_read() {
        for (text, password) in [
            ("[bitcoind]\r\nuser = \"me\"\r\npassword = \"p#w\"", "p#w"),
            ("\u{feff}[bitcoind]\nuser = \"me\"\npassword = 'p#w\\x\"y'\n", "p#w\\x\"y"),
            ("# настройки\ndata_dir = \"/srv/ä\"\n[bitcoind]\n\tuser = \"me\"\n\tpassword = \"ß\"", "ß"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap().bitcoind.password.as_deref(), Some(password), "{text}");
        }
        let path = read(b"[bitcoind]\ncookie_file = \"/srv/my node/regtest/.cookie\"").unwrap();
        assert_eq!(path.bitcoind.cookie_file.unwrap(), Path::new("/srv/my node/regtest/.cookie"));
    }

    #[test]
    fn malformed_file_is_refused_by_line_and_its_secret_is_not_shown() {
        for (text, says) in [
            ("[bitcoind]\nuser = \"me\"\npassword = \"hunter2\\Gt\"", "line 3: "),
            ("[bitcoind]\npassword = hunter2", "line 2: "),
            ("[bitcoind]\npassword = \"hunter2", "line 2: "),
            ("[bitcoind]\npassword = 'hunter2' x", "line 2: "),
            ("[bitcoind]\npasswort = \"hunter2\"", "unknown field `passwort`"),
            ("[bitcoind]\npassword = [\"hunter2\"]", "line 2: "),
            ("[bitcoind]\npassword = \"hunter2\"\n[bitcoind]\nuser = \"me\"", "line 3: "),
            ("[bitcoind]\nurl = 18443", "line 2: here is a value of type integer, expected a string"),
            ("[tor]\nbridges = \"hunter2\"", "line 2: here is a value of type string, expected a sequence"),
            ("[bitcoind]\ncookie = \"x\"", "unknown field `cookie`"),
            ("[relay]\ntokens = [\"hunter2\"]", "64 hex digits"),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.contains(says) && !error.contains("hunter2"), "{text}: {error}");
        }
        let number = read(b"[bitcoind]\npassword = 31337").unwrap_err();
        assert!(!number.contains("31337"), "{number}");
        let escape = read(b"[bitcoind]\npassword = \"p\\Gt\"").unwrap_err();
        assert!(escape.contains("single quotes"), "{escape}");
    }

    #[test]
    fn file_that_is_no_text_is_refused_by_what_it_is() {
        let utf16: Vec<u8> = "\u{feff}[tor]\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, says) in [
            (utf16.as_slice(), "UTF-16"),
            (b"a = 1\n\xff", "line 2 is not text"),
            (&[b'#'; 300_000], "262144 bytes"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(Config::read(Path::new("/")).unwrap_err().to_string().contains("directory"));
    }

    #[test]
    fn readable_file_with_a_password_is_warned_of() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, mode, warned) in [
            ("[bitcoind]\nuser = 'a'\npassword = 'b'", 0o644, true),
            ("[bitcoind]\nuser = 'a'\npassword = 'b'", 0o600, false),
            ("[bitcoind]\nurl = 'http://127.0.0.1:1'", 0o644, false),
        ] {
            std::fs::write(file.path(), text).unwrap();
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let warnings = Config::read(file.path()).unwrap().warnings;
            assert_eq!(warnings.iter().any(|text| text.contains("chmod 600")), warned, "{warnings:?}");
        }
    }
}
