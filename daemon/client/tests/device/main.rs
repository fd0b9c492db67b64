//! A device and its pod. The pod is the real one (node, driver, store, routes) behind a Unix socket; between the two
//! sits whoever the story needs: nobody, or a hand that changes answers on their way.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod accounts;
mod agent;
mod answers;
mod approvals;
mod cards;
mod devices;
mod parcels;
mod payments;
mod people;
mod receiving;
mod world;
