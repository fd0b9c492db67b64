//! The database written anew from time to time: removed rows, such as the keys of messages that were read, lie in free pages
//! of the file until they are overwritten. In the new file there are none, and the key that opened the old one is gone.

use autonomy_node::Timestamp;
use autonomy_store::RenewError;

use super::{Driver, StoreFailed, disk::RESERVE};

/// Seconds until a renewal that failed is tried again: an hour, in which an owner may have made room.
const PAUSE: Timestamp = 60 * 60;

impl Driver {
    /// Writes the store anew where that is due and there is room for it. Whoever asks meanwhile waits.
    ///
    /// # Errors
    /// The store is damaged.
    pub(super) fn renew_store(&mut self) -> Result<(), StoreFailed> {
        let moment = self.time.read();
        let now = moment.now;
        // By a clock that may be wrong a new key would count as old, or as young, when it is right.
        if !moment.is_right {
            return Ok(());
        }
        // A pause is never longer: a mark far ahead is of a clock that was wrong, and holds nothing up.
        let pause = self.time.no_renewal_before.saturating_sub(now);
        let waits = (1..=PAUSE).contains(&pause);
        if waits || !self.store.is_renewal_due(now) {
            return Ok(());
        }
        self.time.no_renewal_before = now.saturating_add(PAUSE);
        if !self.has_room_for_a_copy() {
            tracing::warn!(
                "the pod's database is not written anew: there is no room for a second copy of it"
            );
            return Ok(());
        }
        match self.store.renew(now) {
            Ok(()) => Ok(()),
            // The store is closed until it has been read again.
            Err(failed @ RenewError::InDoubt { .. }) => self.give_up_writing(failed.to_string()),
            Err(failed) => {
                tracing::warn!("the pod's database was not written anew: {failed}");
                Ok(())
            }
        }
    }

    /// Whether a second copy of the database leaves what is kept for payments.
    fn has_room_for_a_copy(&self) -> bool {
        let file = self.store.path().metadata().map_or(0, |file| file.len());
        (self.free)(self.store.path()) >= file.saturating_add(RESERVE)
    }
}
