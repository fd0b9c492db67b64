//! The one place where effects happen.
//!
//! A thread owns the node and the store. It takes whatever inputs wait, one after the other, commits the rows of
//! their steps in one transaction, carries the effects out in order, and only then gives the replies: what was
//! acknowledged cannot be forgotten. An input that comes alone is committed alone, and waits for nobody.

mod batch;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io, mem,
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use autonomy_messaging::messenger;
use tokio::sync::{
    broadcast,
    mpsc::{self, error::TrySendError},
    oneshot, watch,
};
use zeroize::Zeroize as _;

use self::batch::{Batch, Committed};
use crate::chain::{ChainLink, ChainSource, Delivered, Delivery, PodCursor};
use autonomy_api::{Access, Event};
use autonomy_node::{DeviceKey, Effect, Input, Node, Owner, Reply, Request, Row, Timestamp};
use autonomy_store::{BackupError, RowChange, Store};

/// Inputs that wait for the node; whoever is too fast waits (back-pressure). One of them at most is a whole block, since
/// the chain source gives no other before that is committed.
const INBOX: usize = 64;
/// Events a slow listener may fall behind before it must read the list anew.
const EVENT_BUFFER: usize = 256;
/// Longest sleep between two looks for what is due.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// The store failed: the pod stops rather than run ahead of its disk.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the pod's database failed ({0}); nothing of the last steps was kept. Make room or mend the disk, then start the pod again"
)]
pub struct StoreFailed(String);

/// Why a request got no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// The driver has ended.
    #[error("the pod is stopping")]
    Stopped,
    /// The node answered nothing, which no request should see.
    #[error("the pod gave no answer to this request")]
    NoAnswer,
}

/// A way to reach the node from any task.
#[derive(Clone, Debug)]
pub struct Handle {
    inbox: mpsc::Sender<Message>,
    events: broadcast::Sender<Event>,
    admitted: watch::Receiver<Admitted>,
    stopped: watch::Receiver<Option<Result<(), StoreFailed>>>,
}

/// What waits for the driver.
#[derive(Debug)]
enum Message {
    Happened(Input),
    /// The chain source saw something, and wants to hear when it is committed.
    Delivered(Delivery),
    Asked(Request, oneshot::Sender<Reply>),
    BackUp(PathBuf, oneshot::Sender<Result<(), BackupError>>),
    /// End, once all that came before is committed.
    Stop,
}

/// Who may enter now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admitted {
    /// Keys for the TLS gate, and how far each may go.
    pub devices: BTreeMap<DeviceKey, Access>,
    /// x25519 keys for restricted discovery.
    pub descriptor_keys: Vec<[u8; 32]>,
    /// Whom the pod belongs to, once it has an owner.
    pub owner: Option<Arc<Owner>>,
}

/// Takes what the messenger wants done to the network. It is not bounded here: calls in flight are, by the messenger.
pub type Post = mpsc::UnboundedSender<messenger::Effect>;

impl Handle {
    /// Asks the node.
    ///
    /// # Errors
    /// The pod is stopping.
    pub async fn ask(&self, request: Request) -> Result<Reply, AskError> {
        let (answer, reply) = oneshot::channel();
        self.inbox.send(Message::Asked(request, answer)).await.map_err(|_| AskError::Stopped)?;
        reply.await.map_err(|_| AskError::NoAnswer)
    }

    /// Delivers an input. False when the node has ended.
    #[must_use]
    pub async fn deliver(&self, input: Input) -> bool {
        self.inbox.send(Message::Happened(input)).await.is_ok()
    }

    /// Writes a consistent sealed copy of the pod's database to `file`, between two steps.
    ///
    /// # Errors
    /// The pod is stopping; or the copy could not be written, within.
    pub async fn back_up(&self, file: PathBuf) -> Result<Result<(), BackupError>, AskError> {
        let (answer, reply) = oneshot::channel();
        self.inbox.send(Message::BackUp(file, answer)).await.map_err(|_| AskError::Stopped)?;
        reply.await.map_err(|_| AskError::NoAnswer)
    }

