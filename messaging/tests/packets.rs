//! Packets, payloads and envelopes: what goes into a frame fits, and what comes out of one is taken whole or not at all.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::card::MAX_CARD;
use autonomy_messaging::packet::{
    Acks, CHUNK_LEN, Chunk, Item, MAX_DEPOSITED, MAX_ITEMS, MAX_PACKET, MAX_PART, MAX_TRANSFERS,
    MalformedPacket, Numbering, Origin, Packet, PacketTooLong, Part, TransferId,
};
use autonomy_messaging::payload::{
    Application, ApplicationKind, ApplicationOffer, BadFileName, BadText, FileName, FileOffer,
    MAX_APPLICATION_LEN, MAX_FILE_LEN, MAX_INLINE_LEN, MAX_PAYLOAD, MAX_TEXT_LEN, MalformedPayload, Payload,
    Text, Unknown,
};
use autonomy_messaging::{FileContent, ITEM_BYTES, SHIPMENT_BYTES, WINDOW_LEN, Window};
use proptest::prelude::*;

fn window(next: u64) -> Window {
    let mut window = Window::below(next);
    window.insert(next + 3);
    window
}

const NUMBERING: Numbering = Numbering { since: 7, id: [1; 16] };

fn acks() -> Acks {
    Acks {
        numbering: NUMBERING,
        messages: window(1_000),
        transfers: vec![(TransferId([2; 16]), window(7))],
        deposited: vec![5, 0, 9],
        card: 3,
    }
}

fn part(bytes: usize) -> Part {
    Part { seq: 77, first: true, last: false, origin: None, bytes: vec![4; bytes] }
}

fn chunk(bytes: usize) -> Chunk {
    Chunk { transfer: TransferId([2; 16]), index: 9, bytes: vec![5; bytes] }
}

fn packet(items: Vec<Item>) -> Packet {
    Packet { numbering: NUMBERING, acknowledged: 5, acks: acks(), items }
}

#[test]
fn a_packet_travels() {
    let again = Part { origin: Some(Origin { incarnation: [8; 16], last: 12 }), last: true, ..part(30) };
    let items =
        vec![Item::Part(part(100)), Item::Part(again), Item::Part(Part::void(5)), Item::Chunk(chunk(500))];
    for sent in [packet(items), packet(vec![])] {
        let bytes = sent.to_bytes().unwrap();
        assert_eq!(bytes.len(), sent.encoded_len());
        assert_eq!(Packet::parse(&bytes).unwrap(), sent);
    }
    assert!(Part::void(5).is_void() && !part(1).is_void());
}

#[test]
fn a_full_part_fits_beside_the_fullest_acknowledgements() {
    let acks = Acks {
        transfers: vec![(TransferId([2; 16]), window(7)); MAX_TRANSFERS],
        deposited: vec![u32::MAX; MAX_DEPOSITED],
        ..acks()
    };
    for item in [
        Item::Part(Part { origin: Some(Origin { incarnation: [8; 16], last: 12 }), ..part(MAX_PART) }),
        Item::Chunk(chunk(CHUNK_LEN)),
    ] {
        let sent = Packet { acks: acks.clone(), ..packet(vec![item]) };
        assert_eq!(Packet::parse(&sent.to_bytes().unwrap()).unwrap(), sent);
    }
}

#[test]
fn a_full_shipment_fits_beside_the_fullest_acknowledgements() {
    let of_two = SHIPMENT_BYTES - 2 * ITEM_BYTES;
    let with_origin = |bytes| Part { origin: Some(Origin { incarnation: [3; 16], last: 9 }), ..part(bytes) };
    let mut full = packet(vec![Item::Part(with_origin(1_000)), Item::Part(with_origin(of_two - 1_000))]);
    full.acks.transfers = (0..MAX_TRANSFERS as u8).map(|n| (TransferId([n; 16]), window(7))).collect();
    full.acks.deposited = vec![9; MAX_DEPOSITED];
    assert_eq!(Packet::parse(&full.to_bytes().unwrap()), Ok(full));
}

#[test]
fn what_does_not_fit_is_not_written() {
    let refused = |packet: Packet| assert_eq!(packet.to_bytes().unwrap_err(), PacketTooLong);
    refused(packet(vec![Item::Part(part(MAX_PART + 1))]));
    refused(packet(vec![Item::Chunk(chunk(CHUNK_LEN + 1))]));
    refused(packet(vec![Item::Part(part(MAX_PART)), Item::Part(part(400))]));
    refused(packet(vec![Item::Part(Part::void(0)); MAX_ITEMS + 1]));
    let transfers = vec![(TransferId([0; 16]), Window::new()); MAX_TRANSFERS + 1];
    refused(Packet { acks: Acks { transfers, ..acks() }, ..packet(vec![]) });
    let deposited = vec![0; MAX_DEPOSITED + 1];
    refused(Packet { acks: Acks { deposited, ..acks() }, ..packet(vec![]) });
}

