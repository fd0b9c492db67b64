//! The report of a scenario while it runs: one line per step, with its time and figures, and a bar
//! while it runs; or, for programs, one JSON object per line:
//!
//! ```json
//! {"step":"Tor network","seconds":14.92,"ok":true,"relays":6}
//! {"step":"bitcoind","seconds":1.07,"ok":false,"error":"bitcoind does not answer …"}
//! {"step":"done","ok":false,"total_seconds":16.01}
//! ```
//!
//! Lines go to standard output. Bars go to standard error, where that is a terminal; where it is not, people get a line for
//! each thing that is begun, so that no start of minutes is silent.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::clock;

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// People: text, and bars on a terminal.
    Text,
    /// Programs: JSON, and no bars.
    Json,
}

/// Steps of a bar: tenths of a percent are finer than any terminal is wide.
const BAR_LENGTH: u64 = 1000;
/// Characters of a step's name before its time begins.
const NAME_WIDTH: usize = 44;

/// The steps of a run. Steps may run at the same time on several threads.
#[derive(Debug)]
pub struct Steps {
    /// The form of the lines.
    format: Format,
    /// When the run began.
    started: Instant,
    /// The bars of the steps that run now.
    bars: MultiProgress,
    /// Where lines go, one at a time.
    out: Mutex<Box<dyn Out>>,
}

/// Where lines go.
trait Out: Write + Send + std::fmt::Debug {}
impl<T: Write + Send + std::fmt::Debug> Out for T {}

impl Steps {
    /// Begins a run that reports on standard output.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self::to(format, Box::new(io::stdout()))
    }

    /// The same with another destination.
    fn to(format: Format, out: Box<dyn Out>) -> Self {
        Self { format, started: clock::now(), bars: MultiProgress::new(), out: Mutex::new(out) }
    }

    /// Runs a step and reports how it went.
    ///
    /// # Errors
    /// The step's own.
    pub fn run<T, E: Display>(&self, name: &str, act: impl FnOnce(&Step) -> Result<T, E>) -> Result<T, E> {
        let notes = self.format == Format::Text && !io::stderr().is_terminal();
        let notes = notes.then(|| Notes { step: name.to_owned(), last: Mutex::default() });
        let step = Step { figures: Mutex::default(), bar: self.bar(name), notes };
        let started = clock::now();
        let outcome = act(&step);
        let took = started.elapsed();
        step.bar.finish_and_clear();
        let figures = step.figures.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.report(name, took, figures, outcome.as_ref().err().map(ToString::to_string));
        outcome
    }

    /// Prints a text between steps, for people only.
    pub fn say(&self, text: &str) {
        if self.format == Format::Text {
            self.print(text);
        }
    }

    /// Ends the run with its last line.
    pub fn done(self, ok: bool) {
        let total = seconds(self.started.elapsed());
        match self.format {
            Format::Json => {
                self.print(&json!({"step": "done", "ok": ok, "total_seconds": total}).to_string())
            }
            Format::Text if ok => self.print(&format!("done in {total:.1} s")),
            Format::Text => self.print(&format!("failed after {total:.1} s")),
        }
    }

    /// A bar for a step; an invisible one for programs.
    fn bar(&self, name: &str) -> ProgressBar {
        if self.format == Format::Json {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("  {prefix:44} {elapsed:>4} {bar:20} {wide_msg}");
        let bar = ProgressBar::new(BAR_LENGTH).with_prefix(name.to_owned());
        let bar = self.bars.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }

    /// Prints the line of a step that has ended.
    fn report(&self, name: &str, took: Duration, figures: Map<String, Value>, error: Option<String>) {
        let line = match self.format {
            Format::Json => json_line(name, took, figures, error),
            Format::Text => text_line(name, took, &figures, error),
        };
        self.print(&line);
    }

    /// Prints a line. A closed standard output does not end the run: the exit status still reports
    /// it.
    fn print(&self, line: &str) {
        self.bars.suspend(|| {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever reads may have left; the run goes on, its exit status tells.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        });
    }
}

