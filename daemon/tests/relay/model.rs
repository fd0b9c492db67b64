//! For any order of requests, restarts and days the relay equals a simple model.

use std::collections::VecDeque;

use autonomy_daemon::relay::Relay;
use autonomy_messaging::{
    queue::QueueLimits,
    wire::{PlaceRefusal, Request, Response, Ticket},
};
use proptest::prelude::*;

use crate::world::{DAY, Mailbox, Site, next, refused};

const QUEUES: usize = 3;
const FRAMES_EACH: u32 = 4;

#[derive(Debug, Clone)]
enum Act {
    Open(usize),
    Deposit(usize),
    Repeat(usize),
    /// Acknowledges so many of the frames that lie there.
    Ack(usize, usize),
    Close(usize),
    Restart,
    /// Frames grow too old; queues do not.
    Pass,
}

fn act() -> impl Strategy<Value = Act> {
    let queue = 0..QUEUES;
    prop_oneof![
        2 => queue.clone().prop_map(Act::Open),
        6 => queue.clone().prop_map(Act::Deposit),
        2 => queue.clone().prop_map(Act::Repeat),
        3 => (queue.clone(), 0..5_usize).prop_map(|(queue, count)| Act::Ack(queue, count)),
        1 => queue.prop_map(Act::Close),
        1 => Just(Act::Restart),
        1 => Just(Act::Pass),
    ]
}

/// What a queue should hold: numbers at the place, and frames. `None` while it does not exist.
#[derive(Default, Clone)]
struct Expected {
    frames: Option<VecDeque<(u64, u64)>>,
    last: Option<u64>,
}

/// The relay and what it should hold.
struct Played {
    site: Site,
    relay: Option<Relay>,
    boxes: Vec<Mailbox>,
    expected: Vec<Expected>,
    drawn: u64,
}

impl Played {
    fn start() -> Self {
        let site = Site::with(QueueLimits { frames_per_queue: FRAMES_EACH, ..QueueLimits::default() });
        let relay = Some(site.open());
        let boxes = (0..QUEUES).map(|_| Mailbox::draw()).collect();
        Self { site, relay, boxes, expected: vec![Expected::default(); QUEUES], drawn: 0 }
    }

    fn relay(&self) -> &Relay {
        self.relay.as_ref().unwrap()
    }

    async fn ask(&self, request: Request) -> Response {
        self.relay().handle(request).await
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Open(n) => {
                assert_eq!(self.ask(self.boxes[n].open(Ticket::Open)).await, Response::Done);
                if self.expected[n].frames.is_none() {
                    self.expected[n] = Expected { frames: Some(VecDeque::new()), last: None };
                }
            }
            Act::Deposit(n) => self.deposit(n).await,
            Act::Repeat(n) => {
                if let (Some(_), Some(last)) = (&self.expected[n].frames, self.expected[n].last) {
                    assert_eq!(self.ask(self.boxes[n].frame(last)).await, Response::Done);
                }
            }
            Act::Ack(n, count) => self.ack(n, count).await,
            Act::Close(n) => {
                let known = self.expected[n].frames.take().is_some();
                let answer = if known { Response::Done } else { refused(PlaceRefusal::UnknownQueue) };
                assert_eq!(self.ask(self.boxes[n].close()).await, answer);
            }
            Act::Restart => {
                self.relay = None;
                self.relay = Some(self.site.open());
            }
            Act::Pass => self.pass().await,
        }
    }

    async fn deposit(&mut self, n: usize) {
        self.drawn += 1;
        let answer = self.ask(self.boxes[n].frame(self.drawn)).await;
        match &mut self.expected[n].frames {
            None => assert_eq!(answer, refused(PlaceRefusal::UnknownQueue)),
            Some(frames) if frames.len() == FRAMES_EACH as usize => {
                assert_eq!(answer, refused(PlaceRefusal::QueueFull));
            }
            Some(frames) => {
                assert_eq!(answer, Response::Done);
                frames.push_back((0, self.drawn));
                self.expected[n].last = Some(self.drawn);
            }
        }
    }

    async fn ack(&mut self, n: usize, count: usize) {
        let Some(frames) = &mut self.expected[n].frames else { return };
        let gone: Vec<_> = frames.drain(..count.min(frames.len())).collect();
        if let Some((number, _)) = gone.last() {
            assert_eq!(self.ask(self.boxes[n].ack(*number)).await, Response::Done);
        }
    }

    /// The owners come by, and do not acknowledge.
    async fn pass(&mut self) {
        self.site.pass(23 * DAY);
        for n in 0..QUEUES {
            if self.expected[n].frames.is_some() {
                self.boxes[n].subscribe(self.relay()).await.unwrap();
            }
            self.expected[n].frames.iter_mut().for_each(VecDeque::clear);
        }
        while self.relay().sweep().await {}
    }

    async fn compare(&mut self) {
        for n in 0..QUEUES {
            let mut queue = self.expected[n].clone();
            compare(self.relay(), &self.boxes[n], &mut queue).await;
            self.expected[n] = queue;
        }
    }
}

async fn play(acts: Vec<Act>) {
    let mut played = Played::start();
    for act in acts {
        played.act(act).await;
        played.compare().await;
    }
}

/// The same frames in the same order, under growing numbers that never change.
async fn compare(relay: &Relay, own: &Mailbox, queue: &mut Expected) {
    let Some(frames) = &mut queue.frames else {
        return assert_eq!(own.subscribe(relay).await.unwrap_err(), PlaceRefusal::UnknownQueue);
    };
    let mut subscription = own.subscribe(relay).await.unwrap();
    let mut last = 0;
    for (number, frame) in frames {
        let (found, content) = next(&mut subscription).await;
        assert_eq!(content, *frame);
        assert!(found > last && (*number == 0 || *number == found), "{number} became {found}");
        (*number, last) = (found, found);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn relay_equals_its_model_for_any_requests(acts in prop::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(acts));
    }
}
