//! Ctrl-C, SIGTERM and the end of the terminal, for verbs that must tidy up first.

use std::io::{self, BufRead as _, Read as _};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use super::{
    Exit, Failure,
    ask::{self, Question},
    terminal,
};

/// Longest answer to a question, bytes.
const MAX_ANSWER: u64 = 64;

/// Notices signals that would end the command.
#[derive(Debug)]
pub(super) struct Interrupt([Signal; 3]);

impl Interrupt {
    /// From here on these signals end nothing by themselves.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::other("system", error));
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [int, term, hup] = kinds.map(listen);
        Ok(Self([int?, term?, hup?]))
    }

    /// Returns when such a signal comes.
    pub(super) async fn came(&mut self) {
        let [int, term, hup] = &mut self.0;
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hup.recv() => {}
        }
    }

    /// Asks as [`ask::confirm`] does; a signal is an answer too.
    ///
    /// # Errors
    /// The person says no, ends the input, or interrupts; or there is nobody to ask.
    pub(super) async fn confirm(&mut self, question: &Question, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        ask::can_confirm(yes)?;
        question.ask();
        tokio::select! {
            answer = answer() => question.understood(answer.as_deref().unwrap_or_default()),
            () = self.came() => Err(interrupted("nothing was done")),
        }
    }
}

/// The failure of a command that was interrupted; `what` says what became of it.
pub(super) fn interrupted(what: &str) -> Failure {
    terminal::end_line();
    Failure::new(Exit::Interrupted, "interrupted", format!("interrupted; {what}"))
}

/// A line of standard input, read on a thread that ends with the process: the read cannot be broken off.
async fn answer() -> Option<String> {
    let (told, answer) = oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "a read from a terminal ends when the person wants it to")]
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().take(MAX_ANSWER).read_line(&mut line);
        // Nobody may wait any more.
        let _ = told.send(read.ok().map(|_| line));
    });
    answer.await.ok().flatten()
}
