//! The command line: `autonomy VERB`.
//!
//! Verbs are thin: they parse what a person typed, call [`client`](autonomy_client) or
//! [`pod`](autonomy_daemon::pod), and print the result, to people as text or to programs as one
//! JSON object. Failures go to standard error, with an exit status for each kind.
//!
//! | module | does |
//! |---|---|
//! | [`args`] | every verb and flag |
//! | `run`, `context` | from arguments to a verb, with settings, passphrase and a connection to the pod |
//! | `init`, `words`, `setup`, `status`, `device`, `account`, `pay`, `events`, `pod`, `agent`, `probe`, `shell` | the verbs |
//! | `contact`, `invite`, `carry`, `message`, `watch`, `file`, `relay` | the verbs about other people |
//! | `verbs` | verbs that stand by themselves, arguments and all: what sessions add stands there |
//! | [`amount`], [`bip21`] | amounts and payment URIs as people type them |
//! | [`output`], [`qr`], [`wait`], [`ask`], `terminal` | text and JSON, QR codes, spinners, questions |
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
mod init;
mod interrupt;
mod invite;
mod manual;
mod message;
pub mod output;
mod pay;
mod payee;
mod pod;
mod probe;
pub mod qr;
mod relay;
mod run;
mod setup;
mod shell;
mod status;
mod terminal;
mod verbs;
pub mod wait;
mod watch;
mod words;

pub use failure::{Exit, Failure};
pub use run::main;
