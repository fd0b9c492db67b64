//! BIP-39 seeds and the account keys they give.

use crate::bitcoin::NetworkKind;
use crate::bitcoin::bip32::{ChildNumber, Xpriv, Xpub};
use crate::bitcoin::secp256k1::{All, Secp256k1, SecretKey};
use bdk_wallet::bip39::{Language, Mnemonic};
use core::fmt;
use zeroize::Zeroizing;

use super::{AccountIndex, EntropyError, KeyForm, MemberKey, mix_entropy};

/// Why words are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// Not 12, 15, 18, 21 or 24 words.
    #[error("{0} words; a seed has 12, 15, 18, 21 or 24")]
    WordCount(usize),
    /// A word that is not in BIP-39's English list. The error carries its position, never the word.
    #[error("word {0} (counted from 1) is not in the BIP-39 English list; check its spelling")]
    UnknownWord(usize),
    /// The words do not fit together.
    #[error("the words are all known but the checksum is wrong: one is replaced or two are swapped")]
    Checksum,
    /// Stored entropy of a length BIP-39 does not have.
    #[error("{0} bytes of entropy; a seed has 16, 20, 24, 28 or 32")]
    EntropyLength(usize),
}

/// A BIP-39 seed, without passphrase. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed {
    entropy: Zeroizing<Vec<u8>>,
}

impl Seed {
    /// Makes a seed of 24 words. P and G draw from different generators: give each its own `system`
    /// randomness and contributions.
    ///
    /// # Errors
    /// [`EntropyError`] when the generator is visibly broken.
    pub fn generate(system: &[u8; 32], contributed: &[&[u8]]) -> Result<Self, EntropyError> {
        let drawn = mix_entropy::<32>("autonomy/seed/v1", system, contributed)?;
        Ok(Self { entropy: Zeroizing::new(drawn.to_vec()) })
    }

    /// Reads words, separated by any white space, in upper or lower case.
    ///
    /// # Errors
    /// [`SeedError`] names the word by position and the rule, never the word itself.
    pub fn from_words(words: &str) -> Result<Self, SeedError> {
        use bdk_wallet::bip39::Error;
        let lower = Zeroizing::new(words.trim().to_lowercase());
        let mnemonic =
            Mnemonic::parse_in(Language::English, lower.as_str()).map_err(|error| match error {
                Error::BadWordCount(count) => SeedError::WordCount(count),
                Error::UnknownWord(index) => SeedError::UnknownWord(index + 1),
                _ => SeedError::Checksum,
            })?;
        Ok(Self { entropy: Zeroizing::new(mnemonic.to_entropy()) })
    }

    /// Takes entropy as [`Seed::entropy`] gave it.
    ///
    /// # Errors
    /// [`SeedError::EntropyLength`] for other lengths than BIP-39's.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, SeedError> {
        match entropy.len() {
            16 | 20 | 24 | 28 | 32 => Ok(Self { entropy: Zeroizing::new(entropy.to_vec()) }),
            len => Err(SeedError::EntropyLength(len)),
        }
    }

    /// The entropy, for the encrypted store. Whoever has it has the key.
    #[must_use]
    pub fn entropy(&self) -> &[u8] {
        &self.entropy
    }

    /// The words, for paper. Whoever has them has the key.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        Zeroizing::new(self.mnemonic().to_string())
    }

    /// The key of one account: `m/48h/coin/accounth/2h`.
    #[expect(
        clippy::expect_used,
        reason = "64 random bytes give no valid key with a chance of 2^-127, and paths of five steps are below the depth limit of 255 (BIP-32)"
    )]
    pub fn account_key(&self, network: impl Into<NetworkKind>, account: AccountIndex) -> AccountKey {
        let kind = network.into();
        let secp = crate::secp();
        let seed = Zeroizing::new(self.mnemonic().to_seed(""));
        let mut master = Xpriv::new_master(kind, seed.as_slice())
            .expect("the chance that 64 random bytes give no valid key is 2^-127");
        let xpriv = master
            .derive_priv(secp, &KeyForm::Bip48.origin_path(account, kind))
            .expect("paths of five steps are below the depth limit of 255");
        let fingerprint = master.fingerprint(secp);
        master.private_key.non_secure_erase();
        AccountKey::new(KeyForm::Bip48, account, fingerprint, xpriv)
    }

    /// The words, made when they are needed: kept as entropy, which is shorter.
    #[expect(clippy::expect_used, reason = "the length was checked when the seed was made")]
    fn mnemonic(&self) -> Mnemonic {
        Mnemonic::from_entropy(&self.entropy).expect("the length was checked when the seed was made")
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed { entropy: [hidden] }")
    }
}

/// The private key of one member in one account. Erased when dropped.
///
/// It signs only what went through the [checker](crate::check), and only with the keys of the branch that is
/// meant: `steps/<0;1>/*`.
pub struct AccountKey {
    /// What the account map has of it.
    public: MemberKey,
    xpriv: Xpriv,
}

impl AccountKey {
    /// A key with its public half; `fingerprint` is that of the master key.
    #[expect(clippy::expect_used, reason = "the key was derived along the very path that is checked")]
    pub(super) fn new(
        form: KeyForm,
        account: AccountIndex,
        fingerprint: crate::bitcoin::bip32::Fingerprint,
        xpriv: Xpriv,
    ) -> Self {
        let xpub = Xpub::from_priv(crate::secp(), &xpriv);
        let public = MemberKey::new(form, account, fingerprint, xpub)
            .expect("the key was derived along the very path that is checked");
        Self { public, xpriv }
    }

    /// What the others may know.
    #[must_use]
    pub fn public(&self) -> &MemberKey {
        &self.public
    }

    /// The private key below `steps/keychain/index`. Never leaves the crate.
    #[expect(
        clippy::expect_used,
        reason = "unhardened steps below the depth limit: failure has a chance of 2^-127 (BIP-32)"
    )]
    pub(crate) fn child(&self, secp: &Secp256k1<All>, keychain: u32, index: u32) -> ErasedOnDrop {
        let normal = |index| ChildNumber::Normal { index };
        let mut path = self.public.steps();
        path.extend([normal(keychain), normal(index)]);
        let mut child = self
            .xpriv
            .derive_priv(secp, &path)
            .expect("unhardened steps below the depth limit; failure has a chance of 2^-127");
        let secret = ErasedOnDrop(child.private_key);
        child.private_key.non_secure_erase();
        secret
    }
}

impl Drop for AccountKey {
    fn drop(&mut self) {
        self.xpriv.private_key.non_secure_erase();
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKey").field("public", &self.public).field("xpriv", &"[hidden]").finish()
    }
}

/// A secret key that is overwritten when dropped.
pub(crate) struct ErasedOnDrop(pub(crate) SecretKey);

impl Drop for ErasedOnDrop {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}
