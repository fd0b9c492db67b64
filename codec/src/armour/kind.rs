use std::fmt;

use super::CHECKSUM_LEN;

/// What a text holds. All kinds of all crates stand here, so that each can be distinguished from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// What the holder of a shard keeps.
    Deck,
    /// A pod asks for its owner.
    PodRequest,
    /// The owner's answer to a pod.
    Bundle,
    /// A further device asks to be let in.
    DeviceRequest,
    /// The owner's answer to a further device.
    Grant,
    /// Somebody may become a contact.
    Invite,
    /// What two contacts compare.
    SafetyNumber,
    /// Sealed messages that travel without a network.
    Parcel,
}

impl TextKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Deck,
        Self::PodRequest,
        Self::Bundle,
        Self::DeviceRequest,
        Self::Grant,
        Self::Invite,
        Self::SafetyNumber,
        Self::Parcel,
    ];

    /// What the line starts with, before the digit of the form.
    #[must_use]
    pub const fn head(self) -> &'static str {
        match self {
            Self::Deck => "autonomy-deck",
            Self::PodRequest => "autonomy-pod-request",
            Self::Bundle => "autonomy-bundle",
            Self::DeviceRequest => "autonomy-device-request",
            Self::Grant => "autonomy-grant",
            Self::Invite => "autonomy-invite",
            Self::SafetyNumber => "autonomy-safety",
            Self::Parcel => "autonomy-parcel",
        }
    }

    /// Bytes of checksum that the line adds. A deck has one in its bytes already: it travels as bytes too.
    pub(super) const fn checksum_len(self) -> usize {
        match self {
            Self::Deck => 0,
            _ => CHECKSUM_LEN,
        }
    }
}

impl fmt::Display for TextKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deck => "deck",
            Self::PodRequest => "pod request",
            Self::Bundle => "bundle",
            Self::DeviceRequest => "device request",
            Self::Grant => "grant",
            Self::Invite => "contact invite",
            Self::SafetyNumber => "safety number",
            Self::Parcel => "parcel",
        })
    }
}
