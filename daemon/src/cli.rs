//! The command line: `autonomy VERB`.
//!
//! | module | does |
//! |---|---|
//! | [`args`] | every verb and flag |
//! | [`amount`], [`bip21`] | what people type for money |
//! | [`output`], [`qr`], [`wait`] | text, JSON, QR codes, spinners |
//! | [`ask`] | confirmation, texts from files and pipes |
//! | [`failure`] | what is wrong, what to do, exit status |

pub mod amount;
pub mod args;
pub mod ask;
pub mod bip21;
pub mod failure;
pub mod output;
pub mod qr;
pub mod wait;

pub use failure::{Exit, Failure};
