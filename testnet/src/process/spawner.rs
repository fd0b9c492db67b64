//! The thread that starts all children and runs as long as the process (the reason: see [`super`]).

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A command to start, and where the child goes.
struct Order {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

/// The channel to the thread; made with the first child.
static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();

/// Starts `command` as a child of the long-lived thread.
///
/// # Errors
/// The command cannot be started.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    orders().send(Order { command, reply }).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// The channel to the thread, which is started if it does not run yet.
fn orders() -> &'static Sender<Order> {
    SPAWNER.get_or_init(|| {
        let (send, receive) = channel();
        #[expect(clippy::disallowed_methods, reason = "the parent of all children must outlive every test")]
        std::thread::spawn(move || serve(&receive));
        send
    })
}

/// The thread: starts one child after the other, for ever.
fn serve(orders: &Receiver<Order>) {
    while let Ok(mut order) = orders.recv() {
        // Whoever asked may be gone; then the child is dropped here and the death signal ends it later.
        let _ = order.reply.send(order.command.spawn());
    }
}
