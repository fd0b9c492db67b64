//! `profile …`: the owner's name and address as contacts see them.

use autonomy_api::{Reach, SetProfile};
use clap::Subcommand;
use serde_json::json;

use crate::{
    Failure,
    args::words,
    ask::written,
    context::Context,
    output::{Report, pairs},
};

/// `profile …`.
#[derive(Debug, Subcommand)]
pub enum ProfileVerb {
    /// Show your profile as contacts see it
    Show,
    /// Set the display name that contacts see
    SetName {
        /// Display name
        name: String,
    },
    /// Set how contacts reach your pod
    ///
    /// With `relays` your pod's address is on no card and in no invite, and invites that contained
    /// it end.
    SetReach {
        /// How contacts reach it
        #[arg(value_parser = words::reach())]
        way: Reach,
    },
}

/// Carries out a verb of `profile` and shows the result.
///
/// # Errors
/// The name breaks a rule; the pod refuses or is not reached.
pub(super) async fn profile(context: &Context, verb: ProfileVerb) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let profile = match verb {
        ProfileVerb::Show => context.spinner.during("asking the pod", mailbox.profile()).await?,
        ProfileVerb::SetName { name } => {
            let wish = SetProfile { name: Some(written("name", &name)?), ..SetProfile::default() };
            context.spinner.during("telling the pod", mailbox.set_profile(&wish)).await?
        }
        ProfileVerb::SetReach { way } => {
            let wish = SetProfile { reach: Some(way), ..SetProfile::default() };
            context.spinner.during("telling the pod", mailbox.set_profile(&wish)).await?
        }
    };
    let identity = mail.own.map(|own| own.to_string());
    let chosen = profile.name.as_ref().map(ToString::to_string);
    let name = chosen.clone().unwrap_or_else(|| "that of your pod; `autonomy profile set-name`".into());
    let reached = match profile.reach {
        Reach::Direct => "directly, and through your relays while your pod is away",
        Reach::Relays => "through your relays only",
    };
    let identity_shown = identity.clone().unwrap_or_default();
    let text = pairs([("name", name), ("identity", identity_shown), ("reached", reached.to_owned())]);
    Ok(Report::new(&json!({ "name": chosen, "identity": identity, "reach": profile.reach }), text))
}
