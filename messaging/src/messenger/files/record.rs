//! What is remembered of one file, or of one long payload of a session.
//!
//! The record decides what the chunks are for: while a file is on its way they are sent or collected, an incoming one
//! keeps them to be read, and whatever is over and not to be read wastes them until they are removed.

use serde::{Deserialize, Serialize};

use crate::{
    CHUNK_LEN, FileContent, Incoming, MAX_FILE, Outgoing, TransferId,
    messenger::{
        answer::FileView,
        ids::ContactId,
        row::{Kept, Key},
        states::{Direction, FileState, Timestamp},
        stored::text,
    },
    payload::{ApplicationKind, FileName},
};

/// What is remembered of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::messenger) struct FileRecord {
    /// Whether it goes or comes; decides its row, too.
    pub(super) direction: Direction,
    #[serde(with = "text")]
    pub(super) name: FileName,
    /// Bytes, at most [`MAX_FILE`].
    pub(super) size: u64,
    /// As its sender announced it.
    pub(super) sha256: [u8; 32],
    pub(super) state: FileState,
    /// When it was offered.
    pub(super) at: Timestamp,
    /// Chunks that are rows here: while loading those loaded, otherwise all of an outgoing file.
    pub(super) loaded: u32,
    /// The record of the transfer, while it is under way.
    pub(super) transfer: Vec<u8>,
    /// Chunks from here on are still to be removed, once the file is over.
    pub(super) removed: u32,
    /// It is a payload of a session and no file of people: its kind, and the number it was queued under.
    pub(super) payload: Option<(ApplicationKind, u64)>,
}

impl Kept for FileRecord {}

impl FileRecord {
    /// A file that is to be loaded or taken.
    pub(super) fn new(direction: Direction, name: &FileName, content: &FileContent, at: Timestamp) -> Self {
        Self {
            direction,
            name: name.clone(),
            size: content.size,
            sha256: content.sha256,
            state: FileState::Loading,
            at,
            loaded: 0,
            transfer: Vec::new(),
            removed: 0,
            payload: None,
        }
    }

    /// A long payload of a session, on its way out.
    pub(super) fn outgoing_payload(
        kind: ApplicationKind,
        number: u64,
        outgoing: &Outgoing,
        at: Timestamp,
    ) -> Self {
        let record = Self::underway_payload(Direction::Outgoing, kind, number, outgoing.content(), at);
        Self { loaded: record.chunks(), transfer: outgoing.record(), ..record }
    }

    /// A long payload of a session, on its way in.
    pub(super) fn incoming_payload(kind: ApplicationKind, incoming: &Incoming, at: Timestamp) -> Self {
        let record = Self::underway_payload(Direction::Incoming, kind, 0, incoming.content(), at);
        Self { transfer: incoming.record(), ..record }
    }

    fn underway_payload(
        direction: Direction,
        kind: ApplicationKind,
        number: u64,
        content: &FileContent,
        at: Timestamp,
    ) -> Self {
        Self {
            direction,
            name: payload_name(),
            size: content.size,
            sha256: content.sha256,
            state: FileState::Underway,
            at,
            loaded: 0,
            transfer: Vec::new(),
            removed: 0,
            payload: Some((kind, number)),
        }
    }

    /// The kind and number of a payload of a session.
    pub(super) fn payload(&self) -> Option<(ApplicationKind, u64)> {
        self.payload
    }

    /// Whether a record read back makes sense.
    ///
    /// # Errors
    /// Its transfer is damaged while it is on its way, or it is longer than any file.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let sound = self.state != FileState::Underway
            || match self.direction {
                Direction::Outgoing => Outgoing::restore(&self.transfer).is_ok(),
                Direction::Incoming => Incoming::restore(&self.transfer).is_ok(),
            };
        if sound && self.size <= MAX_FILE { Ok(()) } else { Err("its transfer is damaged") }
    }

    /// Length and hash.
    pub(super) fn content(&self) -> FileContent {
        FileContent { size: self.size, sha256: self.sha256 }
    }

    /// How many chunks it has.
    pub(super) fn chunks(&self) -> u32 {
        u32::try_from(self.content().chunks()).unwrap_or(u32::MAX)
    }

    /// The key of its row.
    pub(super) fn key(&self, contact: ContactId, transfer: TransferId) -> Key {
        match self.direction {
            Direction::Outgoing => Key::Sending(contact, transfer),
            Direction::Incoming => Key::Taking(contact, transfer),
        }
    }

    /// The transfer of a file that goes, while it is on its way.
    #[expect(
        clippy::expect_used,
        reason = "its own program wrote it, and `check` looks at each record that is read back"
    )]
    pub(super) fn outgoing(&self) -> Option<Outgoing> {
        let underway = self.direction == Direction::Outgoing && self.state == FileState::Underway;
        underway.then(|| Outgoing::restore(&self.transfer).expect("checked when the record was made or read"))
    }

    /// The transfer of a file that comes, while it is on its way.
    #[expect(
        clippy::expect_used,
        reason = "its own program wrote it, and `check` looks at each record that is read back"
    )]
    pub(super) fn incoming(&self) -> Option<Incoming> {
        let underway = self.direction == Direction::Incoming && self.state == FileState::Underway;
        underway.then(|| Incoming::restore(&self.transfer).expect("checked when the record was made or read"))
    }

    /// Whether nothing more is sent or taken.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, FileState::Complete | FileState::Cancelled)
    }

    /// Whether chunks are kept that nobody needs any more.
    pub(super) fn wastes(&self) -> bool {
        let needless = matches!(
            (self.direction, self.state),
            (Direction::Outgoing, FileState::Complete) | (_, FileState::Cancelled)
        ) || self.payload.is_some() && self.state == FileState::Complete;
        needless && self.removed < self.chunks()
    }

    /// The file as its owner sees it.
    pub(super) fn view(&self, transfer: TransferId) -> FileView {
        let loaded = (u64::from(self.loaded) * u64::from(CHUNK_LEN)).min(self.size);
        let done = match self.state {
            FileState::Loading => loaded,
            FileState::Underway => {
                let outgoing = self.outgoing().map(|outgoing| outgoing.delivered());
                outgoing.or(self.incoming().map(|incoming| incoming.received())).unwrap_or(0)
            }
            FileState::Complete => self.size,
            FileState::Cancelled => 0,
        };
        FileView {
            transfer,
            direction: self.direction,
            name: self.name.clone(),
            content: self.content(),
            state: self.state,
            done,
            at: self.at,
        }
    }

    /// Whether it may go to make room for another: it is over, takes no room, and is nothing that waits to be read.
    pub(super) fn may_go(&self) -> bool {
        let unread = (self.direction, self.state) == (Direction::Incoming, FileState::Complete);
        self.is_over() && !self.wastes() && (!unread || self.payload.is_some())
    }

    /// Whether it is still looked up once its chunks are gone: late chunks of a payload that was delivered are known by
    /// its record.
    pub(super) fn is_needed(&self) -> bool {
        self.state == FileState::Complete && (self.payload.is_none() || self.direction == Direction::Incoming)
    }
}

/// What a payload of a session is called in its record; nobody sees it.
#[expect(clippy::expect_used, reason = "the name is a constant that keeps the rules")]
fn payload_name() -> FileName {
    FileName::new("payload").expect("seven letters")
}
