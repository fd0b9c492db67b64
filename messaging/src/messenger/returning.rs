//! A contact who comes back with nothing: the pod is lost with all its backups, and a new one of the same root redeems an
//! invite of ours, or made one that we redeem.
//!
//! What was between us stays in the record as `former`, and the conversation stays where it is. Once the new group counts,
//! what waits is numbered anew in it and the former queues are closed. If the attempt leads nowhere, all is as it was, in a new
//! group from the secrets of before: who is still at the old places takes part again.

use super::{
    contact::Contact,
    contact_turn::ContactTurn,
    context::CommandResult,
    flight::FirstFlight,
    introductions::Redeemed,
    pair::{Pair, PairKeys, Side},
    stage::{Active, Asking, ContactRecord, Joining, Stage},
    stored::StoredInvite,
};
use crate::{
    Certificate, RootPublic,
    card::{Card, UnverifiedCard},
    invite::Invite,
};

impl Active {
    /// The card, checked once more: the row is not trusted. None where it is damaged or another's.
    fn card(&self, root: &RootPublic) -> Option<Card> {
        UnverifiedCard::parse(&self.their_card).ok()?.verify_kept(root).ok()
    }
}

impl ContactRecord {
    /// Begins anew with a contact: what was between us becomes `former`, unless it is that already.
    fn set_out(&mut self, stage: Stage) {
        if let Stage::Active(active) = std::mem::replace(&mut self.stage, stage) {
            self.former = Some(Box::new(Active { awaited_by: None, pending_reset: None, ..active }));
        }
    }

    /// The certificates of the pod that a contact had before it came back: an older one is not taken again.
    pub(super) fn former_certificates(&self) -> impl Iterator<Item = Certificate> + '_ {
        let root = self.root();
        self.former.iter().flat_map(move |former| {
            let of_card = former.card(&root).map(|card| *card.certificate());
            of_card.into_iter().chain(former.pair.certificate(&root))
        })
    }
}

impl Contact {
    /// Another stage, another card, and nothing of what was true of the one before.
    fn begin_stage(&mut self, change: impl FnOnce(&mut ContactRecord), card: Option<Card>) {
        change(self.record_mut());
        self.use_card(card);
        let volatile = &mut self.volatile;
        volatile.first_flight = FirstFlight::default();
        (volatile.unreadable, volatile.stale_frames) = (None, 0);
        volatile.audits.clear();
        volatile.lost.clear();
    }
}

impl ContactTurn<'_, '_> {
    /// A contact redeemed an invite of ours: the owner is asked again. Nothing leaves for them until then.
    pub(super) fn asks_again(&mut self, redeemed: Redeemed<'_>) {
        let Redeemed { invite, package, opened } = redeemed;
        // It is loaded by the key package that belongs to it.
        self.drop_session();
        let pair = Pair::new(package, PairKeys::of(&opened.session, Side::Joiner));
        let stage = Stage::Asking(Asking { invite, pair, their_card: opened.card_bytes });
        self.contact.begin_stage(|record| record.set_out(stage), Some(opened.card));
        self.begin_group(Box::new(opened.session));
        self.network.queues_changed();
        self.record_changed();
    }

    /// Redeems the invite of a contact, who made it with a new pod.
    pub(super) fn join_again(&mut self, invite: &Invite) -> CommandResult {
        self.redeemer_was_heard();
        self.drop_session();
        let stage = Stage::Joining(Joining::new(StoredInvite::new(invite)));
        self.contact.begin_stage(|record| record.set_out(stage), None);
        self.make_queues();
        self.view()
    }

    /// The new group counts: the queues of before are closed.
    pub(super) fn leave_former(&mut self) {
        if let Some(former) = self.contact.record_mut().former.take() {
            self.drop_queues(&former.queues.all);
            self.record_changed();
        }
    }

    /// The attempt led nowhere: all is as it was before, but for the group. Says whether there is a before.
    pub(super) fn go_back_to_former(&mut self) -> bool {
        let Some(former) = self.contact.record_mut().former.take() else { return false };
        self.drop_session();
        let queues = self.contact.record().queues().to_vec();
        self.drop_queues(&queues);
        let card = former.card(&self.contact.record().root());
        self.contact.begin_stage(|record| record.stage = Stage::Active(*former), card);
        self.make_queues();
        self.recheck_card();
        self.group_is_lost();
        true
    }
}
