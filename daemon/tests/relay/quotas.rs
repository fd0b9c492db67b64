//! Limits and expiry: everything a relay stores is bounded in number and in time.

use autonomy_messaging::{
    place::Capability,
    queue::QueueLimits,
    wire::{PlaceRefusal, Response, Ticket, work},
};

use crate::world::{DAY, Mailbox, Site, refused};

#[tokio::test]
async fn full_queue_refuses_until_frames_are_collected() {
    let site = Site::with(QueueLimits { frames_per_queue: 3, ..QueueLimits::default() });
    let relay = site.open();
    let (own, other) = (Mailbox::at(&relay).await, Mailbox::at(&relay).await);
    for n in 0..3 {
        relay.handle(own.frame(n)).await;
    }
    assert_eq!(relay.handle(own.frame(3)).await, refused(PlaceRefusal::QueueFull));
    assert_eq!(relay.handle(own.frame(2)).await, Response::Done, "a repeat is there already");
    assert_eq!(relay.handle(other.frame(3)).await, Response::Done, "another queue has room");
    let content = own.content(&relay, 3).await;
    relay.handle(own.ack(content[0].0)).await;
    assert_eq!(relay.handle(own.frame(3)).await, Response::Done);
}

#[tokio::test]
async fn full_relay_refuses_until_frames_are_collected() {
    let site = Site::with(QueueLimits { max_frames: 4, ..QueueLimits::default() });
    let relay = site.open();
    let boxes = [Mailbox::at(&relay).await, Mailbox::at(&relay).await];
    for n in 0..4 {
        relay.handle(boxes[n % 2].frame(n as u64)).await;
    }
    for own in &boxes {
        assert_eq!(relay.handle(own.frame(9)).await, refused(PlaceRefusal::PlaceFull));
    }
    let content = boxes[0].content(&relay, 2).await;
    relay.handle(boxes[0].ack(content[1].0)).await;
    assert_eq!(relay.handle(boxes[1].frame(9)).await, Response::Done);
    assert_eq!(relay.snapshot().await.refused["place_full"], 2);
}

#[tokio::test]
async fn relay_on_a_full_disk_still_serves_stored_frames() {
    let mut site = Site::new();
    let own = Mailbox::at(&site.open()).await;
    site.open().handle(own.frame(1)).await;
    site.config.free_disk = u64::MAX;
    let relay = site.open();
    assert_eq!(relay.handle(own.frame(2)).await, refused(PlaceRefusal::PlaceFull));
    assert_eq!(relay.handle(Mailbox::draw().open(Ticket::Open)).await, refused(PlaceRefusal::PlaceFull));
    let content = own.content(&relay, 1).await;
    assert_eq!(relay.handle(own.ack(content[0].0)).await, Response::Done);
    drop(relay);
    site.config.free_disk = 0;
    assert_eq!(site.open().handle(own.frame(2)).await, Response::Done);
}

#[tokio::test]
async fn filling_relay_demands_work_and_full_one_refuses() {
    let site = Site::with(QueueLimits { max_queues: 4, ..QueueLimits::default() });
    let relay = site.open();
    for _ in 0..2 {
        Mailbox::at(&relay).await;
    }
    let own = Mailbox::draw();
    let Response::Refused(PlaceRefusal::WorkNeeded { challenge, bits }) =
        relay.handle(own.open(Ticket::Open)).await
    else {
        panic!("no work asked for");
    };
    let nonce = work(&challenge, &own.queue, bits).unwrap();
    let ticket = Ticket::Work { challenge, nonce };
    let thief = Mailbox::draw();
    assert_eq!(
        relay.handle(thief.open(ticket.clone())).await,
        refused(PlaceRefusal::BadTicket),
        "work for another"
    );
    assert_eq!(relay.handle(own.open(ticket)).await, Response::Done);
    let mut last = Mailbox::draw();
    loop {
        match relay.handle(last.open(Ticket::Open)).await {
            Response::Refused(PlaceRefusal::WorkNeeded { challenge, bits }) => {
                let nonce = work(&challenge, &last.queue, bits).unwrap();
                assert_eq!(relay.handle(last.open(Ticket::Work { challenge, nonce })).await, Response::Done);
            }
            other => break assert_eq!(other, refused(PlaceRefusal::TooManyQueues)),
        }
        last = Mailbox::draw();
    }
    assert_eq!(relay.snapshot().await.queues, 4);
}

