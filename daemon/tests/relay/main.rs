//! A relay and its users in one process: what it stores, for whom, for how long, and through which
//! faults.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

#[path = "../common/golden.rs"]
mod common_golden;

mod crashes;
mod crowding;
mod golden;
mod keeping;
mod model;
mod network;
mod quotas;
mod world;
