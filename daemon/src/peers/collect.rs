//! Subscriptions: which there should be, and the upkeep of each.
//!
//! A place is asked for several queues in one subscription, a *group*, as the wire format bounds
//! it. It answers a group as a whole, so one queue that it does not know would fail the others:
//! then each half of it becomes a group, until the queue that is unknown there is alone and is
//! reported as missing. So one of 64 costs 7 subscriptions in place of 1: a place bounds those of a
//! connection.
//!
//! Each group has a task that subscribes, reads, and starts again after a pause when the connection
//! broke. The collector itself only compares what is wanted with what exists; it may be interrupted
//! at any time.

mod backoff;
mod subscription;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex},
};

use autonomy_messaging::{
    lane::Lane,
    messenger::Input,
    place::{Capability, Place, QueueId},
    wire::MAX_SUBSCRIBED,
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use super::{Collection, client::CurrentDial};
use subscription::{SubscriptionTask, lock};

/// Changes of groups that were not looked at yet; further ones wait in the group's task.
const GROUP_EVENTS: usize = 64;

/// Queues collected together, and the right to collect each.
type Queues = BTreeMap<QueueId, Capability>;

/// Keeps a subscription for each group of wanted queues.
pub(super) struct Collector {
    /// The way to places.
    dial: CurrentDial,
    /// Where collected frames and changes go.
    events: mpsc::Sender<Input>,
    /// The subscriptions there are.
    groups: Vec<Group>,
    /// Places at which at least one subscription works, as last reported.
    up: HashSet<Place>,
    /// Queues to be reported as missing.
    missing: BTreeSet<(Place, QueueId)>,
    /// Tasks started so far: numbers them, so that what an aborted task reported is ignored.
    made: u64,
    /// The tasks of the groups.
    tasks: JoinSet<()>,
    /// Given to each task.
    tell: mpsc::Sender<GroupEvent>,
    /// What the tasks report.
    group_events: mpsc::Receiver<GroupEvent>,
}

/// One subscription.
struct Group {
    /// The number of its task.
    number: u64,
    place: Place,
    /// The lane of its stream: a place cannot tell that two lanes belong to one pod.
    lane: Lane,
    /// Its queues. The task reads them at each attempt, and drops frames of queues removed
    /// meanwhile.
    queues: Arc<Mutex<Queues>>,
    /// Whether one of its queues may be unknown at the place: no others join it.
    suspect: bool,
    /// Whether it works.
    up: bool,
    /// Ends its task.
    task: AbortHandle,
}

/// A change that a group's task reports.
struct GroupEvent {
    /// The number of the task.
    group: u64,
    /// What it found.
    kind: GroupState,
}

/// How a subscription is.
enum GroupState {
    /// The place accepted it.
    Up,
    /// It failed or broke, and is tried again.
    Down,
    /// The place does not know one of the queues.
    Unknown,
}

impl Collector {
    /// A collector of nothing.
    pub(super) fn new(dial: CurrentDial, events: mpsc::Sender<Input>) -> Self {
        let (tell, group_events) = mpsc::channel(GROUP_EVENTS);
        Self {
            dial,
            events,
            groups: Vec::new(),
            up: HashSet::new(),
            missing: BTreeSet::new(),
            made: 0,
            tasks: JoinSet::new(),
            tell,
            group_events,
        }
    }

    /// Collects exactly these queues from now on. Subscriptions that stay wanted are not
    /// interrupted, unless their group gets more queues.
    pub(super) fn want(&mut self, wanted: Vec<Collection>) {
        let mut missing: BTreeMap<(Place, Lane), Queues> = BTreeMap::new();
        for Collection { place, lane, queue, capability } in wanted {
            missing.entry((place, lane)).or_default().insert(queue, capability);
        }
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

    /// Starts, splits and reports subscriptions. It never returns; dropping the future at any point
    /// loses nothing, and the next call goes on.
    ///
    /// Places are reported before missing queues, so that the messenger first learns that the place
    /// answers.
    pub(super) async fn run(&mut self) {
        loop {
            self.report_places().await;
            self.report_missing().await;
            tokio::select! {
                Some(event) = self.group_events.recv() => self.on_group_event(event),
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    /// Notes what a group's task reported. Reports of tasks that were replaced are ignored.
    fn on_group_event(&mut self, GroupEvent { group: number, kind }: GroupEvent) {
        // A task that was ended may have told something before.
        let Some(group) = self.groups.iter_mut().find(|group| group.number == number) else { return };
        group.up = matches!(kind, GroupState::Up);
        if matches!(kind, GroupState::Unknown) {
            self.split(number);
        }
    }

    /// Adds queues to groups with room, which subscribe anew, and makes groups for the rest.
    ///
    /// A group that grows subscribes anew, which costs one round trip and repeats no frame that was
    /// acknowledged.
    fn add(&mut self, place: Place, lane: Lane, mut queues: Queues) {
        let mut grown = Vec::new();
        for group in
            self.groups.iter().filter(|group| group.place == place && group.lane == lane && !group.suspect)
        {
            let mut kept = lock(&group.queues);
            while kept.len() < MAX_SUBSCRIBED
                && let Some((queue, capability)) = queues.pop_first()
            {
                kept.insert(queue, capability);
                grown.push(group.number);
            }
        }
        grown.dedup();
        for number in grown {
            self.restart(number);
        }
        while !queues.is_empty() {
            let rest = behind(&mut queues, MAX_SUBSCRIBED);
            self.start(place, lane, std::mem::replace(&mut queues, rest), false);
        }
    }

    /// Makes a group and starts its task.
    ///
    /// The group counts as down until its task reports otherwise.
    fn start(&mut self, place: Place, lane: Lane, queues: Queues, suspect: bool) {
        let queues = Arc::new(Mutex::new(queues));
        let (number, task) = self.spawn(place, lane, queues.clone());
        self.groups.push(Group { number, place, lane, queues, suspect, up: false, task });
    }

    /// Starts a group's task anew, so that it subscribes with the queues the group has now.
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

    /// Starts a task for a group. Returns its number and the handle that ends it.
    fn spawn(&mut self, place: Place, lane: Lane, queues: Arc<Mutex<Queues>>) -> (u64, AbortHandle) {
        self.made += 1;
        let subscription = SubscriptionTask {
            group: self.made,
            place,
            lane,
            queues,
            dial: self.dial.clone(),
            events: self.events.clone(),
            tell: self.tell.clone(),
        };
        (self.made, self.tasks.spawn(subscription.run()))
    }

    /// A place does not know one of the group's queues: each half becomes a group. A group of one queue reports it as
    /// missing.
    fn split(&mut self, number: u64) {
        let Some(group) = self.groups.iter_mut().find(|group| group.number == number) else { return };
        let (place, lane, mut queues) = (group.place, group.lane, lock(&group.queues).clone());
        if queues.len() == 1 {
            group.suspect = true;
            self.missing.extend(queues.into_keys().map(|queue| (place, queue)));
            return;
        }
        self.end_groups(|group| group.number == number);
        let half = queues.len() / 2;
        let rest = behind(&mut queues, half);
        for half in [queues, rest].into_iter().filter(|half| !half.is_empty()) {
            self.start(place, lane, half, true);
        }
    }

    /// Ends the groups for which `ends` is true.
    ///
    /// Aborting a task drops its stream, by which the place learns that the subscription has ended.
    fn end_groups(&mut self, ends: impl Fn(&Group) -> bool) {
        self.groups.retain(|group| {
            let ends = ends(group);
            if ends {
                group.task.abort();
            }
            !ends
        });
    }

    /// Reports the places at which collecting began to work or stopped.
    async fn report_places(&mut self) {
        let now: HashSet<Place> =
            self.groups.iter().filter(|group| group.up).map(|group| group.place).collect();
        let changed: Vec<Place> = now.symmetric_difference(&self.up).copied().collect();
        for place in changed {
            let Ok(slot) = self.events.reserve().await else { return };
            let up = now.contains(&place);
            slot.send(Input::Subscribed { place, up });
            if up {
                self.up.insert(place)
            } else {
                self.up.remove(&place)
            };
        }
    }

    /// Reports the queues that their place does not know.
    async fn report_missing(&mut self) {
        while !self.missing.is_empty() {
            let Ok(slot) = self.events.reserve().await else { return };
            let Some((place, queue)) = self.missing.pop_first() else { return };
            slot.send(Input::Missing { place, queue });
        }
    }
}

/// Takes out all queues behind the first `count`.
fn behind(queues: &mut Queues, count: usize) -> Queues {
    let first = queues.keys().nth(count).copied();
    first.map(|first| queues.split_off(&first)).unwrap_or_default()
}
