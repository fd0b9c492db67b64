//! What goes along with a command to the messenger: which messages, which bytes.

use autonomy_messaging::messenger::{self, ContactId};
use serde::{Deserialize, Serialize};

use super::Refusal;

/// Messages given where no limit is asked for, and the most that can be asked for: of the longest kind they are 3 MB.
const USUAL_PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;

/// Which messages of a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesPage {
    /// Only those before this number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// Bytes of a file, on their way to the pod.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadedChunks {
    /// Number of the first chunk.
    pub first: u32,
    /// Whole chunks.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// Which bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunksRead {
    /// Number of the first chunk.
    pub first: u32,
    /// How many chunks.
    pub count: Option<u32>,
}

/// A parcel that somebody carried here.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct CarriedParcel {
    /// Its bytes, unread.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for LoadedChunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedChunks").field("first", &self.first).field("bytes", &self.bytes.len()).finish()
    }
}

impl std::fmt::Debug for CarriedParcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CarriedParcel").field("bytes", &self.bytes.len()).finish()
    }
}

impl MessagesPage {
    pub(super) fn command(self, contact: ContactId) -> Result<messenger::Command, Refusal> {
        let limit = self.limit.unwrap_or(USUAL_PAGE);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(Refusal::invalid("limit", format!("1 to {MAX_PAGE}")));
        }
        Ok(messenger::Command::Messages { contact, before: self.before, limit })
    }
}

impl ChunksRead {
    pub(super) fn count(self) -> Result<u32, Refusal> {
        let count = self.count.unwrap_or(messenger::MAX_LOADED);
        if !(1..=messenger::MAX_LOADED).contains(&count) {
            return Err(Refusal::invalid("count", format!("1 to {}", messenger::MAX_LOADED)));
        }
        Ok(count)
    }
}
