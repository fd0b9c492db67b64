//! Answers kept by idempotency key, so that a repeat after a lost connection is answered and not done again.

use std::collections::BTreeMap;

use autonomy_api::MAX_KEY_LEN;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Timestamp,
    input::{Caller, Command},
    reply::{Answer, Refusal},
    row::Row,
};

/// How long an answer is kept, seconds: a day covers a device that slept through the night.
const KEEP_SECONDS: u64 = 24 * 60 * 60;
/// Answers kept for one caller; the oldest goes first. 256 answers of a typical kilobyte are 256 kB a device.
const MAX_PER_CALLER: usize = 256;

/// Who used which key: the first 16 bytes of SHA-256 of the caller, and of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyKey {
    caller: [u8; 16],
    key: [u8; 16],
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredReply {
    /// SHA-256 of the command.
    command: [u8; 32],
    /// When it was given.
    at: Timestamp,
    /// What was answered.
    answer: Answer,
}

/// All answers that are kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Replies(BTreeMap<ReplyKey, StoredReply>);

impl ReplyKey {
    /// Names a use of `key` by `caller`.
    ///
    /// # Errors
    /// Refuses a key that is empty, too long, or not printable ASCII.
    pub(super) fn new(caller: Caller, key: &str) -> Result<Self, Refusal> {
        if key.is_empty() || key.len() > MAX_KEY_LEN || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::invalid(
                "Idempotency-Key",
                format!("1 to {MAX_KEY_LEN} printable characters"),
            ));
        }
        Ok(Self { caller: caller_digest(caller), key: short_digest(key.as_bytes()) })
    }

    /// The bytes in a row's key.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.caller);
        bytes[16..].copy_from_slice(&self.key);
        bytes
    }

    /// Reads [`ReplyKey::to_bytes`].
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (caller, key) = bytes.split_first_chunk::<16>()?;
        Some(Self { caller: *caller, key: key.try_into().ok()? })
    }
}

impl Replies {
    /// The answer given before, if `command` under `key` is a repeat.
    ///
    /// # Errors
    /// The key was used for another command.
    pub(super) fn find(&self, key: ReplyKey, command: &Command) -> Result<Option<Answer>, Refusal> {
        match self.0.get(&key) {
            None => Ok(None),
            Some(stored) if stored.command == command_digest(command) => Ok(Some(stored.answer.clone())),
            Some(_) => Err(Refusal::KeyReused),
        }
    }

    /// Rows that keep `answer`, and let go of what is over the bound for this caller.
    ///
    /// Of a payment only what names it is kept: its draft has megabytes, and a repeat is answered with the payment as
    /// it stands then.
    pub(super) fn keep(&self, key: ReplyKey, command: &Command, answer: &Answer, now: Timestamp) -> Vec<Row> {
        let mut answer = answer.clone();
        if let Answer::Payment(payment) = &mut answer {
            payment.psbt = None;
        }
        let stored = StoredReply { command: command_digest(command), at: now, answer };
        let mut rows = vec![Row::Reply(key, Some(stored))];
        let mut of_caller: Vec<_> =
            self.0.iter().filter(|(other, _)| other.caller == key.caller && **other != key).collect();
        if of_caller.len() >= MAX_PER_CALLER {
            of_caller.sort_by_key(|(_, stored)| stored.at);
            let surplus = of_caller.len() + 1 - MAX_PER_CALLER;
            rows.extend(of_caller.iter().take(surplus).map(|(key, _)| Row::Reply(**key, None)));
        }
        rows
    }

    /// Rows that let go of what is too old.
    pub(super) fn expire(&self, now: Timestamp) -> Vec<Row> {
        let old = |stored: &StoredReply| now.saturating_sub(stored.at) > KEEP_SECONDS;
        self.0.iter().filter(|(_, stored)| old(stored)).map(|(key, _)| Row::Reply(*key, None)).collect()
    }

    /// When the next answer becomes too old.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.0.values().map(|stored| stored.at.saturating_add(KEEP_SECONDS + 1)).min()
    }

    pub(super) fn apply(&mut self, key: ReplyKey, value: Option<&StoredReply>) {
        match value {
            Some(value) => drop(self.0.insert(key, value.clone())),
            None => drop(self.0.remove(&key)),
        }
    }
}

fn caller_digest(caller: Caller) -> [u8; 16] {
    match caller {
        Caller::Owner => short_digest(b"owner"),
        Caller::Device(key) => short_digest(&key.0),
    }
}

fn short_digest(bytes: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(bytes);
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

fn command_digest(command: &Command) -> [u8; 32] {
    let mut bytes = Vec::new();
    ciborium::into_writer(command, &mut bytes)
        .expect("commands are plain data, and a vector takes every byte");
    Sha256::digest(&bytes).into()
}
