//! A pod's node, from adoption to payments, without a network: every step is committed to rows, and after
//! every step the pod is restored from them and must equal the one that kept running.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../tests/common/golden.rs"]
mod common_golden;
#[path = "../../../tests/common/cosigner.rs"]
mod cosigner;

mod accounts;
mod cards;
mod devices;
mod drafts;
mod facts;
mod given_up;
mod golden;
mod machine;
mod mail;
mod model;
mod parcels;
mod payments;
mod rates;
mod repeats;
mod rows;
mod settling;
mod source;
mod story;
mod world;
