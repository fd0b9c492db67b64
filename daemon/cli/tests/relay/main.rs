//! `autonomy relay run` as a process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod process;
#[allow(dead_code, reason = "shared with the tests of the relay itself, which use all of it")]
#[path = "../../../tests/relay/world.rs"]
mod world;
