//! Where a key comes from: the path between a master key and the extended public key that is announced.

use core::fmt;

use super::{AccountIndex, KeyError, coin_type};
use crate::bitcoin::NetworkKind;
use crate::bitcoin::bip32::{ChildNumber, DerivationPath};

/// The two forms an account key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyForm {
    /// The account key of a BIP-39 seed at `m/48h/coin/accounth/2h` (BIP-48; 2 is the script type of P2WSH):
    /// devices, pods and hardware signers.
    Bip48,
    /// A key at depth 0 without a path, which takes one unhardened step `/account`: the recovery key, whose
    /// shares verify against the very public key in its xpub.
    DepthZero,
}

impl KeyForm {
    /// Path from the master key to the announced xpub.
    pub(super) fn origin_path(self, account: AccountIndex, kind: NetworkKind) -> DerivationPath {
        let hard = |index| ChildNumber::Hardened { index };
        match self {
            Self::DepthZero => DerivationPath::master(),
            Self::Bip48 => vec![hard(48), hard(coin_type(kind)), account.hardened(), hard(2)].into(),
        }
    }

    /// Steps between the announced xpub and the keychain step.
    pub(super) fn steps(self, account: AccountIndex) -> Vec<ChildNumber> {
        match self {
            Self::DepthZero => vec![account.normal()],
            Self::Bip48 => Vec::new(),
        }
    }

    /// Depth and child number of the announced xpub.
    pub(super) fn place(self) -> (u8, ChildNumber) {
        match self {
            Self::DepthZero => (0, ChildNumber::Normal { index: 0 }),
            Self::Bip48 => (4, ChildNumber::Hardened { index: 2 }),
        }
    }

    /// Both paths in one, as errors show them.
    pub(super) fn written(self, account: AccountIndex, kind: NetworkKind) -> String {
        written(&self.origin_path(account, kind).extend(self.steps(account)))
    }

    /// Reads form and account out of an origin path and the steps behind the xpub, refusing any other shape.
    pub(super) fn read(
        path: &DerivationPath,
        steps: &str,
        kind: NetworkKind,
    ) -> Result<(Self, AccountIndex), KeyError> {
        let form = if path.is_empty() { Self::DepthZero } else { Self::Bip48 };
        let account = match form {
            Self::DepthZero => account_step(steps),
            Self::Bip48 => bip48_account(path, steps, kind),
        };
        account.map(|account| (form, account)).ok_or_else(|| {
            let path = written(path);
            let found = if steps.is_empty() { path } else { format!("{path}, then /{steps}") };
            let expected = match form {
                Self::DepthZero => "m, then /account".into(),
                Self::Bip48 => format!("m/48h/{}h/accounth/2h", coin_type(kind)),
            };
            KeyError::WrongOrigin { found, expected }
        })
    }
}

impl fmt::Display for KeyForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bip48 => "[fingerprint/48h/coin/accounth/2h]xpub",
            Self::DepthZero => "[fingerprint]xpub/account",
        })
    }
}

/// The one step behind a key at depth 0, in its one form: no sign, no leading zero.
fn account_step(steps: &str) -> Option<AccountIndex> {
    let canonical = steps == "0" || !steps.starts_with(['0', '+']);
    let index = steps.parse().ok().filter(|_| canonical)?;
    AccountIndex::new(index).ok()
}

/// The account of a BIP-48 path, which must be whole and have nothing behind it.
fn bip48_account(path: &DerivationPath, steps: &str, kind: NetworkKind) -> Option<AccountIndex> {
    let Some(ChildNumber::Hardened { index }) = path.into_iter().nth(2) else { return None };
    let account = AccountIndex::new(*index).ok()?;
    (*path == KeyForm::Bip48.origin_path(account, kind) && steps.is_empty()).then_some(account)
}

/// A path as it is written here: `m/48h/1h/0h/2h`.
pub(super) fn written(path: &DerivationPath) -> String {
    let steps = path.into_iter().map(|step| format!("/{step:#}"));
    format!("m{}", steps.collect::<String>())
}
