//! What a member announces of its key: an extended public key with its origin.

use crate::bitcoin::NetworkKind;
use crate::bitcoin::bip32::{ChildNumber, DerivationPath, Fingerprint, Xpub};
use core::fmt;
use serde::{Deserialize, Serialize};

use super::{AccountIndex, coin_type};

/// Longest key expression that is parsed, in bytes. `[8 hex/48h/1h/2147483647h/2h]` is 31, an xpub 111, a
/// step `/2147483647` 11: together 153. Twice that is refused before any parsing.
pub const MAX_KEY_TEXT: usize = 306;

/// Whose key it is in an account of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The platform key, on the device.
    P,
    /// The recovery key, split at birth.
    R,
    /// The gordian key, in the pod.
    G,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::P => "P",
            Role::R => "R",
            Role::G => "G",
        })
    }
}

/// Why a key expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Longer than any key expression can be.
    #[error("key {role}: {len} bytes of text, a key expression has at most {MAX_KEY_TEXT}")]
    TooLong {
        /// Whose key.
        role: Role,
        /// Bytes given.
        len: usize,
    },
    /// Not of the form `[fingerprint/origin]xpub/steps`.
    #[error("key {role}: {rule}; expected [fingerprint/origin path]xpub, as BIP-380 writes it")]
    Malformed {
        /// Whose key.
        role: Role,
        /// What is wrong.
        rule: &'static str,
    },
    /// The xpub is for mainnet where a test network was meant, or the reverse.
    #[error("key {role} is for {found}, this account is on {expected}")]
    ForeignNetwork {
        /// Whose key.
        role: Role,
        /// What its xpub says.
        found: &'static str,
        /// What the account is on.
        expected: &'static str,
    },
    /// The origin or the steps are not those of this account.
    #[error("key {role} has the origin path {found}, this account needs {expected}")]
    WrongOrigin {
        /// Whose key.
        role: Role,
        /// The path given.
        found: String,
        /// The path the account needs.
        expected: String,
    },
    /// The fingerprint, depth or child number contradicts the xpub itself.
    #[error("key {role}: the {field} does not fit the xpub; the key was copied wrongly or replaced")]
    Inconsistent {
        /// Whose key.
        role: Role,
        /// What does not fit.
        field: &'static str,
    },
    /// An account index of 2³¹ or more.
    #[error("account {0} is out of range, accounts go from 0 to 2147483647")]
    AccountIndex(u32),
}

/// An extended public key with its origin: all that a member tells the others.
///
/// Holding one proves nothing about who holds the private key. It is public, but not for everyone: who knows
/// all three of an account sees every address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberKey {
    role: Role,
    account: AccountIndex,
    fingerprint: Fingerprint,
    xpub: Xpub,
}

impl MemberKey {
    /// Makes a member key and checks that all of it fits together.
    ///
    /// # Errors
    /// [`KeyError::Inconsistent`] when depth, child number or fingerprint contradict role and account.
    pub fn new(
        role: Role,
        account: AccountIndex,
        fingerprint: Fingerprint,
        xpub: Xpub,
    ) -> Result<Self, KeyError> {
        let (depth, child) = match role {
            Role::R => (0, ChildNumber::Normal { index: 0 }),
            Role::P | Role::G => (4, ChildNumber::Hardened { index: 2 }),
        };
        let wrong = |field| Err(KeyError::Inconsistent { role, field });
        if xpub.depth != depth {
            return wrong("depth");
        }
        if xpub.child_number != child {
            return wrong("child number");
        }
        if role == Role::R && (fingerprint != xpub.fingerprint() || xpub.parent_fingerprint != [0; 4].into())
        {
            return wrong("fingerprint");
        }
        Ok(Self { role, account, fingerprint, xpub })
    }

    /// Reads a key expression as [`Display`](fmt::Display) writes it, for a given role. `h` and `'` both mark
    /// a hardened step.
    ///
    /// # Errors
    /// [`KeyError`]: the text is bounded before parsing, and every part of it must fit the role.
    pub fn parse(role: Role, text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_TEXT {
            return Err(KeyError::TooLong { role, len: text.len() });
        }
        let wrong = |rule| KeyError::Malformed { role, rule };
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
        let account = account_of(role, &path, steps, xpub.network)?;
        Self::new(role, account, fingerprint, xpub)
    }

