//! From the process's arguments to its exit status: parsing, logging, the runtime, and one verb.
//!
//! Verbs that run for long or need Tor's last messages make their own runtime; all others share one
//! that ends before the process does.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, error::ErrorKind};
use tracing_subscriber::EnvFilter;

use super::{
    Exit, Failure, account, agent,
    args::{
        AccountVerb, AgentVerb, Cli, ContactVerb, DeviceVerb, FileVerb, MessageVerb, PaymentVerb, PodVerb,
        RelayVerb, Verb,
    },
    contact,
    context::Context,
    device, events, file, init, message,
    output::Report,
    pay, pod, probe, relay, setup, shell, status, verbs, watch,
};

/// Threads of the runtime. A command waits for one thing at a time, so two are enough.
const WORKERS: usize = 2;

/// Time for background work, such as Tor's, after the verb is done; what is left then is aborted.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Environment variable with the log filter, in the syntax of `RUST_LOG`.
const LOG_VARIABLE: &str = "AUTONOMY_LOG";

/// Runs the command line of this process and returns its exit status.
#[must_use]
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let json = words.iter().any(|word| word == "--json");
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, json),
    };
    start_log(&cli);
    autonomy_onion::install_crypto_provider();
    match carry_out(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Prints what clap says about the arguments: help and version as a success, anything else as wrong
/// usage.
///
/// With `--json` the message is an object on standard error, as every other failure is.
fn not_understood(error: &clap::Error, json: bool) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if json && !asked_for {
        in_two_sentences(error).report(true);
    } else {
        // Where it cannot be printed, the exit status alone reports the failure.
        let _ = error.print();
    }
    ExitCode::from(if asked_for { 0 } else { Exit::Usage as u8 })
}

/// What clap says without its blocks for people: its first paragraph, and the usage.
fn in_two_sentences(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let mut paragraphs =
        text.trim().split("\n\n").map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let first = paragraphs.next().unwrap_or_default();
    let failure = Failure::usage(first.strip_prefix("error: ").unwrap_or(&first));
    let usage = paragraphs.find(|text| text.starts_with("Usage: "));
    match usage {
        Some(usage) => failure.help(usage),
        None => failure,
    }
}

/// Starts logging to standard error. Verbs that serve log what they do; all others log errors only.
///
/// Without a flag only this program's own crates log: what goes wrong for good in Tor's is in the state of the services,
/// and the rest they mend by themselves. `AUTONOMY_LOG` replaces all of this.
fn start_log(cli: &Cli) {
    let serves = matches!(cli.verb, Verb::Pod(PodVerb::Run) | Verb::Relay(RelayVerb::Run) | Verb::Agent(_));
    let usual = match (cli.global.verbose, serves) {
        (0, false) => "error",
        // Tor's and MLS's own crates warn of what they mend by themselves.
        (0, true) => "off,autonomy=warn,autonomy_daemon=info,autonomy_onion=info",
        (1, _) => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(usual));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
}

/// Carries out a verb and prints its result.
///
/// # Errors
/// The failure of the verb, or of printing.
fn carry_out(cli: Cli) -> Result<(), Failure> {
    match cli.verb {
        Verb::Completions { shell } => return written(shell::completions(shell)),
        Verb::Man { dir } => {
            return shell::man(&dir).and_then(|answer| print(&Context::new(cli.global)?, &answer));
        }
        Verb::Pod(PodVerb::Run) => return pod::run(&Context::new(cli.global)?),
        Verb::Relay(RelayVerb::Run) => return relay::run(&Context::new(cli.global)?),
        Verb::Probe(wish) => {
            let context = Context::new(cli.global)?;
            // Tor writes its last log lines when the runtime ends; its folder is removed after that.
            let folder = tempfile::tempdir().map_err(|error| Failure::other("system", error))?;
            let answer = wait_for(probe::probe(&context, &wish, folder.path()))??;
            return print(&context, &answer);
        }
        _ => {}
    }
    let context = Context::new(cli.global)?;
    let changes = changes(&cli.verb);
    match wait_for(answer(&context, cli.verb))?? {
        Some(answer) => {
            print(&context, &answer).map_err(|failure| if changes { done(failure) } else { failure })
        }
        None => Ok(()),
    }
}