    /// Ends the driver once all that waits is committed. [`Self::stopped`] tells when it has ended.
    pub async fn stop(&self) {
        // A driver that has ended needs no order to end.
        drop(self.inbox.send(Message::Stop).await);
    }

    /// Events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Who may enter, as it changes.
    #[must_use]
    pub fn admitted(&self) -> watch::Receiver<Admitted> {
        self.admitted.clone()
    }

    /// Waits until the driver has ended and its store is closed, and says why.
    ///
    /// # Errors
    /// The store failed.
    pub async fn stopped(&self) -> Result<(), StoreFailed> {
        let mut stopped = self.stopped.clone();
        match stopped.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            // The thread is gone without a word: a fault of the program. The rows are safe; a new start reads them.
            Err(_) => Err(StoreFailed("its thread ended by a fault of the program".into())),
        }
    }
}

/// What the driver thread owns.
struct Driver {
    node: Node,
    store: Store,
    chain: Box<dyn ChainLink>,
    post: Post,
    events: broadcast::Sender<Event>,
    admitted: watch::Sender<Admitted>,
}

/// Starts the driver of `node` over `store`, with the chain from `source`. `effects` are those that
/// [`Node::restore`] found undone.
///
/// The driver ends on [`Handle::stop`], or when every [`Handle`] is dropped.
///
/// # Errors
/// The operating system has no thread left.
pub fn start(
    node: Node,
    store: Store,
    effects: Vec<Effect>,
    source: &dyn ChainSource,
    post: Post,
) -> io::Result<Handle> {
    let (inbox, waiting) = mpsc::channel(INBOX);
    let (events, _) = broadcast::channel(EVENT_BUFFER);
    let (admitted, admitted_seen) = watch::channel(Admitted::default());
    let (stop, stopped) = watch::channel(None);
    let chain = follow(source, &node, &inbox);
    let handle = Handle { inbox, events: events.clone(), admitted: admitted_seen, stopped };
    let mut driver = Driver { node, store, chain, post, events, admitted };
    driver.carry_out(effects);
    thread::Builder::new().name("driver".into()).spawn(move || {
        let outcome = driver.run(waiting);
        if let Err(error) = &outcome {
            tracing::error!("{error}");
        }
        // Closes the store, so that whoever waits for the end can open it again.
        drop(driver);
        stop.send_replace(Some(outcome));
    })?;
    Ok(handle)
}

/// Follows the chain from where the node stands. The source does not keep the driver alive.
fn follow(source: &dyn ChainSource, node: &Node, inbox: &mpsc::Sender<Message>) -> Box<dyn ChainLink> {
    let inbox = inbox.downgrade();
    let deliver = Box::new(move |delivery| {
        let Some(inbox) = inbox.upgrade() else { return Delivered::Gone };
        match inbox.try_send(Message::Delivered(delivery)) {
            Ok(()) => Delivered::Taken,
            Err(TrySendError::Full(_)) => Delivered::Full,
            Err(TrySendError::Closed(_)) => Delivered::Gone,
        }
    });
    source.follow(PodCursor { network: node.network(), points: node.chain_points(), deliver })
}

impl Driver {
    fn run(&mut self, mut inbox: mpsc::Receiver<Message>) -> Result<(), StoreFailed> {
        // A runtime of this thread alone, for one thing: to wait for an input or for the time of the next duty.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| StoreFailed(error.to_string()))?;
        loop {
            let sleep = self.sleep();
            let message = match runtime.block_on(async { tokio::time::timeout(sleep, inbox.recv()).await }) {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(_) => Message::Happened(Input::Wake),
            };
            if self.work(message, &mut inbox)?.is_break() {
                return Ok(());
            }
        }
    }

