//! Numbers, receipts, and what is sent when: the channel between two contacts, without its cryptography.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod courier;
mod delivery;
mod harness;
mod inbox;
mod outbox;
mod peer;
mod places;
mod receipts;
mod resets;
mod transfer;
mod window;
mod world;
