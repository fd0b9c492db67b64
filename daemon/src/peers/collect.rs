//! Subscriptions: which there should be, and each one kept up.

mod backoff;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use autonomy_messaging::{
    lane::{Lane, Unreached},
    messenger::Input,
    place::{Capability, Place, QueueId},
    wire::{MAX_RESPONSE, MAX_SUBSCRIBED, Refusal, Request, Response},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout},
};

use super::{
    Collection, Duplex,
    client::{Line, attached, unreached},
    message,
};
use backoff::Backoff;

/// A subscription is answered within this time, its dial included.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(60);
/// What subscriptions tell that was not looked at yet.
const NEWS: usize = 64;

/// Queues collected together, by name.
type Queues = BTreeMap<QueueId, Capability>;

/// Keeps a subscription for each group of wanted queues.
pub(super) struct Collector {
    line: Line,
    events: mpsc::Sender<Input>,
    groups: Vec<Group>,
    /// Queues whose place does not know them: each in a subscription of its own, lest it spoil the others'.
    alone: HashSet<(Place, QueueId)>,
    up: HashSet<Place>,
    /// To be told.
    missing: BTreeSet<(Place, QueueId)>,
    made: u64,
    tasks: JoinSet<()>,
    tell: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
}

/// One subscription.
struct Group {
    number: u64,
    place: Place,
    lane: Lane,
    /// Shared with the task, which reads them at each attempt.
    queues: Arc<Mutex<Queues>>,
    alone: bool,
    up: bool,
    task: AbortHandle,
}

/// What a subscription's task tells.
struct News {
    group: u64,
    kind: NewsKind,
}

enum NewsKind {
    Up,
    Down,
    /// The place does not know one of the queues.
    Unknown,
}

impl Collector {
    pub(super) fn new(line: Line, events: mpsc::Sender<Input>) -> Self {
        let (tell, news) = mpsc::channel(NEWS);
        Self {
            line,
            events,
            groups: Vec::new(),
            alone: HashSet::new(),
            up: HashSet::new(),
            missing: BTreeSet::new(),
            made: 0,
            tasks: JoinSet::new(),
            tell,
            news,
        }
    }

    /// Exactly these queues are collected from now on. What is in place already stays so.
    pub(super) fn want(&mut self, wanted: Vec<Collection>) {
        let mut missing: BTreeMap<(Place, Lane), Queues> = BTreeMap::new();
        for Collection { place, lane, queue, capability } in wanted {
            missing.entry((place, lane)).or_default().insert(queue, capability);
        }
        self.alone.retain(|(place, queue)| {
            missing.iter().any(|((at, _), queues)| at == place && queues.contains_key(queue))
        });
        for group in &self.groups {
            let mut queues = lock(&group.queues);
            let mut none = Queues::new();
            let wanted = missing.get_mut(&(group.place, group.lane)).unwrap_or(&mut none);
            queues.retain(|queue, capability| wanted.get(queue) == Some(capability));
            wanted.retain(|queue, _| !queues.contains_key(queue));
        }
        for ((place, lane), queues) in missing {
            self.add(place, lane, queues);
        }
        self.end_groups(|group| lock(&group.queues).is_empty());
    }

