//! The folder and settings of one pod or device.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Autonomy, PartyError};
use crate::process::{Launch, MARK};
use crate::world::World;

/// Unlocks every store of a world: nothing in it is worth more.
const PASSPHRASE: &str = "a world of play money\n";

/// Settings that only one kind of party has.
pub(super) enum Kind {
    Pod,
    Device,
}

/// A party's folder, set up.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) dir: PathBuf,
    /// The program with this party's settings; add a verb.
    pub(super) launch: Launch,
}

impl Home {
    pub(super) fn set_up(
        world: &World,
        autonomy: &Autonomy,
        name: &str,
        kind: &Kind,
    ) -> Result<Self, PartyError> {
        let dir = world.folder().sub(name)?;
        world.folder().sub(&format!("{name}/commands"))?;
        let config = dir.join("config.toml");
        write(&dir.join("passphrase"), PASSPHRASE, 0o600)?;
        write(&config, &settings(world, &dir, kind)?, 0o600)?;
        write(&dir.join("autonomy"), &script(world, autonomy, &config), 0o700)?;
        let launch = Launch::new(name, autonomy.program(), dir.join("log"))
            .arg("--config")
            .arg(config)
            .of_world(world.folder());
        Ok(Self { dir, launch })
    }
}

/// The settings file. A JSON string is a TOML string, so paths are written as such.
fn settings(world: &World, dir: &Path, kind: &Kind) -> Result<String, PartyError> {
    let network = json!(world.tor()?.network_file());
    let passphrase = json!(dir.join("passphrase"));
    let data = json!(dir.join("data"));
    let tor = format!("\n[tor]\nnetwork_file = {network}\n");
    Ok(match kind {
        Kind::Pod => {
            let node = world.bitcoind()?;
            let (url, cookie) = (json!(node.rpc_url()), json!(node.cookie_file()));
            format!(
                "data_dir = {data}\npassphrase_file = {passphrase}\n{tor}echo = true\n\
                 \n[bitcoind]\nurl = {url}\ncookie_file = {cookie}\n"
            )
        }
        Kind::Device => format!("profile_dir = {data}\npassphrase_file = {passphrase}\n{tor}"),
    })
}

/// A script by which a person is this party, and by which what it starts belongs to this world.
fn script(world: &World, autonomy: &Autonomy, config: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    format!(
        "#!/bin/sh\n{MARK}={} exec {} --config {} \"$@\"\n",
        quoted(world.folder().path()),
        quoted(autonomy.program().executable()),
        quoted(config),
    )
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), PartyError> {
    // A file that is there keeps its mode: make it anew.
    let _ = fs::remove_file(path);
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| PartyError::Write { path: path.to_owned(), source })
}
