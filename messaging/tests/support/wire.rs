//! Places, queues and frames of the tests.

use autonomy_messaging::frame::{BLOB_LEN, Blob, DepositId, Frame};
use autonomy_messaging::place::{Capability, Place, QueueAddress, QueueId};

use super::public;

pub(crate) fn place(byte: u8) -> Place {
    Place::new([byte; 32], public(byte))
}

pub(crate) fn queue(byte: u8) -> QueueId {
    QueueId::from_bytes([byte; 32])
}

pub(crate) fn capability(byte: u8) -> Capability {
    Capability::from_bytes([byte; 32])
}

pub(crate) fn address(byte: u8) -> QueueAddress {
    QueueAddress { place: place(byte), queue: queue(byte), deposit: capability(byte) }
}

pub(crate) fn blob(byte: u8) -> Blob {
    Blob::from_slice(&[byte; BLOB_LEN]).unwrap()
}

/// A frame to queue 1 with its capability 2.
pub(crate) fn frame() -> Frame {
    Frame {
        deposit: DepositId::from_bytes([6; 16]),
        queue: queue(1),
        capability: capability(2),
        blob: blob(4),
    }
}
