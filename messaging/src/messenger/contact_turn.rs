//! One contact being worked on. Whatever concerns a single contact is a method of [`ContactTurn`], in the module of its
//! topic; what follows for others is left as a [`FollowUp`].

use super::{
    contact::Contact,
    context::Context,
    ids::ContactId,
    network::{Network, Purpose},
    own_places::OwnPlaces,
    refusals::RefusalReason,
    served_kinds::ServedKinds,
    step::Own,
    work::{FollowUp, Work},
};
use crate::{
    Name,
    lane::{CallId, Lane},
    place::Place,
    ratchet::{LoadError, OwnKeyPackage, Session, leftover_keys},
    wire::Request,
};

/// Everything that work on one contact may use: the contact, the context, and the few parts that are shared by all.
pub(super) struct ContactTurn<'t, 'a> {
    pub(super) id: ContactId,
    /// The one being worked on; no other contact can be reached from here.
    pub(super) contact: &'t mut Contact,
    pub(super) cx: &'t mut Context<'a>,
    /// Who the pod is.
    pub(super) own: &'t Own,
    /// Whether there are others, so that what is due for all of them must not leave in one moment.
    pub(super) has_company: bool,
    /// The name on cards.
    pub(super) name: &'t Name,
    /// Where our queues may lie.
    pub(super) places: OwnPlaces<'t>,
    pub(super) served_kinds: &'t ServedKinds,
    /// Calls and queues of all contacts.
    pub(super) network: &'t mut Network,
    /// What is due, for this contact and others.
    pub(super) work: &'t mut Work,
}

impl ContactTurn<'_, '_> {
    /// The record of this contact has changed.
    ///
    /// Its row is written when the turn ends, and our card is compared again: it may say something else now.
    pub(super) fn record_changed(&mut self) {
        self.contact.volatile.card_checked = false;
        self.work.changed.insert(self.id);
        self.touch();
    }

    /// The conversation with this contact has moved on.
    pub(super) fn thread_changed(&mut self) {
        self.thread_changed_quietly();
        self.touch();
    }

    /// The conversation has moved on, and there is nothing to do about it.
    pub(super) fn thread_changed_quietly(&mut self) {
        self.work.moved.insert(self.id);
    }

    /// Look at this contact before the turn ends.
    pub(super) fn touch(&mut self) {
        self.work.touched.insert(self.id);
    }

    /// Leaves something to be done for others.
    ///
    /// Carried out as soon as this contact has been served.
    pub(super) fn follow_up(&mut self, what: FollowUp) {
        self.work.follow_ups.push_back(what);
    }

    /// Asks a place something, and remembers what for.
    pub(super) fn call(&mut self, place: Place, lane: Lane, request: Request, purpose: Purpose) -> CallId {
        self.network.call(self.cx, place, lane, request, purpose)
    }

    /// The group of the contact, to be given back with [`keep_session`](Self::keep_session).
    ///
    /// None where it is not in the rows, or its rows or our keys are damaged, which is counted.
    pub(super) fn take_session(&mut self) -> Option<Box<Session>> {
        if let Some(session) = self.contact.volatile.session.take() {
            return Some(session);
        }
        let own = self.own_package()?;
        let (id, cx) = (self.id, &*self.cx);
        let mut read = |page: &[u8]| cx.page(id, page);
        match Session::load(&mut read, &own) {
            Ok(session) => Some(Box::new(session)),
            // So it is after a restore from a backup, which has no groups.
            Err(LoadError::Missing) => None,
            Err(LoadError::Malformed(_) | LoadError::Newer(_) | LoadError::OtherKeyPackage) => {
                cx.refuse(RefusalReason::DamagedRow);
                None
            }
        }
    }

    /// Our key package for the contact; none before there was a group. A damaged one is counted.
    pub(super) fn own_package(&self) -> Option<OwnKeyPackage> {
        let package = self.contact.record().pair()?.own_package();
        if package.is_err() {
            self.cx.refuse(RefusalReason::BadKeys);
        }
        package.ok()
    }

    /// Writes the pages of the group that changed.
    ///
    /// To be called also where an operation failed: the session is as it was then, and writes nothing.
    pub(super) fn keep_session(&mut self, mut session: Box<Session>) {
        for (page, value) in session.take_changes() {
            self.cx.put_page(self.id, &page, value);
        }
        self.contact.volatile.session = Some(session);
        self.work.used_session(self.id);
    }

    /// Removes the group, in memory and in its rows: also the rows of one that cannot be loaded. There are keys in them,
    /// which nobody else would remove.
    pub(super) fn drop_session(&mut self) {
        let pages = match self.take_session() {
            Some(session) => session.row_keys(),
            None => leftover_keys(&|page| self.cx.has_page(self.id, page)),
        };
        pages.iter().for_each(|page| self.cx.put_page(self.id, page, None));
    }

    /// Whether there is a group that can be used. Loads it.
    pub(super) fn has_session(&mut self) -> bool {
        match self.take_session() {
            Some(session) => {
                self.keep_session(session);
                true
            }
            None => false,
        }
    }
}
