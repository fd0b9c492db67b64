//! What goes in with every input beside it, and what comes out: who the pod is, and the step.

use ed25519_dalek::SigningKey;

use super::{
    answer::{MailAnswer, RefusedBecause},
    effect::{ApplicationEvent, Effect},
    row::MailRow,
};
use crate::{Certificate, Name, RootPublic, place::Place};

/// Who the pod is to its contacts. Comes from the owner's bundle.
#[derive(Clone)]
pub struct Own {
    /// The person.
    pub root: RootPublic,
    /// The root's certificate for the pod key.
    pub certificate: Certificate,
    /// The pod key: signs cards and resets.
    pub pod_key: SigningKey,
    /// The pod's own peer service.
    pub place: Place,
    /// Where it was before, as long as it is reached there too: contacts may not know yet that it moved.
    pub earlier: Option<Place>,
    /// The display name until the owner sets one.
    pub name: Name,
}

/// The outcome of one input: let sessions consume `application`, commit `rows` with theirs, then carry out `effects`, then give `answer`.
#[must_use = "rows that are not committed are forgotten, effects that are not carried out never happen"]
#[derive(Debug, Default)]
pub struct Step {
    /// New states in the order they were applied; a later row of the same key wins.
    pub rows: Vec<MailRow>,
    /// What happened to payloads of sessions. Consume them in this step: their rows are committed with these.
    pub application: Vec<ApplicationEvent>,
    /// What to do once the rows are safe.
    pub effects: Vec<Effect>,
    /// The answer to a command.
    pub answer: Option<Result<MailAnswer, RefusedBecause>>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own").field("root", &self.root).field("pod_key", &"[secret]").finish_non_exhaustive()
    }
}
