//! What a failed store means.

use autonomy_store::{CommitError, OpenError, ReadError};

/// The store failed: nothing of the last steps was kept.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the pod's database failed ({why}); nothing of the last steps was kept. Free some space or repair the disk{restart}",
    restart = if *passing { "; the pod tries again by itself" } else { ", then start the pod again" }
)]
pub struct StoreFailed {
    why: String,
    /// Whether it may pass by itself, as a full disk does. A damaged file does not.
    passing: bool,
}

/// Why a request got no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// The driver has ended.
    #[error("the pod is stopping")]
    Stopped,
    /// The node sent no reply to a request, which is a fault of the program.
    #[error("the pod gave no answer to this request")]
    NoAnswer,
    /// The disk took nothing of it, for this reason: nothing was done.
    #[error("{0}")]
    NotKept(String),
}

impl StoreFailed {
    /// A file that does not come right by itself.
    pub(super) fn damaged(why: &dyn std::error::Error) -> Self {
        Self { why: why.to_string(), passing: false }
    }

    /// The driver has no thread to run on.
    pub(super) fn thread(why: &std::io::Error) -> Self {
        Self { why: why.to_string(), passing: false }
    }

    /// The driver ended without a word.
    pub(super) fn thread_ended() -> Self {
        Self { why: "its thread ended by a fault of the program".into(), passing: false }
    }

    /// Nothing for a failure that may pass.
    ///
    /// # Errors
    /// It is another.
    pub(super) fn unless_passing(self) -> Result<(), Self> {
        if self.passing { Ok(()) } else { Err(self) }
    }
}

impl From<CommitError> for StoreFailed {
    fn from(error: CommitError) -> Self {
        Self { passing: !matches!(error, CommitError::Damaged { .. }), why: error.to_string() }
    }
}

impl From<ReadError> for StoreFailed {
    fn from(error: ReadError) -> Self {
        Self { passing: matches!(error, ReadError::Disk { .. }), why: error.to_string() }
    }
}

impl From<OpenError> for StoreFailed {
    /// While another process holds the file, or it cannot be read, it may still come right.
    fn from(error: OpenError) -> Self {
        let passing = matches!(error, OpenError::Disk { .. } | OpenError::InUse { .. });
        Self { passing, why: error.to_string() }
    }
}
