//! Contacts of a pod, and how messages reach them.
//!
//! **A person is a root key**, derived with everything else from one [`AuthSeed`] of 32 bytes that is kept on
//! devices only. Contacts pin its public half ([`RootPublic`], a `did:key`). Pods and devices come and go: each
//! has a key of its own, and the root says for how long, and how far, it acts for the person
//! ([`Certificate`]). A higher epoch replaces a lower one, so a lost pod is superseded. The onion
//! addresses follow from the seed too: they survive the pod.
//!
//! **People become contacts by an invite** ([`invite`]), one line from one to the other, and exchange cards
//! ([`card`]): who the pod is, and where it is reached. A person in between is found by a number
//! they compare ([`safety`]).
//!
//! **Messages travel in layers**, each of which hides the one within:
//!
//! ```text
//! payload   what is said: text, receipt, card, file                            65,536 B at most
//! packet    parts of payloads and chunks of files, and what has arrived here   11,900 B at most
//! ratchet   encrypted for the contact and this moment (MLS, X-Wing)
//! envelope  the message, and what the contact needs to open it                 16,258 B at most
//! frame     sealed for a queue; looks like any other                           16,384 B, always
//! ```
//!
//! A frame is left in a queue at a place ([`place`], [`wire`]): the contact's own pod, or a relay. Both keep the
//! same rules ([`queue`]), and neither learns who writes to whom. Without any network frames travel as a file or as
//! QR codes ([`carrier`]).
//!
//! **What has been checked is in the type.** [`UnverifiedCertificate`] has only [`verify`], and
//! [`verify`] is the only way to a [`Certificate`] from outside. A [`PublicKey`] is a usable one. A
//! [`provision::SealedBundle`] tells nothing; the [`provision::Bundle`] that comes out of it is signed by its
//! root, sealed to this pod, and answers this request.
//!
//! **Formats are canonical.** One value has one encoding, with a version; every bit counts, sizes are bounded
//! before anything is parsed. What people carry by hand is one line of text that says what it is, so that a
//! request pasted for a bundle is called a request.
//!
//! | to | see |
//! |---|---|
//! | be somebody | [`AuthSeed`], [`RootKey`], [`RootPublic`] |
//! | derive keys of onion services and descriptors | [`AuthSeed::onion_seed`], [`AuthSeed::spare_descriptor_key`] |
//! | certify keys and check certificates | [`RootKey::certify`], [`UnverifiedCertificate`], [`Certificate`] |
//! | make a pod one's own, let a device in | [`provision`] |
//! | become contacts, keep each other's card | [`invite`], [`card`], [`vcard`], [`safety`] |
//! | say something | [`payload`], [`packet`], [`ratchet`], [`envelope`] |
//! | number, acknowledge and order what is said | [`Outbox`], [`Inbox`], [`Courier`], [`Outgoing`], [`Incoming`], [`Window`] |
//! | leave, keep and fetch frames | [`frame`], [`place`], [`wire`], [`queue`], [`lane`] |
//! | carry frames without a network | [`carrier`] |
//! | talk to a contact | [`ratchet`] |
//!
//! The crate is pure: no files, no network, and both the time (`now`: seconds since 1970, UTC) and randomness
//! are arguments; the one exception is named in [`ratchet`].
//!
//! [`verify`]: UnverifiedCertificate::verify

pub mod card;
pub mod carrier;
mod certificate;
mod courier;
pub mod envelope;
pub mod frame;
mod identity;
mod inbox;
pub mod invite;
mod keys;
pub mod lane;
pub mod messenger;
mod network;
mod outbox;
pub mod packet;
mod part;
pub mod payload;
pub mod place;
pub mod provision;
pub mod queue;
pub mod ratchet;
mod role;
mod rows;
pub mod safety;
mod transfer;
mod validity;
pub mod vcard;
mod window;
pub mod wire;

pub use autonomy_codec::{BadName, MAX_NAME_LEN, Name, SecretWriter, TextError, TextKind, is_invisible};
pub use certificate::{
    CERTIFICATE_LEN, Certificate, CertificateError, MalformedCertificate, UnverifiedCertificate,
};
pub use courier::{
    ACK_AT_ONCE, ACK_DELAY, BACK_OFF_DIRECT, BACK_OFF_RELAY, Budget, COPIES, CallOutcome, Courier,
    DIRECT_WAIT, ITEM_BYTES, MAX_CALLS, MAX_IN_FLIGHT, MAX_PARTIAL, MAX_PLACES, Pending, RELAY_WAITS,
    RelayAudit, Route, SHIPMENT_BYTES, SUSPECT_AFTER, SUSPECT_MISSING, Shipment,
};
pub use ed25519_dalek::SigningKey;
pub use identity::{AuthSeed, BadDid, OnionSeed, OnionService, RootKey, RootPublic};
pub use inbox::{Accepted, Inbox, MAX_INCARNATIONS, PartShape, PartVerdict, Released};
pub use keys::{BadKey, DescriptorPublic, DescriptorSecret, PublicKey, SealingPublic, SealingSecret};
pub use network::{Network, UnknownNetwork};
pub use outbox::{MAX_QUEUED_PARTS, Outbox, PartRef, QueueError, Settled};
pub use part::{BadRecord, Forged, MAX_MESSAGE_LEN, MAX_PART, MAX_PARTS, Origin};
pub use role::{Access, CertificateRole, RoleKind};
pub use rows::{NoRows, Rows};
pub use safety::SafetyNumber;
pub use transfer::{
    CHUNK_LEN, ChunkVerdict, FileContent, FileTooLong, Incoming, MAX_CHUNKS_UNDERWAY, MAX_EARLY_CHUNKS,
    MAX_FILE, MAX_TRANSFERS, Outgoing, TransferId,
};
pub use validity::{CLOCK_SKEW, EmptyValidity, Validity};
pub use window::{Arrival, WINDOW_BYTES, WINDOW_LEN, Window};
