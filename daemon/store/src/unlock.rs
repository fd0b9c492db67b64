//! What opens a store: a passphrase or the content of a key file, and where they are looked for.

use std::{
    env, fmt,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use zeroize::{Zeroize as _, Zeroizing};

use super::exposed::is_exposed;
use super::small_file;

/// Environment variable that may hold the passphrase. The processes of the same user can read it: a file or a
/// credential of the service manager is better.
pub const PASSPHRASE_VARIABLE: &str = "AUTONOMY_PASSPHRASE";
/// Name of the credential with a passphrase (`LoadCredential=autonomy.passphrase:…` in a systemd unit).
pub const PASSPHRASE_CREDENTIAL: &str = "autonomy.passphrase";
/// Name of the credential with a key file's content.
pub const KEY_CREDENTIAL: &str = "autonomy.key";
/// Set by systemd for a service with credentials.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// A key file holds at least as many bytes as the key that is made of them.
const MIN_KEY_FILE: usize = 32;
/// No passphrase or key is longer; what is, is the wrong file.
const MAX_FILE: u64 = 4096;
/// Fewest characters of the passphrase of a new store. Whoever gets the file tries a dozen passphrases a second on each
/// machine (argon2id): eight letters at random take 500 years of one machine, four take ten hours.
const MIN_PASSPHRASE: usize = 8;
/// What editors of some systems put before the first line: a byte order mark.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What opens a store.
pub struct Unlock(Secret);

pub(super) enum Secret {
    Passphrase(Zeroizing<String>),
    Key(Zeroizing<Vec<u8>>),
}

/// The places where a passphrase or key may be found, in the order in which they are tried.
///
/// A file named by the caller comes first, then the environment variable, then a credential of the service
/// manager, then the terminal.
#[derive(Default)]
pub struct UnlockSources {
    /// A file with the passphrase on its first line.
    pub passphrase_file: Option<PathBuf>,
    /// A file with at least 32 bytes that nobody can guess.
    pub key_file: Option<PathBuf>,
    /// A passphrase at hand: the value of the environment variable, which must be text.
    pub passphrase: Option<Zeroizing<Vec<u8>>>,
    /// The folder of credentials.
    pub credentials: Option<PathBuf>,
    /// What to ask on the terminal, such as `Passphrase of the pod`; `None` never asks.
    pub prompt: Option<String>,
    /// Ask twice, as for a store that is about to be made.
    pub confirm: bool,
}

/// Why there is nothing to open a store with.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// All places are empty.
    #[error(
        "no passphrase and no key: give --passphrase-file or --key-file, set {PASSPHRASE_VARIABLE}, pass the \
         credential {PASSPHRASE_CREDENTIAL} or {KEY_CREDENTIAL} by the service manager, or run it on a terminal"
    )]
    Nothing,
    /// Two files were named.
    #[error("both a passphrase file and a key file were given: a store is locked with one of them")]
    Both,
    /// A passphrase of no length.
    #[error("the passphrase is empty")]
    Empty,
    /// Too short for a new store.
    #[error(
        "the passphrase has {0} characters, and a new one needs {MIN_PASSPHRASE}: take some words, or a key file \
         (`head -c 32 /dev/urandom`, then --key-file)"
    )]
    Short(usize),
    /// The environment variable holds bytes that are no text.
    #[error("{PASSPHRASE_VARIABLE} is not text in UTF-8, so it holds no passphrase")]
    VariableNotText,
    /// The two inputs on the terminal differ.
    #[error("the two passphrases differ: try again")]
    Differ,
    /// A passphrase must be text.
    #[error("{} is not text in UTF-8, so it holds no passphrase (is it a key file?)", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// Fewer bytes than a key.
    #[error("the key file {} has {len} bytes, fewer than {MIN_KEY_FILE}: make one with `head -c 32 /dev/urandom`", path.display())]
    ShortKey {
        /// The file.
        path: PathBuf,
        /// Its length.
        len: usize,
    },
    /// Others on this machine may read it.
    #[error("{} can be read by others on this machine: run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// More than any passphrase or key.
    #[error("{} is longer than {MAX_FILE} bytes, so it is neither a passphrase nor a key file", path.display())]
    LongFile {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The terminal went away.
    #[error("cannot ask for the passphrase: {0}")]
    Terminal(io::Error),
}

