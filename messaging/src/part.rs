//! What outbox, inbox and courier of one contact agree on.
//!
//! Sizes are chosen from the frame inwards: a frame holds 16,258 bytes of content; beside one full part there is room
//! for its head, for all receipts and for a commit of the ratchet, so that none of them ever needs a frame of its
//! own.

use autonomy_codec::Reader;

/// Most bytes of a message in one part: with its head (36 B), the head and receipts of a packet (360 B) and a commit (4,100 B)
/// beside it, a part fits one frame.
pub const MAX_PART: u32 = 11_500;

/// Most bytes of a message.
///
/// What is longer travels as a file.
pub const MAX_MESSAGE_LEN: u32 = 65_536;

/// Most parts of a message: 65,536 / 11,500, rounded up.
pub const MAX_PARTS: u64 = (MAX_MESSAGE_LEN as u64).div_ceil(MAX_PART as u64);

/// Bytes of an encoded [`Origin`]: incarnation (16) and number (8).
pub(crate) const ORIGIN_BYTES: usize = 24;

/// A run of numbers of one sender: those that it gives out from the begin of a group, or from a start of its process, to the
/// next such moment.
///
/// The name is drawn at random, so a sender whose disk went back never gives a number of a run twice without its contact
/// seeing it. A later run has a higher `since`, so that what was overtaken on its way is known to be of an earlier one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbering {
    /// When it began: seconds since 1970, or one more than the last.
    pub since: u64,
    /// Its name.
    pub id: [u8; 16],
}

/// Bytes of an encoded [`Numbering`]: since (8) and name (16).
pub(crate) const NUMBERING_BYTES: usize = 24;

impl Numbering {
    /// Appends the 24 bytes.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.since.to_be_bytes());
        out.extend_from_slice(&self.id);
    }

    /// Reads the 24 bytes. None if fewer are left.
    pub(crate) fn take(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { since: reader.u64()?, id: reader.array()? })
    }
}

/// Where a message was first numbered: the run of numbers it was queued in, and the number of its last part there.
///
/// It names a message for good. One that is sent again in a later group carries it, so that a contact who had the
/// message already knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The name of the run of numbers in which the message was queued first.
    pub incarnation: [u8; 16],
    /// Number of its last part there.
    pub last: u64,
}

impl Origin {
    /// Appends the 24 bytes.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.incarnation);
        out.extend_from_slice(&self.last.to_be_bytes());
    }

    /// Reads the 24 bytes. None if fewer are left.
    pub(crate) fn take(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { incarnation: reader.array()?, last: reader.u64()? })
    }
}

/// A record of one's own store does not hold what was written there.
///
/// The store was changed, or another program wrote it: the state must not be used, since numbers could be given out
/// twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored record of the {0} is damaged")]
pub struct BadRecord(pub(crate) &'static str);

/// The peer acknowledges what was never sent to it. Nothing of its receipt was taken.
///
/// Either the contact breaks the rules, or our own state comes from a backup that is older than what we sent since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a receipt for number {claimed}, but only those below {sent} were sent")]
pub struct Forged {
    /// The highest number that the receipt names.
    pub claimed: u64,
    /// The first number that was not sent.
    pub sent: u64,
}
