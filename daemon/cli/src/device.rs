//! `device …`: which devices may connect to the pod.
//!
//! A new device prints a request, a device with full access answers it with a grant, and the new
//! device accepts the grant. Both are single lines of text, sealed where they carry secrets.

use std::fmt::Write as _;

use serde_json::json;

use super::{
    Failure,
    args::DeviceVerb,
    ask,
    contact::MIN_ID_PREFIX,
    context::{Context, now},
    output::{self, Report, table, time},
};
use autonomy_api::{Access, Device};
use autonomy_client::{Profile, connect::agent_socket, printable, profile::NewProfile};
use autonomy_daemon::socket_path;

/// Carries out a verb of `device`.
///
/// # Errors
/// A text is not what it should be; there is no such device; a check refused; the pod refuses or is
/// not reached.
pub(super) async fn device(context: &Context, verb: DeviceVerb) -> Result<Report, Failure> {
    match verb {
        DeviceVerb::Request { name } => request(context, name).await,
        DeviceVerb::Add { request, name, access } => add(context, &request, name.as_deref(), access).await,
        DeviceVerb::Join { grant } => join(context, &grant).await,
        DeviceVerb::List => list(context).await,
        DeviceVerb::Revoke { device, last, yes } => revoke(context, &device, (last, yes)).await,
    }
}

/// Prints a request in the name of this device. Where there is no profile, one without payment key
/// and identity is made: the device can propose payments and never sign one.
async fn request(context: &Context, name: String) -> Result<Report, Failure> {
    let dir = context.profile_dir();
    let profile = if Profile::exists(&dir) {
        context.profile().await?
    } else {
        socket_path::check(&agent_socket(&dir)).map_err(Failure::usage)?;
        let unlock = context.unlock("new device", true)?;
        Profile::create(&dir, &unlock, NewProfile { name, auth_seed: None, payment_seed: None })?
    };
    let request = profile.device_request()?;
    let json = json!({ "request": request, "profile_dir": output::path(&dir), "name": profile.name() });
    let next = "Next, on a device with full access: `autonomy device add REQUEST`.";
    Ok(Report::new(&json, request.as_str()).with_qr(request.to_ascii_uppercase()).hint(next))
}

/// Adds a device and prints its grant. The grant carries the account maps as far as they fit; the
/// output names the others.
///
/// A device with more access than it needs can do more harm when it is lost, so the usual access is
/// limited.
async fn add(
    context: &Context,
    request: &str,
    name: Option<&str>,
    access: Access,
) -> Result<Report, Failure> {
    let request = ask::text(request)?;
    let mut device = context.device("add other devices").await?;
    let work = device.let_in(&request, name, access, now());
    let added = context.spinner.during("telling the pod", work).await?;
    let mut next = "Next, on the new device: `autonomy device join GRANT`.".to_owned();
    if !added.left_out.is_empty() {
        let names: Vec<String> = added.left_out.iter().map(|name| printable(name)).collect();
        let _ = write!(
            next,
            "\nThe grant has no room for the maps of these accounts: {}.\nCarry each over: `autonomy account export \
             NAME` here, `autonomy account import @FILE` there.",
            names.join(", ")
        );
    }
    let json = json!({
        "id": added.id, "name": added.name, "grant": added.grant, "left_out": added.left_out,
    });
    let code = added.grant.to_ascii_uppercase();
    Ok(Report::new(&json, added.grant).with_qr(code).hint(next))
}

/// Accepts a grant, so that this device belongs to the pod's owner.
async fn join(context: &Context, grant: &str) -> Result<Report, Failure> {
    let grant = ask::text(grant)?;
    let mut profile = context.profile().await?;
    profile.join(&grant, now())?;
    let pod = profile.pod().ok_or_else(super::context::no_pod)?;
    let (root, accounts) = (pod.root().to_string(), profile.accounts().count());
    let text = format!(
        "This device belongs to {root} now: compare this with `autonomy status` on the device that added it.\n\
         {accounts} account map(s) were included."
    );
    let json = json!({ "owner": root, "pod_key": pod.pod_key().to_string(), "accounts": accounts });
    Ok(Report::new(&json, text))
}

/// Lists the devices with their access, and how many more can be added before new addresses are
/// needed.
async fn list(context: &Context) -> Result<Report, Failure> {
    let session = context.session().await?;
    let devices = context.spinner.during("asking the pod", session.pod().devices()).await?;
    let rows: Vec<Vec<String>> = devices.devices.iter().map(row).collect();
    let text = format!(
        "{}\n{} descriptor key(s) are left for further devices",
        table(&["name", "access", "added", "last seen", "id"], &rows),
        devices.spare_descriptor_keys.len()
    );
    Ok(Report::new(&devices, text))
}

/// A device as a row of the table.
fn row(device: &Device) -> Vec<String> {
    let access = match device.access {
        Access::Minimal => "minimal",
        Access::Limited => "limited",
        Access::Full => "full",
    };
    let mark = if device.this_device { " (this one)" } else { "" };
    let seen = device.last_seen.map_or_else(|| "never".to_owned(), time);
    let name = format!("{}{mark}", device.name);
    vec![name, access.to_owned(), time(device.added_at), seen, device.id.to_string()]
}

/// Whether no other device could add one.
fn is_last_full(devices: &[Device], device: &Device) -> bool {
    let others = devices.iter().filter(|other| other.id != device.id);
    device.access == Access::Full && others.into_iter().all(|other| other.access != Access::Full)
}

/// Revokes a device by name, id, or the beginning of its id. Its open connections get no further answer.
///
/// The device keeps its profile and its account maps, with which it can still watch the accounts on
/// the chain.
async fn revoke(context: &Context, wanted: &str, (last, yes): (bool, bool)) -> Result<Report, Failure> {
    let session = context.session().await?;
    let devices = context.spinner.during("asking the pod", session.pod().devices()).await?.devices;
    let fits = |device: &&Device| {
        device.name.as_str() == wanted
            || wanted.len() >= MIN_ID_PREFIX && device.id.to_string().starts_with(wanted)
    };
    let named: Vec<_> = devices.iter().filter(fits).collect();
    let device = match named.as_slice() {
        [device] => *device,
        [] => {
            return Err(Failure::usage(format!("no device has the name or id `{wanted}`"))
                .help("see `autonomy device list`"));
        }
        _ => return Err(Failure::usage(format!("several devices have the name `{wanted}`: give the id"))),
    };
    if is_last_full(&devices, device) && !last {
        return Err(Failure::check("last-device", format!("{} is the only device with full access", device.name)).help(
            "without one nobody can add devices or make accounts: add another first (`autonomy device add --access \
             full`), or say --last and give the pod a new owner's bundle on its own machine (docs/keys.md)",
        ));
    }
    let name = &device.name;
    let own = if device.this_device { " This is the device you are using." } else { "" };
    ask::confirm(&format!("Revoke {name}?{own} It cannot connect again without a new grant."), yes)?;
    context.spinner.during("telling the pod", session.pod().revoke_device(&device.id)).await?;
    Ok(Report::new(&json!({ "revoked": device.id, "name": name.as_str() }), format!("{name} is revoked")))
}
