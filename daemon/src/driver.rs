//! The one place where effects happen.
//!
//! A thread owns the node and the store. It takes the waiting inputs one after the other, commits
//! the rows of their steps in one transaction, carries out the effects in order, and only then
//! sends the replies. So nothing is acknowledged that could be forgotten, and an effect that was
//! lost in a crash is derived again from the rows. A single input is committed by itself, without
//! delay.
//!
//! | part | does |
//! |---|---|
//! | `batch` | steps that share a commit |
//! | [`disk`] | what is taken while the disk is full, and how the node comes back from a failed commit |
//! | `handle` | the way to the driver for everybody else |
//! | `failure` | what a failed store means: for who asked, and for the pod |
//! | `lives` | tells calls of the node before such a return from those after it |
//! | `renewal` | the database written anew from time to time, so that what was removed from it is gone |
//! | `turns` | how many requests of one caller wait at once |

mod batch;
pub mod disk;
mod failure;
mod handle;
mod lives;
mod renewal;
mod time;
mod turns;

use std::{
    io, mem,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use autonomy_messaging::messenger;
use tokio::sync::{
    broadcast,
    mpsc::{self, error::TrySendError},
    oneshot, watch,
};

use self::{
    batch::{Batch, Committed, NotCommitted},
    disk::Taking,
    lives::Life,
    time::Time,
};
pub use self::{
    failure::{AskError, StoreFailed},
    handle::{Admitted, Handle},
    time::now,
    turns::{LargeBodyPlace, MAX_STREAMS},
};
use crate::chain::{ChainLink, ChainSource, Delivered, Delivery, PodCursor};
use autonomy_api::Event;
use autonomy_node::{Effect, Input, Node, Reply, Request, Row, Timestamp};
use autonomy_store::{BackupError, RowChange, Store};

/// Inputs that wait for the node; whoever is too fast waits (back-pressure). One of them at most is a whole block, since
/// the chain source gives no other before that is committed.
const INBOX: usize = 64;
/// Events that a slow receiver may be behind before it must read them from the node instead.
const EVENT_BUFFER: usize = 256;
/// Longest sleep between two looks for what is due: the machine may have slept meanwhile.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// Where the reply to a request goes, or that nothing of it was kept.
type Asker = oneshot::Sender<Result<Reply, AskError>>;

/// An input of the driver.
#[derive(Debug)]
enum Message {
    /// Something that wants no reply.
    Happened(Input),
    /// The chain source saw something for this life of the node; it waits for the commit.
    Delivered(Life, Delivery),
    /// A request, and where its reply goes.
    Asked(Request, Asker),
    /// Tor works with a consensus that is valid from when until when.
    Consensus(Timestamp, Timestamp),
    /// Write a sealed copy to this new file.
    BackUp(PathBuf, oneshot::Sender<Result<(), BackupError>>),
    /// End, once everything before it is committed.
    Stop,
}

/// Where the messenger's effects on the network go. The channel is unbounded: the messenger bounds
/// the calls in flight.
pub type Post = mpsc::UnboundedSender<messenger::Effect>;

/// What the driver thread owns.
struct Driver {
    node: Node,
    store: Store,
    chain: Box<dyn ChainLink>,
    post: Post,
    events: broadcast::Sender<Event>,
    admitted: watch::Sender<Admitted>,
    /// Follows the chain again for a node that was read again.
    source: Arc<dyn ChainSource>,
    /// Where the chain source delivers; it does not keep the driver alive.
    inbox: mpsc::WeakSender<Message>,
    life: Life,
    /// What is written at present.
    taking: Taking,
    /// Gives the bytes free on the disk of a file.
    free: fn(&Path) -> u64,
    /// Whether the last [`messenger::Input::FreeSpace`] of this node was below its reserve.
    told_low: bool,
    disk_warning: watch::Sender<Option<String>>,
    time: Time,
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
    source: Arc<dyn ChainSource>,
    post: Post,
) -> io::Result<Handle> {
    let (sender, waiting) = mpsc::channel(INBOX);
    let (events, _) = broadcast::channel(EVENT_BUFFER);
    let (admitted, admitted_seen) = watch::channel(Admitted::default());
    let (disk_warning, disk_warning_seen) = watch::channel(None);
    let (clock_warning, clock_warning_seen) = watch::channel(None);
    let (stop, stopped) = watch::channel(None);
    let inbox = sender.downgrade();
    let handle = Handle {
        inbox: sender,
        events: events.clone(),
        admitted: admitted_seen,
        disk_warning: disk_warning_seen,
        clock_warning: clock_warning_seen,
        turns: Arc::default(),
        stopped,
    };
    let (life, taking, free) = (Life::default(), Taking::All, disk::free as fn(&Path) -> u64);
    let chain = follow(&*source, &node, &inbox, life);
    let mut driver = Driver {
        node,
        store,
        chain,
        post,
        events,
        admitted,
        source,
        inbox,
        life,
        taking,
        free,
        told_low: false,
        disk_warning,
        time: Time::new(clock_warning),
    };
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
fn follow(
    source: &dyn ChainSource,
    node: &Node,
    inbox: &mpsc::WeakSender<Message>,
    life: Life,
) -> Box<dyn ChainLink> {
    let inbox = inbox.clone();
    let deliver = Box::new(move |delivery| {
        let Some(inbox) = inbox.upgrade() else { return Delivered::Gone };
        match inbox.try_send(Message::Delivered(life, delivery)) {
            Ok(()) => Delivered::Taken,
            Err(TrySendError::Full(_)) => Delivered::Full,
            Err(TrySendError::Closed(_)) => Delivered::Gone,
        }
    });
    source.follow(PodCursor { network: node.network(), points: node.chain_points(), deliver })
}

impl Driver {
    /// Runs until it is stopped, the last handle is dropped, or the store is found damaged.
    fn run(&mut self, mut inbox: mpsc::Receiver<Message>) -> Result<(), StoreFailed> {
        // A runtime of this thread alone, for one thing: to wait for an input or for the time of the next duty.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| StoreFailed::thread(&error))?;
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
    /// The store is damaged; nothing of the batch was acknowledged.
    fn work(
        &mut self,
        first: Message,
        inbox: &mut mpsc::Receiver<Message>,
    ) -> Result<ControlFlow<()>, StoreFailed> {
        self.look_at_disk()?;
        let mut batch = Batch::default();
        self.judge_clock(&mut batch)?;
        self.judge_disk(&mut batch)?;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Happened(input) => self.take(&mut batch, input, None)?,
                Message::Delivered(life, Delivery { number, input }) => {
                    if life == self.life {
                        self.take(&mut batch, input, Some(number))?;
                    }
                }
                Message::Asked(request, asker) => self.answer(&mut batch, request, asker)?,
                Message::Consensus(from, until) => {
                    self.time.consensus(from, until);
                    self.judge_clock(&mut batch)?;
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

    /// Lets the node take an input that nobody waits for, where it is taken now.
    ///
    /// # Errors
    /// The store is damaged.
    fn take(&mut self, batch: &mut Batch, input: Input, delivery: Option<u64>) -> Result<(), StoreFailed> {
        let input = match input {
            Input::Mail(input) => lives::from_network(self.life, input).map(Input::Mail),
            other => Some(other),
        };
        let Some(input) = input.filter(|input| self.takes(input)) else { return Ok(()) };
        self.note_time(&input);
        match batch.work(&mut self.node, &self.store, self.time.read().now, input) {
            Ok(_) => {
                batch.holds_delivery(delivery);
                Ok(())
            }
            Err(failed) => self.fail(mem::take(batch).fail(failed)),
        }
    }

    /// Answers a request with the batch; at once where it is refused, or nothing is written anyway.
    ///
    /// # Errors
    /// The store is damaged.
    fn answer(&mut self, batch: &mut Batch, request: Request, asker: Asker) -> Result<(), StoreFailed> {
        if let Some(why) = self.refuses(request.command.class()) {
            drop(asker.send(Err(AskError::NotKept(why))));
            return Ok(());
        }
        let mut unkept = Batch::default();
        let only_read = self.taking.again().is_some();
        let batch = if only_read { &mut unkept } else { batch };
        let now = self.time.read().now;
        match batch.work(&mut self.node, &self.store, now, Input::Request(request)) {
            // What the node did beside the answer is forgotten with the rest when it is read again.
            Ok(Some(reply)) if only_read => drop(asker.send(Ok(reply))),
            Ok(Some(reply)) => batch.reply_later(asker, reply),
            Ok(None) => {}
            Err(failed) => {
                let mut not_committed = mem::take(batch).fail(failed);
                not_committed.askers.push(asker);
                self.fail(not_committed)?;
            }
        }
        Ok(())
    }

    /// Tells everybody that nothing of a batch was kept, and goes back to what the store holds.
    ///
    /// # Errors
    /// The store is damaged: the pod ends, since going on would acknowledge what a restart forgets.
    fn fail(&mut self, NotCommitted { failed, askers }: NotCommitted) -> Result<(), StoreFailed> {
        let why = failed.to_string();
        for asker in askers {
            drop(asker.send(Err(AskError::NotKept(why.clone()))));
        }
        StoreFailed::unless_passing(failed)?;
        self.give_up_writing(why)
    }

    /// Time until the node has something due, at most [`MAX_SLEEP`]; or until a commit is tried again.
    fn sleep(&self) -> Duration {
        if let Some(again) = self.taking.again() {
            return again.saturating_duration_since(tokio::time::Instant::now());
        }
        let until_due =
            self.node.next_wake().map(|due| Duration::from_secs(due.saturating_sub(self.time.read().now)));
        until_due.unwrap_or(MAX_SLEEP).min(MAX_SLEEP)
    }

    /// Commits a batch, then carries out its effects, then sends its replies.
    ///
    /// # Errors
    /// The store is damaged: nothing was done and nobody gets a reply.
    fn finish(&mut self, batch: Batch) -> Result<(), StoreFailed> {
        let Committed { effects, delivery, replies } = match batch.commit(&self.store) {
            Ok(committed) => committed,
            Err(not_committed) => return self.fail(not_committed),
        };
        self.carry_out(effects);
        // After the effects: what the deliveries added to what is watched has been said by now.
        if let Some(number) = delivery {
            self.chain.committed(number);
        }
        for (asker, reply) in replies {
            // The caller may have hung up; the step is done all the same.
            let _ = asker.send(Ok(reply));
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
                Effect::Mail(effect) => drop(self.post.send(lives::to_network(self.life, effect))),
                // Nobody may be listening: events are rows too, and are read later.
                Effect::Notify(event) => drop(self.events.send(event)),
                Effect::Admit { devices, descriptor_keys } => {
                    self.admitted.send_modify(|admitted| {
                        admitted.devices = devices.into_iter().collect();
                        admitted.descriptor_keys = descriptor_keys;
                    });
                }
                Effect::Listen(seeds) => {
                    self.admitted.send_modify(|admitted| admitted.peer_seeds = seeds);
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
    let reply = batch.work(node, store, now(), input)?;
    let _derived_again = batch.commit(store).map_err(|not_committed| not_committed.failed)?;
    Ok(reply)
}

/// Writes rows in one durable transaction. It takes them over, so that their bytes, some of which are secrets, are wiped
/// when they are written.
///
/// # Errors
/// The store failed: nothing of it was kept.
pub fn commit(store: &Store, rows: Vec<Row>) -> Result<(), StoreFailed> {
    Ok(store.commit(&changes(rows))?)
}

/// The rows as they lie in the store; values are moved, never copied.
#[must_use]
pub fn changes(rows: Vec<Row>) -> Vec<RowChange> {
    rows.into_iter().map(|Row { key, value }| RowChange { key, value }).collect()
}

#[cfg(test)]
mod tests;
