//! Files: loaded by the owner chunk by chunk, sent in the gaps that messages leave, taken within a limit, read out.
//!
//! A file is named by its SHA-256 in the offer. The pod does not hash it: every chunk came through the ratchet, so only
//! the sender could lie, and whoever reads the file out (a device, which trusts no pod) compares the hash. Both sides
//! keep the chunks as rows, so a crash, a dead circuit or a dead relay costs at most the chunks that were on their way.

mod chunks;

use serde::{Deserialize, Serialize};

use super::{
    ContactId, Direction, FileState, FileView, MailAnswer, RefusedBecause, Timestamp, contact::Contact,
    contact_turn::ContactTurn, context::CommandResult, item_key::ItemKey, row::Key,
};
use crate::{
    CHUNK_LEN, FileContent, FileTooLong, Incoming, MAX_FILE, MAX_TRANSFERS, Outgoing, TransferId, Window,
    courier::Pending,
    payload::{ApplicationKind, FileName, FileOffer, Payload},
};

/// Files listed of a contact, in both directions; the oldest that is over goes first.
pub const MAX_FILES: usize = 64;
/// Chunks in one command that loads or reads: 40 of 11,500 B are 460 kB.
pub const MAX_LOADED: u32 = 40;
/// What a payload of a session is called in its record; nobody sees it.
const PAYLOAD_NAME: &str = "payload";
/// Chunks removed at a time, so that no step writes without bound.
const REMOVED_AT_ONCE: u32 = 512;
/// Chunks of a file that was never offered are refused after this, seconds: their offer may be late.
const STRAY_AFTER: u64 = 10 * 60;

/// What is remembered of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    direction: Direction,
    name: String,
    size: u64,
    sha256: [u8; 32],
    state: FileState,
    at: Timestamp,
    /// Chunks that are rows here: while loading those loaded, otherwise all of an outgoing file.
    loaded: u32,
    /// The record of the transfer, while it is under way.
    transfer: Vec<u8>,
    /// Chunks from here on are still to be removed, once the file is over.
    removed: u32,
    /// It is a payload of a session and no file of people: its kind, and the number it was queued under.
    payload: Option<(u16, u64)>,
}

