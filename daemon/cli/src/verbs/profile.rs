//! `profile …`: who the owner is to contacts.

use autonomy_api::{Reach, SetProfile};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    Failure,
    ask::written,
    context::Context,
    output::{Answer, pairs},
};

/// How contacts reach the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// At its own address first, and through your relays while it is away
    Direct,
    /// Through your relays only: contacts learn neither its address nor when it runs
    Relays,
}

/// `profile …`.
#[derive(Debug, Subcommand)]
pub enum ProfileVerb {
    /// Show who you are to your contacts
    Show,
    /// Choose the name that your contacts see
    SetName {
        /// The name
        name: String,
    },
    /// Choose how your contacts reach your pod
    SetReach {
        /// The way
        way: Way,
    },
}

/// Carries out a verb of `profile`.
pub(super) async fn profile(context: &Context, verb: ProfileVerb) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let profile = match verb {
        ProfileVerb::Show => context.spinner.during("asking the pod", mailbox.profile()).await?,
        ProfileVerb::SetName { name } => {
            let wish = SetProfile { name: Some(written("name", &name)?), ..SetProfile::default() };
            context.spinner.during("telling the pod", mailbox.set_profile(&wish)).await?
        }
        ProfileVerb::SetReach { way } => {
            let reach = match way {
                Way::Direct => Reach::Direct,
                Way::Relays => Reach::Relays,
            };
            let wish = SetProfile { reach: Some(reach), ..SetProfile::default() };
            context.spinner.during("telling the pod", mailbox.set_profile(&wish)).await?
        }
    };
    let identity = mail.own.map(|own| own.to_string());
    let name = profile.name.clone().unwrap_or_else(|| "that of your pod; `autonomy profile set-name`".into());
    let reached = match profile.reach {
        Reach::Direct => "directly, and through your relays while your pod is away",
        Reach::Relays => "through your relays only",
    };
    let identity_shown = identity.clone().unwrap_or_default();
    let text = pairs([("name", name), ("identity", identity_shown), ("reached", reached.to_owned())]);
    Ok(Answer::new(&json!({ "name": profile.name, "identity": identity, "reach": profile.reach }), text))
}
