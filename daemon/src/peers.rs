//! The network shell of a pod: asks places, collects at them, and answers for its own.
//!
//! | part | does |
//! |---|---|
//! | `client` | carries out one call: a stream, a request, its response, all within a minute |
//! | `collect` | keeps a subscription for each group of queues that is wanted, and hands on what is pushed |
//! | [`door`] | serves those who call at the pod's own address, or at a relay's |
//! | [`tor`] | the lanes of both over Tor |
//!
//! Nothing here decides anything: what goes out is told by the node, what comes in is told to it. Each call gets
//! exactly one outcome. What is collected waits for the node: when it is slow, reading stops, and the place keeps the
//! rest.

mod client;
mod collect;
mod desk;
pub mod door;
mod message;
pub mod tor;

use std::{collections::HashSet, fmt, sync::Arc};

pub use autonomy_messaging::messenger::Collection;
use autonomy_messaging::{
    lane::{CallId, Lane, Unreached},
    messenger::{Effect, Input},
    place::{Place, QueueId},
    wire::{Request, Response},
};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, watch},
};

use self::{client::Client, collect::Collector, desk::Desk};

/// What waits for the node: 64 frames are 1 MiB.
const EVENTS: usize = 64;

/// A stream to or from a peer.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A way to places. Streams of different lanes share nothing that a place could see.
pub trait Dial: Send + Sync + 'static {
    /// Opens a stream for one request.
    fn open<'a>(&'a self, place: &'a Place, lane: Lane) -> BoxFuture<'a, Result<Box<dyn Duplex>, Unreached>>;

    /// Changes when whoever waits for a time should look again: the machine slept.
    fn woken(&self) -> watch::Receiver<u64>;
}

/// Carries out what the node wants of the network. Cheap to clone; all that runs for it ends with the last clone.
#[derive(Clone)]
pub struct NetworkHandle(Arc<Inner>);

struct Inner {
    commands: mpsc::UnboundedSender<Command>,
    line: watch::Sender<Option<Arc<dyn Dial>>>,
    own: watch::Sender<HashSet<QueueId>>,
    desk: Arc<Desk>,
}

enum Command {
    Call { call: CallId, place: Place, lane: Lane, request: Box<Request> },
    Collect(Vec<Collection>),
}

/// Starts the network on this runtime; gives what it tells the messenger. It is not connected to anything until [`NetworkHandle::attach`]: calls wait for
/// that as long as they may.
#[must_use]
pub fn start(runtime: &tokio::runtime::Handle) -> (NetworkHandle, mpsc::Receiver<Input>) {
    let (events, told) = mpsc::channel(EVENTS);
    // As many as the node has in flight, which it bounds itself.
    let (commands, orders) = mpsc::unbounded_channel();
    let (line, attached) = watch::channel(None);
    let (own, _) = watch::channel(HashSet::new());
    let desk = Arc::new(Desk::new(events.clone()));
    runtime.spawn(carry_out(
        orders,
        Client::new(attached.clone()),
        Collector::new(attached, events.clone()),
        events,
    ));
    (NetworkHandle(Arc::new(Inner { commands, line, own, desk })), told)
}

/// Until the last handle is gone.
async fn carry_out(
    mut orders: mpsc::UnboundedReceiver<Command>,
    client: Client,
    mut collector: Collector,
    events: mpsc::Sender<Input>,
) {
    let client = Arc::new(client);
    let mut calls = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Command::Call { call, place, lane, request }) => {
                    let (client, events) = (client.clone(), events.clone());
                    calls.spawn(async move {
                        let outcome = client.call(&place, lane, &request).await;
                        let _ = events.send(Input::Called { call, outcome }).await;
                    });
                }
                Some(Command::Collect(wanted)) => collector.want(wanted),
                None => return,
            },
            () = collector.run() => {}
            Some(_) = calls.join_next() => {}
        }
    }
}

impl NetworkHandle {
    /// Gives the way to places, or takes it away.
    pub fn attach(&self, dial: Option<Arc<dyn Dial>>) {
        self.0.line.send_replace(dial);
    }

    /// Carries out what the messenger wants. What it wants its owner to know is no matter of the network.
    pub fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Call { call, place, lane, request } => self.call(call, place, lane, request),
            Effect::Collect(wanted) => self.collect(wanted),
            Effect::Serve(queues) => self.serve(queues),
            Effect::Answer { ticket, response } => self.answer(ticket, response),
            Effect::Notify(_) => {}
        }
    }

    /// Asks a place. Exactly one [`Input::Called`] follows.
    pub fn call(&self, call: CallId, place: Place, lane: Lane, request: Request) {
        drop(self.0.commands.send(Command::Call { call, place, lane, request: Box::new(request) }));
    }

    /// Collects exactly these queues from now on.
    pub fn collect(&self, wanted: Vec<Collection>) {
        drop(self.0.commands.send(Command::Collect(wanted)));
    }

    /// Exactly these queues are the pod's own from now on.
    pub fn serve(&self, own: impl IntoIterator<Item = QueueId>) {
        self.0.own.send_replace(own.into_iter().collect());
    }

    /// Answers an [`Input::Asked`]. Whoever asked may have gone.
    pub fn answer(&self, ticket: u64, response: Response) {
        self.0.desk.answer(ticket, response);
    }
}

impl fmt::Debug for NetworkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkHandle")
            .field("attached", &self.0.line.borrow().is_some())
            .finish_non_exhaustive()
    }
}
