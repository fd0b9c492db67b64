//! The folder and settings of one pod, device or relay.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Autonomy, PartyError};
use crate::process::{Launch, MARK};
use crate::world::World;

/// Unlocks every store of a world; there is only regtest money in them.
const PASSPHRASE: &str = "a world of play money\n";
/// Environment variable with `autonomy`'s log filter.
const LOG_VARIABLE: &str = "AUTONOMY_LOG";
/// Lines of the log that an error quotes.
const LOG_LINES: usize = 12;

/// Which settings a party gets.
pub(super) enum PartyKind {
    /// Tor, bitcoind, and an echo port.
    Pod,
    /// Tor only.
    Device,
    /// Tor only; a relay asks for no passphrase.
    Relay,
}

/// A party's folder with its settings.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) dir: PathBuf,
    /// The program with this party's settings; a verb is added to it.
    pub(super) launch: Launch,
}

impl Home {
    /// Writes the folder of one party.
    ///
    /// An existing folder is written over, so that a party can be set up again in a kept world.
    ///
    /// # Errors
    /// A part of the world does not start, or a file cannot be written.
    pub(super) fn set_up(
        world: &World,
        autonomy: &Autonomy,
        name: &str,
        kind: &PartyKind,
    ) -> Result<Self, PartyError> {
        let dir = world.folder().sub(name)?;
        world.folder().sub(&format!("{name}/commands"))?;
        let config = dir.join("config.toml");
        write(&dir.join("passphrase"), PASSPHRASE, 0o600)?;
        write(&config, &settings(world, &dir, kind)?, 0o600)?;
        write(&dir.join("autonomy"), &script(world, autonomy, &config), 0o700)?;
        let mut launch = Launch::new(name, autonomy.program(), dir.join("log"))
            .arg("--config")
            .arg(config)
            .of_world(world.folder());
        // The one setting of ours that is meant for them too: how much they tell.
        if let Some(filter) = env::var_os(LOG_VARIABLE) {
            launch = launch.env(LOG_VARIABLE, filter);
        }
        Ok(Self { dir, launch })
    }

    /// The end of its log.
    pub(super) fn log_tail(&self) -> String {
        let text = fs::read(self.dir.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

/// The settings file. A JSON string is a TOML string too, so paths are written as JSON.
fn settings(world: &World, dir: &Path, kind: &PartyKind) -> Result<String, PartyError> {
    let network = json!(world.tor()?.network_file());
    let passphrase = json!(dir.join("passphrase"));
    let data = json!(dir.join("data"));
    let tor = format!("\n[tor]\nnetwork_file = {network}\n");
    Ok(match kind {
        PartyKind::Pod => {
            let node = world.bitcoind()?;
            let (url, cookie) = (json!(node.rpc_url()), json!(node.cookie_file()));
            // A person's own profile is not this pod's owner.
            let none = json!(dir.join("no-profile"));
            format!(
                "data_dir = {data}\nprofile_dir = {none}\npassphrase_file = {passphrase}\n{tor}echo = true\n\
                 \n[bitcoind]\nurl = {url}\ncookie_file = {cookie}\n"
            )
        }
        PartyKind::Device => format!("profile_dir = {data}\npassphrase_file = {passphrase}\n{tor}"),
        PartyKind::Relay => format!("data_dir = {data}\n{tor}"),
    })
}

/// A script with which a person runs commands as this party. Processes that it starts belong to the
/// world.
fn script(world: &World, autonomy: &Autonomy, config: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    format!(
        "#!/bin/sh\n{MARK}={} exec {} --config {} \"$@\"\n",
        quoted(world.folder().path()),
        quoted(autonomy.program().executable()),
        quoted(config),
    )
}

/// Writes a file with a mode. An existing file would keep its own mode, so it is removed first.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), PartyError> {
    // A file that is there keeps its mode: make it anew.
    let _ = fs::remove_file(path);
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| PartyError::Write { path: path.to_owned(), source })
}
