//! Fills the frames that go to one place in one plan: several items ride in one frame, up to its size.

use super::{ITEM_BYTES, MAX_PARTIAL, Pending, SHIPMENT_BYTES};

/// What one lane takes along this time.
pub(super) struct ShipmentBuilder<K> {
    /// Frames begun so far, the last of which may take more.
    pub(super) bundles: Vec<Bundle<K>>,
    /// Calls that may start at this place now: so many frames at most.
    free: usize,
    /// An item found no room: those after it wait too, to keep the order.
    full: bool,
}

/// What rides in one frame.
pub(super) struct Bundle<K> {
    /// Names of the items, in the order in which they were listed; empty for a frame with receipts alone.
    pub(super) keys: Vec<K>,
    /// Bytes of the items with their heads, at most [`SHIPMENT_BYTES`].
    bytes: usize,
    /// It begins with a chunk of a file.
    bulk: bool,
}

impl<K: Copy> ShipmentBuilder<K> {
    /// For a place with so many free calls; none free means that it is full from the start.
    pub(super) fn new(free: usize) -> Self {
        Self { bundles: Vec::new(), free, full: free == 0 }
    }

    /// Nothing more rides along.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn add(&mut self, item: &Pending<K>, room_for_bulk: usize) {
        let bytes = item.len + ITEM_BYTES;
        if self.full {
            return;
        }
        if let Some(last) = self.bundles.last_mut().filter(|last| last.bytes + bytes <= SHIPMENT_BYTES) {
            last.keys.push(item.key);
            last.bytes += bytes;
        } else if item.bulk && self.bundles.len() >= room_for_bulk {
            // Messages may still come.
        } else if self.bundles.len() < self.free {
            self.bundles.push(Bundle { keys: vec![item.key], bytes, bulk: item.bulk });
        } else {
            self.full = true;
        }
    }

    /// Receipts ride with anything; alone if there is nothing else.
    pub(super) fn add_receipt(&mut self) {
        if self.bundles.is_empty() && self.free > 0 {
            self.bundles.push(Bundle { keys: Vec::new(), bytes: 0, bulk: false });
        }
    }

    /// With so many calls on their way that began with a message or receipt, one more with room left waits for more to
    /// ride in it.
    pub(super) fn gather(&mut self, in_flight: usize) {
        let talk = self.bundles.iter().filter(|bundle| !bundle.bulk).count();
        let last = self.bundles.iter().rposition(|bundle| !bundle.bulk);
        if let Some(last) =
            last.filter(|last| in_flight + talk > MAX_PARTIAL && self.bundles[*last].has_room())
        {
            self.bundles.remove(last);
        }
    }
}

impl<K> Bundle<K> {
    /// Whether a good part of the frame would be padding: such a frame may wait for more to say.
    fn has_room(&self) -> bool {
        self.bytes < SHIPMENT_BYTES / 2
    }
}
