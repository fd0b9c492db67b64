//! All contacts of a pod and their messages, without I/O: no socket, no file, no clock.
//!
//! [`Messenger::handle`] takes one thing that happened and gives a [`Step`]: rows to commit, effects to carry out, an
//! answer. What must stay true:
//!
//! * **Nothing is acknowledged that could be forgotten**: an acknowledgement is an effect, and effects come after rows.
//! * **Every effect can be derived again from the rows.** Calls in flight, subscriptions and back-off are not in rows:
//!   after a restart everything that is not acknowledged end to end is due again, and receivers accept repeats.
//! * **A messenger restored from its rows equals the one that kept running.**
//! * **A dead contact costs a live one nothing**: each has a courier of its own, and calls in flight are bounded for
//!   each and for all.
//!
//! | module | holds |
//! |---|---|
//! | `input`, `effect`, `answer` | all that can happen, be done, and be answered |
//! | `row` | all that is remembered |
//! | `contact` | one contact: who it is, its queues, the conversation |
//! | `address_book` | contacts as vCards |
//! | `invites`, `publication`, `introductions` | own invites, and who redeems them |
//! | `redemption` | another person's invite, redeemed |
//! | `conversation` | entries said and received |
//! | `contacts` | commands about contacts |
//! | `deliver`, `receive` | frames out, frames in |
//! | `files` | files out, files in |
//! | `parcels` | the same without a network |
//! | `reset` | a new group where the old one is lost |
//! | `relays` | places of one's own beside the pod |

mod address_book;
mod answer;
mod application;
mod arrivals;
mod cards;
mod confirmation;
mod contact;
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
mod parcels;
mod places;
mod profile;
mod receive;
mod redemption;
mod refusals;
mod relays;
mod reset;
mod restore;
mod row;
mod stage;
mod states;
mod step;
mod transfers;
mod turn;
mod work;

use std::collections::BTreeMap;

use rand_core::CryptoRngCore;

pub use self::{
    answer::{
        ContactView, EntryView, FileView, Imported, InviteView, MailAnswer, MessengerStatus, RefusedBecause,
        RelayView,
    },
    conversation::{MAX_ENTRIES, MAX_LISTED, MESSAGE_TTL},
    effect::{ApplicationEvent, Collection, Effect, Notice},
    files::{MAX_APPLICATION_TRANSFERS, MAX_FILES, MAX_LOADED},
    ids::{ContactId, InviteId},
    input::{Command, Input, MAX_INVITE_VALIDITY},
    invites::MAX_INVITES,
    refusals::{RefusalCounts, RefusalReason},
    relays::{ACTIVE_RELAYS, MAX_RELAYS},
    restore::RestoreError,
    row::{BadRow, MailRow, RowClass},
    stage::DEFAULT_FILE_LIMIT,
    states::{ContactState, Direction, EntryState, FileState, InviteState, Reach, RelayState},
    step::{Own, Step, Timestamp},
};
use self::{
    contact::Contact, invites::Invites, network::Network, own_places::OwnPlaces, relays::Relays, turn::Turn,
    work::Work,
};
use crate::{Name, Rows};

/// Most contacts of a pod, those who ask included: 12 kB each in memory are 12 MB.
pub const MAX_CONTACTS: usize = 1024;

/// The state of all contacts, and the rules by which it changes.
#[derive(Debug, Default)]
pub struct Messenger {
    own: Option<Own>,
    /// The name on cards, if one was chosen.
    name: Option<Name>,
    reach: Reach,
    contacts: BTreeMap<ContactId, Contact>,
    invites: Invites,
    relays: Relays,
    network: Network,
    work: Work,
    served_kinds: application::ServedKinds,
    volatile: Volatile,
}

/// State that is in no row: learnt anew after a start.
#[derive(Debug, Default)]
struct Volatile {
    /// Whether the sessions were looked for since the start.
    checked: bool,
    /// Frames that led nowhere, by reason.
    refused: RefusalCounts,
}

impl Messenger {
    /// Takes one thing that happened. Never fails: bad input gives a refusal or nothing.
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
        match input {
            Input::Command(command) => turn.command(command),
            Input::Called { call, outcome } => turn.called(call, outcome),
            Input::Collected { place, queue, number, blob } => turn.collected(place, queue, number, &blob),
            Input::Subscribed { place, up } => turn.subscribed(place, up),
            Input::Missing { place, queue } => turn.missing(place, queue),
            Input::Asked { ticket, request } => turn.asked(ticket, request),
            Input::Wake => {}
        }
        turn.run_due_work();
        turn.finish()
    }

    /// Takes note of who the pod is, or is from now on; cards go out to all contacts where anything changed.
    pub fn adopt(&mut self, own: Own) {
        self.network.move_home(own.place);
        self.own = Some(own);
        self.volatile.checked = false;
    }

    fn invites_and_places<'a>(
        &'a mut self,
        own: &'a Own,
    ) -> (OwnPlaces<'a>, &'a mut Invites, &'a mut Network) {
        let places = OwnPlaces { own, reach: self.reach, relays: &self.relays };
        (places, &mut self.invites, &mut self.network)
    }

    fn relay_list(&self) -> Vec<RelayView> {
        let queues = || self.contacts.values().flat_map(|contact| contact.record.queues());
        self.relays
            .list(|place| queues().filter(|queue| queue.place == *place && queue.is_open()).count() as u32)
    }

    /// When to wake the messenger if nothing else happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.own.is_some() && !self.volatile.checked {
            return Some(0);
        }
        let contacts = self.work.wakes.first().map(|(at, _)| *at);
        [contacts, self.invites.next_wake(), self.relays.next_wake()].into_iter().flatten().min()
    }
}
