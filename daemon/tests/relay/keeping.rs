//! Frames are stored, pushed, and removed when their owner has acknowledged them.

use autonomy_messaging::{
    place::Capability,
    wire::{PlaceRefusal, QueueNotice, Request, Response, Ticket},
};

use crate::world::{Mailbox, Site, next, nothing_more, refused};

#[tokio::test]
async fn frames_are_pushed_in_order_to_old_and_new_subscribers() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    for n in 0..20 {
        assert_eq!(relay.handle(own.frame(n)).await, Response::Done);
    }
    let mut subscription = own.subscribe(&relay).await.unwrap();
    let mut last = 0;
    for n in 0..20 {
        let (number, frame) = next(&mut subscription).await;
        assert_eq!(frame, n);
        assert!(number > last, "numbers grow");
        last = number;
    }
    nothing_more(&mut subscription).await;
    relay.handle(own.frame(20)).await;
    assert_eq!(next(&mut subscription).await.1, 20);
}

#[tokio::test]
async fn acked_frames_are_gone_and_others_survive_a_restart() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    for n in 0..5 {
        relay.handle(own.frame(n)).await;
    }
    let content = own.content(&relay, 5).await;
    assert_eq!(relay.handle(own.ack(content[2].0)).await, Response::Done);
    assert_eq!(own.content(&relay, 2).await, content[3..]);
    drop(relay);
    let relay = site.open();
    assert_eq!(own.content(&relay, 2).await, content[3..]);
    assert_eq!(relay.snapshot().await.frames, 2);
    assert_eq!(relay.handle(own.ack(content[0].0)).await, Response::Done, "an old one changes nothing");
    assert_eq!(own.content(&relay, 2).await, content[3..]);
}

#[tokio::test]
async fn repeated_deposit_is_stored_once() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    let frame = own.frame(7);
    for _ in 0..3 {
        assert_eq!(relay.handle(frame.clone()).await, Response::Done);
    }
    let together = futures::future::join_all((0..10).map(|_| relay.handle(own.frame(8)))).await;
    assert!(together.iter().all(|response| *response == Response::Done));
    let frames: Vec<u64> = own.content(&relay, 2).await.into_iter().map(|(_, frame)| frame).collect();
    assert_eq!(frames, [7, 8]);
    assert_eq!(relay.snapshot().await.repeats, 11);
}

#[tokio::test]
async fn wrong_capability_is_refused_without_a_write() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    relay.handle(own.frame(1)).await;
    let commits = relay.snapshot().await.commits;
    let foreign = Mailbox { queue: own.queue, ..Mailbox::draw() };
    // The right to deposit is not the right to collect, and the other way round.
    let crossed = Mailbox { queue: own.queue, deposit: own.collect.clone(), collect: own.deposit.clone() };
    let unknown = Mailbox::draw();
    for other in [foreign, crossed, unknown] {
        for request in [other.frame(2), other.ack(u64::MAX / 2), other.close(), other.redeem()] {
            assert_eq!(relay.handle(request).await, refused(PlaceRefusal::UnknownQueue));
        }
        assert_eq!(other.subscribe(&relay).await.unwrap_err(), PlaceRefusal::UnknownQueue);
    }
    let counted = relay.snapshot().await;
    assert_eq!(counted.commits, commits);
    assert_eq!((counted.refused["unknown_queue"], counted.subscribed), (15, 0));
    assert_eq!(own.content(&relay, 1).await.len(), 1);
}

#[tokio::test]
async fn opening_a_queue_again_has_no_effect() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    assert_eq!(relay.handle(own.open(Ticket::Open)).await, Response::Done);
    let thief = Mailbox { queue: own.queue, ..Mailbox::draw() };
    assert_eq!(relay.handle(thief.open(Ticket::Open)).await, refused(PlaceRefusal::UnknownQueue));
    assert_eq!(relay.snapshot().await.queues, 1);
}

#[tokio::test]
async fn notice_is_read_with_deposit_capability_until_close() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::draw();
    relay.handle(own.open_with(Ticket::Open, Some(b"sealed"))).await;
    let notice = Response::Notice(QueueNotice::new(b"sealed".to_vec()).unwrap());
    assert_eq!(relay.handle(own.redeem()).await, notice);
    drop(relay);
    let relay = site.open();
    assert_eq!(relay.handle(own.redeem()).await, notice, "also after a restart");
    relay.handle(own.frame(1)).await;
    assert_eq!(relay.handle(own.close()).await, Response::Done);
    assert_eq!(relay.handle(own.redeem()).await, refused(PlaceRefusal::UnknownQueue));
    assert_eq!(relay.handle(own.frame(2)).await, refused(PlaceRefusal::UnknownQueue));
    let counted = relay.snapshot().await;
    assert_eq!((counted.queues, counted.frames, counted.closed), (0, 0, 1));
}

#[tokio::test]
async fn reopening_without_notice_removes_only_the_notice() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::draw();
    assert_eq!(relay.handle(own.open_with(Ticket::Open, Some(b"notice"))).await, Response::Done);
    assert_eq!(relay.handle(own.frame(1)).await, Response::Done);
    assert_eq!(relay.handle(own.open(Ticket::Open)).await, Response::Done);
    assert_eq!(relay.handle(own.redeem()).await, refused(PlaceRefusal::UnknownQueue));
    drop(relay);
    let relay = site.open();
    assert_eq!(relay.handle(own.open_with(Ticket::Open, Some(b"notice"))).await, Response::Done);
    assert_eq!(
        relay.handle(own.redeem()).await,
        refused(PlaceRefusal::UnknownQueue),
        "it does not come back"
    );
    assert_eq!(own.content(&relay, 1).await.len(), 1);
}

#[tokio::test]
async fn one_unknown_queue_fails_the_whole_subscription() {
    let site = Site::new();
    let relay = site.open();
    let (one, two) = (Mailbox::at(&relay).await, Mailbox::at(&relay).await);
    let both = vec![(one.queue, one.collect.clone()), (two.queue, two.collect.clone())];
    let mut subscription = relay.subscribe(both.clone()).await.unwrap();
    relay.handle(one.frame(1)).await;
    assert_eq!(next(&mut subscription).await.1, 1);
    relay.handle(two.frame(2)).await;
    assert_eq!(next(&mut subscription).await.1, 2);
    let with_another = [both, vec![(Mailbox::draw().queue, Capability::from_bytes([0; 32]))]].concat();
    assert_eq!(relay.subscribe(with_another).await.unwrap_err(), PlaceRefusal::UnknownQueue);
    assert_eq!(relay.handle(Request::Subscribe(Vec::new())).await, refused(PlaceRefusal::Malformed));
}

#[tokio::test]
async fn concurrent_deposits_share_commits() {
    let site = Site::new();
    let relay = site.open();
    let own = Mailbox::at(&relay).await;
    let other = Mailbox::at(&relay).await;
    let before = relay.snapshot().await.commits;
    let deposits = (0..200).map(|n| relay.handle(if n % 2 == 0 { own.frame(n) } else { other.frame(n) }));
    let answers = futures::future::join_all(deposits).await;
    assert!(answers.iter().all(|answer| *answer == Response::Done));
    let counted = relay.snapshot().await;
    assert_eq!((counted.frames, counted.deposits), (200, 200));
    assert!(counted.commits - before < 200, "{} commits for 200 frames", counted.commits - before);
}
