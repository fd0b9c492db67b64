//! What is remembered of one file, or of one long payload of a session.

use serde::{Deserialize, Serialize};

use crate::{
    CHUNK_LEN, FileContent, Incoming, MAX_FILE, Outgoing, TransferId,
    messenger::{
        answer::FileView,
        ids::ContactId,
        row::{Kept, Key},
        states::{Direction, FileState, Timestamp},
    },
    payload::{ApplicationKind, FileName},
};

/// What a payload of a session is called in its record; nobody sees it.
const PAYLOAD_NAME: &str = "payload";

/// What is remembered of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::messenger) struct FileRecord {
    pub(super) direction: Direction,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
    pub(super) state: FileState,
    pub(super) at: Timestamp,
    /// Chunks that are rows here: while loading those loaded, otherwise all of an outgoing file.
    pub(super) loaded: u32,
    /// The record of the transfer, while it is under way.
    pub(super) transfer: Vec<u8>,
    /// Chunks from here on are still to be removed, once the file is over.
    pub(super) removed: u32,
    /// It is a payload of a session and no file of people: its kind, and the number it was queued under.
    pub(super) payload: Option<(u16, u64)>,
}

impl Kept for FileRecord {}

impl FileRecord {
    pub(super) fn new(direction: Direction, name: &FileName, content: &FileContent, at: Timestamp) -> Self {
        Self {
            direction,
            name: name.as_str().to_owned(),
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
            name: PAYLOAD_NAME.to_owned(),
            size: content.size,
            sha256: content.sha256,
            state: FileState::Underway,
            at,
            loaded: 0,
            transfer: Vec::new(),
            removed: 0,
            payload: Some((kind.number(), number)),
        }
    }

    /// The kind and number of a payload of a session.
    pub(super) fn payload(&self) -> Option<(ApplicationKind, u64)> {
        let (kind, number) = self.payload?;
        Some((ApplicationKind::new(kind)?, number))
    }

    /// Whether a record read back makes sense.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        FileName::new(&self.name).map_err(|_| "its name is invalid")?;
        let sound = self.state != FileState::Underway
            || match self.direction {
                Direction::Outgoing => Outgoing::restore(&self.transfer).is_ok(),
                Direction::Incoming => Incoming::restore(&self.transfer).is_ok(),
            };
        let sound = sound && self.payload.is_none_or(|(kind, _)| ApplicationKind::new(kind).is_some());
        if sound && self.size <= MAX_FILE { Ok(()) } else { Err("its transfer is damaged") }
    }

    pub(super) fn content(&self) -> FileContent {
        FileContent { size: self.size, sha256: self.sha256 }
    }

    pub(super) fn chunks(&self) -> u32 {
        u32::try_from(self.content().chunks()).unwrap_or(u32::MAX)
    }

    pub(super) fn key(&self, contact: ContactId, transfer: TransferId) -> Key {
        match self.direction {
            Direction::Outgoing => Key::Sending(contact, transfer),
            Direction::Incoming => Key::Taking(contact, transfer),
        }
    }

    pub(super) fn outgoing(&self) -> Option<Outgoing> {
        let underway = self.direction == Direction::Outgoing && self.state == FileState::Underway;
        underway.then(|| Outgoing::restore(&self.transfer).ok()).flatten()
    }

    pub(super) fn incoming(&self) -> Option<Incoming> {
        let underway = self.direction == Direction::Incoming && self.state == FileState::Underway;
        underway.then(|| Incoming::restore(&self.transfer).ok()).flatten()
    }

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
            name: FileName::new(&self.name).expect("checked when the record was made or read"),
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
