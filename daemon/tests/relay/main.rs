//! A relay and its users in one process: what it stores, for whom, for how long, and through which
//! faults.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod crashes;
mod keeping;
mod model;
mod network;
mod quotas;
mod world;
