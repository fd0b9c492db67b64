//! The command: parsed, carried out, told.

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
    args::{AgentVerb, Cli, MessageVerb, PodVerb, RelayVerb, Verb},
    contact,
    context::Context,
    device, events, file, message,
    output::Answer,
    pay, pod, probe, relay, setup, shell, status, verbs, watch,
};

/// Threads for everything that waits.
const WORKERS: usize = 2;

/// What is not over by then is cut off when a command ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Variable that sets what is logged, as `RUST_LOG` does elsewhere.
const LOG_VARIABLE: &str = "AUTONOMY_LOG";

/// Runs the command line of this process.
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
            failure.tell(json);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn not_understood(error: &clap::Error, json: bool) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if json && !asked_for {
        Failure::usage(error.to_string().trim()).tell(true);
    } else {
        // Where it cannot be printed, the exit status alone has to tell.
        let _ = error.print();
    }
    ExitCode::from(if asked_for { 0 } else { Exit::Usage as u8 })
}

/// A pod and an agent tell what they do; other commands only what goes wrong.
fn start_log(cli: &Cli) {
    let serves = matches!(cli.verb, Verb::Pod(PodVerb::Run) | Verb::Relay(RelayVerb::Run) | Verb::Agent(_));
    let usual = match (cli.global.verbose, serves) {
        (0, false) => "error",
        // Arti's directory code warns of every small network, each second.
        (0, true) => "warn,tor_netdir=error,autonomy_daemon=info,autonomy_onion=info",
        (1, _) => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(usual));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
}

fn carry_out(cli: Cli) -> Result<(), Failure> {
    match cli.verb {
        Verb::Completions { shell } => return told(shell::completions(shell)),
        Verb::Man { dir } => {
            return shell::man(&dir).and_then(|answer| print(&Context::new(cli.global)?, &answer));
        }
        Verb::Pod(PodVerb::Run) => return pod::run(&Context::new(cli.global)?),
        Verb::Relay(RelayVerb::Run) => return relay::run(&Context::new(cli.global)?),
        Verb::Probe(wish) => {
            let context = Context::new(cli.global)?;
            // Tor writes its last words when the runtime ends; its folder goes after that.
            let folder = tempfile::tempdir().map_err(|error| Failure::other("system", error))?;
            let answer = wait_for(probe::probe(&context, &wish, folder.path()))??;
            return print(&context, &answer);
        }
        _ => {}
    }
    let context = Context::new(cli.global)?;
    match wait_for(answer(&context, cli.verb))?? {
        Some(answer) => print(&context, &answer),
        None => Ok(()),
    }
}

/// Runs `work` with a runtime around it, which is gone when this returns.
fn wait_for<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Failure::other("system", format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(Box::pin(work));
    runtime.shutdown_timeout(LAST_WORDS);
    Ok(outcome)
}

/// Carries out a verb. Verbs that print as they go give no answer at the end.
async fn answer(context: &Context, verb: Verb) -> Result<Option<Answer>, Failure> {
    let answer = match verb {
        Verb::Init(init) => setup::init(context, &init).await?,
        Verb::Provision(provision) => setup::provision(context, &provision).await?,
        Verb::Status => status::status(context).await?,
        Verb::Device(verb) => device::device(context, verb).await?,
        Verb::Account(verb) => account::account(context, verb).await?,
        Verb::Receive(receive) => account::receive(context, &receive).await?,
        Verb::Pay(wish) => pay::pay(context, &wish).await?,
        Verb::Payment(verb) => pay::payment(context, verb).await?,
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

fn print(context: &Context, answer: &Answer) -> Result<(), Failure> {
    told(context.out.answer(answer))
}

/// A reader that has gone away (`| head`) has heard enough: no failure.
fn told(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::other("output", format!("cannot write the answer: {error}")))
        }
        _ => Ok(()),
    }
}