/// Whether a verb may have changed something when its answer is printed. A verb that only shows something can be
/// repeated.
fn changes(verb: &Verb) -> bool {
    !matches!(
        verb,
        Verb::Status
            | Verb::History(_)
            | Verb::Events(_)
            | Verb::Device(DeviceVerb::List)
            | Verb::Account(AccountVerb::List | AccountVerb::Show { .. } | AccountVerb::Export { .. })
            | Verb::Payment(PaymentVerb::List { .. } | PaymentVerb::Show { .. })
            | Verb::Contact(ContactVerb::List | ContactVerb::Show { .. } | ContactVerb::Invites)
            | Verb::Contact(ContactVerb::Safety { .. })
            | Verb::Message(MessageVerb::List { .. })
            | Verb::File(FileVerb::List { .. })
            | Verb::Relay(RelayVerb::List | RelayVerb::Status | RelayVerb::Place | RelayVerb::Metrics)
            | Verb::Pod(PodVerb::Status | PodVerb::Request { new_keys: false })
            | Verb::Agent(_)
    )
}

/// The failure of a verb that was carried out and whose answer did not arrive. Whoever repeats it does it twice.
fn done(failure: Failure) -> Failure {
    let detail = format!("it was done, but {}", failure.detail);
    Failure::new(Exit::InDoubt, "output", detail)
        .help("look what became of it before you repeat it: `autonomy payment list`, `autonomy account list`")
}

/// Runs `work` on a runtime that has ended when this returns.
///
/// # Errors
/// The operating system has no threads left.
fn wait_for<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Failure::other("system", format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(Box::pin(work));
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
    Ok(outcome)
}

/// Carries out a verb. `None` for verbs that print while they run.
///
/// Each arm is one verb; what they share is in `context`.
async fn answer(context: &Context, verb: Verb) -> Result<Option<Report>, Failure> {
    let answer = match verb {
        Verb::Init(wish) => return init::init(context, &wish),
        Verb::Provision(provision) => setup::provision(context, &provision).await?,
        Verb::Status => status::status(context).await?,
        Verb::Device(verb) => device::device(context, verb).await?,
        Verb::Account(verb) => account::account(context, verb).await?,
        Verb::Receive(receive) => account::receive(context, &receive).await?,
        Verb::Pay(wish) => pay::pay(context, &wish).await?,
        Verb::Payment(verb) => pay::payments::payment(context, verb).await?,
        Verb::History(history) => account::history(context, &history).await?,
        Verb::Contact(verb) => contact::contact(context, verb).await?,
        Verb::Message(MessageVerb::Watch { contact }) => {
            return watch::watch(context, contact.as_deref()).await.map(|()| None);
        }
        Verb::Message(verb) => message::message(context, verb).await?,
        Verb::File(verb) => file::file(context, verb).await?,
        Verb::Relay(verb) => relay::relay(context, verb).await?,
        Verb::Own(verb) => verbs::answer(context, verb).await?,
        Verb::Events(events) => return events::events(context, &events).await.map(|()| None),
        Verb::Pod(verb) => pod::pod(context, verb).await?,
        Verb::Agent(agent) => match agent.verb {
            None => return agent::serve().await.map(|()| None),
            Some(AgentVerb::Stop) => agent::stop(context).await?,
            Some(AgentVerb::Status) => agent::status(context).await?,
        },
        // Carried out before.
        Verb::Probe(_) | Verb::Completions { .. } | Verb::Man { .. } => return Ok(None),
    };
    Ok(Some(answer))
}

/// Prints a result in the form that the flags ask for.
fn print(context: &Context, answer: &Report) -> Result<(), Failure> {
    written(context.out.answer(answer))
}

/// Ignores a reader that has gone (`| head`): it has read what it wanted.
fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::other("output", format!("cannot write the answer: {error}")))
        }
        _ => Ok(()),
    }
}
