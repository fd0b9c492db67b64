//! The recovery key R: drawn, split, erased.

use crate::bitcoin::NetworkKind;
use crate::bitcoin::bip32::{ChainCode, ChildNumber, Xpriv, Xpub};
use crate::bitcoin::secp256k1::SecretKey;
use core::fmt;
use zeroize::Zeroizing;

use super::{AccountIndex, AccountKey, EntropyError, KeyError, KeyForm, MemberKey, mix_entropy};

/// R in full: a secp256k1 scalar and a chain code, which make an extended key at depth 0.
///
/// It exists twice in its life: between the draw and the split, and during a sweep after a recovery. Both
/// times for moments; it is erased when dropped and has no serialised form of its own.
pub struct RecoveryKey {
    /// The private key; its public half is the first commitment of the split.
    scalar: SecretKey,
    /// Drawn with the scalar; needed to derive any address.
    chain_code: Zeroizing<[u8; 32]>,
}

impl RecoveryKey {
    /// Draws R from the system's randomness and what others contributed.
    ///
    /// # Errors
    /// [`EntropyError`] when the generator is visibly broken: the ceremony stops.
    pub fn draw(system: &[u8; 32], contributed: &[&[u8]]) -> Result<Self, EntropyError> {
        for attempt in 0..=u8::MAX {
            let purpose = format!("autonomy/recovery-key/v1/{attempt}");
            let drawn = mix_entropy::<64>(&purpose, system, contributed)?;
            let (scalar, code) = drawn.split_at(32);
            // One draw in 2^127 is not a scalar of the curve; then the next attempt's purpose counts.
            if let Ok(scalar) = SecretKey::from_slice(scalar) {
                let mut chain_code = Zeroizing::new([0; 32]);
                chain_code.copy_from_slice(code);
                return Ok(Self { scalar, chain_code });
            }
        }
        Err(EntropyError::NoKey)
    }

    /// Puts R together again from the recovered scalar and the chain code kept sealed in the decks.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the scalar is zero or not below the curve's order.
    pub fn from_parts(scalar: &[u8; 32], chain_code: &[u8; 32]) -> Result<Self, KeyError> {
        let scalar = SecretKey::from_slice(scalar)
            .map_err(|_| KeyError::Malformed("the scalar is zero or too large"))?;
        Ok(Self { scalar, chain_code: Zeroizing::new(*chain_code) })
    }

    /// The scalar, for the split. Whoever has it can spend with R.
    #[must_use]
    pub fn scalar_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.scalar.secret_bytes())
    }

    /// The chain code, to be sealed in the decks. Without it the scalar finds no address.
    #[must_use]
    pub fn chain_code(&self) -> &[u8; 32] {
        &self.chain_code
    }

    /// What the account map holds of R.
    pub fn public(&self, network: impl Into<NetworkKind>, account: AccountIndex) -> MemberKey {
        *self.account_key(network, account).public()
    }

    /// R as a signer of one account: only ever for a sweep to a new account.
    pub fn account_key(&self, network: impl Into<NetworkKind>, account: AccountIndex) -> AccountKey {
        let xpriv = self.xpriv(network.into());
        let fingerprint = Xpub::from_priv(crate::secp(), &xpriv).fingerprint();
        AccountKey::new(KeyForm::DepthZero, account, fingerprint, xpriv)
    }

    /// Depth 0, no parent, child 0 (BIP-32 serialisation of a master key).
    fn xpriv(&self, network: NetworkKind) -> Xpriv {
        Xpriv {
            network,
            depth: 0,
            parent_fingerprint: [0; 4].into(),
            child_number: ChildNumber::Normal { index: 0 },
            private_key: self.scalar,
            chain_code: ChainCode::from(*self.chain_code),
        }
    }
}

impl Drop for RecoveryKey {
    fn drop(&mut self) {
        self.scalar.non_secure_erase();
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey { scalar: [hidden], chain_code: [hidden] }")
    }
}
