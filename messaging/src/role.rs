//! What a certified key is, and how much a device may do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a device may go with its pod. Each level includes those before it.
///
/// Ordered: a request that needs one level is granted to all above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Access {
    /// Sees whether the pod is well, and nothing else.
    Minimal,
    /// Sees, receives, proposes payments.
    Limited,
    /// Everything, other devices included.
    Full,
}

/// What the subject of a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateRole {
    /// The person's pod.
    Pod,
    /// One of the person's devices.
    Device {
        /// How far it may go.
        access: Access,
    },
}

/// Which [`CertificateRole`] a caller asks for; any access will do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoleKind {
    /// A pod.
    Pod,
    /// A device.
    Device,
}

impl CertificateRole {
    /// The role without its access.
    #[must_use]
    pub fn kind(&self) -> RoleKind {
        match self {
            Self::Pod => RoleKind::Pod,
            Self::Device { .. } => RoleKind::Device,
        }
    }

    /// Role and access as one byte of a certificate.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Pod => 0,
            Self::Device { access: Access::Minimal } => 1,
            Self::Device { access: Access::Limited } => 2,
            Self::Device { access: Access::Full } => 3,
        }
    }

    /// None for a number that stands for no role.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Pod,
            1 => Self::Device { access: Access::Minimal },
            2 => Self::Device { access: Access::Limited },
            3 => Self::Device { access: Access::Full },
            _ => return None,
        })
    }
}

impl fmt::Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pod => "pod",
            Self::Device => "device",
        })
    }
}
