//! One value of each format; the seeds of the fuzzer are their encodings.

use autonomy_messaging::carrier::{Parcel, ParcelEntry};
use autonomy_messaging::envelope::{Envelope, Hello, Ratchet, Reset};
use autonomy_messaging::frame::{DepositId, Frame, QueueKey};
use autonomy_messaging::packet::{Acks, Chunk, Item, Numbering, Origin, Packet, Part, TransferId};
use autonomy_messaging::payload::{
    Application, ApplicationKind, ApplicationOffer, FileName, FileOffer, Payload, Text, Unknown,
};
use autonomy_messaging::queue::{QueueLimits, QueueRecord};
use autonomy_messaging::vcard::{Note, OtherProperties, VCard};
use autonomy_messaging::wire::{PlaceRefusal, QueueNotice, Request, Response, Ticket};
use autonomy_messaging::{FileContent, Window};

use super::wire::{blob, capability, frame, pod_certificate, queue};
use super::{NOW, key, name, person, rng};

/// A frame with something in it, for [`sample_key`].
pub(crate) fn sample_frame() -> Frame {
    let blob = sample_key().seal(&queue(1), b"hello", &mut rng(1)).unwrap();
    Frame { blob, ..frame() }
}

pub(crate) fn sample_key() -> QueueKey {
    QueueKey::derive(&[7; 32], "to the inviter")
}

pub(crate) fn sample_requests() -> Vec<(&'static str, Request)> {
    let open = |ticket, notice: Option<&[u8]>| Request::Open {
        queue: queue(1),
        deposit: capability(2).hash(),
        collect: capability(3).hash(),
        ticket,
        notice: notice.and_then(|notice| QueueNotice::new(notice.to_vec())),
    };
    vec![
        ("good-open", open(Ticket::Open, None)),
        ("good-open-token", open(Ticket::Token(capability(9)), Some(b"a notice"))),
        ("good-open-work", open(Ticket::Work { challenge: [6; 32], nonce: 70 }, None)),
        ("good-deposit", Request::Deposit(frame())),
        ("good-redeem", Request::Redeem { queue: queue(1), deposit: capability(2) }),
        ("good-subscribe", Request::Subscribe(vec![(queue(1), capability(3)), (queue(2), capability(4))])),
        ("good-ack", Request::Ack { queue: queue(1), collect: capability(3), up_to: 77 }),
        ("good-close", Request::Close { queue: queue(1), collect: capability(3) }),
    ]
}

pub(crate) fn sample_responses() -> Vec<(&'static str, Response)> {
    let work = PlaceRefusal::WorkNeeded { challenge: [8; 32], bits: 20 };
    vec![
        ("good-done", Response::Done),
        ("good-notice", Response::Notice(QueueNotice::new(b"a notice".to_vec()).unwrap())),
        ("good-pushed", Response::Pushed { queue: queue(1), number: 5, blob: blob(4) }),
        ("good-unknown", Response::Refused(PlaceRefusal::UnknownQueue)),
        ("good-work", Response::Refused(work)),
        ("good-busy", Response::Refused(PlaceRefusal::Busy { retry_after: 30 })),
    ]
}

/// A queue in which two frames lie.
pub(crate) fn sample_queue() -> QueueRecord {
    let mut record = QueueRecord::open(capability(2).hash(), capability(3).hash(), true, NOW);
    for (day, id) in [(0, 1), (3, 2)] {
        let id = DepositId::from_bytes([id; 16]);
        record.deposit(NOW + day * 86_400, &capability(2), id, &QueueLimits::default(), 0).unwrap();
    }
    record
}

pub(crate) fn sample_window() -> Window {
    let mut window = Window::below(77);
    window.insert(80);
    window.insert(300);
    window
}

pub(crate) fn sample_packet() -> Packet {
    let acks = Acks {
        numbering: Numbering { since: 7, id: [1; 16] },
        messages: sample_window(),
        transfers: vec![(TransferId([2; 16]), sample_window())],
        deposited: vec![5, 0, 9],
        card: 3,
    };
    let origin = Some(Origin { incarnation: [8; 16], last: 12 });
    let part = Part { seq: 77, first: true, last: false, origin, bytes: b"first part".to_vec() };
    let chunk = Chunk { transfer: TransferId([2; 16]), index: 9, bytes: b"a chunk".to_vec() };
    let items = vec![Item::Part(part), Item::Part(Part::void(79)), Item::Chunk(chunk)];
    Packet { numbering: Numbering { since: 9, id: [3; 16] }, acknowledged: 70, acks, items }
}

pub(crate) fn sample_payloads() -> Vec<(&'static str, Payload)> {
    let offer = FileOffer {
        transfer: TransferId([2; 16]),
        name: FileName::new("holiday.tar.gz").unwrap(),
        size: 20_000_000,
        sha256: [6; 32],
    };
    let kind = ApplicationKind::new(0x0100).unwrap();
    let application = Application::new(kind, b"\x01a payment".to_vec()).unwrap();
    let content = FileContent { size: 1_000_000, sha256: [6; 32] };
    let long = ApplicationOffer { transfer: TransferId([2; 16]), kind, content };
    vec![
        ("good-text", Payload::Text(Text::new("grüße\n\tund küsse 😀").unwrap())),
        ("good-card", Payload::Card(b"a card".to_vec())),
        ("good-offer", Payload::FileOffer(offer)),
        ("good-cancel", Payload::FileCancel(TransferId([2; 16]))),
        ("good-application", Payload::Application(application)),
        ("good-application-offer", Payload::ApplicationOffer(long)),
        ("good-unknown", Payload::Unknown(Unknown::new(2, 1, b"a receipt".to_vec()).unwrap())),
    ]
}

pub(crate) fn sample_envelopes() -> Vec<(&'static str, Envelope)> {
    let bob = person(2).root_key().public();
    let reset = Reset::sign(&key(20), &pod_certificate(), &bob, 3, b"welcome".to_vec(), b"message".to_vec());
    let ratchet =
        |commit: Option<&[u8]>| Ratchet { commit: commit.map(<[u8]>::to_vec), message: b"message".to_vec() };
    vec![
        ("good-hello", Envelope::Hello(Hello { welcome: b"welcome".to_vec(), message: b"message".to_vec() })),
        ("good-ratchet", Envelope::Ratchet(ratchet(None))),
        ("good-ratchet-commit", Envelope::Ratchet(ratchet(Some(b"commit")))),
        ("good-reset", Envelope::Reset(Box::new(reset))),
    ]
}

pub(crate) fn sample_parcel() -> Parcel {
    let entry = ParcelEntry { queue: queue(1), deposit: DepositId::from_bytes([6; 16]), blob: blob(4) };
    Parcel::new(vec![entry]).unwrap()
}

pub(crate) fn sample_vcard() -> VCard {
    let note = Note::new("met at the fair; likes \\ and ,\nand long walks by the sea when it rains").unwrap();
    VCard {
        name: name("Alice"),
        note: Some(note),
        root: person(1).root_key().public(),
        others: OtherProperties::default(),
    }
}
