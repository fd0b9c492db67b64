//! A device and its pod. The pod is the real one (node, driver, store, routes) behind a Unix socket; between the two
//! is a proxy that passes answers on or changes them, as the test needs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../../../tests/common/golden.rs"]
mod common_golden;

mod accounts;
mod adoption;
mod agent;
mod answers;
mod approvals;
mod cards;
mod devices;
mod golden;
mod maps;
mod paid_before;
mod parcels;
mod payments;
mod people;
mod receiving;
mod rules;
mod world;