impl Unlock {
    /// A passphrase, as a person types it.
    ///
    /// # Errors
    /// It is empty.
    pub fn passphrase(passphrase: impl Into<Zeroizing<String>>) -> Result<Self, UnlockError> {
        let passphrase = passphrase.into();
        if passphrase.trim().is_empty() {
            return Err(UnlockError::Empty);
        }
        Ok(Self(Secret::Passphrase(passphrase)))
    }

    /// A key that the program itself holds.
    #[must_use]
    pub fn key(mut key: [u8; 32]) -> Self {
        let kept = Zeroizing::new(key.to_vec());
        key.zeroize();
        Self(Secret::Key(kept))
    }

    /// The content of a key file: 32 to 4,096 bytes of any kind.
    ///
    /// # Errors
    /// It cannot be read, or its length is wrong.
    pub fn key_file(path: impl AsRef<Path>) -> Result<Self, UnlockError> {
        let path = path.as_ref();
        let bytes = read(path)?;
        if bytes.len() < MIN_KEY_FILE {
            return Err(UnlockError::ShortKey { path: path.to_owned(), len: bytes.len() });
        }
        Ok(Self(Secret::Key(bytes)))
    }

    /// The passphrase on the first line of a file, as a person would type it; a byte order mark before it, and what comes
    /// after that line, are not looked at.
    ///
    /// # Errors
    /// It cannot be read, is empty, or is not text.
    pub fn passphrase_file(path: impl AsRef<Path>) -> Result<Self, UnlockError> {
        let path = path.as_ref();
        let bytes = read(path)?;
        let text = str::from_utf8(&bytes).map_err(|_| UnlockError::NotText { path: path.to_owned() })?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        Self::passphrase(text.lines().next().unwrap_or_default().to_owned())
    }

    /// Looks in all places, and takes the first that holds something. A place that was named and cannot be read is
    /// an error, never a reason to go on.
    ///
    /// # Errors
    /// There is nothing anywhere, or what is there is unfit; of a new store, also a passphrase of fewer than
    /// `MIN_PASSPHRASE` characters.
    pub fn discover(sources: UnlockSources) -> Result<Self, UnlockError> {
        let new = sources.confirm;
        let found = Self::find(sources)?;
        if new { found.fit_for_new() } else { Ok(found) }
    }

    /// Refuses a short passphrase.
    fn fit_for_new(self) -> Result<Self, UnlockError> {
        match &self.0 {
            Secret::Passphrase(text) if text.chars().count() < MIN_PASSPHRASE => {
                Err(UnlockError::Short(text.chars().count()))
            }
            _ => Ok(self),
        }
    }

    /// The passphrase, where it is one: for a process that shall open the same store again later.
    #[must_use]
    pub fn as_passphrase(&self) -> Option<&str> {
        match &self.0 {
            Secret::Passphrase(text) => Some(text),
            Secret::Key(_) => None,
        }
    }

    /// Whether it is a passphrase with letters that keyboards and systems write in different bytes: an ä is one
    /// character on some and two on others, and one does not open what the other locked.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(&self.0, Secret::Passphrase(text) if !text.is_ascii())
    }

    /// What is there, whatever it is for.
    fn find(sources: UnlockSources) -> Result<Self, UnlockError> {
        match (&sources.passphrase_file, &sources.key_file) {
            (Some(_), Some(_)) => return Err(UnlockError::Both),
            (Some(path), None) => return Self::passphrase_file(path),
            (None, Some(path)) => return Self::key_file(path),
            (None, None) => {}
        }
        if let Some(bytes) = sources.passphrase {
            let text = str::from_utf8(&bytes).map_err(|_| UnlockError::VariableNotText)?;
            return Self::passphrase(text.to_owned());
        }
        if let Some(folder) = sources.credentials {
            let passphrase = folder.join(PASSPHRASE_CREDENTIAL);
            let key = folder.join(KEY_CREDENTIAL);
            match (passphrase.exists(), key.exists()) {
                (true, true) => return Err(UnlockError::Both),
                (true, false) => return Self::passphrase_file(passphrase),
                (false, true) => return Self::key_file(key),
                (false, false) => {}
            }
        }
        sources.prompt.map_or(Err(UnlockError::Nothing), |prompt| ask(&prompt, sources.confirm))
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }
}

