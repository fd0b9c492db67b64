//! The device's side.

pub mod call;
pub mod files;
pub mod routes;
pub mod sse;
pub mod tor;
pub mod transport;

pub use call::{CallError, printable};
pub use routes::PodClient;
pub use sse::EventStream;
pub use tor::APP_PORT;
pub use transport::Transport;