#[tokio::test]
async fn relay_by_invitation_opens_queues_only_with_token() {
    let mut site = Site::new();
    let token = Capability::from_bytes([5; 32]);
    (site.config.tokens, site.config.strangers) = (vec![token.hash()], false);
    let relay = site.open();
    let own = Mailbox::draw();
    assert_eq!(relay.handle(own.open(Ticket::Open)).await, refused(PlaceRefusal::BadTicket));
    let wrong = Ticket::Token(Capability::from_bytes([6; 32]));
    assert_eq!(relay.handle(own.open(wrong)).await, refused(PlaceRefusal::BadTicket));
    assert_eq!(relay.handle(own.open(Ticket::Token(token))).await, Response::Done);
    assert_eq!(relay.handle(own.frame(1)).await, Response::Done, "who deposits needs none");
}

async fn sweep_all(relay: &autonomy_daemon::relay::Relay) {
    while relay.sweep().await {}
}

#[tokio::test]
async fn frames_expire_after_three_weeks() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    relay.handle(own.frame(1)).await;
    site.pass(10 * DAY);
    relay.handle(own.frame(2)).await;
    site.pass(11 * DAY);
    sweep_all(&relay).await;
    assert_eq!(relay.snapshot().await.frames, 2, "a frame may lie a day longer");
    site.pass(DAY + 1);
    sweep_all(&relay).await;
    let frames: Vec<u64> = own.content(&relay, 1).await.into_iter().map(|(_, frame)| frame).collect();
    assert_eq!(frames, [2]);
    for _ in 0..12 {
        site.pass(DAY);
        sweep_all(&relay).await;
    }
    let counted = relay.snapshot().await;
    assert_eq!((counted.frames, counted.queues, counted.expired_frames), (0, 1, 2));
}

#[tokio::test]
async fn nothing_is_too_old_by_a_clock_that_nothing_confirms() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    relay.handle(own.frame(1)).await;
    site.confirm_clock(false);
    site.pass(5 * 366 * DAY);
    assert!(!relay.sweep().await);
    let counted = relay.snapshot().await;
    assert_eq!((counted.frames, counted.queues), (1, 1));
    site.confirm_clock(true);
    sweep_all(&relay).await;
    let counted = relay.snapshot().await;
    assert_eq!((counted.frames, counted.queues), (0, 0));
}

#[tokio::test]
async fn queue_expires_only_without_visits_of_its_owner() {
    let site = Site::new();
    let relay = site.open();
    let (gone, kept) = (Mailbox::at(&relay).await, Mailbox::at(&relay).await);
    for _ in 0..10 {
        site.pass(10 * DAY);
        kept.subscribe(&relay).await.unwrap();
        sweep_all(&relay).await;
    }
    assert_eq!(relay.handle(gone.frame(1)).await, refused(PlaceRefusal::UnknownQueue));
    assert_eq!(relay.handle(kept.frame(1)).await, Response::Done);
    let counted = relay.snapshot().await;
    assert_eq!((counted.queues, counted.expired_queues), (1, 1));
}

#[tokio::test]
async fn sweep_removes_in_bounded_steps() {
    let site = Site::new();
    let relay = site.open();
    let boxes: Vec<Mailbox> = (0..1_300).map(|_| Mailbox::draw()).collect();
    let opened =
        futures::future::join_all(boxes.iter().map(|own| relay.handle(own.open(Ticket::Open)))).await;
    assert!(opened.iter().all(|opened| *opened == Response::Done));
    site.pass(91 * DAY);
    assert!(relay.sweep().await, "one sweep does not do it all");
    let left = relay.snapshot().await.queues;
    assert!(left > 0 && left < 1_300, "{left}");
    sweep_all(&relay).await;
    assert_eq!(relay.snapshot().await.queues, 0);
}