    /// Works until it is dropped: it may be, at any time, and called again.
    pub(super) async fn run(&mut self) {
        loop {
            self.tell_places().await;
            self.tell_missing().await;
            tokio::select! {
                Some(news) = self.news.recv() => self.learn(news),
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    fn learn(&mut self, News { group: number, kind }: News) {
        // A task that was ended may have told something before.
        let Some(group) = self.groups.iter_mut().find(|group| group.number == number) else { return };
        group.up = matches!(kind, NewsKind::Up);
        if matches!(kind, NewsKind::Unknown) {
            self.split(number);
        }
    }

    /// Puts queues into groups with room, which start anew with them, and the rest into new ones.
    fn add(&mut self, place: Place, lane: Lane, queues: Queues) {
        let (alone, mut together): (Queues, Queues) =
            queues.into_iter().partition(|(queue, _)| self.alone.contains(&(place, *queue)));
        let mut grown = Vec::new();
        for group in
            self.groups.iter().filter(|group| group.place == place && group.lane == lane && !group.alone)
        {
            let mut kept = lock(&group.queues);
            while kept.len() < MAX_SUBSCRIBED
                && let Some((queue, capability)) = together.pop_first()
            {
                kept.insert(queue, capability);
                grown.push(group.number);
            }
        }
        grown.dedup();
        for number in grown {
            self.restart(number);
        }
        while !together.is_empty() {
            let rest = together.keys().nth(MAX_SUBSCRIBED).copied();
            let rest = rest.map(|first| together.split_off(&first)).unwrap_or_default();
            self.start(place, lane, std::mem::replace(&mut together, rest), false);
        }
        for (queue, capability) in alone {
            self.start(place, lane, Queues::from([(queue, capability)]), true);
        }
    }

    fn start(&mut self, place: Place, lane: Lane, queues: Queues, alone: bool) {
        let queues = Arc::new(Mutex::new(queues));
        let (number, task) = self.spawn(place, lane, queues.clone());
        self.groups.push(Group { number, place, lane, queues, alone, up: false, task });
    }

    fn restart(&mut self, number: u64) {
        let Some(at) = self.groups.iter().position(|group| group.number == number) else { return };
        let (place, lane, queues) = {
            let group = &self.groups[at];
            group.task.abort();
            (group.place, group.lane, group.queues.clone())
        };
        let (number, task) = self.spawn(place, lane, queues);
        let group = &mut self.groups[at];
        (group.number, group.task) = (number, task);
    }

    fn spawn(&mut self, place: Place, lane: Lane, queues: Arc<Mutex<Queues>>) -> (u64, AbortHandle) {
        self.made += 1;
        let keeper = Keeper {
            group: self.made,
            place,
            lane,
            queues,
            line: self.line.clone(),
            events: self.events.clone(),
            tell: self.tell.clone(),
        };
        (self.made, self.tasks.spawn(keeper.keep()))
    }

    /// One of the queues is unknown at the place: each is asked for alone. Where it was alone, it is told as missing.
    fn split(&mut self, number: u64) {
        let Some(group) = self.groups.iter().find(|group| group.number == number) else { return };
        let (place, lane, queues) = (group.place, group.lane, lock(&group.queues).clone());
        if group.alone {
            self.missing.extend(queues.into_keys().map(|queue| (place, queue)));
            return;
        }
        self.end_groups(|group| group.number == number);
        self.alone.extend(queues.keys().map(|queue| (place, *queue)));
        self.add(place, lane, queues);
    }

    fn end_groups(&mut self, ends: impl Fn(&Group) -> bool) {
        self.groups.retain(|group| {
            let ends = ends(group);
            if ends {
                group.task.abort();
            }
            !ends
        });
    }

    /// Tells places at which collecting began to work, or stopped.
    async fn tell_places(&mut self) {
        let now: HashSet<Place> =
            self.groups.iter().filter(|group| group.up).map(|group| group.place).collect();
        let changed: Vec<Place> = now.symmetric_difference(&self.up).copied().collect();
        for place in changed {
            let Ok(seat) = self.events.reserve().await else { return };
            let up = now.contains(&place);
            seat.send(Input::Subscribed { place, up });
            if up {
                self.up.insert(place)
            } else {
                self.up.remove(&place)
            };
        }
    }

    async fn tell_missing(&mut self) {
        while !self.missing.is_empty() {
            let Ok(seat) = self.events.reserve().await else { return };
            let Some((place, queue)) = self.missing.pop_first() else { return };
            seat.send(Input::Missing { place, queue });
        }
    }
}

/// A subscription's task.
struct Keeper {
    group: u64,
    place: Place,
    lane: Lane,
    queues: Arc<Mutex<Queues>>,
    line: Line,
    events: mpsc::Sender<Input>,
    tell: mpsc::Sender<News>,
}

/// How an attempt ended.
enum Ended {
    /// It never stood.
    Failed(Unreached),
    /// The place does not know one of the queues.
    Unknown,
    /// It stood from then on, and broke.
    Broke(Instant),
}

impl Keeper {
    /// Subscribes, again and again.
    async fn keep(mut self) {
        let mut backoff = Backoff::new();
        loop {
            let Ok(dial) = attached(&mut self.line).await else { return };
            let mut woken = dial.woken();
            let ended = Box::pin(self.attempt(dial.as_ref())).await;
            let lasted = match &ended {
                Ended::Broke(since) => since.elapsed(),
                _ => Duration::ZERO,
            };
            match ended {
                Ended::Failed(error) => {
                    tracing::debug!(place = ?self.place, %error, "not subscribed");
                    self.tell(NewsKind::Down).await;
                }
                Ended::Unknown => self.tell(NewsKind::Unknown).await,
                Ended::Broke(_) => self.tell(NewsKind::Down).await,
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.pause(lasted)) => {}
                Ok(()) = woken.changed() => backoff = Backoff::new(),
            }
        }
    }

    async fn attempt(&self, dial: &dyn super::Dial) -> Ended {
        let subscribed = timeout(SUBSCRIBE_LIMIT, self.subscribe(dial)).await;
        let mut stream = match subscribed {
            Ok(Ok(Some(stream))) => stream,
            Ok(Ok(None)) => return Ended::Unknown,
            Ok(Err(error)) => return Ended::Failed(error),
            Err(_) => return Ended::Failed(unreached("no answer within a minute".into())),
        };
        let since = Instant::now();
        self.tell(NewsKind::Up).await;
        // A dead connection is found by the lane's own pings; until then a quiet one is simply quiet.
        while let Ok(bytes) = message::read(&mut stream, MAX_RESPONSE).await {
            let Ok(Response::Pushed { queue, number, blob }) = Response::parse(&bytes) else { break };
            if !lock(&self.queues).contains_key(&queue) {
                continue;
            }
            let blob = Box::new(blob);
            let collected = Input::Collected { place: self.place, queue, number, blob };
            if self.events.send(collected).await.is_err() {
                break;
            }
        }
        Ended::Broke(since)
    }

    /// The open stream, or `None` where the place does not know one of the queues.
    async fn subscribe(&self, dial: &dyn super::Dial) -> Result<Option<Box<dyn Duplex>>, Unreached> {
        let queues = lock(&self.queues).clone();
        let mut stream = dial.open(&self.place, self.lane).await?;
        let broken = |error: std::io::Error| unreached(format!("the connection broke: {error}"));
        let request = Request::Subscribe(queues.into_iter().collect());
        message::write(&mut stream, &request.to_bytes()).await.map_err(broken)?;
        let answer = message::read(&mut stream, MAX_RESPONSE).await.map_err(broken)?;
        match Response::parse(&answer) {
            Ok(Response::Done) => Ok(Some(stream)),
            Ok(Response::Refused(Refusal::UnknownQueue)) => Ok(None),
            Ok(Response::Refused(refusal)) => Err(unreached(refusal.to_string())),
            Ok(_) => Err(unreached("an answer to another question".into())),
            Err(error) => Err(unreached(format!("an answer that is none: {error}"))),
        }
    }

    async fn tell(&self, kind: NewsKind) {
        let _ = self.tell.send(News { group: self.group, kind }).await;
    }
}

fn lock(queues: &Mutex<Queues>) -> std::sync::MutexGuard<'_, Queues> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}