impl UnlockSources {
    /// Whether nothing but the terminal is left to give a secret.
    #[must_use]
    pub fn asks(&self) -> bool {
        let named = self.passphrase_file.is_some() || self.key_file.is_some();
        let given = self.passphrase.is_some()
            || self.credentials.as_ref().is_some_and(|folder| {
                folder.join(PASSPHRASE_CREDENTIAL).exists() || folder.join(KEY_CREDENTIAL).exists()
            });
        !named && !given && self.prompt.is_some()
    }

    /// What the process was started with: the environment variable and the credentials of the service manager.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            passphrase: env::var_os(PASSPHRASE_VARIABLE)
                .map(|value| Zeroizing::new(value.into_encoded_bytes())),
            credentials: env::var_os(CREDENTIALS_VARIABLE).map(PathBuf::from),
            ..Self::default()
        }
    }
}

/// Reads a small file of secrets into memory that is wiped.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, UnlockError> {
    let failed = |source| UnlockError::File { path: path.to_owned(), source };
    if is_exposed(path).map_err(failed)? {
        return Err(UnlockError::Exposed { path: path.to_owned() });
    }
    // Room for the whole at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    small_file::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(UnlockError::LongFile { path: path.to_owned() });
    }
    Ok(bytes)
}

fn ask(prompt: &str, confirm: bool) -> Result<Unlock, UnlockError> {
    // Without a terminal the system knows no /dev/tty; that is "nothing", not a failure.
    let line = |prompt: String| match rpassword::prompt_password(prompt) {
        Ok(line) => Ok(Zeroizing::new(line)),
        Err(error) if is_no_terminal(&error) => Err(UnlockError::Nothing),
        Err(error) => Err(UnlockError::Terminal(error)),
    };
    let passphrase = line(format!("{prompt}: "))?;
    if confirm && line(format!("{prompt}, again: "))? != passphrase {
        return Err(UnlockError::Differ);
    }
    Unlock::passphrase(passphrase)
}

/// ENXIO (no controlling terminal) has no name in the standard library.
fn is_no_terminal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error())
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Secret::Passphrase(_) => "Unlock::Passphrase(..)",
            Secret::Key(_) => "Unlock::Key(..)",
        })
    }
}

