//! Verbs that stand by themselves: a module has the arguments of a verb and what it does, and the verb stands in one list.
//!
//! To add one: a module here, a variant of [`OwnVerb`], and its arm in [`answer`]. Help, manual page and completions
//! follow from the variant.

mod card;
mod passphrase;
mod profile;

use clap::Subcommand;

use super::{Failure, context::Context, output::Report};

/// All of them.
#[derive(Debug, Subcommand)]
pub enum OwnVerb {
    /// What your contacts see beside your name, and what they share with you
    #[command(subcommand)]
    Card(card::CardVerb),
    /// Change the passphrase or key file of this device or of the pod on this machine
    ///
    /// The key behind it is drawn anew too, so that the old one opens nothing that is written from now on. Copies and
    /// backups made before open as before: delete those that you do not need.
    #[command(subcommand)]
    Passphrase(passphrase::PassphraseVerb),
    /// Who you are to your contacts
    #[command(subcommand)]
    Profile(profile::ProfileVerb),
}

/// Carries out one of them.
pub(super) async fn answer(context: &Context, verb: OwnVerb) -> Result<Report, Failure> {
    match verb {
        OwnVerb::Card(verb) => card::card(context, verb).await,
        OwnVerb::Passphrase(verb) => passphrase::passphrase(context, verb).await,
        OwnVerb::Profile(verb) => profile::profile(context, verb).await,
    }
}
