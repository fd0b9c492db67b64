//! The checker: between a payment and a signature.
//!
//! The same code runs on every member's side before its key signs: on the device for P, in the pod for G. No side
//! trusts another, nor the software that built the PSBT. Four types say how far a payment has come, and only the
//! last holds a signature of ours:
//!
//! ```text
//! bytes ─► Unchecked<Psbt> ── check ──► Proposal ── approve(digest) ──► Approved ── sign(key) ──► Signed ── finalise
//!            nothing in it    │          what a human                    what was shown             takes others'
//!            is verified      └ CheckRefusal  is shown                        is what is signed          signatures only
//! ```
//!
//! [`Unchecked::check`] re-derives every input and change script from the **stored** account map, takes amounts
//! from full previous transactions (and, in the pod, from its own view of the chain too), and compares the
//! outputs with the [`Intent`](crate::payment::Intent). The received PSBT is then dropped: a [`Proposal`]
//! holds one built anew from what was verified, and unknown, proprietary or superfluous fields have nowhere to
//! stay.
//!
//! | rule | where | why |
//! |---|---|---|
//! | size before parsing, nothing after the end | `unchecked` | parser bombs |
//! | hints only lead to one derivation, the derived script decides | `own` | foreign inputs and change |
//! | previous transaction in full, its id verified | `previous` | lying amounts become fees (BIP-174) |
//! | only SIGHASH_ALL, asked for or received | `inputs` | outputs changed after signing |
//! | received signatures verified one by one, nothing else merged | `signatures` | replaced scripts |
//! | fees capped absolutely, by rate, by share, by agreement; none below it | `fees` | money burnt, payments that wait |
//! | approval names a digest of all that was shown | `proposal` | shown is not signed |

mod fees;
mod inputs;
mod outputs;
mod own;
mod previous;
mod proposal;
mod refusal;
mod rules;
mod signatures;
mod signed;
mod summary;
mod unchecked;
mod view;

pub(crate) use previous::attach as attach_previous;
pub use proposal::{Approved, Proposal};
pub use refusal::CheckRefusal;
pub use signed::Signed;
pub use summary::{Digest, InputLine, OutputLine, Owner, Summary};
pub use unchecked::Unchecked;
pub use view::{CoinView, DeviceView, Standing};

use crate::account::MAX_KEYS;
use crate::payment::MAX_RECIPIENTS;

/// Largest PSBT that is parsed, in bytes. 970 inputs with scripts, hints and two signatures are 0.6 MB; the rest is room
/// for previous transactions, of which one has 1 MB at most without its witnesses.
pub const MAX_PSBT_BYTES: usize = 4_000_000;

/// Largest weight nodes relay (Bitcoin Core's `MAX_STANDARD_TX_WEIGHT`).
pub const MAX_WEIGHT: u64 = 400_000;

/// Most inputs. One of a 2-of-3 account weighs at least 412 units (41 bytes of base data at 4 units, a witness of
/// at least 248), so that more than 970 never fit in [`MAX_WEIGHT`]. Those of a 1-of-2 account would (310 units),
/// but are held to the same number.
pub const MAX_INPUTS: usize = 970;

/// Most outputs: all recipients and one change.
pub const MAX_OUTPUTS: usize = MAX_RECIPIENTS + 1;

/// Most derivation hints looked at for an input or output: one for each key of the largest account, and one for
/// the key of a recovery branch.
pub const MAX_HINTS: usize = MAX_KEYS + 1;

/// How far a lock time may lie past our tip, in blocks: the other side may know of blocks that we do
/// not.
pub const LOCK_TIME_SLACK: u32 = 6;
