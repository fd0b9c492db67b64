//! The network shell of a pod: it calls places, collects from them, and serves the pod's own
//! queues.
//!
//! | part | does |
//! |---|---|
//! | `client` | carries out one call: a stream, a request, its response, all within a minute |
//! | `collect` | keeps a subscription for each group of wanted queues, and delivers what is pushed |
//! | `pending` | requests for the node that wait for its answer |
//! | [`server`] | serves callers at the pod's own address, or at a relay's |
//! | [`tor`] | the lanes of both over Tor |
//!
//! Nothing here decides anything: the node says what goes out, and gets what comes in. Each call
//! gets exactly one outcome. Collected frames wait for the node: while it is busy nothing more is
//! read, and the place keeps the rest.

mod client;
mod collect;
mod message;
mod pending;
pub mod server;
mod share;
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

use self::{client::Client, collect::Collector, pending::PendingRequests};

/// Inputs that wait for the node: 64 frames are 1 MiB.
const EVENTS: usize = 64;

/// A stream to or from a peer, whatever carries it.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A way to places. A place cannot tell that streams of two lanes belong to one pod.
pub trait Dial: Send + Sync + 'static {
    /// Opens a stream for one request.
    ///
    /// # Errors
    /// The place was not reached; the detail is for people.
    fn open<'a>(&'a self, place: &'a Place, lane: Lane) -> BoxFuture<'a, Result<Box<dyn Duplex>, Unreached>>;

    /// Changes when the machine slept: whoever waits for a time should look again.
    fn woken(&self) -> watch::Receiver<u64>;
}

/// Carries out the node's effects on the network. Cheap to clone; everything it runs ends with the
/// last clone.
#[derive(Clone)]
pub struct NetworkHandle(Arc<Inner>);

/// What the clones of a handle share.
struct Inner {
    /// Work for the task of [`carry_out`].
    commands: mpsc::UnboundedSender<Command>,
    /// The way to places; `None` while there is none.
    dial: watch::Sender<Option<Arc<dyn Dial>>>,
    /// The queues that the pod itself serves.
    own: watch::Sender<HashSet<QueueId>>,
    /// Requests of peers that the node has not answered.
    pending: Arc<PendingRequests>,
}

/// Work for the network's task.
enum Command {
    /// Make one call and deliver its outcome.
    Call { call: CallId, place: Place, lane: Lane, request: Box<Request> },
    /// Collect exactly these queues from now on.
    Collect(Vec<Collection>),
}

/// Starts the network on this runtime. Returns its handle and the channel of inputs for the
/// messenger. It is connected to nothing until [`NetworkHandle::attach`]: calls wait for that
/// within their own limit.
#[must_use]
pub fn start(runtime: &tokio::runtime::Handle) -> (NetworkHandle, mpsc::Receiver<Input>) {
    let (events, inputs) = mpsc::channel(EVENTS);
    // As many as the node has in flight, which it bounds itself.
    let (commands, waiting) = mpsc::unbounded_channel();
    let (dial, attached) = watch::channel(None);
    let (own, _) = watch::channel(HashSet::new());
    let pending = Arc::new(PendingRequests::new(events.clone()));
    runtime.spawn(carry_out(
        waiting,
        Client::new(attached.clone()),
        Collector::new(attached, events.clone()),
        events,
    ));
    (NetworkHandle(Arc::new(Inner { commands, dial, own, pending })), inputs)
}

/// Runs until the last handle is dropped, which also ends all calls and subscriptions.
async fn carry_out(
    mut commands: mpsc::UnboundedReceiver<Command>,
    client: Client,
    mut collector: Collector,
    events: mpsc::Sender<Input>,
) {
    let client = Arc::new(client);
    let mut calls = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            command = commands.recv() => match command {
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
    /// Sets the way to places, or takes it away. Calls and subscriptions wait while there is none.
    pub fn attach(&self, dial: Option<Arc<dyn Dial>>) {
        self.0.dial.send_replace(dial);
    }

    /// Carries out an effect of the messenger. [`Effect::Notify`] is for the owner and does nothing
    /// here.
    pub fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Call { call, place, lane, request } => self.call(call, place, lane, request),
            Effect::Collect(wanted) => self.collect(wanted),
            Effect::Serve(queues) => self.serve(queues),
            Effect::Answer { ticket, response } => self.answer(ticket, response),
            Effect::Notify(_) => {}
        }
    }

    /// Calls a place. Exactly one [`Input::Called`] with this id follows.
    pub fn call(&self, call: CallId, place: Place, lane: Lane, request: Request) {
        drop(self.0.commands.send(Command::Call { call, place, lane, request: Box::new(request) }));
    }

    /// Collects exactly these queues from now on: others end, and present ones stay connected.
    pub fn collect(&self, wanted: Vec<Collection>) {
        drop(self.0.commands.send(Command::Collect(wanted)));
    }

    /// Makes exactly these queues the pod's own from now on. Requests for others go to the relay,
    /// if there is one.
    pub fn serve(&self, own: impl IntoIterator<Item = QueueId>) {
        self.0.own.send_replace(own.into_iter().collect());
    }

    /// Answers an [`Input::Asked`]. Does nothing where the caller has gone or the time has passed.
    pub fn answer(&self, ticket: u64, response: Response) {
        self.0.pending.answer(ticket, response);
    }
}

impl fmt::Debug for NetworkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkHandle")
            .field("attached", &self.0.dial.borrow().is_some())
            .finish_non_exhaustive()
    }
}
