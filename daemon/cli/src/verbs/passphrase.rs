//! `passphrase …`: what opens the profile of this device, or the pod on this machine.

use std::path::{Path, PathBuf};

use autonomy_client::Profile;
use autonomy_daemon::pod;
use autonomy_store::{Unlock, UnlockError, UnlockSources};
use clap::{Args, Subcommand, ValueHint};
use serde_json::json;

use crate::{
    Failure,
    context::{Context, now},
    output::{Report, path},
};

/// `passphrase …`.
#[derive(Debug, Subcommand)]
pub enum PassphraseVerb {
    /// Change the passphrase of this device's profile
    ///
    /// Asks for the present one, then twice for the new one. An agent that holds the old one forgets it.
    Device(NewSecret),
    /// Change the passphrase of the pod on this machine, which must not run
    ///
    /// Asks for the present one, then twice for the new one.
    Pod(NewSecret),
}

/// Where the new secret comes from; without a flag a person is asked.
#[derive(Debug, Args)]
pub struct NewSecret {
    /// Read the new passphrase from the first line of FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "new_key_file")]
    new_passphrase_file: Option<PathBuf>,
    /// Unlock with the 32-byte key in FILE from now on, instead of a passphrase
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    new_key_file: Option<PathBuf>,
}

/// Carries out a verb of `passphrase`.
///
/// # Errors
/// The present secret is wrong, the new one is unfit, the store is in use, or the disk does not take the change. In all of
/// these cases the present secret opens it as before.
pub(super) async fn passphrase(context: &Context, verb: PassphraseVerb) -> Result<Report, Failure> {
    match verb {
        PassphraseVerb::Device(new) => device(context, &new).await,
        PassphraseVerb::Pod(new) => of_pod(context, &new),
    }
}

async fn device(context: &Context, new: &NewSecret) -> Result<Report, Failure> {
    let dir = context.profile_dir();
    context.needs_profile()?;
    // The present one is asked for even where the agent holds it: whoever passes by must not change it.
    let old = context.unlock("device", false)?;
    let mut profile = context.spinner.during("opening the profile", Profile::open(&dir, &old)).await?;
    profile.relock(&new.read(context, "device")?, now())?;
    context.forget_passphrase().await;
    Ok(changed(context, "device", &Profile::path(&dir)))
}

fn of_pod(context: &Context, new: &NewSecret) -> Result<Report, Failure> {
    let dir = context.pod_dir();
    let old = context.unlock("pod", false)?;
    // What is wrong with the present one comes first: nobody thinks of a new one in vain.
    pod::request(&dir, &old)?;
    pod::relock(&dir, &old, &new.read(context, "pod")?)?;
    Ok(changed(context, "pod", &dir.store()))
}

impl NewSecret {
    /// The new secret, from where the flags say, else from the terminal.
    ///
    /// # Errors
    /// It is unfit, or there is nobody to ask.
    fn read(&self, context: &Context, whose: &str) -> Result<Unlock, Failure> {
        let sources = UnlockSources {
            passphrase_file: self.new_passphrase_file.clone(),
            key_file: self.new_key_file.clone(),
            prompt: Some(format!("New passphrase of the {whose}")),
            confirm: true,
            ..UnlockSources::default()
        };
        let new = Unlock::discover(sources).map_err(|error| match error {
            UnlockError::Nothing => Failure::usage(
                "no new passphrase: give --new-passphrase-file or --new-key-file, or run it on a terminal",
            ),
            error => Failure::other("passphrase", error),
        })?;
        context.warn_if_ambiguous(&new);
        Ok(new)
    }
}

/// What was done, and what still goes by the old secret.
fn changed(context: &Context, whose: &str, file: &Path) -> Report {
    let elsewhere = if context.names_secret() {
        "\nThe settings, a flag or the environment name the old one: put the new one there."
    } else {
        ""
    };
    let next = format!(
        "Backups and copies made before open with the old one: delete those that you do not need.{elsewhere}"
    );
    let text = format!("{} opens with the new one only", file.display());
    Report::new(&json!({ "changed": whose, "file": path(file) }), text).hint(next)
}
