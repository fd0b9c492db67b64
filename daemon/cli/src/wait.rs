//! A spinner on standard error while something takes longer than half a second.
//!
//! It is silent without a terminal and with `--json`, so that scripts see no control characters.

use std::{
    future::Future,
    io::IsTerminal,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// Work that is done sooner than this shows no spinner.
const SPINNER_DELAY: Duration = Duration::from_millis(500);

/// The spinner is redrawn ten times a second.
const TICK: Duration = Duration::from_millis(100);

/// A spinner whose text can be changed while it is shown. Clones show the same spinner.
#[derive(Debug, Clone)]
pub struct Spinner {
    /// Whether nothing is ever shown.
    silent: bool,
    /// Shared by the clones.
    shown: Arc<Mutex<Shown>>,
}

/// The text, and the spinner while it is on the screen.
#[derive(Debug, Default)]
struct Shown {
    /// What the spinner says or would say.
    text: String,
    /// The spinner on the screen.
    bar: Option<ProgressBar>,
}

impl Spinner {
    /// A spinner that is invisible until it is waited with. `json` makes it silent.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { silent: json || !std::io::stderr().is_terminal(), shown: Arc::default() }
    }

    /// Changes the text, on the screen or for when the spinner appears.
    pub fn say(&self, text: &str) {
        let mut shown = self.lock();
        text.clone_into(&mut shown.text);
        if let Some(bar) = &shown.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Waits for `work`, and shows the spinner with `text` once it takes longer than half a second.
    pub async fn during<T>(&self, text: &str, work: impl Future<Output = T>) -> T {
        self.say(text);
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(SPINNER_DELAY, &mut work).await {
            return done;
        }
        self.turn();
        let done = work.await;
        self.clear();
        done
    }

    /// Shows the spinner.
    fn turn(&self) {
        if self.silent {
            return;
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        let mut shown = self.lock();
        bar.set_message(shown.text.clone());
        bar.enable_steady_tick(TICK);
        shown.bar = Some(bar);
    }

    /// Removes the spinner from the screen.
    fn clear(&self) {
        if let Some(bar) = self.lock().bar.take() {
            bar.finish_and_clear();
        }
    }

    /// The text and the spinner, locked.
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn during_returns_result_of_short_and_long_work() {
        let spinner = Spinner::new(true);
        assert_eq!(spinner.during("short", async { 1 }).await, 1);
        let long = async {
            tokio::time::sleep(SPINNER_DELAY * 10).await;
            spinner.say("longer still");
            2
        };
        assert_eq!(spinner.during("long", long).await, 2);
        assert!(spinner.lock().bar.is_none());
    }
}
