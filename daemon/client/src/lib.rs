//! A device of a pod: how it reaches its pod, what it keeps, and what it refuses to believe.
//!
//! Programs use [`Device`]: a [`Profile`] (keys, account maps, all encrypted at rest) and a [`PodClient`] (typed
//! routes with bounds). Everything a pod answers is untrusted: it is bounded, parsed, compared with what the device
//! derives on its own, and refused with a [`Distrust`] where the two differ. The pod cosigns; it is never believed.
//!
//! | module | does |
//! |---|---|
//! | [`transport`] | ways to a pod: Unix socket, onion service |
//! | `connect`, `tor`, `agent` | with the feature `tor`: reaching the pod over Tor, in this process or through a background process |
//! | [`call`], [`routes`], [`sse`] | one request, all routes, the event stream, each with its limits |
//! | [`profile`] | what a device keeps |
//! | [`provision`] | how a device gets its pod, and lets others in |
//! | [`device`] | status, accounts, receive addresses, compared |
//! | [`ceremony`], [`decks`] | the making of an account |
//! | `adoption` | an account map taken from the pod, after a device was lost |
//! | [`payment`] | drafts checked |
//! | [`approval`] | approved, signed, and found again when an answer gets lost |
//! | [`mailbox`] | contacts, messages, relays, held against the rules |
//! | [`distrust`] | what is refused, and why |
//! | [`files`] | files that are whole or absent |

mod adoption;
#[cfg(feature = "tor")]
pub mod agent;
pub mod approval;
pub mod call;
pub mod ceremony;
#[cfg(feature = "tor")]
pub mod connect;
pub mod decks;
pub mod device;
pub mod distrust;
pub mod files;
pub mod mailbox;
pub mod payment;
pub mod profile;
pub mod provision;
pub mod routes;
pub mod sse;
#[cfg(feature = "tor")]
pub mod tor;
pub mod transport;

pub use approval::Paid;
pub use call::{CallError, harmless, printable};
pub use ceremony::{AccountWish, NewAccount};
#[cfg(feature = "tor")]
pub use connect::{ConnectError, LinkSettings};
pub use device::{Device, DeviceError, ListedAccount};
pub use distrust::Distrust;
pub use mailbox::{FileError as MailFileError, Mailbox, Wait};
pub use payment::CheckedDraft;
pub use profile::{MapRefusal, Profile, ProfileError, Unsettled};
pub use provision::ProvisionError;
pub use routes::PodClient;
pub use sse::EventStream;
pub use transport::Transport;
