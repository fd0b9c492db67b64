//! The command line: `autonomy VERB`.
//!
//! Verbs are thin: they read what a person typed, call [`client`](autonomy_client) or [`pod`](autonomy_daemon::pod), and say what
//! came of it, to people as text or to programs as one JSON object. Failures go to standard error with an exit
//! status for each kind.
//!
//! | module | does |
//! |---|---|
//! | [`args`] | every verb and flag |
//! | `run`, `context` | from arguments to a verb, with settings, passphrase and a way to the pod |
//! | `setup`, `status`, `device`, `account`, `pay`, `events`, `pod`, `agent`, `probe`, `shell` | the verbs |
//! | `contact`, `invite`, `carry`, `message`, `watch`, `file`, `relay` | the verbs about other people |
//! | `verbs` | verbs that stand by themselves, arguments and all: what sessions add stands there |
//! | [`amount`], [`bip21`] | what people type for money |
//! | [`output`], [`qr`], [`wait`], [`ask`] | text and JSON, QR codes, spinners, questions |
//! | [`failure`], `causes` | what is wrong, what to do, exit status |

mod account;
mod agent;
pub mod amount;
pub mod args;
pub mod ask;
pub mod bip21;
mod carry;
mod causes;
mod contact;
mod context;
mod device;
mod events;
pub mod failure;
mod file;
mod invite;
mod message;
pub mod output;
mod pay;
mod pod;
mod probe;
pub mod qr;
mod relay;
mod run;
mod setup;
mod shell;
mod status;
mod verbs;
pub mod wait;
mod watch;

pub use failure::{Exit, Failure};
pub use run::main;
