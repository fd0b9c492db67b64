//! Numbers, receipts, and what is sent when: the channel between two contacts, without its cryptography.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod courier;
mod desk;
mod inbox;
mod outbox;
mod peer;
mod places;
mod receipts;
mod resets;
mod talk;
mod transfer;
mod window;
mod world;