    /// Works on a message and on whatever else waits by now, as far as one commit may take it. Breaks on an order to
    /// end.
    fn work(
        &mut self,
        first: Message,
        inbox: &mut mpsc::Receiver<Message>,
    ) -> Result<ControlFlow<()>, StoreFailed> {
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Happened(input) => drop(batch.work(&mut self.node, &self.store, input)?),
                Message::Delivered(Delivery { number, input }) => {
                    drop(batch.work(&mut self.node, &self.store, input)?);
                    batch.holds_delivery(number);
                }
                Message::Asked(request, answer) => {
                    let reply = batch.work(&mut self.node, &self.store, Input::Request(request))?;
                    if let Some(reply) = reply {
                        batch.reply_later(answer, reply);
                    }
                }
                Message::BackUp(file, answer) => {
                    // The copy holds all that came before, and its asker hears after them.
                    self.finish(mem::take(&mut batch))?;
                    // Whoever asked may have hung up; the copy is made all the same.
                    drop(answer.send(self.store.backup(&file, Row::is_in_backup)));
                }
                Message::Stop => {
                    self.finish(batch)?;
                    return Ok(ControlFlow::Break(()));
                }
            }
            next = if batch.has_room() { inbox.try_recv().ok() } else { None };
        }
        self.finish(batch)?;
        Ok(ControlFlow::Continue(()))
    }

    fn sleep(&self) -> Duration {
        let until_due = self.node.next_wake().map(|due| Duration::from_secs(due.saturating_sub(now())));
        until_due.unwrap_or(MAX_SLEEP).min(MAX_SLEEP)
    }

    /// Commit, then act, then answer.
    fn finish(&mut self, batch: Batch) -> Result<(), StoreFailed> {
        let Committed { effects, delivery, replies } = batch.commit(&self.store)?;
        self.carry_out(effects);
        // After the effects: what the deliveries added to what is watched has been said by now.
        if let Some(number) = delivery {
            self.chain.committed(number);
        }
        for (answer, reply) in replies {
            // The caller may have hung up; the step is done all the same.
            let _ = answer.send(reply);
        }
        Ok(())
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Watch(watch) => self.chain.watch(*watch),
                Effect::Broadcast(txid, transaction) => self.chain.broadcast(txid, transaction),
                // The network may have ended before the node: what was meant for it is derived again at the next start.
                Effect::Mail(effect) => drop(self.post.send(effect)),
                // Nobody may be listening: events are rows too, and are read later.
                Effect::Notify(event) => drop(self.events.send(event)),
                Effect::Admit { devices, descriptor_keys } => {
                    self.admitted.send_modify(|admitted| {
                        admitted.devices = devices.into_iter().collect();
                        admitted.descriptor_keys = descriptor_keys;
                    });
                }
                Effect::Adopted => {
                    let owner = self.node.owner().cloned().map(Arc::new);
                    self.admitted.send_modify(|admitted| admitted.owner = owner);
                }
            }
        }
    }
}

/// Lets a node that no driver runs take one input, and commits the step. Its effects are not carried out: they are
/// derived again when the pod starts.
///
/// # Errors
/// The store failed: nothing of the step was kept, and the node is to be thrown away.
pub fn step(node: &mut Node, store: &Store, input: Input) -> Result<Option<Reply>, StoreFailed> {
    let mut batch = Batch::default();
    let reply = batch.work(node, store, input)?;
    let _derived_again = batch.commit(store)?;
    Ok(reply)
}

/// Writes rows in one durable transaction, and wipes the bytes they were written from.
///
/// # Errors
/// The store failed: nothing of it was kept.
pub fn commit(store: &Store, rows: &[Row]) -> Result<(), StoreFailed> {
    write(store, changes(rows))
}

fn write(store: &Store, mut changes: Vec<RowChange>) -> Result<(), StoreFailed> {
    let outcome = store.commit(&changes).map_err(|error| StoreFailed(error.to_string()));
    wipe(&mut changes);
    outcome
}

/// Wipes the bytes of rows that are written: some are secrets.
pub fn wipe(changes: &mut [RowChange]) {
    changes.iter_mut().filter_map(|change| change.value.as_mut()).for_each(|value| value.zeroize());
}

/// The rows as they lie in the store.
#[must_use]
pub fn changes(rows: &[Row]) -> Vec<RowChange> {
    let change = |row: &Row| {
        let Row { key, value } = row.clone();
        RowChange { key, value }
    };
    rows.iter().map(change).collect()
}

/// Seconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the driver is where time comes in")]
pub fn now() -> Timestamp {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
