//! `pod …`: the pod on this machine, through its files or, while it runs, through its socket.
//!
//! A verb that works either way asks the socket first: the database of a running pod cannot be
//! opened by another process.

use std::{io::Write, path::Path, sync::Arc};

use autonomy_api::{AbsolutePath, place, wallet_network};
use autonomy_messaging::{
    Network,
    provision::{PodRequest, SealedBundle},
};
use autonomy_onion::OnionAddress;
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    args::PodVerb,
    ask,
    context::Context,
    output::{self, Report},
    status,
};
use autonomy_client::{CallError, PodClient, Transport};
use autonomy_daemon::pod::{self, RunEvent};

/// Carries out a verb of `pod`, except `run`, which makes its own runtime.
///
/// # Errors
/// There is no pod, or one already; it does not open; or it refuses.
pub(super) async fn pod(context: &Context, verb: PodVerb) -> Result<Report, Failure> {
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
        PodVerb::Run => Err(Failure::usage("`pod run` cannot be used here")),
    }
}

/// Creates a pod and prints its request.
fn init(context: &Context, network: Network) -> Result<Report, Failure> {
    let dir = context.pod_dir();
    if dir.store().exists() {
        return Err(pod::PodError::Exists(dir.path().to_owned()).into());
    }
    let request = pod::init(&dir, &context.unlock("new pod", true)?, wallet_network(network))?;
    Ok(shown(context, &request))
}

/// The request as text, JSON and QR code, and what to do with it.
fn shown(context: &Context, request: &PodRequest) -> Report {
    let text = request.to_text();
    let json = json!({
        "request": text, "network": request.network().to_string(), "pod_key": request.pod_key().to_string(),
        "data_dir": output::path(context.pod_dir().path()),
    });
    let next = "Next, on your device: `autonomy provision REQUEST`, which gives the bundle for `autonomy pod adopt`.";
    let code = text.to_ascii_uppercase();
    Report::new(&json, text).with_qr(code).hint(next)
}

/// Gives the pod its owner, whether it runs or not.
///
/// The bundle is checked by the pod; a refused one changes nothing.
async fn adopt(context: &Context, bundle: &str) -> Result<Report, Failure> {
    let bundle: SealedBundle = ask::written("bundle", &ask::text(bundle)?)?;
    let next = match running(context).await? {
        Some(pod) => {
            pod.adopt(bundle).await?;
            "It will be reachable soon. A pod that had an owner before must be restarted to use its new keys and addresses."
        }
        None => {
            pod::adopt(&context.pod_dir(), &context.unlock("pod", false)?, bundle)?;
            "Start it with `autonomy pod run`."
        }
    };
    Ok(Report::new(&json!({ "adopted": true }), "the pod has its owner").hint(next))
}

/// Shows the running pod. It is asked through the socket, so its answer is not checked.
async fn status(context: &Context) -> Result<Report, Failure> {
    match running(context).await? {
        Some(pod) => Ok(status::shown(&context.spinner.during("asking the pod", pod.status()).await?)),
        None => Err(not_running()),
    }
}

/// Writes a sealed backup, of the running pod or of its files.
///
/// The path is made absolute, since the running pod writes the file itself.
async fn backup(context: &Context, file: &Path) -> Result<Report, Failure> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    match running(context).await? {
        Some(pod) => pod.back_up(AbsolutePath::new(file.clone()).map_err(Failure::usage)?).await?,
        None => pod::backup(&context.pod_dir(), &context.unlock("pod", false)?, &file)?,
    }
    let text = format!("sealed copy in {}; it opens with the same passphrase or key file", file.display());
    Ok(Report::new(&json!({ "file": output::path(&file) }), text))
}

