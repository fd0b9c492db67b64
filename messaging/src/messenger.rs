//! All contacts of a pod and their messages, without I/O: no socket, no file, no clock.
//!
//! [`Messenger::handle`] takes one thing that happened and gives a [`Step`]: rows to commit, effects to carry out, an
//! answer. What must stay true:
//!
//! * **Nothing is acknowledged that could be forgotten**: an acknowledgement is an effect, and effects come after rows.
//! * **Every effect can be derived again from the rows.** Calls in flight, subscriptions and back-off are not in rows:
//!   after a restart everything that is not acknowledged end to end is due again, and receivers accept repeats.
//! * **A messenger restored from its rows equals the one that kept running.**
//! * **A contact who is away delays no other**: each has a courier of its own, and calls in flight are bounded for
//!   each and for all.
//!
//! # Modules
//!
//! Each uses those below it, and none above:
//!
//! ```text
//! router     turn: address_book · arrivals · contacts · import · introductions    what concerns the pod as a whole
//!            restore                                                              the messenger from its rows
//! contact    contact_turn: application · cards · confirmation · deliver · drive · what concerns one contact
//!            messages · parcels · places · profile · receive · redemption ·
//!            reset · transfers
//! parts      contact   invites   own_places                                       state with its rules, private fields
//!            conversation   files   network   relays   stage
//! shared     context   work   flight                                              the step that grows, and what is due
//! words      step   answer   effect   input   row                                 what goes in and comes out
//!            states   ids   item_key   own_queue   pair   refusals   served_kinds
//!            stored
//! ```
//!
//! A *part* owns its state: it takes what happened (`relays`, `files`: an event) with the `context`, writes rows,
//! effects and notices there, and says what follows for others. A *turn* only routes. What came in and changed nothing is
//! counted by reason ([`RefusalReason`]).

mod address_book;
mod answer;
mod application;
mod arrivals;
mod blocking;
mod cards;
mod collect_lanes;
mod confirmation;
mod contact;
mod contact_row;
mod contact_turn;
mod contacts;
mod context;
mod conversation;
mod deliver;
mod drive;
mod effect;
mod files;
mod flight;
mod ids;
mod import;
mod input;
mod introductions;
mod invites;
mod item_key;
mod messages;
mod network;
mod own_places;
mod own_queue;
mod pair;
mod parcels;
mod places;
mod profile;
mod receive;
mod redemption;
mod refusals;
mod relays;
mod reset;
mod restore;
mod returning;
mod rewrite;
mod row;
mod served_kinds;
mod stage;
mod states;
mod step;
mod stored;
mod transfers;
mod turn;
mod work;

use std::{collections::BTreeMap, ops::RangeInclusive};

use rand_core::CryptoRngCore;

pub use self::{
    answer::{
        ContactView, EntryView, FileView, Imported, InviteView, MailAnswer, MessengerStatus, RefusedBecause,
        RelayView,
    },
    conversation::{MAX_ENTRIES, MAX_LISTED, MESSAGE_TTL},
    effect::{ApplicationEvent, Collection, ContactChange, Effect, Notice},
    files::{
        MAX_APPLICATION_TRANSFERS, MAX_FILES, MAX_FILES_UNDERWAY, MAX_LOADED, MAX_TAKEN_BYTES,
        TAKEN_PER_LIMIT,
    },
    ids::{BadId, ContactId, InviteId, parse_id},
    input::{Command, DISK_RESERVE, Input, MAX_INVITE_VALIDITY, OpaqueBytes},
    invites::MAX_INVITES,
    refusals::{RefusalCounts, RefusalReason},
    relays::{ACTIVE_RELAYS, MAX_RELAYS},
    restore::RestoreError,
    rewrite::rewritten,
    row::{BadRow, MailRow, ROW_TAGS, RowClass},
    stage::DEFAULT_FILE_LIMIT,
    states::{ContactState, Direction, EntryState, FileState, InviteState, Reach, RelayState, Timestamp},
    step::{Own, Step},
};
use self::{
    contact::Contact, invites::Invites, network::Network, own_places::OwnPlaces, relays::Relays,
    row::page_key, served_kinds::ServedKinds, turn::Turn, work::Work,
};
use crate::{Name, Rows, ratchet::Session};

/// Most contacts of a pod, those who ask included: 12 kB each in memory are 12 MB.
pub const MAX_CONTACTS: usize = 1024;

/// The state of all contacts, and the rules by which it changes.
#[derive(Debug, Default)]
pub struct Messenger {
    /// Who the pod is; none before it has an owner. Not a row: the embedding node gives it at each start.
    own: Option<Own>,
    /// The name on cards, if one was chosen.
    name: Option<Name>,
    /// Whether the pod's own address is on cards and in invites.
    reach: Reach,
    /// At most [`MAX_CONTACTS`], those who ask and those who are only known included.
    contacts: BTreeMap<ContactId, Contact>,
    invites: Invites,
    relays: Relays,
    /// Calls in flight and queues; in no row.
    network: Network,
    /// What is due, in this turn and later; in no row.
    work: Work,
    /// Which payloads of sessions are delivered in place of being shown; in no row.
    served_kinds: ServedKinds,
    volatile: Volatile,
}

