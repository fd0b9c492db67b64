//! Answers kept by idempotency key, so that a repeat after a lost connection is answered and not done again.
//!
//! A key is a caller's own: two devices may use the same one. Under a key stands one request; another under the same key is
//! refused, since its sender would take the answer to the first for its own. An answer goes after a day, or when its caller
//! has made 256 newer requests of its [`Class`]; a repeat that comes later is done again. Where several programs of a
//! caller ask, the one with the most answers loses its oldest: none pushes out what another relies on.
//!
//! Which answer is older says a number that only grows, and no clock: seconds are shared by many requests, and clocks are
//! set back.

use std::{collections::BTreeMap, fmt};

use autonomy_api::MAX_KEY_LEN;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    Class, Command, Timestamp, disk,
    input::{Caller, IdempotencyKey},
    reply::{Answer, Refusal},
    row::{Row, tag},
    table::{Held, Restore, Table, TableKey},
};

/// How long an answer is kept, seconds: a day covers a device that slept through the night.
const KEEP_SECONDS: u64 = 24 * 60 * 60;
/// Answers of one class kept for one caller; the oldest goes first. Three classes of 256 answers of a typical kilobyte are
/// 768 kB a device.
const MAX_PER_CLASS: usize = 256;

/// Answers by idempotency key.
pub(crate) static REPLIES: Table<ReplyKey, StoredReply> = Table::new(tag::REPLY);

/// Who used which key: the first 16 bytes of SHA-256 of the caller, and of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyKey {
    caller: [u8; 16],
    key: [u8; 16],
}

/// An answer as it was given.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredReply {
    /// SHA-256 of the request.
    request: [u8; 32],
    /// When it was given.
    at: Timestamp,
    /// Higher than those of all answers given before; 0 in rows of releases that counted none.
    #[serde(default)]
    number: u64,
    /// What a repeat would do.
    #[serde(default)]
    class: Class,
    /// The first 8 bytes of SHA-256 of the program's name.
    #[serde(default)]
    app: [u8; 8],
    /// What was answered, as [`Answer::to_bytes`] wrote it: later versions of the API need not know its shape. It may hold a
    /// secret, such as an invite's text, and is wiped when it is dropped.
    #[serde(with = "disk::secret_bytes")]
    answer: Zeroizing<Vec<u8>>,
}

/// What an answer is kept under, besides its caller's key.
pub(super) struct Kept {
    pub(super) key: ReplyKey,
    /// SHA-256 of the request.
    pub(super) request: [u8; 32],
    class: Class,
    app: [u8; 8],
}

impl Kept {
    /// Where the answer to this command belongs.
    ///
    /// # Errors
    /// As [`ReplyKey::new`].
    pub(super) fn new(caller: Caller, given: &IdempotencyKey, command: &Command) -> Result<Self, Refusal> {
        let IdempotencyKey { key, request, app } = given;
        let mut short = [0; 8];
        short.copy_from_slice(&Sha256::digest(app.as_bytes())[..8]);
        Ok(Self { key: ReplyKey::new(caller, key)?, request: *request, class: command.class(), app: short })
    }
}

/// All answers that are kept.
#[derive(Debug, PartialEq)]
pub(super) struct Replies(Held<ReplyKey, StoredReply>);

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
}

impl TableKey for ReplyKey {
    fn to_bytes(&self) -> Vec<u8> {
        [self.caller, self.key].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let malformed = || format!("its key has {} bytes in place of 32", bytes.len());
        let (caller, key) = bytes.split_first_chunk::<16>().ok_or_else(malformed)?;
        Ok(Self { caller: *caller, key: key.try_into().map_err(|_| malformed())? })
    }
}

impl StoredReply {
    /// An answer of another version is not guessed at, and the command not done again.
    fn read(&self) -> Result<Answer, Refusal> {
        Answer::from_bytes(&self.answer).ok_or_else(|| {
            let detail = "this request was carried out by another version of the program; look at what came of it, and \
                          use a fresh Idempotency-Key for a new one";
            Refusal::Conflict(detail.into())
        })
    }
}

impl fmt::Debug for StoredReply {
    /// Of the answer only its length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredReply")
            .field("at", &self.at)
            .field("bytes", &self.answer.len())
            .finish_non_exhaustive()
    }
}

impl Default for Replies {
    fn default() -> Self {
        Self(Held::new(&REPLIES))
    }
}

impl Replies {
    /// What of it is restored row by row.
    pub(super) fn tables(&mut self) -> [&mut dyn Restore; 1] {
        [&mut self.0]
    }

    /// The answer given before, if `request` (its SHA-256) under `key` is a repeat.
    ///
    /// # Errors
    /// The key was used for another request, or another version of the program kept the answer.
    pub(super) fn find(&self, key: ReplyKey, request: &[u8; 32]) -> Result<Option<Answer>, Refusal> {
        match self.0.get(&key) {
            None => Ok(None),
            Some(stored) if stored.request == *request => stored.read().map(Some),
            Some(_) => Err(Refusal::KeyReused),
        }
    }

