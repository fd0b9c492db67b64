//! Programs to read: small ones that use a device's library, each with one thing to show.
//!
//! They use the profile that `autonomy init` and `autonomy provision` made, and run Tor inside themselves:
//! end an agent first (`autonomy agent stop`). `AUTONOMY_PROFILE` names the folder of the profile; `AUTONOMY_TOR_NETWORK`,
//! where it is set, the file of a private Tor network; `AUTONOMY_POD_SOCKET` the socket of a pod on this machine.
//!
//! | example | shows |
//! |---|---|
//! | `watch_events` | the event stream, resumed after a lost connection |
//! | `receive` | an address that the device derives again, and waiting for a payment |
//! | `pay` | draft, check, approval, both signatures |

use std::env;

use autonomy_client::{Device, LinkSettings, Profile};
use autonomy_store::{Unlock, UnlockSources};

/// Opens the device's profile and reaches its pod: over Tor, or by the Unix socket that `AUTONOMY_POD_SOCKET` names.
///
/// # Errors
/// Whatever is missing says how to get it.
pub async fn device() -> Result<Device, Box<dyn std::error::Error>> {
    let folder =
        env::var_os("AUTONOMY_PROFILE").ok_or("set AUTONOMY_PROFILE to the folder of the profile")?;
    let sources =
        UnlockSources { prompt: Some("Passphrase of the device".to_owned()), ..UnlockSources::of_process() };
    let profile = Profile::open(folder.as_ref(), &Unlock::discover(sources)?).await?;
    if let Some(socket) = env::var_os("AUTONOMY_POD_SOCKET") {
        return Ok(Device::at_socket(profile, socket.as_ref()));
    }
    let network_file = env::var_os("AUTONOMY_TOR_NETWORK").map(Into::into);
    let settings = LinkSettings { network_file, ..LinkSettings::default() };
    Ok(Device::connect(profile, &settings, |_| {}).await?)
}