/// State that is in no row: learnt anew after a start.
#[derive(Debug, Default)]
struct Volatile {
    /// Whether the sessions were looked for since the start.
    checked: bool,
    /// Whether the clock is right: nothing ends for good while it may not be.
    clock_is_right: bool,
    /// The time of the last input.
    last_now: Timestamp,
    /// Frames that led nowhere, by reason.
    refused: RefusalCounts,
}

impl Messenger {
    /// Takes one thing that happened. Never fails: bad input gives a refusal or nothing.
    ///
    /// The caller commits the rows of the step in one transaction, carries out the effects, then gives the answer; in
    /// another order something could be acknowledged that is forgotten. Its cost is bounded by the input and by what
    /// is due: calls in flight, rows removed and groups in memory all have bounds of their own.
    pub fn handle(
        &mut self,
        now: Timestamp,
        rng: &mut dyn CryptoRngCore,
        rows: &dyn Rows,
        input: Input,
    ) -> Step {
        let mut turn = Turn::new(self, now, rng, rows);
        // Before anything is queued: numbers that an older backup gives out again may be taken.
        turn.resume_after_start();
        turn.look_at_clock();
        match input {
            Input::Command(command) => turn.command(command),
            Input::Called { call, outcome } => turn.called(call, outcome),
            Input::Collected { place, queue, number, blob } => turn.collected(place, queue, number, &blob),
            Input::Subscribed { place, up } => turn.subscribed(place, up),
            Input::Missing { place, queue } => turn.missing(place, queue),
            Input::Asked { ticket, request } => turn.asked(ticket, request),
            Input::Clock { is_right } => turn.clock_judged(is_right),
            Input::FreeSpace(bytes) => turn.free_space(bytes),
            Input::Wake => {}
        }
        turn.run_due_work();
        turn.finish()
    }

    /// Takes note of who the pod is, or is from now on; cards go out to all contacts where anything changed.
    ///
    /// At the first adoption, and at each start after the rows were read. With the next input all sessions are looked
    /// for and every queue is announced again.
    pub fn adopt(&mut self, own: Own) {
        self.network.move_home(own.place);
        self.own = Some(own);
        self.volatile.checked = false;
    }

    /// The invites, and what they need to act: the places of ours and the network.
    fn invites_and_places<'a>(
        &'a mut self,
        own: &'a Own,
    ) -> (OwnPlaces<'a>, &'a mut Invites, &'a mut Network) {
        let places = OwnPlaces { own, reach: self.reach, relays: &self.relays };
        (places, &mut self.invites, &mut self.network)
    }

    /// All relays, each with the number of queues that are open there.
    fn relay_list(&self) -> Vec<RelayView> {
        let queues = || self.contacts.values().flat_map(|contact| contact.record().queues());
        self.relays
            .list(|place| queues().filter(|queue| queue.place == *place && queue.is_open()).count() as u32)
    }

    /// Names the kinds that have a session: they are delivered, and not shown. To be called again after a restore.
    pub fn serve_kinds(&mut self, ranges: impl IntoIterator<Item = RangeInclusive<u16>>) {
        self.served_kinds = ServedKinds::new(ranges);
    }

    /// How contacts reach the pod.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// How it stands with a contact; none where there is no such contact.
    #[must_use]
    pub fn contact_state(&self, id: ContactId) -> Option<ContactState> {
        self.contacts.get(&id).map(|contact| contact.record().state())
    }

    /// Whether the clock is right, as far as [`Input::Clock`] told since the start.
    #[must_use]
    pub fn clock_is_right(&self) -> bool {
        self.volatile.clock_is_right
    }

    /// The epoch of the group with a contact: the number of commits in it, 1 in the first. None where there is no group, or its
    /// rows are damaged.
    #[must_use]
    pub fn ratchet_epoch(&self, rows: &dyn Rows, id: ContactId) -> Option<u64> {
        let own = self.contacts.get(&id)?.record().pair()?.own_package().ok()?;
        let mut read = |page: &[u8]| rows.get(&page_key(id, page)).map(|mut page| std::mem::take(&mut *page));
        Session::load(&mut read, &own).ok().map(|session| session.epoch())
    }

    /// When to wake the messenger if nothing else happens.
    ///
    /// At once after an adoption, for there is always something to look at. In the past if something is overdue.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.own.is_some() && !self.volatile.checked {
            return Some(0);
        }
        let contacts = self.work.wakes.first().map(|(at, _)| *at);
        let is_right = self.volatile.clock_is_right;
        let relays = self.relays.next_wake().filter(|_| is_right);
        let parts = [self.invites.next_wake(is_right), relays, self.network.next_wake()];
        parts.into_iter().chain([contacts]).flatten().min()
    }
}
