//! What a member announces of its key: an extended public key with its origin.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::origin::written;
use super::{AccountIndex, KeyError, KeyForm};
use crate::bitcoin::NetworkKind;
use crate::bitcoin::bip32::{ChildNumber, DerivationPath, Fingerprint, Xpub};
use crate::bitcoin::secp256k1::PublicKey;

/// Longest key expression that is parsed, in bytes. `[8 hex/48h/1h/2147483647h/2h]` is 31, an xpub 111, a
/// step `/2147483647` 11: together 153. Twice that is refused before any parsing.
pub const MAX_KEY_TEXT: usize = 306;

/// An extended public key with its origin: all that a member announces of one key.
///
/// Holding one proves nothing about who holds the private key. It is public, but not for everyone: whoever
/// knows all keys of an account sees every address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberKey {
    form: KeyForm,
    account: AccountIndex,
    fingerprint: Fingerprint,
    xpub: Xpub,
}

impl MemberKey {
    /// Makes a member key and checks that all of it fits together.
    ///
    /// # Errors
    /// [`KeyError::Inconsistent`] when depth, child number or fingerprint contradict the form.
    pub fn new(
        form: KeyForm,
        account: AccountIndex,
        fingerprint: Fingerprint,
        xpub: Xpub,
    ) -> Result<Self, KeyError> {
        let (depth, child) = form.place();
        if xpub.depth != depth {
            return Err(KeyError::Inconsistent("depth"));
        }
        if xpub.child_number != child {
            return Err(KeyError::Inconsistent("child number"));
        }
        let is_master = fingerprint == xpub.fingerprint() && xpub.parent_fingerprint == [0; 4].into();
        if form == KeyForm::DepthZero && !is_master {
            return Err(KeyError::Inconsistent("fingerprint"));
        }
        Ok(Self { form, account, fingerprint, xpub })
    }

    /// Reads a key expression as [`Display`](fmt::Display) writes it. `h` and `'` both mark a hardened step.
    ///
    /// # Errors
    /// [`KeyError`]: the text is bounded before parsing, and its parts must fit one of the [`KeyForm`]s.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_TEXT {
            return Err(KeyError::TooLong(text.len()));
        }
        let wrong = KeyError::Malformed;
        let (origin, rest) = text
            .strip_prefix('[')
            .and_then(|text| text.split_once(']'))
            .ok_or(wrong("the [origin] is missing"))?;
        let (fingerprint, path) = origin.split_once('/').unwrap_or((origin, ""));
        let (xpub, steps) = rest.split_once('/').unwrap_or((rest, ""));
        let fingerprint: Fingerprint =
            fingerprint.parse().map_err(|_| wrong("the fingerprint is not 8 hexadecimal digits"))?;
        let path: DerivationPath = path.parse().map_err(|_| wrong("the origin path is not a path"))?;
        let xpub: Xpub = xpub.parse().map_err(|_| wrong("the extended public key is damaged"))?;
        let (form, account) = KeyForm::read(&path, steps, xpub.network)?;
        Self::new(form, account, fingerprint, xpub)
    }

    /// Which of the two forms it has.
    #[must_use]
    pub fn form(&self) -> KeyForm {
        self.form
    }

    /// The account it was derived for.
    #[must_use]
    pub fn account(&self) -> AccountIndex {
        self.account
    }

    /// Fingerprint of the master key (BIP-32), the name by which signers know themselves in a PSBT.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The extended public key, at the depth it was announced.
    #[must_use]
    pub fn xpub(&self) -> &Xpub {
        &self.xpub
    }

    /// Path from the master key to the xpub: `48h/coin/accounth/2h`, or empty at depth 0.
    #[must_use]
    pub fn origin_path(&self) -> DerivationPath {
        self.form.origin_path(self.account, self.xpub.network)
    }

    /// Steps between the xpub and the keychain step: `account` at depth 0, else none.
    #[must_use]
    pub fn steps(&self) -> Vec<ChildNumber> {
        self.form.steps(self.account)
    }

    /// The public key that stands right above the keychain step. Two keys that agree here give the same key at
    /// every address, whatever origin they claim.
    #[expect(
        clippy::expect_used,
        reason = "one unhardened step at depth 0: failure has a chance of 2^-127 (BIP-32)"
    )]
    pub(crate) fn account_public_key(&self) -> PublicKey {
        let derived = self.xpub.derive_pub(crate::secp(), &self.steps());
        derived.expect("one unhardened step at depth 0; failure has a chance of 2^-127").public_key
    }

    /// Checks that the key is for a network of this kind.
    ///
    /// # Errors
    /// [`KeyError::ForeignNetwork`].
    pub fn check_network(&self, kind: NetworkKind) -> Result<(), KeyError> {
        let found = self.xpub.network;
        if found == kind {
            return Ok(());
        }
        Err(KeyError::ForeignNetwork { found: kind_name(found), expected: kind_name(kind) })
    }

    /// Checks that the key is for this account index.
    ///
    /// # Errors
    /// [`KeyError::WrongOrigin`].
    pub fn check_account(&self, account: AccountIndex) -> Result<(), KeyError> {
        if self.account == account {
            return Ok(());
        }
        let full = |account| self.form.written(account, self.xpub.network);
        Err(KeyError::WrongOrigin { found: full(self.account), expected: full(account) })
    }
}

/// "mainnet" or "a test network": an xpub does not say which one.
fn kind_name(kind: NetworkKind) -> &'static str {
    if kind.is_mainnet() { "mainnet" } else { "a test network" }
}

/// The BIP-380 key expression up to the keychain step: `[3fe524e7/48h/1h/0h/2h]tpub…` or
/// `[bdd6816c]tpub…/0`.
impl fmt::Display for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = written(&self.origin_path());
        write!(f, "[{}{}]{}", self.fingerprint, origin.trim_start_matches('m'), self.xpub)?;
        for step in self.steps() {
            write!(f, "/{step:#}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberKey")
            .field("form", &self.form)
            .field("account", &self.account)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Written as its key expression.
impl Serialize for MemberKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemberKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