    /// Rows that keep `answer`, and let go of what is over the bound for this caller.
    ///
    /// Of a payment only what names it is kept: its draft has megabytes, and a repeat is answered with the payment as
    /// it stands then.
    pub(super) fn keep(&mut self, kept: Kept, answer: &Answer, now: Timestamp) -> Vec<Row> {
        let Kept { key, request, class, app } = kept;
        let mut answer = answer.clone();
        if let Answer::Payment(payment) = &mut answer {
            payment.psbt = None;
        }
        let number = self.0.values().map(|stored| stored.number).max().unwrap_or_default() + 1;
        let stored = StoredReply { request, at: now, number, class, app, answer: answer.to_bytes() };
        let mut rows = vec![self.0.put(key, stored)];
        rows.extend(self.surplus(key, class).map(|oldest| self.0.remove(&oldest)));
        rows
    }

    /// Where a caller has one answer of a class more than is kept: the oldest of the program with the most, other than
    /// the one just given.
    fn surplus(&self, given: ReplyKey, class: Class) -> Option<ReplyKey> {
        let ReplyKey { caller, .. } = given;
        let of_caller =
            self.0.range(ReplyKey { caller, key: [0; 16] }..=ReplyKey { caller, key: [0xff; 16] });
        let of_class: Vec<_> = of_caller.filter(|(_, stored)| stored.class == class).collect();
        if of_class.len() <= MAX_PER_CLASS {
            return None;
        }
        let mut of_app = BTreeMap::<[u8; 8], usize>::new();
        of_class.iter().for_each(|(_, stored)| *of_app.entry(stored.app).or_default() += 1);
        let (busiest, _) = of_app.into_iter().max_by_key(|(_, answers)| *answers)?;
        let of_busiest = of_class.into_iter().filter(|(key, stored)| stored.app == busiest && **key != given);
        of_busiest.min_by_key(|(_, stored)| (stored.number, stored.at)).map(|(key, _)| *key)
    }

    /// Rows that let go of what is too old, and of what a clock that was ahead by more than a day has dated.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Row> {
        let old = |stored: &StoredReply| now.abs_diff(stored.at) > KEEP_SECONDS;
        let old: Vec<ReplyKey> =
            self.0.iter().filter(|(_, stored)| old(stored)).map(|(key, _)| *key).collect();
        old.iter().map(|key| self.0.remove(key)).collect()
    }

    /// When the next answer becomes too old; none while there is none.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.0.values().map(|stored| stored.at.saturating_add(KEEP_SECONDS + 1)).min()
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

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; 32] = [1; 32];

    fn kept(answer: &Answer) -> (Replies, ReplyKey) {
        let given = IdempotencyKey { key: "a-key".into(), request: REQUEST, app: String::new() };
        let kept = Kept::new(Caller::Owner, &given, &Command::Status).unwrap();
        let (mut replies, key) = (Replies::default(), kept.key);
        let _rows = replies.keep(kept, answer, 100);
        (replies, key)
    }

    #[test]
    fn a_repeat_gets_the_answer_that_was_kept() {
        let (replies, key) = kept(&Answer::Done);
        assert_eq!(replies.find(key, &REQUEST).unwrap(), Some(Answer::Done));
        assert!(matches!(replies.find(key, &[2; 32]), Err(Refusal::KeyReused)));
        let other = ReplyKey::new(Caller::Owner, "another").unwrap();
        assert_eq!(replies.find(other, &REQUEST).unwrap(), None);
    }

    #[test]
    fn debug_shows_nothing_of_a_kept_answer() {
        let (replies, key) = kept(&Answer::Card("secret".into()));
        let stored = &replies.0[&key];
        let bytes = stored.answer.len();
        assert_eq!(format!("{stored:?}"), format!("StoredReply {{ at: 100, bytes: {bytes}, .. }}"));
    }

    /// As another version of the program keeps an answer: in a shape that this one does not know.
    #[test]
    fn a_repeat_of_an_unreadable_answer_is_a_conflict() {
        let (mut replies, key) = kept(&Answer::Done);
        for answer in [vec![], vec![0xff], [&replies.0[&key].answer[..], &[0]].concat()] {
            let stored = StoredReply { answer: answer.into(), ..replies.0[&key].clone() };
            let _row = replies.0.put(key, stored);
            let refusal = replies.find(key, &REQUEST).unwrap_err();
            assert!(
                matches!(&refusal, Refusal::Conflict(why) if why.contains("fresh Idempotency-Key")),
                "{refusal}"
            );
            assert!(
                matches!(replies.find(key, &[2; 32]), Err(Refusal::KeyReused)),
                "the request is known all the same"
            );
        }
    }
}
