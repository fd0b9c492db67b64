//! The subscription of one group, made again whenever it breaks.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use autonomy_messaging::{
    lane::{Lane, Unreached},
    messenger::Input,
    place::Place,
    wire::{MAX_RESPONSE, PlaceRefusal, Request, Response},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    super::{
        Dial, Duplex,
        client::{CurrentDial, attached, unreached},
        message,
    },
    GroupEvent, GroupState, Queues,
    backoff::Backoff,
};

/// Limit of a subscription, from the dial to the place's answer.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(60);

/// The task of a group.
pub(super) struct SubscriptionTask {
    pub(super) group: u64,
    pub(super) place: Place,
    pub(super) lane: Lane,
    pub(super) queues: Arc<Mutex<Queues>>,
    pub(super) dial: CurrentDial,
    pub(super) events: mpsc::Sender<Input>,
    pub(super) tell: mpsc::Sender<GroupEvent>,
}

/// How an attempt ended.
enum Ended {
    /// It never worked.
    Failed(Unreached),
    /// The place does not know one of the queues.
    Unknown,
    /// It worked from this moment on, and broke.
    Broke(Instant),
}

impl SubscriptionTask {
    /// Subscribes again and again, with a pause that grows while attempts fail. A machine that
    /// wakes up tries at once.
    ///
    /// After a connection that worked for 30 s the next attempt follows at once; after failures
    /// the pause grows to five minutes.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new();
        loop {
            let Ok(dial) = attached(&mut self.dial).await else { return };
            let mut woken = dial.woken();
            let ended = Box::pin(self.attempt(dial.as_ref())).await;
            let lasted = match &ended {
                Ended::Broke(since) => since.elapsed(),
                _ => Duration::ZERO,
            };
            match ended {
                Ended::Failed(error) => {
                    tracing::debug!(place = ?self.place, %error, "not subscribed");
                    self.tell(GroupState::Down).await;
                }
                Ended::Unknown => self.tell(GroupState::Unknown).await,
                Ended::Broke(_) => self.tell(GroupState::Down).await,
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.pause(lasted)) => {}
                Ok(()) = woken.changed() => backoff = Backoff::new(),
            }
        }
    }

    /// One subscription, from its dial to its end.
    ///
    /// A frame of a queue that was removed meanwhile is dropped: the messenger no longer knows the
    /// queue.
    async fn attempt(&self, dial: &dyn Dial) -> Ended {
        let subscribed = timeout(SUBSCRIBE_LIMIT, self.subscribe(dial)).await;
        let mut stream = match subscribed {
            Ok(Ok(Some(stream))) => stream,
            Ok(Ok(None)) => return Ended::Unknown,
            Ok(Err(error)) => return Ended::Failed(error),
            Err(_) => return Ended::Failed(unreached("no answer within a minute".into())),
        };
        let since = Instant::now();
        self.tell(GroupState::Up).await;
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
    ///
    /// # Errors
    /// The place was not reached, or answered something else.
    async fn subscribe(&self, dial: &dyn Dial) -> Result<Option<Box<dyn Duplex>>, Unreached> {
        let queues = lock(&self.queues).clone();
        let mut stream = dial.open(&self.place, self.lane).await?;
        let broken = |error: std::io::Error| unreached(format!("the connection broke: {error}"));
        let request = Request::Subscribe(queues.into_iter().collect());
        message::write(&mut stream, request.to_bytes()).await.map_err(broken)?;
        let answer = message::read(&mut stream, MAX_RESPONSE).await.map_err(broken)?;
        match Response::parse(&answer) {
            Ok(Response::Done) => Ok(Some(stream)),
            Ok(Response::Refused(PlaceRefusal::UnknownQueue)) => Ok(None),
            Ok(Response::Refused(refusal)) => Err(unreached(refusal.to_string())),
            Ok(_) => Err(unreached("an answer to another request".into())),
            Err(error) => Err(unreached(format!("a malformed answer: {error}"))),
        }
    }

    /// Reports a change. Nobody listens when the collector is being dropped.
    async fn tell(&self, kind: GroupState) {
        let _ = self.tell.send(GroupEvent { group: self.group, kind }).await;
    }
}

/// The queues of a group, locked.
pub(super) fn lock(queues: &Mutex<Queues>) -> std::sync::MutexGuard<'_, Queues> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}
