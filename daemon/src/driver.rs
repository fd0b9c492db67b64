//! The one place where effects happen.
//!
//! A thread owns the node and the store. It takes the waiting inputs one after the other, commits
//! the rows of their steps in one transaction, carries out the effects in order, and only then
//! sends the replies. So nothing is acknowledged that could be forgotten, and an effect that was
//! lost in a crash is derived again from the rows. A single input is committed by itself, without
//! delay.

mod batch;

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

use self::batch::{Batch, Committed};
use crate::chain::{ChainLink, ChainSource, Delivered, Delivery, PodCursor};
use autonomy_api::{Access, Event};
use autonomy_node::{DeviceKey, Effect, Input, Node, Owner, Reply, Request, Row, Timestamp};
use autonomy_store::{BackupError, RowChange, Store};

/// Inputs that wait for the node; whoever is too fast waits (back-pressure). One of them at most is a whole block, since
/// the chain source gives no other before that is committed.
const INBOX: usize = 64;
/// Events that a slow receiver may be behind before it must read them from the node instead.
const EVENT_BUFFER: usize = 256;
/// Longest sleep between two looks for what is due: the machine may have slept meanwhile.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// The store failed. The pod stops, since going on would acknowledge what a restart forgets.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the pod's database failed ({0}); nothing of the last steps was kept. Free some space or repair the disk, then start the pod again"
)]
pub struct StoreFailed(String);

/// Why a request got no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// The driver has ended.
    #[error("the pod is stopping")]
    Stopped,
    /// The node sent no reply to a request, which is a fault of the program.
    #[error("the pod gave no answer to this request")]
    NoAnswer,
}

/// A way to reach the node from any task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    /// Inputs for the driver.
    inbox: mpsc::Sender<Message>,
    /// Where the driver publishes events.
    events: broadcast::Sender<Event>,
    /// Who may connect.
    admitted: watch::Receiver<Admitted>,
    /// Set when the driver has ended.
    stopped: watch::Receiver<Option<Result<(), StoreFailed>>>,
}

/// An input of the driver.
#[derive(Debug)]
enum Message {
    /// Something that wants no reply.
    Happened(Input),
    /// The chain source saw something; it waits for the commit.
    Delivered(Delivery),
    /// A request, and where its reply goes.
    Asked(Request, oneshot::Sender<Reply>),
    /// Write a sealed copy to this new file.
    BackUp(PathBuf, oneshot::Sender<Result<(), BackupError>>),
    /// End, once everything before it is committed.
    Stop,
}

/// Who may connect now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admitted {
    /// Device keys for the TLS gate, and the access of each.
    pub devices: BTreeMap<DeviceKey, Access>,
    /// x25519 keys for restricted discovery.
    pub descriptor_keys: Vec<[u8; 32]>,
    /// The pod's owner; `None` until it is adopted.
    pub owner: Option<Arc<Owner>>,
}

/// Where the messenger's effects on the network go. The channel is unbounded: the messenger bounds
/// the calls in flight.
pub type Post = mpsc::UnboundedSender<messenger::Effect>;

impl Handle {
    /// Sends a request to the node and waits for its reply, which comes after the commit.
    ///
    /// # Errors
    /// The pod is stopping.
    pub async fn ask(&self, request: Request) -> Result<Reply, AskError> {
        let (answer, reply) = oneshot::channel();
        self.inbox.send(Message::Asked(request, answer)).await.map_err(|_| AskError::Stopped)?;
        self.answer(reply).await
    }

    /// Waits for an answer, or for the end of the driver. A message that was sent while the driver
    /// ended stays in the inbox with its sender as long as there is a handle, so that waiting for
    /// the answer alone might never end.
    ///
    /// # Errors
    /// The driver ended without an answer.
    async fn answer<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, AskError> {
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| AskError::NoAnswer),
            _ = self.stopped() => Err(AskError::NoAnswer),
        }
    }

    /// Delivers an input; waits while the inbox is full. False when the node has ended.
    #[must_use]
    pub async fn deliver(&self, input: Input) -> bool {
        self.inbox.send(Message::Happened(input)).await.is_ok()
    }

    /// Writes a consistent sealed copy of the pod's database to `file`. It holds everything that
    /// was acknowledged before this call.
    ///
    /// # Errors
    /// The pod is stopping (outer), or the copy could not be written (inner).
    pub async fn back_up(&self, file: PathBuf) -> Result<Result<(), BackupError>, AskError> {
        let (answer, reply) = oneshot::channel();
        self.inbox.send(Message::BackUp(file, answer)).await.map_err(|_| AskError::Stopped)?;
        self.answer(reply).await
    }

    /// Ends the driver once everything that waits is committed. [`Self::stopped`] waits for the
    /// end.
    pub async fn stop(&self) {
        // A driver that has ended needs no order to end.
        drop(self.inbox.send(Message::Stop).await);
    }

    /// The events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Who may connect, and its changes.
    #[must_use]
    pub fn admitted(&self) -> watch::Receiver<Admitted> {
        self.admitted.clone()
    }

    /// Waits until the driver has ended and its store is closed.
    ///
    /// # Errors
    /// The driver ended because the store failed.
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
    /// Runs until it is stopped, the last handle is dropped, or the store fails.
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

    /// Works on a message and on those that wait, as far as one commit may take them. Breaks when
    /// asked to stop.
    ///
    /// # Errors
    /// The store failed; nothing of the batch was acknowledged.
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

    /// Time until the node has something due, at most [`MAX_SLEEP`].
    fn sleep(&self) -> Duration {
        let until_due = self.node.next_wake().map(|due| Duration::from_secs(due.saturating_sub(now())));
        until_due.unwrap_or(MAX_SLEEP).min(MAX_SLEEP)
    }

    /// Commits a batch, then carries out its effects, then sends its replies.
    ///
    /// # Errors
    /// The store failed: nothing was done and nobody gets a reply.
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

    /// Carries out effects in their order. An effect may be lost in a crash and repeated after one.
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

/// Lets a node without a driver take one input, and commits the step. Its effects are not carried
/// out: they are derived again when the pod starts.
///
/// # Errors
/// The store failed: nothing of the step was kept, and the node must be discarded.
pub fn step(node: &mut Node, store: &Store, input: Input) -> Result<Option<Reply>, StoreFailed> {
    let mut batch = Batch::default();
    let reply = batch.work(node, store, input)?;
    let _derived_again = batch.commit(store)?;
    Ok(reply)
}

/// Writes rows in one durable transaction. It takes them over, so that their bytes, some of which are secrets, are wiped
/// when they are written.
///
/// # Errors
/// The store failed: nothing of it was kept.
pub fn commit(store: &Store, rows: Vec<Row>) -> Result<(), StoreFailed> {
    write(store, &changes(rows))
}

fn write(store: &Store, changes: &[RowChange]) -> Result<(), StoreFailed> {
    store.commit(changes).map_err(|error| StoreFailed(error.to_string()))
}

/// The rows as they lie in the store; values are moved, never copied.
#[must_use]
pub fn changes(rows: Vec<Row>) -> Vec<RowChange> {
    rows.into_iter().map(|Row { key, value }| RowChange { key, value }).collect()
}

/// Seconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the driver is where time comes in")]
pub fn now() -> Timestamp {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests;
