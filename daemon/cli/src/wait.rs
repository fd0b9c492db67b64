//! A spinner on standard error while something takes longer than half a second.

use std::{
    future::Future,
    io::IsTerminal,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// What is over sooner than this needs no spinner.
const PATIENCE: Duration = Duration::from_millis(500);

/// Redraws ten times a second.
const TICK: Duration = Duration::from_millis(100);

/// A spinner whose text can be changed while it turns. Silent without a terminal, and for programs.
#[derive(Debug, Clone)]
pub struct Spinner {
    silent: bool,
    shown: Arc<Mutex<Shown>>,
}

/// What stands on the screen, and what would if the spinner turned.
#[derive(Debug, Default)]
struct Shown {
    text: String,
    bar: Option<ProgressBar>,
}

impl Spinner {
    /// A spinner that stays invisible until it is waited with.
    pub fn new(json: bool) -> Self {
        Self { silent: json || !std::io::stderr().is_terminal(), shown: Arc::default() }
    }

    /// Changes the text.
    pub fn say(&self, text: &str) {
        let mut shown = self.lock();
        text.clone_into(&mut shown.text);
        if let Some(bar) = &shown.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Waits for `work`, turning once it takes long.
    pub async fn during<T>(&self, text: &str, work: impl Future<Output = T>) -> T {
        self.say(text);
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
            return done;
        }
        self.turn();
        let done = work.await;
        self.clear();
        done
    }

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

    fn clear(&self) {
        if let Some(bar) = self.lock().bar.take() {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_gives_what_was_waited_for_whether_that_took_long_or_not() {
        let spinner = Spinner::new(true);
        assert_eq!(spinner.during("short", async { 1 }).await, 1);
        let long = async {
            tokio::time::sleep(PATIENCE * 10).await;
            spinner.say("longer still");
            2
        };
        assert_eq!(spinner.during("long", long).await, 2);
        assert!(spinner.lock().bar.is_none());
    }
}