/// A step that runs.
#[derive(Debug)]
pub struct Step {
    /// Added to the step's line, in order.
    figures: Mutex<Map<String, Value>>,
    bar: ProgressBar,
    /// In the place of a bar.
    notes: Option<Notes>,
}

/// Says what a step begins, once each, where no bar can be drawn.
#[derive(Debug)]
struct Notes {
    step: String,
    last: Mutex<String>,
}

impl Notes {
    /// Notes what is done now. Figures in it may move: they make no new line.
    fn note(&self, what: &str) {
        let what = what.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != what {
            what.clone_into(&mut last);
            // Where standard error is closed, nobody reads notes.
            let _ = writeln!(io::stderr().lock(), "… {}: {what}", self.step);
        }
    }
}

impl Step {
    /// Adds a figure to the step's line.
    pub fn figure(&self, name: &str, value: impl Into<Value>) {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.insert(name.to_owned(), value.into());
    }

    /// Moves the bar; usable as a [`crate::clock::Progress`].
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1000")]
    pub fn progress(&self, fraction: f32, what: &str) {
        self.bar.set_position((fraction.clamp(0.0, 1.0) * 1000.0) as u64);
        self.bar.set_message(what.to_owned());
        if let Some(notes) = &self.notes {
            notes.note(what);
        }
    }
}

/// Seconds with two decimals: what the clock of a scenario is good for.
fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 100.0).round() / 100.0
}

/// A step's line for programs.
fn json_line(name: &str, took: Duration, figures: Map<String, Value>, error: Option<String>) -> String {
    let mut line = Map::new();
    line.insert("step".into(), name.into());
    line.insert("seconds".into(), seconds(took).into());
    line.insert("ok".into(), error.is_none().into());
    line.extend(figures);
    if let Some(error) = error {
        line.insert("error".into(), error.into());
    }
    Value::Object(line).to_string()
}

/// A step's line for people.
fn text_line(name: &str, took: Duration, figures: &Map<String, Value>, error: Option<String>) -> String {
    let mark = if error.is_none() { "✓" } else { "✗" };
    let mut line = format!("{mark} {name:NAME_WIDTH$} {:>7.2} s", seconds(took));
    for (name, value) in figures {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        line += &format!("   {} {value}", name.replace('_', " "));
    }
    if let Some(error) = error {
        line += &format!("\n  {}", error.replace('\n', "\n  "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Debug, Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(format: Format) -> Vec<String> {
        let page = Page::default();
        let steps = Steps::to(format, Box::new(page.clone()));
        let good = steps.run("good", |step| {
            step.progress(0.5, "half way");
            step.figure("relays", 6);
            Ok::<_, String>("value")
        });
        assert_eq!(good, Ok("value"));
        steps.say("between");
        assert_eq!(steps.run("bad", |_| Err::<(), _>("two\nlines")), Err("two\nlines"));
        steps.done(false);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn json_lines_are_one_object_each() {
        let lines: Vec<Value> =
            told(Format::Json).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (&lines[0]["step"], &lines[0]["ok"], &lines[0]["relays"]),
            (&json!("good"), &json!(true), &json!(6))
        );
        assert_eq!((&lines[1]["ok"], &lines[1]["error"]), (&json!(false), &json!("two\nlines")));
        assert_eq!((&lines[2]["step"], &lines[2]["ok"]), (&json!("done"), &json!(false)));
        assert!(lines[2]["total_seconds"].is_number());
    }

    #[test]
    fn text_lines_have_marks_times_and_reasons() {
        let lines = told(Format::Text);
        assert!(lines[0].starts_with("✓ good") && lines[0].ends_with("relays 6"), "{lines:?}");
        assert_eq!(lines[1], "between");
        assert!(lines[2].starts_with("✗ bad"));
        assert_eq!((lines[3].as_str(), lines[4].as_str()), ("  two", "  lines"));
        assert!(lines[5].starts_with("failed after"));
    }
}
