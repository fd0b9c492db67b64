//! `provision`: a pod for this device.

use autonomy_client::files::write_private;
use autonomy_messaging::provision::PodRequest;
use serde_json::json;

use super::{
    Failure,
    args::Provision,
    ask,
    context::{Context, now},
    output::{Report, path},
};

/// Seals a bundle that answers a pod's request.
///
/// The bundle can be opened by the pod that made the request only, so it needs no secret channel.
///
/// # Errors
/// The text is not a request; the profile has another pod and the person does not want to replace
/// it; or the bundle cannot be written to the file.
pub(super) async fn provision(context: &Context, wish: &Provision) -> Result<Report, Failure> {
    let request = ask::text(&wish.request)?;
    // What it is comes first: nobody is asked about a text that cannot be used.
    PodRequest::from_text(&request).map_err(Failure::usage)?;
    let mut profile = context.profile().await?;
    if let Some(pod) = profile.pod() {
        let question = format!("This device has the pod {} already. Replace it?", pod.name());
        ask::confirm(&question, wish.yes)?;
    }
    let bundle = profile.provision(&request, &wish.name, wish.new_address, now())?;
    if let Some(path) = &wish.out {
        write_private(path, format!("{bundle}\n").as_bytes())?;
    }
    let network = profile.pod().map(|pod| pod.network().to_string());
    let onion =
        profile.pod().map(|pod| autonomy_onion::OnionAddress::from_public_key(*pod.app_onion()).to_string());
    let json =
        json!({ "bundle": bundle, "network": network, "onion": onion, "out": wish.out.as_deref().map(path) });
    let next = "Next, on the pod's machine: `autonomy pod adopt BUNDLE`, then `autonomy pod run`.";
    Ok(Report::new(&json, bundle.as_str()).with_qr(bundle.to_ascii_uppercase()).hint(next))
}
