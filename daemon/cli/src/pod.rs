//! `pod …`: the pod on this machine, by its files or, while it runs, by its socket.

use std::{io::Write, path::Path, sync::Arc};

use autonomy_api::{AbsolutePath, place, wallet_network};
use autonomy_messaging::{
    Network,
    provision::{PodRequest, SealedBundle},
};
use autonomy_onion::OnionAddress;
use serde_json::{Value, json};

use super::{Exit, Failure, args::PodVerb, ask, context::Context, output::Answer, status};
use autonomy_client::{CallError, PodClient, Transport};
use autonomy_daemon::pod::{self, RunEvent};

/// Carries out a verb of `pod`, all but `run`.
pub(super) async fn pod(context: &Context, verb: PodVerb) -> Result<Answer, Failure> {
    match verb {
        PodVerb::Init { network } => init(context, network),
        PodVerb::Request { new_keys } => {
            let dir = context.pod_dir();
            let unlock = context.unlock("pod", false)?;
            let request = if new_keys { pod::draw_keys(&dir, &unlock) } else { pod::request(&dir, &unlock) };
            request.map(|request| shown(context, &request)).map_err(Into::into)
        }
        PodVerb::Adopt { bundle } => adopt(context, &bundle).await,
        PodVerb::Status => status(context).await,
        PodVerb::Backup { file } => backup(context, &file).await,
        PodVerb::Reconcile { epoch, yes } => reconcile(context, epoch, yes).await,
        PodVerb::Restore { file } => restore(context, &file),
        // Runs without the runtime of this command: see `run`.
        PodVerb::Run => Err(Failure::usage("`pod run` takes no part here")),
    }
}

fn init(context: &Context, network: Network) -> Result<Answer, Failure> {
    let dir = context.pod_dir();
    if dir.store().exists() {
        return Err(pod::PodError::Exists(dir.path().to_owned()).into());
    }
    let request = pod::init(&dir, &context.unlock("new pod", true)?, wallet_network(network))?;
    Ok(shown(context, &request))
}

fn shown(context: &Context, request: &PodRequest) -> Answer {
    let text = request.to_text();
    let json = json!({
        "request": text, "network": request.network().to_string(), "pod_key": request.pod_key().to_string(),
        "data_dir": context.pod_dir().path(),
    });
    let next = "Next, on your device: `autonomy provision REQUEST`, which gives the bundle for `autonomy pod adopt`.";
    Answer::new(&json, format!("{text}\n\n{next}")).with_qr(text.to_ascii_uppercase())
}

async fn adopt(context: &Context, bundle: &str) -> Result<Answer, Failure> {
    let bundle: SealedBundle = ask::written("bundle", &ask::text(bundle)?)?;
    let next = match running(context).await? {
        Some(pod) => {
            pod.adopt(bundle).await?;
            "it is reachable soon; new keys and addresses of one that had an owner need a restart"
        }
        None => {
            pod::adopt(&context.pod_dir(), &context.unlock("pod", false)?, bundle)?;
            "start it with `autonomy pod run`"
        }
    };
    Ok(Answer::new(&json!({ "adopted": true }), format!("the pod has its owner; {next}")))
}

async fn status(context: &Context) -> Result<Answer, Failure> {
    match running(context).await? {
        Some(pod) => Ok(status::shown(&context.spinner.during("asking the pod", pod.status()).await?)),
        None => Err(not_running()),
    }
}

async fn backup(context: &Context, file: &Path) -> Result<Answer, Failure> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    match running(context).await? {
        Some(pod) => pod.back_up(AbsolutePath::new(file.clone()).map_err(Failure::usage)?).await?,
        None => pod::backup(&context.pod_dir(), &context.unlock("pod", false)?, &file)?,
    }
    let text = format!("sealed copy in {}; it opens with the same passphrase or key file", file.display());
    Ok(Answer::new(&json!({ "file": file }), text))
}

async fn reconcile(context: &Context, epoch: u64, yes: bool) -> Result<Answer, Failure> {
    let Some(pod) = running(context).await? else {
        return Err(Failure::new(Exit::Unreachable, "not-running", "the pod does not run")
            .help("start it with `autonomy pod run`, and look at its accounts first"));
    };
    let question = "Have you compared addresses, balances and payments with what your devices know?";
    ask::confirm(question, yes)?;
    pod.reconcile(epoch).await?;
    Ok(Answer::new(&json!({ "reconciled": epoch }), "the pod cosigns again"))
}