    /// Whose key.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The account it was derived for.
    pub fn account(&self) -> AccountIndex {
        self.account
    }

    /// Fingerprint of the master key (BIP-32), the name by which signers know themselves in a PSBT.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The extended public key, at the depth it was announced.
    pub fn xpub(&self) -> &Xpub {
        &self.xpub
    }

    /// Path from the master key to the xpub: `48h/coin/accounth/2h` for P and G, empty for R.
    pub fn origin_path(&self) -> DerivationPath {
        origin_path(self.role, self.account, self.xpub.network)
    }

    /// Steps between the xpub and the keychain step: none for P and G, `account` for R.
    pub fn steps(&self) -> Vec<ChildNumber> {
        match self.role {
            Role::R => vec![self.account.normal()],
            Role::P | Role::G => Vec::new(),
        }
    }

    /// Checks that the key belongs to `account` on a network of this kind.
    ///
    /// # Errors
    /// [`KeyError::ForeignNetwork`], [`KeyError::WrongOrigin`].
    pub fn check_for(&self, account: AccountIndex, kind: NetworkKind) -> Result<(), KeyError> {
        if self.xpub.network != kind {
            return Err(KeyError::ForeignNetwork {
                role: self.role,
                found: kind_name(self.xpub.network),
                expected: kind_name(kind),
            });
        }
        if self.account != account {
            let full = |account| {
                let mut path = origin_path(self.role, account, kind);
                if self.role == Role::R {
                    path = path.child(account.normal());
                }
                written(&path)
            };
            return Err(KeyError::WrongOrigin {
                role: self.role,
                found: full(self.account),
                expected: full(account),
            });
        }
        Ok(())
    }
}

/// Path from the master key to the announced xpub.
pub(crate) fn origin_path(role: Role, account: AccountIndex, kind: NetworkKind) -> DerivationPath {
    if role == Role::R {
        return DerivationPath::master();
    }
    let hard = |index| ChildNumber::Hardened { index };
    // BIP-48: purpose, coin, account, script type (2 = P2WSH).
    vec![hard(48), hard(coin_type(kind)), account.hardened(), hard(2)].into()
}

/// Reads the account out of origin path and steps, refusing any other shape.
fn account_of(
    role: Role,
    path: &DerivationPath,
    steps: &str,
    kind: NetworkKind,
) -> Result<AccountIndex, KeyError> {
    let wrong = |expected: String| KeyError::WrongOrigin {
        role,
        found: if steps.is_empty() { written(path) } else { format!("{}, then /{steps}", written(path)) },
        expected,
    };
    if role == Role::R {
        let expected = || wrong("m, then /account".into());
        let canonical = !steps.is_empty() && (steps == "0" || !steps.starts_with('0'));
        let index = steps.parse::<u32>().ok().filter(|_| canonical && path.is_empty());
        return AccountIndex::new(index.ok_or_else(expected)?);
    }
    let shape = || wrong(format!("m/48h/{}h/accounth/2h", coin_type(kind)));
    let parts: &[ChildNumber] = path.as_ref();
    let Some(ChildNumber::Hardened { index }) = parts.get(2) else { return Err(shape()) };
    let account = AccountIndex::new(*index)?;
    if *path != origin_path(role, account, kind) || !steps.is_empty() {
        return Err(shape());
    }
    Ok(account)
}

/// A path as people write it here: `m/48h/1h/0h/2h`.
fn written(path: &DerivationPath) -> String {
    let steps = path.into_iter().map(|step| format!("/{step:#}"));
    format!("m{}", steps.collect::<String>())
}

/// "mainnet" or "a test network": an xpub does not say which one.
pub(crate) fn kind_name(kind: NetworkKind) -> &'static str {
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
            .field("role", &self.role)
            .field("account", &self.account)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Written as `{"role": "P", "key": "[…]tpub…"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    role: Role,
    key: String,
}

impl Serialize for MemberKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire { role: self.role, key: self.to_string() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MemberKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        Self::parse(wire.role, &wire.key).map_err(serde::de::Error::custom)
    }
}
