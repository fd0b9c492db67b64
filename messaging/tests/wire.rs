//! What a pod and a place say to each other: one encoding for each thing, and nothing else is understood.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use autonomy_messaging::frame::{BLOB_LEN, Blob, DepositId, Frame};
use autonomy_messaging::place::{Capability, CapabilityHash, QueueId};
use autonomy_messaging::wire::{
    MAX_NOTICE, MAX_REQUEST, MAX_RESPONSE, MAX_SUBSCRIBED, MAX_WORK_BITS, MalformedMessage, PlaceRefusal,
    QueueNotice, Request, Response, Ticket, is_worked, work, work_within,
};
use proptest::prelude::*;
use support::wire::{blob, capability, frame, queue};

fn notice(len: usize) -> QueueNotice {
    QueueNotice::new(vec![5; len]).unwrap()
}

fn open(ticket: Ticket, notice: Option<QueueNotice>) -> Request {
    let (deposit, collect) = (capability(2).hash(), capability(3).hash());
    Request::Open { queue: queue(1), deposit, collect, ticket, notice }
}

fn requests() -> Vec<Request> {
    let work = Ticket::Work { challenge: [6; 32], nonce: u64::MAX };
    vec![
        open(Ticket::Open, None),
        open(Ticket::Token(capability(9)), Some(notice(0))),
        open(work, Some(notice(300))),
        Request::Deposit(frame()),
        Request::Redeem { queue: queue(1), deposit: capability(2) },
        Request::Subscribe(vec![(queue(1), capability(3)), (queue(2), capability(4))]),
        Request::Ack { queue: queue(1), collect: capability(3), up_to: 77 },
        Request::Close { queue: queue(1), collect: capability(3) },
    ]
}

fn responses() -> Vec<Response> {
    let refusals = [
        PlaceRefusal::UnknownQueue,
        PlaceRefusal::QueueFull,
        PlaceRefusal::PlaceFull,
        PlaceRefusal::TooManyQueues,
        PlaceRefusal::WorkNeeded { challenge: [8; 32], bits: 20 },
        PlaceRefusal::BadTicket,
        PlaceRefusal::Busy { retry_after: 30 },
        PlaceRefusal::Malformed,
    ];
    let mut all = vec![
        Response::Done,
        Response::Notice(notice(0)),
        Response::Notice(notice(2_670)),
        Response::Pushed { queue: queue(1), number: 5, blob: blob(4) },
    ];
    all.extend(refusals.map(Response::Refused));
    all
}

#[test]
fn every_message_kind_is_read_back() {
    for request in requests() {
        assert_eq!(Request::parse(&request.to_bytes()).unwrap(), request);
    }
    for response in responses() {
        assert_eq!(Response::parse(&response.to_bytes()).unwrap(), response);
    }
}

#[test]
fn the_longest_of_each_is_as_long_as_it_may_be() {
    let work = Ticket::Work { challenge: [6; 32], nonce: 0 };
    assert_eq!(open(work, Some(notice(MAX_NOTICE))).to_bytes().len(), MAX_REQUEST);
    assert_eq!(Response::Pushed { queue: queue(1), number: 0, blob: blob(4) }.to_bytes().len(), MAX_RESPONSE);
    assert!(Response::Notice(notice(MAX_NOTICE)).to_bytes().len() <= MAX_RESPONSE);
    assert!(QueueNotice::new(vec![0; MAX_NOTICE + 1]).is_none());
    let too_long = |found, most| MalformedMessage::TooLong { found, most };
    for len in [MAX_REQUEST + 1, 10_000_000] {
        let bytes = vec![1; len];
        assert_eq!(Request::parse(&bytes).unwrap_err(), too_long(len, MAX_REQUEST));
        assert_eq!(Response::parse(&bytes).unwrap_err(), too_long(len, MAX_RESPONSE));
    }
}

