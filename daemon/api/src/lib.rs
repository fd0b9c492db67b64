//! The types of the app API: what a device sends to its pod, and what it gets back. No server, no client.
//!
//! | module | holds |
//! |---|---|
//! | [`bounds`] | the largest bodies and keys that a pod takes |
//! | [`id`](Id) | names of things: fixed-size byte strings in hexadecimal |
//! | [`written`](Written) | fields that are text in JSON and have a type here |
//! | [`place`] | where messages are left, as people write it |
//! | [`offer`](offer_message) | what the pod key signs when it offers a key for an account |
//! | [`endpoint`](Exchange) | requests that know their route and the rules of their answer |
//! | `pod`, `device`, `money`, `contact`, `card`, `message`, `file`, `mail`, `event` | requests and answers |
//! | `problem` | errors as `application/problem+json` (RFC 9457) |
//!
//! Every amount is in satoshi, every time in seconds since 1970 (UTC), every key and id in lower-case
//! hexadecimal unless said otherwise. Requests refuse unknown fields: a misspelt limit must not be ignored.

pub mod bounds;
mod card;
mod contact;
mod device;
mod endpoint;
mod event;
mod file;
mod id;
mod mail;
mod message;
mod money;
mod offer;
pub mod place;
mod pod;
mod private;
mod problem;
mod written;

pub use self::{
    bounds::*,
    card::*,
    contact::*,
    device::*,
    endpoint::{BrokenRule, Exchange, Method},
    event::*,
    file::*,
    id::*,
    mail::*,
    message::*,
    money::*,
    offer::offer_message,
    pod::*,
    private::Private,
    problem::{PROBLEM_PREFIX, Problem},
    written::{NotACertificate, NotHex, Written},
};

/// The port of the app API on its onion service.
pub const APP_PORT: u16 = 443;
