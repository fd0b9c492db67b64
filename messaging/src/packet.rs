//! What one frame carries through the ratchet: what has arrived here, and pieces of what is on its way.
//!
//! A message is a [payload](crate::payload), cut into parts with consecutive numbers; a file is cut into chunks. Parts
//! and chunks are small enough that a commit of the ratchet fits beside them in every frame.
//!
//! ```text
//! version 2 · numbering 24 · acknowledged below 8 · acks · number of items 1 · items
//! acks      numbering 24 · window 40 · files 1 + n × (16 + 40) · counts 1 + n × 4 · card 4
//! part      kind 1 · number 8 · flags 1 · [origin 24] · length 2 · bytes
//! chunk     kind 2 · transfer 16 · index 4 · length 2 · bytes
//! ```
//!
//! Receipts ride in every packet, for they are small and may be lost with it: the next one says the same and more. A
//! packet without items is a receipt alone.

mod codec;

use std::fmt;

use crate::frame::MAX_CONTENT;
use crate::part::NUMBERING_BYTES;
use crate::ratchet::{MAX_COMMIT, OVERHEAD};
use crate::{WINDOW_BYTES, Window};

pub use crate::part::{Numbering, Origin};
pub use crate::transfer::{MAX_TRANSFERS, TransferId};

/// Longest encoded packet. With a commit (4,100 B), what sealing adds (160 B) and the envelope's own bytes it stays within
/// a frame's content of 16,258 B.
pub const MAX_PACKET: usize = 11_900;
/// Longest piece of a payload. The rest of a packet is for acknowledgements and headers: [`MAX_ACKS`] and
/// [`PART_OVERHEAD`].
pub const MAX_PART: usize = crate::part::MAX_PART as usize;
/// Length of every chunk of a file but the last.
pub const CHUNK_LEN: usize = crate::transfer::CHUNK_LEN as usize;
/// Places counted in one packet: as many as a card has.
pub const MAX_DEPOSITED: usize = crate::card::MAX_PLACES;
/// Items in one packet: as many of the shortest as there is room for would be more work than they are worth.
pub const MAX_ITEMS: usize = 64;

/// Longest acknowledgements: numbering (24), window (40), up to four files (1 + 4 · 56), counts (1 + 8 · 4), card (4).
pub const MAX_ACKS: usize =
    NUMBERING_BYTES + WINDOW_BYTES + 1 + MAX_TRANSFERS * (16 + WINDOW_BYTES) + 1 + MAX_DEPOSITED * 4 + 4;
/// Longest header of a part: kind (1), number (8), flags (1), origin (24), length (2). That of a chunk is shorter.
pub const PART_OVERHEAD: usize = 1 + 8 + 1 + (16 + 8) + 2;

const _: () = assert!(MAX_ACKS == 326 && PART_OVERHEAD == 36);
const _: () = assert!(MAX_DEPOSITED == crate::courier::MAX_PLACES);
/// What a packet begins with: version (1), numbering (24), the lowest number that is not acknowledged (8).
pub(super) const HEAD: usize = 1 + NUMBERING_BYTES + 8;
/// Most bytes of a packet beside its items: the head, acknowledgements, and the number of items.
pub(crate) const BESIDE_ITEMS: usize = HEAD + MAX_ACKS + 1;
// One part of full length fits.
const _: () = assert!(BESIDE_ITEMS + PART_OVERHEAD + MAX_PART <= MAX_PACKET);
const _: () = assert!(MAX_PACKET + OVERHEAD + MAX_COMMIT + 16 < MAX_CONTENT);

/// What goes into one frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The run of numbers in which the sender numbers its parts.
    pub numbering: Numbering,
    /// All parts of it below this number were acknowledged to the sender: a receiver that lacks one of them has forgotten what
    /// it said.
    pub acknowledged: u64,
    /// What has arrived here.
    pub acks: Acks,
    /// What is on its way, at most [`MAX_ITEMS`].
    pub items: Vec<Item>,
}

/// What has arrived here, and where.
///
/// All of it is state, not events: of two receipts the later contains the earlier, in whatever order they come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acks {
    /// The run of numbers of the peer that `messages` counts in; the default before anything came.
    pub numbering: Numbering,
    /// Which parts have arrived: the end-to-end receipt.
    pub messages: Window,
    /// Which chunks of the files that are coming in, at most [`MAX_TRANSFERS`].
    pub transfers: Vec<(TransferId, Window)>,
    /// How many frames of the peer came through each place of its card, at most [`MAX_DEPOSITED`]: so it finds places
    /// that take and do not give.
    pub deposited: Vec<u32>,
    /// Version of the peer's card that is known here.
    pub card: u32,
}

/// A piece of something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// Of a message.
    Part(Part),
    /// Of a file.
    Chunk(Chunk),
}

/// A piece of a message's payload, or an empty one in the place of a message that expired.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number; the parts of a message have consecutive ones.
    pub seq: u64,
    /// Whether a message begins here.
    pub first: bool,
    /// Whether a message ends here.
    pub last: bool,
    /// When the message was numbered in an earlier run: which, and the number of its last part there.
    pub origin: Option<Origin>,
    /// At most [`MAX_PART`] bytes.
    pub bytes: Vec<u8>,
}

/// A piece of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Which file.
    pub transfer: TransferId,
    /// Which piece, from 0.
    pub index: u32,
    /// [`CHUNK_LEN`] bytes, less if it is the last.
    pub bytes: Vec<u8>,
}

/// Why a packet cannot be written.
///
/// The courier plans frames by the same bounds, so this is a fault of the program and not of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packet would be longer than a frame takes, or have more entries than it may")]
pub struct PacketTooLong;

/// Why bytes are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPacket {
    /// Longer than [`MAX_PACKET`].
    #[error("a packet has at most {MAX_PACKET} bytes, this has {0}")]
    Length(usize),
    /// A format this program does not know.
    #[error("packet format {0} is not known here: a newer program wrote it, update this one")]
    Version(u8),
    /// A field is missing, out of its bounds, or something follows the last.
    #[error("a field of the packet is missing, wrong, or too many")]
    Field,
}

impl Part {
    /// Stands where the parts of a message stood that expired before it arrived.
    ///
    /// One takes the place of each part, so that the numbers behind them can have their turn.
    #[must_use]
    pub fn void(seq: u64) -> Self {
        Self { seq, first: true, last: true, origin: None, bytes: Vec::new() }
    }

    /// Whether it stands for a message that expired.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.first && self.last && self.bytes.is_empty()
    }
}

impl fmt::Debug for Part {
    /// Lengths only: what was said is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("seq", &self.seq)
            .field("first", &self.first)
            .field("last", &self.last)
            .field("origin", &self.origin)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

impl fmt::Debug for Chunk {
    /// Lengths only: what was said is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("transfer", &self.transfer)
            .field("index", &self.index)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}
