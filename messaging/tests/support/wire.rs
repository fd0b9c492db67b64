//! Places, queues and frames of the tests.

use autonomy_messaging::card::{Card, CardPlace};
use autonomy_messaging::frame::{BLOB_LEN, Blob, DepositId, Frame};
use autonomy_messaging::invite::Invite;
use autonomy_messaging::place::{Capability, Place, QueueAddress, QueueId};
use autonomy_messaging::{Certificate, CertificateRole, Validity};
use sha2::{Digest as _, Sha256};

use super::{NOW, YEAR, name, person, public};

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

/// The certificate of Alice's pod, whose key is 20.
pub(crate) fn pod_certificate() -> Certificate {
    person(1).root_key().certify(CertificateRole::Pod, &public(20), 1, Validity::lasting(NOW, YEAR))
}

/// Alice's pod (60) and relays (61 and on).
pub(crate) fn card_places(count: usize) -> Vec<CardPlace> {
    let place = |byte| CardPlace { address: address(byte), own: byte == 60 };
    (60..).take(count).map(place).collect()
}

/// Alice's third card, with a key package that is none.
pub(crate) fn card() -> Card {
    Card::new(3, name("Alice"), pod_certificate(), public(50), card_places(2), vec![9; 100]).unwrap()
}

/// An invite of Alice's for a year.
pub(crate) fn invite() -> Invite {
    let key_package = Sha256::digest(b"a key package").into();
    Invite::new(NOW + YEAR, person(1).root_key().public(), [70; 32], key_package, address(60))
}
