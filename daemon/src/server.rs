//! The app API: HTTP in front of the node, the same on the app onion and on the Unix socket.
//!
//! | module | does |
//! |---|---|
//! | [`problem`] | refusals as `application/problem+json` |
//! | [`extract`] | the checked edge: who calls, bounded JSON, idempotency keys |
//! | [`routes`] | one small function a route |
//! | [`events`] | the event stream, resumable |
//! | [`openapi`] | the OpenAPI document |

pub mod events;
pub mod extract;
pub mod openapi;
pub mod problem;
pub mod routes;

pub use problem::ApiError;
pub use routes::{ApiState, router};
