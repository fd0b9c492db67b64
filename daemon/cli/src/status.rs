//! `status`: the state of the pod.

use super::{
    Failure,
    context::{Context, Session},
    output::{Report, pairs, time},
};
use autonomy_api::{ServiceState, ServiceStatus, Status};
use autonomy_client::printable;

/// Shows the pod's status. With a profile the state epoch is checked: a lower one than this device
/// has seen means that the pod was restored from an old backup.
///
/// # Errors
/// The pod is not reached, or the check refused.
pub(super) async fn status(context: &Context) -> Result<Report, Failure> {
    let status = match context.session().await? {
        Session::Device(mut device) => context.spinner.during("asking the pod", device.status()).await?,
        Session::Owner(pod) => context.spinner.during("asking the pod", pod.status()).await?,
    };
    Ok(shown(&status))
}

/// A status for people and programs.
pub(super) fn shown(status: &Status) -> Report {
    let chain = &status.chain;
    let source = chain.source_height.filter(|height| *height != chain.height);
    let mut text = pairs([
        ("pod", status.pod_key.to_string()),
        ("version", printable(&status.version)),
        ("network", status.network.to_string()),
        ("up", duration(status.uptime_seconds)),
        ("owner", status.owner.map_or_else(|| "none yet".into(), |owner| owner.to_string())),
        ("Tor", format!("{} %", status.onion.bootstrap_percent)),
        ("app onion", service(&status.onion.app)),
        ("peer onion", service(&status.onion.peer)),
        ("chain", format!("{}, block {}", chain.state, chain.height)),
        ("source", source.map_or_else(String::new, |height| format!("block {height}"))),
        ("", chain.detail.as_deref().map_or_else(String::new, printable)),
        ("devices", status.devices.to_string()),
        ("accounts", status.accounts.to_string()),
        ("state epoch", status.state_epoch.to_string()),
    ]);
    for warning in &status.warnings {
        text.push_str(&format!("warning: {}\n", printable(warning)));
    }
    Report::new(status, text)
}

/// An onion service in one line.
fn service(service: &ServiceStatus) -> String {
    let address = service.address.map_or_else(|| "no address yet".into(), |address| address.to_string());
    let detail =
        service.detail.as_deref().map_or_else(String::new, |detail| format!(" ({})", printable(detail)));
    format!("{address}, {} since {}{detail}", state(service.state), time(service.since))
}

/// The state of an onion service in words.
pub(super) fn state(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Unpublished => "being published",
        ServiceState::Published => "published, and being tried",
        ServiceState::Reachable => "reachable",
        ServiceState::Unreachable => "unreachable",
    }
}

/// A duration in the largest fitting unit.
fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
