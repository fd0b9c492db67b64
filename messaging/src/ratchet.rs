//! A running encrypted conversation with one contact: an MLS group (RFC 9420, by openmls) of two members.
//!
//! ```text
//! inviter  ── key package, PSK (invite) ──►  redeemer     OwnKeyPackage → PeerKeyPackage
//! inviter  ◄── welcome, message ───────────  redeemer     Session::create: epoch 1, redeemer is the creator
//! inviter  ── commit, message ────────────►  redeemer     Session::join; epoch 2
//! inviter  ◄── commit, message ────────────  redeemer     epoch 3, and so on
//! ```
//!
//! **The suite is hybrid.** X-Wing (X25519 and ML-KEM-768), ChaCha20-Poly1305, SHA-256, Ed25519; code point
//! 0x004D of the IETF draft. The key of the invite enters the first commit as an external pre-shared key: who
//! did not see the invite can neither join nor be joined, whatever becomes of the curves.
//!
//! **Epoch parity says who may commit**: the creator in even epochs, the joiner in odd ones. Two commits never
//! compete, so nobody has to order them. A member commits when it is its turn and the other has been heard in
//! this epoch; it moves on at once, and the commit rides along with every message until the other is heard in
//! the new epoch. Each commit renews the committer's key: forward secrecy and healing, once each time the
//! direction of the talk changes. There are no proposals apart from commits, and none in them.
//!
//! **Messages may be lost, repeated and reordered**: 256 messages within an epoch, and 8 epochs. What is older
//! is [`OpenError::TooOld`], what came before is [`OpenError::Repeat`], and what is of an epoch whose commit is
//! missing is [`OpenError::Ahead`]: it is to be held, or forgotten and sent again.
//!
//! **What is refused changes nothing**; a commit counts only together with the message it came with.
//!
//! **State.** [`Session::take_changes`] gives the pages that changed, [`Session::load`] reads them back; they
//! must be stored before a message made with them is sent. A copy of an older state must never be used to send
//! (a backup holds key packages, not sessions): start anew with [`Session::create`].
//!
//! Randomness is an argument, but for what the provider of the primitives (libcrux) draws inside itself for a
//! KEM: that comes from the operating system. No clock decides anything here; openmls notes in an epoch's
//! secrets when they were made, and nothing reads it.
//!
//! # What openmls is trusted with, and what not
//!
//! Encryption, signatures, the key schedule and the order of operations are openmls'. Everything that makes a group
//! *ours* is checked here after each step: two members at leaves 0 and 1, our suite, one pre-shared key in the first
//! commit, commits that renew the sender's leaf and nothing else, whose turn it is. A commit that openmls takes and
//! these rules do not is rolled back.

mod errors;
mod key_package;
mod pages;
mod provider;
mod session;
mod storage;
mod version;

use std::fmt;

pub use errors::{CreateError, JoinError, KeyPackageError, LoadError, OpenError, SealError};
pub use key_package::{MAX_IDENTITY, OwnKeyPackage, PeerKeyPackage};
pub use pages::Changes;
pub(crate) use pages::{check_page, leftover_keys};
pub use session::{Sealed, Session};

use openmls::prelude::{Ciphersuite, MlsGroupJoinConfig, SenderRatchetConfiguration};
use zeroize::Zeroizing;

/// The one suite. Another means another protocol version of invites and cards.
const SUITE: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;

/// A key package: two X-Wing keys of 1,216 bytes, the rest is names, a signature key and two signatures.
pub const MAX_KEY_PACKAGE: usize = 2_816;
/// A Welcome with its tree of two leaves.
pub const MAX_WELCOME: usize = 4_608;
/// A commit: a leaf and a path of one node, of 1,216 bytes each, and a ciphertext of 1,120.
pub const MAX_COMMIT: usize = 4_100;
/// The longest plaintext: with its overhead and without a commit it fills a frame.
pub const MAX_PLAINTEXT: usize = 16_000;
/// What sealing adds at most: group id, epoch, sender, signature of 64 bytes, two tags.
pub const OVERHEAD: usize = 160;

/// How many epochs back a message still opens. With parity an epoch is one turn of the talk.
///
/// Keys of those epochs are kept for late messages, and deleted as new epochs begin: forward secrecy reaches back
/// eight turns.
const PAST_EPOCHS: usize = 8;
/// How far a message may be behind the newest of its epoch.
///
/// As many as a window: what the contact may have in flight. The keys are kept, 48 B each.
const LATE_MESSAGES: u32 = 256;
/// How many messages in a row may be lost.
///
/// Each lost message costs a derivation when a later one is opened: at most 4,000 hashes, some milliseconds. A jump
/// beyond is [`OpenError::Ahead`].
const LOST_MESSAGES: u32 = 4_000;

/// Which group with a contact: a new one is begun when a state was lost. The id of the MLS group, random.
///
/// It names the sequence that message numbers count in: numbers of two groups are never compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub [u8; 16]);

/// What both sides know beforehand: from an invite, or agreed earlier. Wiped when dropped, never printed.
///
/// It enters a group's first commit as an external pre-shared key (RFC 9420, section 8.4), so that a group cannot be
/// joined without it, even by somebody who breaks the key exchange of the suite.
#[derive(Clone)]
pub struct Psk(Zeroizing<[u8; 32]>);

impl Psk {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The 32 bytes, to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(..)")
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// The configuration of every group. Everything is encrypted (also commits); frames are padded, so messages are
/// not.
///
/// The program's own, so it is never read from a store: a change of it holds for groups that exist.
fn configuration() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .max_past_epochs(PAST_EPOCHS)
        .sender_ratchet_configuration(SenderRatchetConfiguration::new(LATE_MESSAGES, LOST_MESSAGES))
        .build()
}
