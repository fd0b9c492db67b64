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
mod cards;
mod contact;
mod contacts;
mod conversation;
mod deliver;
mod effect;
mod files;
mod input;
mod introductions;
mod invites;
mod parcels;
mod places;
mod publish;
mod receive;
mod redemption;
mod relays;
mod reset;
mod restore;
mod row;
mod turn;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use ed25519_dalek::SigningKey;
use rand_core::CryptoRngCore;

pub use self::{
    answer::{
        ContactView, EntryView, FileView, Imported, InviteView, MailAnswer, MessengerStatus, RefusalCounts,
        RefusedBecause, RelayView,
    },
    application::{ApplicationEvent, MAX_APPLICATION_TRANSFERS},
    contact::{ContactId, ContactState, Direction, EntryState},
    conversation::{MAX_ENTRIES, MAX_LISTED, MESSAGE_TTL},
    effect::{Collection, Effect, Notice},
    files::{DEFAULT_FILE_LIMIT, FileState, MAX_FILES, MAX_LOADED},
    input::{Command, Input, MAX_INVITE_VALIDITY, Reach},
    invites::{InviteId, InviteState, MAX_INVITES},
    relays::{ACTIVE_RELAYS, MAX_RELAYS, RelayState},
    restore::RestoreError,
    row::{BadRow, MailRow, RowClass},
};
use self::{
    contact::{Contact, FirstFlight},
    invites::InviteRecord,
    relays::Relay,
    turn::Turn,
};
use crate::{
    Certificate, Name, RootPublic, Rows,
    courier::{Budget, MAX_CALLS},
    lane::CallId,
    place::{Place, QueueId},
};

/// Seconds since 1970, UTC.
pub type Timestamp = u64;

/// Most contacts of a pod, those who ask included: 12 kB each in memory are 12 MB.
pub const MAX_CONTACTS: usize = 1024;

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

/// The state of all contacts, and the rules by which it changes.
#[derive(Debug, Default)]
pub struct Messenger {
    own: Option<Own>,
    /// The name on cards, if one was chosen.
    name: Option<Name>,
    reach: Reach,
    contacts: BTreeMap<ContactId, Contact>,
    invites: BTreeMap<InviteId, InviteRecord>,
    relays: BTreeMap<Place, Relay>,
    served_kinds: application::ServedKinds,
    volatile: Volatile,
}

/// State that is in no row: learnt anew after a start.
#[derive(Debug, Default)]
struct Volatile {
    /// Calls in flight.
    calls: HashMap<CallId, places::Call>,
    next_call: u64,
    /// Which queue leads to whom.
    queues: HashMap<QueueId, places::QueueOwner>,
    /// When to look at which contact next.
    wakes: BTreeSet<(Timestamp, ContactId)>,
    /// Whether the sessions were looked for since the start.
    checked: bool,
    /// The last set of collections that was asked for.
    collecting: Option<Vec<Collection>>,
    /// The last set of own queues that was announced.
    serving: Option<Vec<QueueId>>,
    /// Whether queues came, went or opened since the last two were announced.
    queues_changed: bool,
    /// Invites on their way to their places.
    publishing: BTreeMap<InviteId, FirstFlight>,
    /// Acknowledgements owed to places.
    acks: places::AckBook,
    /// When those that did not reach their place are told again.
    acks_due: Option<Timestamp>,
    /// Calls with frames, shared out among contacts.
    budget: Calls,
    /// Contacts whose group is in memory, the one used last at the end.
    live: VecDeque<ContactId>,
    /// Frames that led nowhere, by reason.
    refused: RefusalCounts,
}

/// The budget of calls with frames.
#[derive(Debug)]
struct Calls(Budget<ContactId>);

impl Default for Calls {
    fn default() -> Self {
        Self(Budget::new(MAX_CALLS))
    }
}

impl std::ops::Deref for Calls {
    type Target = Budget<ContactId>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl std::ops::DerefMut for Calls {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
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
        self.own = Some(own);
        self.volatile.serving = None;
        self.volatile.queues_changed = true;
        self.volatile.checked = false;
    }

    /// When to wake the messenger if nothing else happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.own.is_some() && !self.volatile.checked {
            return Some(0);
        }
        let contacts = self.volatile.wakes.first().map(|(at, _)| *at);
        [contacts, self.next_invite(), self.next_retirement()].into_iter().flatten().min()
    }
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own").field("root", &self.root).field("pod_key", &"[secret]").finish_non_exhaustive()
    }
}
