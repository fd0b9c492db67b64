//! The device's side.

pub mod call;
pub mod routes;
pub mod sse;
pub mod transport;