#[test]
fn malformed_packets_say_what_is_wrong() {
    let good = packet(vec![Item::Part(part(20)), Item::Chunk(chunk(20))]).to_bytes().unwrap();
    for len in 1..good.len() {
        assert_eq!(Packet::parse(&good[..len]).unwrap_err(), MalformedPacket::Field, "{len}");
    }
    assert_eq!(Packet::parse(&[]).unwrap_err(), MalformedPacket::Field);
    assert_eq!(Packet::parse(&[good.as_slice(), &[0]].concat()).unwrap_err(), MalformedPacket::Field);
    assert_eq!(Packet::parse(&[1]).unwrap_err(), MalformedPacket::Version(1));
    let long = vec![1; MAX_PACKET + 1];
    assert_eq!(Packet::parse(&long).unwrap_err(), MalformedPacket::Length(MAX_PACKET + 1));
    // A receipt that says of the first missing part that it arrived.
    let mut forged = good.to_vec();
    forged[1 + 24 + 8 + 24 + 8 + 7] |= 1;
    assert_eq!(Packet::parse(&forged).unwrap_err(), MalformedPacket::Field);
}

#[test]
fn what_was_said_is_not_printed() {
    let shown = format!("{:?}", packet(vec![Item::Part(part(20)), Item::Chunk(chunk(20))]));
    assert!(!shown.contains("4, 4") && !shown.contains("5, 5"), "{shown}");
    let text = Payload::Text(Text::new("meet me at noon").unwrap());
    let offer = format!("{:?} {:?}", text, offer());
    assert!(!offer.contains("noon") && !offer.contains("holiday"), "{offer}");
}

fn offer() -> Payload {
    Payload::FileOffer(FileOffer {
        transfer: TransferId([2; 16]),
        name: FileName::new("holiday 2026.tar.gz").unwrap(),
        size: MAX_FILE_LEN,
        sha256: [6; 32],
    })
}

fn long_offer() -> Payload {
    let kind = ApplicationKind::new(0x0200).unwrap();
    let content = FileContent { size: MAX_APPLICATION_LEN as u64, sha256: [6; 32] };
    Payload::ApplicationOffer(ApplicationOffer { transfer: TransferId([2; 16]), kind, content })
}

fn application(bytes: Vec<u8>) -> Payload {
    Payload::Application(Application::new(ApplicationKind::new(0x0100).unwrap(), bytes).unwrap())
}

fn payloads() -> Vec<Payload> {
    vec![
        Payload::Text(Text::new("grüße\n\tund küsse 😀").unwrap()),
        Payload::Card(vec![1; MAX_CARD]),
        offer(),
        Payload::FileCancel(TransferId([2; 16])),
        long_offer(),
        Payload::Unknown(Unknown::new(2, 1, vec![1, 2, 3]).unwrap()),
        application(vec![1]),
        application(vec![7; MAX_INLINE_LEN]),
        Payload::Unknown(Unknown::new(1, 2, b"a text of the future".to_vec()).unwrap()),
    ]
}

#[test]
fn every_payload_travels() {
    for sent in payloads() {
        assert_eq!(Payload::parse(&sent.to_bytes()).unwrap(), sent);
    }
}

#[test]
fn a_text_has_a_length_and_no_nul() {
    assert!(Text::new(&"x".repeat(MAX_TEXT_LEN)).is_ok());
    assert_eq!(Text::new("").unwrap_err(), BadText::Length(0));
    assert_eq!(Text::new(&"x".repeat(MAX_TEXT_LEN + 1)).unwrap_err(), BadText::Length(MAX_TEXT_LEN + 1));
    assert_eq!(Text::new("a\0b").unwrap_err(), BadText::Nul);
    for body in [&b""[..], b"a\0b", b"\xff\xfe", b"\xed\xa0\x80"] {
        let bytes = [&[0, 1, 1], body].concat();
        assert_eq!(Payload::parse(&bytes).unwrap_err(), MalformedPayload::Body(1));
    }
}