impl fmt::Debug for UnlockSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnlockSources")
            .field("passphrase_file", &self.passphrase_file)
            .field("key_file", &self.key_file)
            .field("passphrase", &self.passphrase.as_ref().map(|_| ".."))
            .field("credentials", &self.credentials)
            .field("prompt", &self.prompt)
            .field("confirm", &self.confirm)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::private_folder;

    fn secret_of(unlock: &Unlock) -> (&str, &[u8]) {
        match unlock.secret() {
            Secret::Passphrase(text) => ("passphrase", text.as_bytes()),
            Secret::Key(bytes) => ("key", bytes),
        }
    }

    #[test]
    fn a_named_file_wins_over_the_environment_over_a_credential() {
        let folder = private_folder();
        let file = folder.path().join("file");
        std::fs::write(&file, "from file\n").unwrap();
        std::fs::write(folder.path().join(PASSPHRASE_CREDENTIAL), "from credential\r\nand a note").unwrap();
        let sources = |file: Option<&PathBuf>, passphrase: Option<&str>| UnlockSources {
            passphrase_file: file.cloned(),
            passphrase: passphrase.map(|text| Zeroizing::new(text.as_bytes().to_vec())),
            credentials: Some(folder.path().to_owned()),
            ..UnlockSources::default()
        };
        let found = |sources| Unlock::discover(sources).unwrap();
        assert_eq!(secret_of(&found(sources(Some(&file), Some("env")))), ("passphrase", &b"from file"[..]));
        assert_eq!(secret_of(&found(sources(None, Some("env")))), ("passphrase", &b"env"[..]));
        assert_eq!(secret_of(&found(sources(None, None))), ("passphrase", &b"from credential"[..]));
    }

    #[test]
    fn a_credential_may_be_a_key_but_not_both() {
        let folder = private_folder();
        let sources =
            || UnlockSources { credentials: Some(folder.path().to_owned()), ..UnlockSources::default() };
        std::fs::write(folder.path().join(KEY_CREDENTIAL), [9; 40]).unwrap();
        assert_eq!(secret_of(&Unlock::discover(sources()).unwrap()), ("key", &[9; 40][..]));
        std::fs::write(folder.path().join(PASSPHRASE_CREDENTIAL), "x").unwrap();
        assert!(matches!(Unlock::discover(sources()), Err(UnlockError::Both)));
    }

    #[test]
    fn what_is_unfit_is_named() {
        let folder = private_folder();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let error = |result: Result<Unlock, UnlockError>| result.unwrap_err().to_string();
        assert!(error(Unlock::discover(UnlockSources::default())).contains("--passphrase-file"));
        assert!(error(Unlock::passphrase_file(file("empty", b"\n"))).contains("empty"));
        assert!(error(Unlock::passphrase_file(file("binary", &[0xff; 32]))).contains("key file?"));
        assert!(error(Unlock::key_file(file("short", &[1; 31]))).contains("31 bytes"));
        assert!(error(Unlock::key_file(file("long", &[1; 4097]))).contains("longer than 4096"));
        assert!(error(Unlock::key_file(folder.path().join("absent"))).contains("absent"));
    }

    #[test]
    fn passphrase_of_a_file_is_its_first_line_without_marks() {
        let folder = private_folder();
        let path = folder.path().join("passphrase");
        for (bytes, expected) in [
            (&b"hunter22\n"[..], "hunter22"),
            (b"hunter22\r\n", "hunter22"),
            (b"hunter22\nand a note\n", "hunter22"),
            (b"\xef\xbb\xbfhunter22\n", "hunter22"),
            (b"hunter22 \n", "hunter22 "),
            (b"hunter22\t", "hunter22\t"),
            (b"p\xc3\xa4ssw\xc3\xb6rt", "p\u{e4}ssw\u{f6}rt"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let unlock = Unlock::passphrase_file(&path).unwrap();
            assert_eq!(secret_of(&unlock), ("passphrase", expected.as_bytes()));
            assert_eq!(unlock.is_ambiguous(), !expected.is_ascii());
        }
    }

    #[test]
    fn new_store_needs_eight_characters_that_are_text() {
        let of = |bytes: &[u8], confirm| {
            let passphrase = Some(Zeroizing::new(bytes.to_vec()));
            Unlock::discover(UnlockSources { passphrase, confirm, ..UnlockSources::default() })
        };
        assert!(matches!(of(b"a", true), Err(UnlockError::Short(1))));
        assert!(matches!(of("\u{1f980}\u{1f980}".as_bytes(), true), Err(UnlockError::Short(2))));
        assert!(of(b"12345678", true).is_ok());
        assert!(of(b"a", false).is_ok(), "a store that exists opens with what it was made with");
        for blank in [&b""[..], b"   ", b"\n", b"\t \r\n"] {
            assert!(matches!(of(blank, true), Err(UnlockError::Empty)), "{blank:?}");
        }
        assert!(matches!(of(b"\xff\xfe", false), Err(UnlockError::VariableNotText)));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let unlock = Unlock::passphrase("hunter2".to_owned()).unwrap();
        let sources = UnlockSources {
            passphrase: Some(Zeroizing::new(b"hunter2".to_vec())),
            ..UnlockSources::default()
        };
        assert!(!format!("{unlock:?} {sources:?} {:?}", Unlock::key([104; 32])).contains("hunter2"));
    }
}
