//! A spinner on standard error while something takes longer than half a second.

use std::{future::Future, io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

/// What is over sooner than this needs no spinner.
const PATIENCE: Duration = Duration::from_millis(500);

/// Redraws ten times a second.
const TICK: Duration = Duration::from_millis(100);

/// A spinner whose text can be changed while it turns. Silent without a terminal.
#[derive(Debug, Clone)]
pub struct Spinner(ProgressBar);

impl Spinner {
    /// A spinner that stays invisible until it is waited with.
    pub fn new(json: bool) -> Self {
        let hidden = json || !std::io::stderr().is_terminal();
        let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Changes the text.
    pub fn say(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    /// Waits for `work`, turning once it takes long.
    pub async fn during<T>(&self, text: &str, work: impl Future<Output = T>) -> T {
        self.say(text);
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
            return done;
        }
        self.0.enable_steady_tick(TICK);
        let done = work.await;
        self.0.finish_and_clear();
        done
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