#[test]
fn a_file_name_is_a_name() {
    for good in ["a", "...", "über uns.pdf", ".profile", &"x".repeat(255)] {
        assert!(FileName::new(good).is_ok(), "{good}");
    }
    for bad in [".", "..", "/etc/passwd", "../x", "a\\b", "C:\\x"] {
        assert_eq!(FileName::new(bad).unwrap_err(), BadFileName::Path, "{bad}");
    }
    for bad in ["a\nb", "a\0", "evil\u{202e}fdp.exe", "\u{200b}", "\u{1b}[2J"] {
        assert_eq!(FileName::new(bad).unwrap_err(), BadFileName::Invisible, "{bad:?}");
    }
    assert_eq!(FileName::new("").unwrap_err(), BadFileName::Length(0));
    assert_eq!(FileName::new(&"x".repeat(256)).unwrap_err(), BadFileName::Length(256));
}

#[test]
fn a_malformed_payload_of_a_known_kind_is_no_unknown_one() {
    for sent in &payloads()[1..5] {
        let bytes = sent.to_bytes();
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Payload::parse(&longer).unwrap_err(), MalformedPayload::Body(sent.kind()));
        if !matches!(sent, Payload::Card(_)) {
            for len in 3..bytes.len() {
                assert_eq!(Payload::parse(&bytes[..len]).unwrap_err(), MalformedPayload::Body(sent.kind()));
            }
        }
    }
    for len in 0..3 {
        assert_eq!(Payload::parse(&[0; 3][..len]).unwrap_err(), MalformedPayload::Length(len));
    }
    let long = vec![9; MAX_PAYLOAD + 1];
    assert_eq!(Payload::parse(&long).unwrap_err(), MalformedPayload::Length(MAX_PAYLOAD + 1));
    assert!(Payload::parse(&long[1..]).is_ok());
    assert!(Unknown::new(1, 1, vec![]).is_none() && Unknown::new(9, 1, vec![0; MAX_PAYLOAD]).is_none());
}

#[test]
fn a_file_longer_than_its_chunks_can_be_numbered_is_refused() {
    let mut bytes = offer().to_bytes();
    let size = (MAX_FILE_LEN + 1).to_be_bytes();
    bytes[3 + 16..3 + 24].copy_from_slice(&size);
    assert_eq!(Payload::parse(&bytes).unwrap_err(), MalformedPayload::Body(4));
}

fn any_window() -> impl Strategy<Value = Window> {
    (0u64..1 << 40, proptest::collection::vec(0..WINDOW_LEN, 0..20)).prop_map(|(next, ahead)| {
        let mut window = Window::below(next);
        ahead.iter().for_each(|seq| _ = window.insert(next + seq));
        window
    })
}

fn any_item() -> impl Strategy<Value = Item> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    let origin = proptest::option::of((any::<[u8; 16]>(), any::<u64>()));
    let part = (any::<u64>(), any::<bool>(), any::<bool>(), origin, bytes());
    let part = part.prop_map(|(seq, first, last, origin, bytes)| {
        let origin = origin.map(|(incarnation, last)| Origin { incarnation, last });
        Item::Part(Part { seq, first, last, origin, bytes })
    });
    let chunk = (any::<[u8; 16]>(), any::<u32>(), bytes());
    let chunk = chunk.prop_map(|(transfer, index, bytes)| {
        Item::Chunk(Chunk { transfer: TransferId(transfer), index, bytes })
    });
    prop_oneof![part, chunk]
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let transfers = proptest::collection::vec((any::<[u8; 16]>(), any_window()), 0..=MAX_TRANSFERS);
    let deposited = proptest::collection::vec(any::<u32>(), 0..=MAX_DEPOSITED);
    let items = proptest::collection::vec(any_item(), 0..20);
    let numbering = || any::<(u64, [u8; 16])>().prop_map(|(since, id)| Numbering { since, id });
    let head = (numbering(), any::<u64>(), numbering());
    (head, any_window(), transfers, deposited, any::<u32>(), items).prop_map(
        |((ours, acknowledged, numbering), messages, transfers, deposited, card, items)| {
            let transfers = transfers.into_iter().map(|(id, window)| (TransferId(id), window)).collect();
            let acks = Acks { numbering, messages, transfers, deposited, card };
            Packet { numbering: ours, acknowledged, acks, items }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_packet_reads_as_it_was_written(sent in any_packet()) {
        prop_assert_eq!(Packet::parse(&sent.to_bytes().unwrap()).unwrap(), sent);
    }

    #[test]
    fn a_changed_packet_is_another_packet_or_none(sent in any_packet(), at: prop::sample::Index, new: u8) {
        let mut bytes = sent.to_bytes().unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = new;
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert_eq!(packet.to_bytes().unwrap().to_vec(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_one_payload_or_none(kind in 0u16..7, version in 0u8..3, body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let bytes = [&kind.to_be_bytes()[..], &[version], &body].concat();
        if let Ok(payload) = Payload::parse(&bytes) {
            prop_assert_eq!(payload.to_bytes().to_vec(), bytes);
        }
    }
}
