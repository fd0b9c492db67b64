//! `profile …`: who the owner is to contacts.

use serde_json::json;

use super::{
    Failure,
    args::ProfileVerb,
    context::Context,
    output::{Answer, pairs},
};

/// Carries out a verb of `profile`.
pub(super) async fn profile(context: &Context, verb: ProfileVerb) -> Result<Answer, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let profile = match verb {
        ProfileVerb::Show => context.spinner.during("asking the pod", mailbox.profile()).await?,
        ProfileVerb::SetName { name } => {
            context.spinner.during("telling the pod", mailbox.set_profile(&name)).await?
        }
    };
    let identity = mail.own.map(|own| own.to_string());
    let name = profile.name.clone().unwrap_or_else(|| "that of your pod; `autonomy profile set-name`".into());
    let text = pairs([("name", name), ("identity", identity.clone().unwrap_or_default())]);
    Ok(Answer::new(&json!({ "name": profile.name, "identity": identity }), text))
}