#[test]
fn cut_or_prolonged_message_is_refused() {
    for bytes in requests().iter().map(Request::to_bytes) {
        for len in (0..bytes.len()).filter(|len| *len < 300 || len % 131 == 0) {
            assert_eq!(Request::parse(&bytes[..len]).unwrap_err(), MalformedMessage::Field, "{len}");
        }
        assert!(Request::parse(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
    for bytes in responses().iter().map(Response::to_bytes) {
        for len in (0..bytes.len()).filter(|len| *len < 300 || len % 131 == 0) {
            assert_eq!(Response::parse(&bytes[..len]).unwrap_err(), MalformedMessage::Field, "{len}");
        }
        assert!(Response::parse(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn unknown_kinds_are_named() {
    for kind in [0, 7, 255] {
        assert_eq!(Request::parse(&[kind]).unwrap_err(), MalformedMessage::Kind(kind));
    }
    for kind in [0, 5, 255] {
        assert_eq!(Response::parse(&[kind]).unwrap_err(), MalformedMessage::Kind(kind));
    }
    // A ticket, a flag and a refusal of kinds that do not exist.
    let mut bytes = open(Ticket::Open, None).to_bytes();
    bytes[97] = 3;
    assert_eq!(Request::parse(&bytes).unwrap_err(), MalformedMessage::Field);
    bytes[97..].copy_from_slice(&[0, 2]);
    assert_eq!(Request::parse(&bytes).unwrap_err(), MalformedMessage::Field);
    for code in [0, 9] {
        assert_eq!(Response::parse(&[4, code]).unwrap_err(), MalformedMessage::Field);
    }
}

#[test]
fn one_subscription_takes_1_to_64_queues() {
    let of = |count| Request::Subscribe(vec![(queue(1), capability(3)); count]);
    assert!(Request::parse(&of(MAX_SUBSCRIBED).to_bytes()).is_ok());
    assert!(Request::parse(&of(1).to_bytes()).is_ok());
    for count in [0, MAX_SUBSCRIBED + 1, 255, 256, 300] {
        assert!(Request::parse(&of(count).to_bytes()).is_err(), "{count} queues");
    }
}

#[test]
fn a_frame_of_another_format_is_no_deposit() {
    let mut bytes = Request::Deposit(frame()).to_bytes();
    bytes[3] = 2;
    assert_eq!(Request::parse(&bytes).unwrap_err(), MalformedMessage::Field);
}

#[test]
fn capabilities_do_not_show_in_what_is_printed() {
    for request in requests() {
        let shown = format!("{request:?}");
        assert!(!shown.contains("3, 3, 3") && !shown.contains("0303030303"), "{shown}");
    }
}

#[test]
fn work_is_done_for_one_challenge_and_one_queue() {
    let nonce = work(&[1; 32], &queue(2), 12).unwrap();
    assert!(is_worked(&[1; 32], &queue(2), nonce, 12));
    assert!((0..nonce).all(|earlier| !is_worked(&[1; 32], &queue(2), earlier, 12)));
    let elsewhere = [([3; 32], queue(2)), ([1; 32], queue(3))];
    assert!(elsewhere.iter().all(|(challenge, queue)| !is_worked(challenge, queue, nonce, 12)));
    assert_eq!(work(&[1; 32], &queue(2), 0), Some(0));
}

#[test]
fn work_can_be_done_in_pieces_and_has_a_limit() {
    let nonce = work(&[1; 32], &queue(2), 8).unwrap();
    assert_eq!(work_within(&[1; 32], &queue(2), 8, 0..nonce), None);
    assert_eq!(work_within(&[1; 32], &queue(2), 8, nonce..nonce + 1), Some(nonce));
    assert_eq!(work(&[1; 32], &queue(2), MAX_WORK_BITS + 1), None);
    assert!(!is_worked(&[1; 32], &queue(2), nonce, u8::MAX));
}

fn any_request() -> impl Strategy<Value = Request> {
    let right = || (any::<[u8; 32]>(), any::<[u8; 32]>());
    let named = |(queue, right)| (QueueId::from_bytes(queue), Capability::from_bytes(right));
    let ticket = prop_oneof![
        Just(Ticket::Open),
        any::<[u8; 32]>().prop_map(|token| Ticket::Token(Capability::from_bytes(token))),
        any::<([u8; 32], u64)>().prop_map(|(challenge, nonce)| Ticket::Work { challenge, nonce }),
    ];
    let notice = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..400));
    let opens =
        (right(), any::<[u8; 32]>(), ticket, notice).prop_map(|((queue, one), two, ticket, notice)| {
            Request::Open {
                queue: QueueId::from_bytes(queue),
                deposit: CapabilityHash::from_bytes(one),
                collect: CapabilityHash::from_bytes(two),
                ticket,
                notice: notice.and_then(QueueNotice::new),
            }
        });
    let deposits = (right(), any::<[u8; 16]>(), any::<u8>()).prop_map(move |(right, deposit, byte)| {
        let (queue, capability) = named(right);
        let blob = Blob::from_slice(&[byte; BLOB_LEN]).unwrap();
        Request::Deposit(Frame { deposit: DepositId::from_bytes(deposit), queue, capability, blob })
    });
    let queues = proptest::collection::vec(right().prop_map(named), 1..=MAX_SUBSCRIBED);
    let acks = (right(), any::<u64>()).prop_map(move |(right, up_to)| {
        let (queue, collect) = named(right);
        Request::Ack { queue, collect, up_to }
    });
    prop_oneof![opens, deposits, queues.prop_map(Request::Subscribe), acks]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_request_reads_as_it_was_written(request in any_request()) {
        prop_assert_eq!(Request::parse(&request.to_bytes()).unwrap(), request);
    }

    #[test]
    fn any_bytes_are_one_message_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..8) {
        let bytes = [&[kind], bytes.as_slice()].concat();
        if let Ok(request) = Request::parse(&bytes) {
            prop_assert_eq!(request.to_bytes(), bytes.clone());
        }
        if let Ok(response) = Response::parse(&bytes) {
            prop_assert_eq!(response.to_bytes(), bytes);
        }
    }
}
