//! The messenger within the node: its rows are rows of the node, its effects effects of the node.

use autonomy_messaging::{
    Name, OnionSeed, RoleKind, RootPublic, Rows, UnverifiedCertificate,
    messenger::{self, MailRow, Messenger, Own, RowClass},
    place::Place,
};
use zeroize::Zeroizing;

use super::{
    Effect, Node, Owner,
    row::{Row, tag},
    turn::Turn,
};

/// The name on cards until the owner chooses one.
const NAMELESS: &str = "somebody";

/// Cold rows of the node as the messenger names them.
struct MailRows<'a>(&'a dyn Rows);

impl Rows for MailRows<'_> {
    fn get(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.get(&Row::from(MailRow { key: key.to_vec(), value: None }).key)
    }
}

/// A row of the messenger as one of the node: a tag for its class, then the messenger's own key.
impl From<MailRow> for Row {
    fn from(row: MailRow) -> Self {
        let tag = match RowClass::of(&row.key) {
            RowClass::Hot => tag::MAIL,
            RowClass::Cold => tag::COLD_MAIL,
            RowClass::Ratchet => tag::RATCHET,
        };
        Self { key: [&[tag], &row.key[..]].concat(), value: row.value }
    }
}

impl Node {
    /// Who the pod is to its contacts; none before it has an owner.
    pub(super) fn own_card(&self, owner: &Owner) -> Option<Own> {
        let root = RootPublic::from_bytes(&owner.root).ok()?;
        let certificate = UnverifiedCertificate::parse(&owner.certificate).ok()?;
        let certificate = certificate.verify_kept(&root, RoleKind::Pod).ok()?;
        let pod_key = self.pod_key();
        let onion = OnionSeed::from_bytes(&owner.peer_seed).public();
        let place = Place::new(*onion.as_bytes(), (&pod_key).into());
        let name = Name::new(NAMELESS).ok()?;
        Some(Own { root, certificate, pod_key, place, name })
    }

    /// Contacts and their mail.
    #[must_use]
    pub fn messenger(&self) -> &Messenger {
        &self.messenger
    }
}

impl Turn<'_> {
    /// Hands one thing to the messenger, and gives its answer to a command.
    pub(super) fn mail(
        &mut self,
        input: messenger::Input,
    ) -> Option<Result<messenger::MailAnswer, messenger::RefusedBecause>> {
        let rows = MailRows(self.rows);
        let step = self.node.messenger.handle(self.now, self.rng, &rows, input);
        let messenger::Step { rows, application, effects, answer } = step;
        // No session is served yet (`Messenger::serve_kinds`), so nothing is delivered past the conversation.
        debug_assert!(application.is_empty(), "a payload without a session");
        self.step.rows.extend(rows.into_iter().map(Row::from));
        for effect in effects {
            match effect {
                messenger::Effect::Notify(notice) => self.mail_notice(&notice),
                effect => self.effect(Effect::Mail(effect)),
            }
        }
        answer
    }

    /// The pod has an owner, or the owner's newer word.
    pub(super) fn introduce_owner(&mut self) {
        if let Some(own) = self.node.owner.as_ref().and_then(|owner| self.node.own_card(owner)) {
            self.node.messenger.adopt(own);
        }
    }
}
