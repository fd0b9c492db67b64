//! What goes into a courier and what comes out: the places of a card, what waits, and what is to be sent.

/// A place of the contact's card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The contact's own pod.
    pub own: bool,
    /// Its index before the card changed; `None` for a new place.
    pub was: Option<usize>,
    /// Frames that a new place had accepted by the last record; a count that is behind harms nothing.
    pub accepted: u32,
}

/// Something that the contact has not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending<K> {
    /// Its name.
    pub key: K,
    /// Bytes of its content.
    pub len: usize,
    /// Of a file: one copy is enough at first, and messages have room to overtake it.
    pub bulk: bool,
}

/// To be sealed in one packet, with the receipts of the moment, and sent to one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment<K> {
    /// Index of the place.
    pub place: usize,
    /// What rides; nothing when only the receipts are due.
    pub keys: Vec<K>,
    /// The place did not answer last time: see [`Budget`](super::Budget).
    pub probe: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// The place keeps the frame, durably.
    Accepted,
    /// The place answered, and did not take it.
    /// The place works, so its back-off is short unless it asks for more; the item is still due.
    Refused {
        /// Seconds that it asked us to wait, or 0.
        wait: u64,
    },
    /// No answer.
    /// The frame may have been stored all the same: a repeat carries the same parts, and the contact drops what it
    /// has.
    Unreached,
}
