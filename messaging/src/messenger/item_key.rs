//! Names of what waits to be acknowledged by a contact.

use crate::{TransferId, courier::Shipment};

/// A part of a message, or a chunk of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ItemKey {
    /// A part of a message.
    Part(u64),
    /// A chunk of a file.
    Chunk(TransferId, u32),
}

/// A shipment that was found due.
pub(super) type Due = Shipment<ItemKey>;
