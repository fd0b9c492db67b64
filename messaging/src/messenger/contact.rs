//! One contact: who it is, its queues, and how the conversation stands.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Timestamp, deliver::ItemKey, files::FileRecord};
use crate::{
    Certificate, RoleKind, RootPublic, TransferId, UnverifiedCertificate,
    card::Card,
    courier::{Courier, RelayAudit},
    frame::QueueKey,
    inbox::Inbox,
    outbox::Outbox,
    place::{Capability, PLACE_LEN, Place, QueueAddress, QueueId},
    ratchet::Session,
};

/// Names a contact: the first 16 bytes of SHA-256 of a label and their root key. One person, one contact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContactId(pub [u8; 16]);

/// How it stands between us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContactState {
    /// We redeemed their invite; they have not confirmed us yet.
    Joining,
    /// They redeemed our invite; we have not confirmed them yet.
    Asking,
    /// Messages go both ways.
    Active,
    /// Blocked by the owner: our queues for them are closed.
    Blocked,
    /// Known by an imported card, and nothing more.
    Known,
}

/// Resets of a contact that are remembered: it makes one when its pod was restored from a backup, so these are years.
pub(super) const MAX_RESETS: usize = 16;

/// Who wrote an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// The contact.
    Incoming,
    /// The owner.
    Outgoing,
}

/// How an entry of a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryState {
    /// On its way.
    Queued,
    /// Safe at the contact's pod since then.
    Delivered(Timestamp),
    /// Given up then; it may or may not have arrived.
    Expired(Timestamp),
    /// It arrived.
    Received,
}

/// What is remembered of a contact. Changes rarely.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct ContactRecord {
    #[zeroize(skip)]
    pub(super) state: ContactState,
    pub(super) root: [u8; 32],
    /// What the owner calls them; empty until they do or a card came.
    pub(super) name: String,
    pub(super) verified: bool,
    pub(super) created_at: Timestamp,
    /// Own key package for this contact, with its private parts.
    pub(super) own_package: Vec<u8>,
    /// Their signed card, checked when it came.
    pub(super) card: Vec<u8>,
    /// Version of our last card to them.
    pub(super) card_version: u32,
    /// What that card said, so that the next is sent only if it says something else.
    pub(super) card_digest: [u8; 32],
    /// Opens what they seal to us, and seals what we send.
    pub(super) keys: Option<PairKeys>,
    /// What the names of our queues for them come from, and the rights to them; all zero until the first is made.
    pub(super) queue_seed: [u8; 32],
    /// Our queues for them.
    #[zeroize(skip)]
    pub(super) queues: Vec<OwnQueue>,
    /// The newest generation of the group that was accepted or made.
    pub(super) generation: u64,
    /// The invite they redeemed, until they are heard from after they were confirmed.
    #[zeroize(skip)]
    pub(super) invite: Option<super::InviteId>,
    /// The invite we redeem, while state is `Joining`.
    #[zeroize(skip)]
    pub(super) joining: Option<super::redemption::Joining>,
    /// A new group of ours that they have not answered yet.
    #[zeroize(skip)]
    pub(super) pending_reset: Option<Vec<u8>>,
    /// Longest file taken from them, bytes.
    pub(super) file_limit: u64,
    /// What the owner noted about them; empty if nothing.
    pub(super) note: String,
    /// The owner put them on record before there was anything else between us: that stays when an invite leads nowhere.
    pub(super) on_record: bool,
    /// The certificate of their pod in the newest reset; the one in their card may be newer.
    pub(super) certificate: Vec<u8>,
    /// Generations of their resets that had an effect, the newest last, at most [`MAX_RESETS`]: a replay has none.
    pub(super) resets: Vec<u64>,
}

/// Keys that last as long as the contact: they come from the first group, and are in backups.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct PairKeys {
    pub(super) seal_in: [u8; 32],
    pub(super) seal_out: [u8; 32],
    pub(super) reset_psk: [u8; 32],
}

