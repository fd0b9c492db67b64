//! The command line.

pub mod amount;
pub mod args;
pub mod bip21;
pub mod qr;