fn restore(context: &Context, file: &Path) -> Result<Answer, Failure> {
    let dir = context.pod_dir();
    pod::restore(&dir, &context.unlock("pod", false)?, file)?;
    let text = "the pod is back. Devices that have seen a later state will refuse it until you have compared";
    Ok(Answer::new(&json!({ "data_dir": dir.path() }), text))
}

fn not_running() -> Failure {
    Failure::new(Exit::Unreachable, "not-running", "the pod does not run")
        .help("start it with `autonomy pod run`")
}

/// The running pod's socket, or `None` where no pod runs.
async fn running(context: &Context) -> Result<Option<PodClient>, Failure> {
    let socket = context.flags.pod_socket.clone().unwrap_or_else(|| context.pod_dir().socket());
    if !socket.exists() {
        return Ok(None);
    }
    let pod = PodClient::new(Transport::socket(&socket));
    match pod.status().await {
        Ok(_) => Ok(Some(pod)),
        // A killed pod leaves its socket behind.
        Err(CallError::Unreachable { never_sent: true, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Runs the pod until it is told to end. It makes its own runtime.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let json = context.out.json;
    let observer: pod::RunObserver = Arc::new(move |event| {
        tell_service_manager(&event);
        let line = if json { json_of(&event).to_string() } else { sentence(&event) };
        let mut out = std::io::stdout().lock();
        // A pod runs on when nobody listens.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    });
    let unlock = context.unlock("pod", false)?;
    Ok(pod::run(&context.pod_dir(), &unlock, &context.config, observer)?)
}

/// systemd's readiness protocol; does nothing elsewhere.
fn tell_service_manager(event: &RunEvent) {
    use sd_notify::NotifyState::{Ready, Status, Stopping};
    let text = sentence(event);
    let state = match event {
        RunEvent::SocketReady => vec![Ready, Status(&text)],
        RunEvent::Stopping => vec![Stopping, Status(&text)],
        _ => vec![Status(&text)],
    };
    let _ = sd_notify::notify(false, &state);
}

fn sentence(event: &RunEvent) -> String {
    match event {
        RunEvent::SocketReady => "the pod runs and answers at its socket".to_owned(),
        RunEvent::Bootstrap(percent) => format!("starting Tor: {percent} %"),
        RunEvent::WaitsForOwner => "the pod waits for its owner: `autonomy pod adopt BUNDLE`".to_owned(),
        RunEvent::Service { name, address, state } => {
            format!("{name} onion {} is {state}", scrubbed(*address))
        }
        RunEvent::Warning(warning) => format!("warning: {warning}"),
        RunEvent::Stopping => "the pod ends".to_owned(),
    }
}

/// Under a service manager this line goes to a log, where an onion address has no place; `pod status` tells it.
fn scrubbed(address: Option<place::OnionAddress>) -> String {
    let address = address.map(|address| OnionAddress::from_public_key(address.0));
    address.map_or_else(|| "without address".to_owned(), |onion| onion.scrubbed().to_string())
}

fn json_of(event: &RunEvent) -> Value {
    match event {
        RunEvent::SocketReady => json!({ "event": "socket_ready" }),
        RunEvent::Bootstrap(percent) => json!({ "event": "bootstrap", "percent": percent }),
        RunEvent::WaitsForOwner => json!({ "event": "waits_for_owner" }),
        RunEvent::Service { name, address, state } => {
            let address = address.map(|address| address.to_string());
            json!({ "event": "service", "service": name, "address": address, "state": state })
        }
        RunEvent::Warning(warning) => json!({ "event": "warning", "text": warning }),
        RunEvent::Stopping => json!({ "event": "stopping" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autonomy_api::ServiceState;

    #[test]
    fn what_may_end_in_a_log_does_not_tell_where_the_pod_lives() {
        let address = place::OnionAddress([7; 32]);
        let state = ServiceState::Reachable;
        let event = RunEvent::Service { name: "app", address: Some(address), state };
        let text = sentence(&event);
        assert!(text.starts_with("app onion […]") && text.ends_with("is reachable"), "{text}");
        assert!(!text.contains(&address.to_string()[..20]));
    }
}