/// Allows a restored pod to cosign again, after the person says that everything was compared.
///
/// The person must have compared first: the pod has forgotten what it signed after the backup, and
/// cosigning again with forgotten payments can spend coins twice over.
async fn reconcile(context: &Context, epoch: u64, yes: bool) -> Result<Report, Failure> {
    let Some(pod) = running(context).await? else {
        return Err(Failure::new(Exit::Unreachable, "not-running", "the pod does not run")
            .help("start it with `autonomy pod run`, and look at its accounts first"));
    };
    let question = "Have you compared addresses, balances and payments with what your devices know?";
    ask::confirm(question, yes)?;
    pod.reconcile(epoch).await?;
    Ok(Report::new(&json!({ "reconciled": epoch }), "the pod cosigns again"))
}

/// Restores a backup into an empty folder.
///
/// The secret that opens the backup is that of the pod it was made from.
fn restore(context: &Context, file: &Path) -> Result<Report, Failure> {
    let dir = context.pod_dir();
    pod::restore(&dir, &context.unlock("pod", false)?, file)?;
    let next = "Devices that have seen a later state of it refuse to pay and to receive until you run `autonomy pod reconcile`; \
                what only shows something works before.";
    let text = format!("the pod is restored in {}", dir.path().display());
    Ok(Report::new(&json!({ "data_dir": output::path(dir.path()) }), text).hint(next))
}

/// The failure of a verb that needs the running pod.
fn not_running() -> Failure {
    Failure::new(Exit::Unreachable, "not-running", "the pod does not run")
        .help("start it with `autonomy pod run`")
}

/// The connection to the running pod, or `None` where none runs.
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

/// Runs the pod until SIGTERM or SIGINT, with a runtime of its own. Events are printed as lines.
///
/// # Errors
/// The pod cannot be opened, or a part of it fails for good.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let json = context.out.json;
    let observer: pod::RunObserver = Arc::new(move |event| {
        notify_service_manager(&event);
        let line = if json { json_of(&event).to_string() } else { sentence(&event) };
        let mut out = std::io::stdout().lock();
        // A pod keeps running when standard output is closed.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    });
    let unlock = context.unlock("pod", false)?;
    Ok(pod::run(&context.pod_dir(), &unlock, &context.config, observer)?)
}

/// Reports readiness and status to systemd; does nothing elsewhere.
fn notify_service_manager(event: &RunEvent) {
    use sd_notify::NotifyState::{Ready, Status, Stopping};
    let text = sentence(event);
    let state = match event {
        RunEvent::SocketReady => vec![Ready, Status(&text)],
        RunEvent::Stopping => vec![Stopping, Status(&text)],
        _ => vec![Status(&text)],
    };
    let _ = sd_notify::notify(false, &state);
}

/// An event as a sentence for people.
fn sentence(event: &RunEvent) -> String {
    match event {
        RunEvent::SocketReady => "the pod is running and answers at its socket".to_owned(),
        RunEvent::Bootstrap(percent) => format!("starting Tor: {percent} %"),
        RunEvent::WaitsForOwner => "the pod waits for its owner: `autonomy pod adopt BUNDLE`".to_owned(),
        RunEvent::Service { name, address, state } => {
            format!("{name} onion service {} is {}", scrubbed(*address), status::state(*state))
        }
        RunEvent::Warning(warning) => format!("warning: {warning}"),
        RunEvent::Stopping => "the pod is stopping".to_owned(),
    }
}

/// The end of an address. Under a service manager the line ends up in a log, which must not hold
/// onion addresses; `pod status` shows them in full.
fn scrubbed(address: Option<place::OnionAddress>) -> String {
    let address = address.map(|address| OnionAddress::from_public_key(address.0));
    address.map_or_else(|| "without address".to_owned(), |onion| onion.scrubbed().to_string())
}

/// An event as JSON.
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
    fn status_line_for_the_log_has_no_onion_address() {
        let address = place::OnionAddress([7; 32]);
        let state = ServiceState::Reachable;
        let event = RunEvent::Service { name: "app", address: Some(address), state };
        let text = sentence(&event);
        assert!(text.starts_with("app onion service […]") && text.ends_with("is reachable"), "{text}");
        assert!(!text.contains(&address.to_string()[..20]));
    }
}
