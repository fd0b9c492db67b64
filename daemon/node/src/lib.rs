//! The mind of a pod, without a body: no socket, no file, no clock, no randomness of its own.
//!
//! [`Node::handle`] takes one thing that happened and gives a [`Step`]: rows to commit, effects to carry out, a
//! reply. The driver of `autonomy-daemon` is the body. The node never fails and never blocks; what is wrong with an
//! input becomes a refusal that changes nothing.
//!
//! | module | holds |
//! |---|---|
//! | `input` | all that can happen to a pod |
//! | `effect` | all that a pod can do to the world |
//! | `row`, `table`, `disk` | all that a pod remembers: rows, their tables and versions, numbers for the words of the API |
//! | `restore`, `rewrite` | a node from its rows; rows of any version in the present one |
//! | `reply` | what it answers, and why it refuses |
//! | `turn` | one input being worked on |
//! | `devices`, `accounts`, `payments`, `chain` | the commands and events of each |
//! | `watch` | what a chain source looks for, and how it compares a block with that |
//! | `mail_command`, `mail_answer` | the messenger's part, in the words of the API |
//! | `events`, `replies` | the last events; answers kept for repeats |

mod accounts;
mod chain;
mod devices;
mod disk;
mod effect;
mod events;
mod identity;
mod input;
mod mail;
mod mail_answer;
mod mail_command;
mod payments;
mod replies;
mod reply;
mod restore;
mod rewrite;
mod row;
mod sending;
mod step;
mod table;
mod turn;
mod watch;

use std::collections::BTreeMap;

use autonomy_messaging::messenger::Messenger;
use rand_core::CryptoRngCore;

use self::{
    accounts::Account,
    chain::Chain,
    events::Events,
    replies::Replies,
    table::{Held, Single},
    turn::Turn,
};
pub use self::{
    accounts::{AccountRecord, Ceremony},
    chain::KEPT_POINTS,
    devices::{DeviceRecord, Owner},
    effect::Effect,
    events::MAX_EVENTS,
    identity::Identity,
    input::{
        BroadcastOutcome, Caller, ChainEvent, ChainPoint, Command, HistoryPage, IdempotencyKey, Input,
        Request, SourceState,
    },
    payments::{PAYMENTS, PaymentRecord},
    replies::{ReplyKey, StoredReply},
    reply::{Answer, NodeStatus, Refusal, Reply},
    restore::RestoreError,
    rewrite::row_kinds,
    row::{Row, RowError},
    step::Step,
    table::{Table, TableKey},
    turn::{COUNTERS, Counters},
    watch::{Watch, Watched},
};
pub use autonomy_api::{CeremonyId, DeviceKey, PaymentId};
pub use autonomy_messaging::{NoRows, Rows};
pub use autonomy_wallet::account::AccountId;

/// Seconds since 1970, UTC.
pub type Timestamp = u64;

/// A pod's whole state, and the rules by which it changes.
#[derive(Debug)]
pub struct Node {
    identity: Single<Identity>,
    owner: Single<Option<Owner>>,
    counters: Single<Counters>,
    chain: Chain,
    devices: Held<DeviceKey, DeviceRecord>,
    ceremonies: Held<CeremonyId, Ceremony>,
    accounts: BTreeMap<AccountId, Account>,
    payments: Held<PaymentId, PaymentRecord>,
    events: Events,
    replies: Replies,
    messenger: Messenger,
    /// Not in rows: learnt anew after a start.
    outside: Outside,
}

/// What is true only now, and is learnt anew after a start.
#[derive(Debug)]
struct Outside {
    last_broadcast: Timestamp,
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
            Input::Mail(input) => drop(turn.mail(input)),
            Input::Wake => {}
        }
        turn.do_what_is_due();
        turn.finish()
    }

    /// When to wake the node if nothing else happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let drafts = self.payments.values().filter_map(PaymentRecord::expires_at);
        let ceremonies = self.ceremonies.values().map(Ceremony::expires_at);
        let others = [self.replies.next_expiry(), self.next_broadcast(), self.messenger.next_wake()];
        drafts.chain(ceremonies).chain(others.into_iter().flatten()).min()
    }

    /// What the pod is made of, for the shell that launches its services.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whom the pod belongs to.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }
}
