//! The logic of a pod: no socket, no file, no clock, no randomness of its own.
//!
//! [`Node::handle`] takes one thing that happened and gives a [`Step`]: rows to commit, effects to carry out, a
//! reply. The driver of `autonomy-daemon` commits the rows and carries the effects out. The node never fails and never
//! blocks; what is wrong with an input becomes a refusal that changes nothing.
//!
//! | module | holds |
//! |---|---|
//! | `input`, `class` | all that can happen to a pod, and what a command is to the rest |
//! | `effect` | all that a pod can do to the world |
//! | `row`, `table`, `disk` | all that a pod remembers: rows, their tables and versions, numbers for the words of the API |
//! | `reply` | what it answers, and why it refuses |
//! | `turn` | one input being worked on: it routes, and decides nothing |
//! | `context`, `journal` | what parts write to: the step that grows, counters, events |
//! | `devices`, `accounts`, `payments`, `chain`, `replies` | the parts |
//! | `watch` | what a chain source looks for, and how it compares a block with that |
//! | `mail`, `mail_command`, `mail_answer` | the messenger's part, in the words of the API |
//! | `session`, `sessions` | what consumes payloads that contacts send, and the list of all such |
//! | `restore` | the node from its rows |
//!
//! A *part* owns its state: private fields, and methods that take the `context` (the moment, randomness, the step) and
//! the other parts that they have to look at. Nobody reaches into the fields of another. So whatever can change a
//! ledger stands in `accounts`, and whatever can sign with G in `payments`.

mod accounts;
mod chain;
mod class;
pub mod clock;
mod context;
mod devices;
mod disk;
mod effect;
mod events;
mod identity;
mod input;
mod journal;
mod mail;
mod mail_answer;
mod mail_command;
mod payments;
mod replies;
mod reply;
mod restore;
mod rewrite;
mod row;
mod session;
pub mod sessions;
mod step;
mod table;
mod turn;
mod watch;

use autonomy_messaging::{messenger::Messenger, provision::PodRequest};
use autonomy_wallet::bitcoin::Network;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

pub use self::sessions::{SessionAnswer, SessionCommand};
use self::{
    accounts::Accounts, chain::Chain, devices::Admission, journal::Journal, payments::Payments,
    replies::Replies, sessions::Sessions, turn::Turn,
};
pub use self::{
    accounts::{AccountRecord, Ceremony},
    chain::{KEPT_POINTS, MAX_FEE_AGE},
    class::Class,
    devices::{BadOwner, DeviceRecord, Owner, PeerAddress},
    effect::Effect,
    events::MAX_EVENTS,
    identity::Identity,
    input::{
        AddressPage, BroadcastOutcome, Caller, ChainEvent, ChainPoint, Command, FeeFloor, HistoryPage,
        IdempotencyKey, Input, Request, SourceState,
    },
    journal::{COUNTERS, Counters},
    payments::{BURIED, PAYMENTS, PaymentRecord},
    replies::{ReplyKey, StoredReply},
    reply::{Answer, NodeStatus, Refusal, Reply},
    restore::RestoreError,
    rewrite::row_kinds,
    row::{Row, RowError},
    step::Step,
    table::{Table, TableKey},
    watch::{Watch, Watched},
};
pub use autonomy_api::{CeremonyId, DeviceKey, PaymentId};
pub use autonomy_messaging::{NoRows, Rows};
pub use autonomy_wallet::account::AccountId;

/// Seconds since 1970, UTC.
pub type Timestamp = u64;

/// A pod's whole state, and the rules by which it changes.
///
/// Two are equal if they are in everything that rows hold: what a restart keeps.
#[derive(Debug, PartialEq)]
pub struct Node {
    /// Counters and events, which every part moves on.
    journal: Journal,
    /// Keys, owner, devices.
    admission: Admission,
    /// Accounts and their ledgers.
    accounts: Accounts,
    /// Drafts and payments.
    payments: Payments,
    /// What the chain source says.
    chain: Chain,
    /// Answers kept for repeats.
    replies: Replies,
    /// Contacts, messages, files, relays.
    messenger: Messenger,
    /// What consumes other payloads of contacts.
    sessions: Sessions,
}

impl Node {
    /// Takes one thing that happened. `rows` reads cold rows ([`Row::is_cold`]) by their encoded keys, as the steps
    /// before this one left them.
    pub fn handle(
        &mut self,
        now: Timestamp,
        rng: &mut dyn CryptoRngCore,
        rows: &dyn Rows,
        input: Input,
    ) -> Step {
        let mut turn = Turn::new(self, now, rng, rows);
        match input {
            Input::Request(request) => turn.request(request),
            Input::Chain(event) => turn.chain_event(event),
            Input::Broadcast(txid, outcome) => turn.broadcast_outcome(txid, outcome),
            Input::Mail(input) => turn.mail(input),
            Input::Clock { is_right } => turn.clock_judged(is_right),
            Input::Wake => {}
        }
        turn.do_what_is_due();
        turn.finish()
    }

    /// When to wake the node if nothing else happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let ends = [self.payments.next_expiry(), self.accounts.next_expiry(), self.replies.next_expiry()];
        let moves = self.admission.next_move();
        let due = [
            ends.into_iter().flatten().chain(moves).min().filter(|_| self.messenger.clock_is_right()),
            self.payments.next_broadcast(),
            self.messenger.next_wake(),
            self.sessions.next_wake(),
        ];
        due.into_iter().flatten().min()
    }

    /// The Bitcoin network.
    #[must_use]
    pub fn network(&self) -> Network {
        self.admission.identity().network()
    }

    /// What the pod is made of, for the shell that launches its services.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.admission.identity()
    }

    /// Seed of the pod key, for the TLS and libp2p identities of the shell.
    #[must_use]
    pub fn pod_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.admission.identity().pod_seed())
    }

    /// The request that a device answers with a bundle: the same each time, until new keys are drawn.
    #[must_use]
    pub fn pod_request(&self) -> PodRequest {
        self.admission.pod_request()
    }

    /// Whom the pod belongs to.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.admission.owner()
    }

    /// Contacts and their mail.
    #[must_use]
    pub fn messenger(&self) -> &Messenger {
        &self.messenger
    }
}