/// A queue of ours for one contact at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnQueue {
    #[serde(with = "place_bytes")]
    pub(super) place: Place,
    id: [u8; 32],
    deposit: [u8; 32],
    collect: [u8; 32],
    pub(super) state: QueueState,
}

/// Whether a place has made a queue of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum QueueState {
    /// Not yet.
    New,
    /// It has, and gives out what comes.
    Open,
    /// It had, until the contact was blocked. The queue is made again under its name: so the address that the contact
    /// knows leads to us again, whatever became of theirs meanwhile. What the place took before is not held against it.
    Closed,
}

/// How a conversation stands. Changes with every message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ThreadRecord {
    /// Number of the next entry; entries count from 0.
    pub(super) next_entry: u64,
    /// Incoming entries before this one were read.
    pub(super) read_to: u64,
    /// Incoming entries from there on.
    pub(super) unread: u32,
    /// When something last arrived.
    pub(super) heard_at: Option<Timestamp>,
    /// The inbox.
    pub(super) inbox: Vec<u8>,
    /// The outbox, but for the messages in it.
    pub(super) outbox: Vec<u8>,
    /// For our queues at relays: frames that they say were taken there, and frames we collected there.
    pub(super) counts: Vec<([u8; 32], u32, u32)>,
}

/// A contact in memory.
pub(super) struct Contact {
    pub(super) record: ContactRecord,
    pub(super) thread: ThreadRecord,
    pub(super) outbox: Outbox,
    pub(super) inbox: Inbox,
    /// When the messages in the outbox were queued, but for those given up.
    pub(super) queued_at: BTreeMap<u64, Timestamp>,
    /// Files to and from them.
    pub(super) files: BTreeMap<TransferId, FileRecord>,
    /// Their card, read from the record.
    pub(super) card: Option<Card>,
    pub(super) volatile: ContactVolatile,
}

/// What of a contact is true only now.
pub(super) struct ContactVolatile {
    pub(super) courier: Courier<ItemKey>,
    /// The group, while it is in use: written through, so it may be dropped at any time.
    pub(super) session: Option<Box<Session>>,
    /// When this contact is to be looked at next.
    pub(super) wake: Option<Timestamp>,
    /// Files of which chunks came lately, the newest last: their receipts ride along.
    pub(super) chunks_from: VecDeque<TransferId>,
    /// Chunks of files that nobody offered: since when.
    pub(super) stray_chunks: BTreeMap<TransferId, Timestamp>,
    /// Frames in a row that could not be opened, and since when.
    pub(super) unreadable: Option<(Timestamp, u32)>,
    /// When queues that are not open yet are asked for again.
    pub(super) open_at: Timestamp,
    pub(super) open_tries: u32,
    /// Queues being opened.
    pub(super) opening: u32,
    /// Queues that their places have lost: to be opened again under the same names.
    pub(super) lost: BTreeSet<QueueId>,
    /// What they say our relays took, against what we collected there.
    pub(super) audits: BTreeMap<QueueId, RelayAudit>,
    /// Whether our card for them was looked at since something in it may have changed.
    pub(super) card_checked: bool,
    /// The hello or reset that waits for their answer.
    pub(super) first_flight: FirstFlight,
    /// When we last answered a stale reset with one of our own.
    pub(super) last_reset: Timestamp,
}

/// The repeated sending of what stands at the beginning: an invite, a hello, a reset.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstFlight {
    pub(super) in_flight: u32,
    pub(super) due: Timestamp,
    pub(super) tries: u32,
    /// Whether a place took it this time.
    pub(super) left: bool,
}

/// Pause before a place that did not answer is asked again, seconds; doubled each time.
const FIRST_PAUSE: u64 = 2;
const LONGEST_PAUSE: u64 = 300;

impl FirstFlight {
    /// No place took it: later again.
    pub(super) fn put_off(&mut self, now: Timestamp) {
        self.due = now + (FIRST_PAUSE << self.tries.min(8)).min(LONGEST_PAUSE);
        self.tries += 1;
    }
}

