//! Numbers, receipts, and what is sent when: the channel between two contacts, without its cryptography.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod window;
