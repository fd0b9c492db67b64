//! A PSBT as it came, with nothing in it verified.

use super::{CheckRefusal, MAX_PSBT_BYTES};
use crate::bitcoin::base64::{Engine, prelude::BASE64_STANDARD};
use crate::bitcoin::{Psbt, Txid};

/// Something received or built that no check has passed. It can be looked at and checked, never signed.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "nothing is verified before `check`"]
pub struct Unchecked<T>(T);

impl Unchecked<Psbt> {
    /// Parses a version 0 PSBT (BIP-174).
    ///
    /// # Errors
    /// [`CheckRefusal::TooLarge`] before any parsing; [`CheckRefusal::Malformed`] for damage and for duplicate fields,
    /// [`CheckRefusal::TrailingBytes`], [`CheckRefusal::Version`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckRefusal> {
        if bytes.len() > MAX_PSBT_BYTES {
            return Err(CheckRefusal::TooLarge(bytes.len()));
        }
        let mut rest = bytes;
        let psbt = Psbt::deserialize_from_reader(&mut rest)
            .map_err(|error| CheckRefusal::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(CheckRefusal::TrailingBytes(rest.len()));
        }
        if psbt.version != 0 {
            return Err(CheckRefusal::Version(psbt.version));
        }
        Ok(Self(psbt))
    }

    /// Parses the base64 form, as wallets exchange it in text.
    ///
    /// # Errors
    /// As [`Unchecked::from_bytes`].
    pub fn from_base64(text: &str) -> Result<Self, CheckRefusal> {
        let text = text.trim();
        if text.len() > MAX_PSBT_BYTES.div_ceil(3) * 4 {
            return Err(CheckRefusal::TooLarge(text.len() / 4 * 3));
        }
        let bytes = BASE64_STANDARD
            .decode(text)
            .map_err(|_| CheckRefusal::Malformed("the text is not base64".into()))?;
        Self::from_bytes(&bytes)
    }

    /// What this process built itself is as unchecked as the rest.
    pub(crate) fn built_here(psbt: Psbt) -> Self {
        Self(psbt)
    }

    /// The PSBT's bytes, to be sent on.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.serialize()
    }

    /// The id the transaction will have, if it is the one that gets signed.
    #[must_use]
    pub fn claimed_txid(&self) -> Txid {
        self.0.unsigned_tx.compute_txid()
    }

    pub(super) fn psbt(&self) -> &Psbt {
        &self.0
    }

    pub(super) fn into_inner(self) -> Psbt {
        self.0
    }
}

impl core::fmt::Debug for Unchecked<Psbt> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Unchecked").field(&self.claimed_txid()).finish()
    }
}