impl ContactId {
    /// The contact that this person is.
    #[must_use]
    pub fn of(root: &RootPublic) -> Self {
        let digest =
            Sha256::new().chain_update("autonomy contact v1\0").chain_update(root.as_bytes()).finalize();
        Self(*digest.first_chunk().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Debug for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContactId({:02x}{:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

impl ContactRecord {
    pub(super) fn root(&self) -> RootPublic {
        RootPublic::from_bytes(&self.root).expect("checked when the record was made or read")
    }

    /// A reset of theirs had an effect.
    pub(super) fn note_reset(&mut self, generation: u64) {
        if self.resets.len() == MAX_RESETS {
            self.resets.remove(0);
        }
        self.resets.push(generation);
    }
}

impl Contact {
    /// The newest certificate of their pod that we have seen.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        let of_card = self.card.as_ref().map(|card| *card.certificate());
        let of_reset = UnverifiedCertificate::parse(&self.record.certificate).ok();
        let of_reset = of_reset.and_then(|it| it.verify_kept(&self.record.root(), RoleKind::Pod).ok());
        of_card.into_iter().chain(of_reset).max_by_key(Certificate::epoch)
    }

    /// Whether a card says something newer than the one we have.
    pub(super) fn is_newer(&self, card: &Card) -> bool {
        self.card.as_ref().is_none_or(|known| card.version() > known.version())
    }

    /// Whether a certificate may stand where the newest one stands.
    pub(super) fn accepts(&self, certificate: &Certificate) -> bool {
        self.certificate().is_none_or(|newest| certificate.replaces(&newest).is_ok())
    }
}

impl PairKeys {
    pub(super) fn opens(&self) -> QueueKey {
        QueueKey::from_bytes(self.seal_in)
    }

    pub(super) fn seals(&self) -> QueueKey {
        QueueKey::from_bytes(self.seal_out)
    }
}

impl OwnQueue {
    /// A queue under a name that is drawn anew.
    pub(super) fn generate(place: Place, at_home: bool, rng: &mut dyn rand_core::CryptoRngCore) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut_slice());
        Self::derive(&seed, place, at_home)
    }

    /// The queue of one contact at a place: the same whenever it is made. A relay that comes back into use, and a pod that
    /// comes back from a backup, have it under the name that the contact knows.
    pub(super) fn derive(seed: &[u8; 32], place: Place, at_home: bool) -> Self {
        let at = HEXLOWER.encode(&place.to_bytes());
        let draw = |what: &str| *QueueKey::derive(seed, &format!("{what} at {at}")).as_bytes();
        let state = if at_home { QueueState::Open } else { QueueState::New };
        Self { place, id: draw("queue"), deposit: draw("deposit"), collect: draw("collect"), state }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == QueueState::Open
    }

    pub(super) fn id(&self) -> QueueId {
        QueueId::from_bytes(self.id)
    }

    pub(super) fn deposit(&self) -> Capability {
        Capability::from_bytes(self.deposit)
    }

    pub(super) fn collect(&self) -> Capability {
        Capability::from_bytes(self.collect)
    }

    pub(super) fn address(&self) -> QueueAddress {
        QueueAddress { place: self.place, queue: self.id(), deposit: self.deposit() }
    }
}

/// A place within a row.
pub(super) mod place_bytes {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::{PLACE_LEN, Place};

    pub(crate) fn serialize<S: Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
        place.to_bytes().as_slice().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Place, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let bytes: &[u8; PLACE_LEN] =
            bytes.as_slice().try_into().map_err(|_| D::Error::custom("a place has 64 bytes"))?;
        Place::from_bytes(bytes).ok_or_else(|| D::Error::custom("not a place"))
    }
}

impl fmt::Debug for ContactRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContactRecord")
            .field("state", &self.state)
            .field("name", &self.name)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact")
            .field("record", &self.record)
            .field("thread", &self.thread)
            .finish_non_exhaustive()
    }
}