impl FileRecord {
    fn new(direction: Direction, name: &FileName, content: &FileContent, at: Timestamp) -> Self {
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
        content: FileContent,
        at: Timestamp,
    ) -> Result<Self, FileTooLong> {
        let transfer = Outgoing::new(content, MAX_FILE)?.record();
        let record = Self::underway_payload(Direction::Outgoing, kind, number, &content, at);
        Ok(Self { loaded: record.chunks(), transfer, ..record })
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
    fn payload(&self) -> Option<(ApplicationKind, u64)> {
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

    fn content(&self) -> FileContent {
        FileContent { size: self.size, sha256: self.sha256 }
    }

    fn chunks(&self) -> u32 {
        u32::try_from(self.content().chunks()).unwrap_or(u32::MAX)
    }

    fn key(&self, contact: ContactId, transfer: TransferId) -> Key {
        match self.direction {
            Direction::Outgoing => Key::Sending(contact, transfer),
            Direction::Incoming => Key::Taking(contact, transfer),
        }
    }

    fn outgoing(&self) -> Option<Outgoing> {
        let underway = self.direction == Direction::Outgoing && self.state == FileState::Underway;
        underway.then(|| Outgoing::restore(&self.transfer).ok()).flatten()
    }

    fn incoming(&self) -> Option<Incoming> {
        let underway = self.direction == Direction::Incoming && self.state == FileState::Underway;
        underway.then(|| Incoming::restore(&self.transfer).ok()).flatten()
    }

    fn is_over(&self) -> bool {
        matches!(self.state, FileState::Complete | FileState::Cancelled)
    }

    /// Whether chunks are kept that nobody needs any more.
    fn wastes(&self) -> bool {
        let needless = matches!(
            (self.direction, self.state),
            (Direction::Outgoing, FileState::Complete) | (_, FileState::Cancelled)
        ) || self.payload.is_some() && self.state == FileState::Complete;
        needless && self.removed < self.chunks()
    }

    fn view(&self, transfer: TransferId) -> FileView {
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
}

impl Contact {
    /// Chunks that their pod does not have yet.
    pub(super) fn pending_chunks(&self) -> Vec<Pending<ItemKey>> {
        let mut pending = Vec::new();
        for (transfer, file) in &self.files {
            let Some(outgoing) = file.outgoing() else { continue };
            for index in outgoing.unacknowledged() {
                let len = file.content().chunk(index).map_or(0, |bytes| (bytes.end - bytes.start) as usize);
                pending.push(Pending { key: ItemKey::Chunk(*transfer, index), len, bulk: true });
            }
        }
        pending
    }

    /// Receipts for the files of which chunks came lately.
    pub(super) fn chunk_receipts(&self) -> Vec<(TransferId, Window)> {
        let receipt = |transfer: &TransferId| {
            let file = self.files.get(transfer)?;
            let window = match file.state {
                FileState::Complete => Window::below(file.content().chunks()),
                _ => *file.incoming()?.receipt(),
            };
            Some((*transfer, window))
        };
        self.volatile.chunks_from.iter().filter_map(receipt).collect()
    }

    fn files_underway(&self, direction: Direction) -> usize {
        self.underway(direction).filter(|file| file.payload.is_none()).count()
    }

    pub(super) fn payloads_underway(&self, direction: Direction) -> usize {
        self.underway(direction).filter(|file| file.payload.is_some()).count()
    }

    fn underway(&self, direction: Direction) -> impl Iterator<Item = &FileRecord> {
        self.files.values().filter(move |file| file.direction == direction && !file.is_over())
    }
}

impl ContactTurn<'_, '_> {
    pub(super) fn keep_file(&mut self, transfer: TransferId, record: FileRecord) {
        self.cx.put(record.key(self.id, transfer), &record);
        self.contact.files.insert(transfer, record);
        self.touch();
    }

    fn file_record(&self, transfer: TransferId) -> Result<&FileRecord, RefusedBecause> {
        self.contact.files.get(&transfer).ok_or(RefusedBecause::Unknown("file"))
    }

    /// A file of people: what sessions send is out of the owner's sight.
    fn shown_file(&self, transfer: TransferId) -> Result<&FileRecord, RefusedBecause> {
        let record = self.file_record(transfer)?;
        if record.payload.is_some() { Err(RefusedBecause::Unknown("file")) } else { Ok(record) }
    }

    pub(super) fn file_is_known(&self, transfer: TransferId) -> bool {
        self.file_record(transfer).is_ok()
    }

    pub(super) fn files(&mut self) -> CommandResult {
        let contact = &mut *self.contact;
        let shown = contact.files.iter().filter(|(_, file)| file.payload.is_none());
        Ok(MailAnswer::Files(shown.map(|(transfer, file)| file.view(*transfer)).collect()))
    }

    pub(super) fn file(&mut self, transfer: TransferId) -> CommandResult {
        Ok(MailAnswer::File(self.shown_file(transfer)?.view(transfer)))
    }

    pub(super) fn set_file_limit(&mut self, limit: u64) -> CommandResult {
        self.contact.record.profile.file_limit = limit.min(MAX_FILE);
        self.record_changed();
        self.view()
    }

    pub(super) fn offer_file(&mut self, name: FileName, content: FileContent) -> CommandResult {
        self.check_can_send()?;
        if content.size == 0 || content.size > MAX_FILE {
            let rule = format!("a file has 1 to {MAX_FILE} bytes");
            return Err(RefusedBecause::Invalid { field: "size", rule });
        }
        if self.contact.files_underway(Direction::Outgoing) >= MAX_TRANSFERS {
            let remedy = "wait until one of them is there, or remove one";
            return Err(RefusedBecause::Full {
                what: "files on their way to a contact",
                limit: MAX_TRANSFERS,
                remedy,
            });
        }
        self.make_room_for_file()?;
        let mut transfer = TransferId([0; 16]);
        self.cx.rng.fill_bytes(&mut transfer.0);
        self.keep_file(transfer, FileRecord::new(Direction::Outgoing, &name, &content, self.cx.now));
        self.file(transfer)
    }

    /// Lets the oldest file that is over and takes no room go, where there are too many.
    pub(super) fn make_room_for_file(&mut self) -> Result<(), RefusedBecause> {
        let contact = &mut *self.contact;
        if contact.files.len() < MAX_FILES {
            return Ok(());
        }
        let over = contact.files.iter().filter(|(_, file)| {
            file.is_over()
                && !file.wastes()
                && ((file.direction, file.state) != (Direction::Incoming, FileState::Complete)
                    || file.payload.is_some())
        });
        let oldest = over
            .min_by_key(|(_, file)| file.at)
            .map(|(transfer, file)| (*transfer, file.key(self.id, *transfer)));
        let remedy = "remove one that is no longer needed";
        let (transfer, key) =
            oldest.ok_or(RefusedBecause::Full { what: "files of a contact", limit: MAX_FILES, remedy })?;
        contact.files.remove(&transfer);
        self.cx.remove(key);
        Ok(())
    }

    pub(super) fn load_file(&mut self, transfer: TransferId, first: u32, bytes: &[u8]) -> CommandResult {
        let record = self.shown_file(transfer)?.clone();
        if record.direction != Direction::Outgoing || record.state != FileState::Loading {
            return Err(RefusedBecause::Conflict("this file is not being loaded".into()));
        }
        if first > record.loaded {
            let rule = format!("the next chunk is number {}", record.loaded);
            return Err(RefusedBecause::Invalid { field: "first", rule });
        }
        let chunks = self.cut(&record, first, bytes)?;
        let end = first + u32::try_from(chunks.len()).unwrap_or(MAX_LOADED);
        for (index, chunk) in (first..end).zip(chunks) {
            self.cx.put(Key::Chunk(self.id, transfer, index), &chunk);
        }
        let mut record = record;
        record.loaded = record.loaded.max(end);
        let whole = record.loaded == record.chunks();
        if whole {
            let outgoing = Outgoing::new(record.content(), MAX_FILE);
            record.transfer = outgoing.map_err(|error| RefusedBecause::Conflict(error.to_string()))?.record();
            record.state = FileState::Underway;
        }
        let content = record.content();
        let name = FileName::new(&record.name).expect("checked when it was offered");
        self.keep_file(transfer, record);
        if whole {
            let offer = FileOffer { transfer, name, size: content.size, sha256: content.sha256 };
            self.queue_payload(&Payload::FileOffer(offer));
        }
        self.file(transfer)
    }

    /// Whole chunks from `first` on, the last of the file alone may be shorter.
    fn cut(&self, record: &FileRecord, first: u32, bytes: &[u8]) -> Result<Vec<Vec<u8>>, RefusedBecause> {
        let invalid = |rule: String| RefusedBecause::Invalid { field: "bytes", rule };
        if bytes.is_empty() || bytes.len() > (MAX_LOADED * CHUNK_LEN) as usize {
            return Err(invalid(format!("1 to {MAX_LOADED} chunks of {CHUNK_LEN} bytes")));
        }
        let chunks: Vec<Vec<u8>> = bytes.chunks(CHUNK_LEN as usize).map(<[u8]>::to_vec).collect();
        for (index, chunk) in (first..).zip(&chunks) {
            let range =
                record.content().chunk(index).ok_or_else(|| invalid("beyond the end of the file".into()))?;
            if range.end - range.start != chunk.len() as u64 {
                return Err(invalid(format!(
                    "whole chunks of {CHUNK_LEN} bytes, but for the end of the file"
                )));
            }
        }
        Ok(chunks)
    }

    pub(super) fn read_file(&mut self, transfer: TransferId, first: u32, count: u32) -> CommandResult {
        let record = self.shown_file(transfer)?;
        let readable = record.direction == Direction::Incoming && record.state == FileState::Complete;
        if !readable {
            return Err(RefusedBecause::Conflict("only a file that has arrived whole can be read".into()));
        }
        let end = first.saturating_add(count.min(MAX_LOADED)).min(record.chunks());
        let mut bytes = Vec::new();
        for index in first..end {
            let chunk = self.cx.read::<Vec<u8>>(Key::Chunk(self.id, transfer, index));
            bytes
                .extend(chunk.ok_or_else(|| RefusedBecause::Conflict("a chunk of the file is gone".into()))?);
        }
        Ok(MailAnswer::Bytes(bytes))
    }

    pub(super) fn remove_file(&mut self, transfer: TransferId) -> CommandResult {
        self.shown_file(transfer)?;
        self.cancel_transfer(transfer);
        Ok(MailAnswer::Done)
    }

    /// Stops a transfer, and tells the contact.
    fn cancel_transfer(&mut self, transfer: TransferId) {
        let Ok(record) = self.file_record(transfer) else { return };
        let mut record = record.clone();
        if record.state == FileState::Underway {
            self.queue_payload(&Payload::FileCancel(transfer));
        }
        record.state = FileState::Cancelled;
        self.keep_file(transfer, record);
    }

    /// The offer of a long payload expired: the payload ends with it.
    pub(super) fn give_up_payload(&mut self, transfer: TransferId) {
        let Ok(record) = self.file_record(transfer) else { return };
        if let Some((kind, number)) = record.payload().filter(|_| !record.is_over()) {
            self.cancel_transfer(transfer);
            self.payload_settled(number, kind, false);
        }
    }

    /// All bytes of a transfer that is complete, while its chunks are kept.
    pub(super) fn chunks_of(&self, transfer: TransferId, content: &FileContent) -> Option<Vec<u8>> {
        let count = u32::try_from(content.chunks()).ok()?;
        let chunks = (0..count).map(|index| self.cx.read::<Vec<u8>>(Key::Chunk(self.id, transfer, index)));
        Some(chunks.collect::<Option<Vec<_>>>()?.concat())
    }

    /// Removes chunks that nobody needs any more, some at a time; then the file itself, if it was given up.
    pub(super) fn remove_needless_chunks(&mut self) {
        let contact = &*self.contact;
        let Some((transfer, record)) = contact.files.iter().find(|(_, file)| file.wastes()) else { return };
        let (transfer, mut record) = (*transfer, record.clone());
        let end = record.removed.saturating_add(REMOVED_AT_ONCE).min(record.chunks());
        for index in record.removed..end {
            self.cx.remove(Key::Chunk(self.id, transfer, index));
        }
        record.removed = end;
        let is_needed = match record.state {
            // Late chunks of a payload that was delivered are known by its record.
            FileState::Complete => record.payload.is_none() || record.direction == Direction::Incoming,
            _ => false,
        };
        let gone = !is_needed && end == record.chunks();
        if gone {
            self.cx.remove(record.key(self.id, transfer));
            self.contact.files.remove(&transfer);
        } else {
            self.cx.put(record.key(self.id, transfer), &record);
            self.contact.files.insert(transfer, record);
        }
    }

    /// When chunks are to be removed next.
    pub(super) fn next_file(&self) -> Option<Timestamp> {
        let contact = &*self.contact;
        contact.files.values().any(FileRecord::wastes).then_some(self.cx.now + 1)
    }

    /// Removes all rows of all files: the contact is forgotten.
    pub(super) fn remove_all_files(&mut self) {
        for (transfer, file) in &self.contact.files {
            for index in file.removed..file.chunks() {
                self.cx.remove(Key::Chunk(self.id, *transfer, index));
            }
            self.cx.remove(file.key(self.id, *transfer));
        }
    }
}
