//! Programs to read: small ones that use a device's library, each with one thing to show.
//!
//! They use the profile that `autonomy init` and `autonomy provision` made, with the same settings and environment,
//! and run Tor inside themselves: end an agent first (`autonomy agent stop`).
//!
//! | example | shows |
//! |---|---|
//! | `watch_events` | the event stream, resumed after a lost connection |
//! | `receive` | an address that the device derives again, and waiting for a payment |
//! | `pay` | draft, check, approval, both signatures |

use autonomy_daemon::{
    client::{Device, Profile},
    config::Config,
    store::{Unlock, UnlockSources},
};

/// Opens the device's profile and reaches its pod: over Tor, or by the Unix socket that `AUTONOMY_POD_SOCKET` names.
///
/// # Errors
/// Whatever is missing says how to get it.
pub async fn device() -> Result<Device, Box<dyn std::error::Error>> {
    let config = Config::load(None)?;
    let sources =
        UnlockSources { prompt: Some("Passphrase of the device".to_owned()), ..UnlockSources::of_process() };
    let profile = Profile::open(&config.profile_dir(), &Unlock::discover(sources)?).await?;
    match std::env::var_os("AUTONOMY_POD_SOCKET") {
        Some(socket) => Ok(Device::at_socket(profile, socket.as_ref())),
        None => Ok(Device::connect(profile, &config, |_| {}).await?),
    }
}
