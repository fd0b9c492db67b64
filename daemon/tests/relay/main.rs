//! A relay and those who use it, in one process: what is kept, for whom, how long, and through which mishaps.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod crashes;
mod keeping;
mod model;
mod network;
mod quotas;
mod world;
