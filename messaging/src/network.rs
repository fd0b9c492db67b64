//! Which Bitcoin network a pod belongs to: part of its request, so that nobody's coins end on another.

use std::fmt;
use std::str::FromStr;

/// The Bitcoin network a pod works on. Fixed when the pod is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "snake_case"))]
pub enum Network {
    /// The one with real money.
    Bitcoin,
    /// The old public test network.
    Testnet,
    /// The signed public test network.
    Signet,
    /// A private one.
    Regtest,
}

/// The word names no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown network: it is one of bitcoin, testnet, signet, regtest")]
pub struct UnknownNetwork;

impl Network {
    /// In the order of their numbers on the wire.
    pub const ALL: [Self; 4] = [Self::Bitcoin, Self::Testnet, Self::Signet, Self::Regtest];

    /// The word that bitcoind and its libraries use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::Testnet => "testnet",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The number on the wire.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Bitcoin => 0,
            Self::Testnet => 1,
            Self::Signet => 2,
            Self::Regtest => 3,
        }
    }

    /// None for a number that stands for no network.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|network| network.to_byte() == byte)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        Self::ALL.into_iter().find(|network| network.as_str() == text).ok_or(UnknownNetwork)
    }
}
