//! A relay and those who use it, in one process: what is kept, for whom, how long, and through which mishaps.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "../common/golden.rs"]
mod common_golden;

mod crashes;
mod golden;
mod keeping;
mod model;
mod network;
mod quotas;
mod world;
