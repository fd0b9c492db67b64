//! The types of the app API: what a device sends to its pod, and what it gets back. No server, no client.
//!
//! | module | holds |
//! |---|---|
//! | [`bounds`] | the largest bodies and keys that a pod takes |
//! | [`id`](DeviceKey) | names of things: fixed-size byte strings in hexadecimal |
//! | [`written`](Written) | fields that are text in JSON and have a type here |
//! | [`text`](AccountName) | texts that obey a rule |
//! | `number` | amounts and fee rates |
//! | `network` | the Bitcoin network, in the words of messenger and wallet |
//! | [`schema`] | how such fields stand in the OpenAPI document |
//! | [`json`](from_json) | reading JSON from outside |
//! | [`place`] | where messages are left, as people write it |
//! | [`offer`](offer_message) | what the pod key signs when it offers a key for an account |
//! | [`endpoint`](Exchange) | requests that know their route and the rules of their answer |
//! | `pod`, `device`, `money`, `contact`, `card`, `message`, `file`, `mail`, `event` | requests and answers |
//! | `problem` | errors as `application/problem+json` (RFC 9457) |
//!
//! Every amount is in satoshi, every time in seconds since 1970 (UTC), every key and id in lower-case
//! hexadecimal unless said otherwise. Requests refuse unknown fields: a misspelt limit must not be ignored. What breaks a
//! rule does not become a value of these types: the pod refuses such a request, the device library such an answer.

pub mod bounds;
mod card;
mod contact;
mod device;
mod endpoint;
mod event;
mod file;
mod id;
mod json;
mod mail;
mod message;
mod money;
mod network;
mod number;
mod offer;
pub mod place;
mod pod;
mod problem;
pub mod schema;
mod text;
pub mod written;

pub use self::{
    bounds::*,
    card::*,
    contact::*,
    device::*,
    endpoint::{BrokenRule, Exchange, Method},
    event::*,
    file::*,
    id::*,
    json::{Unreadable, from_json},
    mail::*,
    message::*,
    money::*,
    network::{network_of, wallet_network},
    offer::offer_message,
    pod::*,
    problem::{PROBLEM_PREFIX, Problem},
    text::*,
    written::{NotACertificate, NotAnAddress, NotHex, Written},
};

/// The wallet's library of Bitcoin types: amounts, addresses, transaction ids.
pub use autonomy_wallet::bitcoin;

/// The port of the app API on its onion service.
pub const APP_PORT: u16 = 443;
