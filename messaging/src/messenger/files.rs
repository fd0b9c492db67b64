//! Files: loaded by the owner chunk by chunk, sent in the gaps that messages leave, taken within a limit, read out.
//!
//! A file is named by its SHA-256 in the offer. The pod does not hash it: every chunk came through the ratchet, so only
//! the sender could lie, and whoever reads the file out (a device, which trusts no pod) compares the hash. Both sides
//! keep the chunks as rows, so a crash, a dead circuit or a dead relay costs at most the chunks that were on their way.
//!
//! Long payloads of sessions travel in the same way, out of the owner's sight, beside the files of people.
//!
//! ```text
//!   outgoing   Loading ──▶ Underway ──▶ Complete        incoming   Underway ──▶ Complete
//!                 └───────────┴───────▶ Cancelled                     └───────▶ Cancelled
//! ```

mod chunks;
mod early;
mod receipts;
mod record;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use self::receipts::OwedReceipts;
pub(super) use self::{
    chunks::{FileEvent, FileOutcome},
    early::EarlyChunks,
    record::FileRecord,
};
use super::{
    answer::{FileView, RefusedBecause},
    context::Context,
    ids::ContactId,
    item_key::ItemKey,
    row::Key,
    states::{Direction, FileState, Timestamp},
};
use crate::{
    CHUNK_LEN, FileContent, MAX_CHUNKS_UNDERWAY, MAX_EARLY_CHUNKS, MAX_FILE, Outgoing, TransferId, Window,
    courier::Pending,
    payload::{ApplicationKind, ApplicationOffer, FileName, FileOffer, Payload},
};

/// Files listed of a contact, in both directions; the oldest that is over goes first.
pub const MAX_FILES: usize = 64;
/// Files of people on their way from one contact at a time, and as many to it: half of those listed.
pub const MAX_FILES_UNDERWAY: usize = MAX_FILES / 2;
/// Long payloads of sessions on their way from one contact at a time, and as many to it. Beside the files of people, so
/// that neither waits for the other: two of 4 MiB each way are 16 MiB on disk a contact at most.
pub const MAX_APPLICATION_TRANSFERS: usize = 2;
/// Chunks in one command that loads or reads: 40 of 11,500 B are 460 kB.
pub const MAX_LOADED: u32 = 40;
/// Bytes of files that all contacts together may fill, twice the longest file: 8 GiB. The owner removes what is read.
pub const MAX_TAKEN_BYTES: u64 = 2 * MAX_FILE;
/// A contact's files together have at most so many times the bytes of the longest that is taken from them: 1 GiB until
/// the owner says otherwise.
pub const TAKEN_PER_LIMIT: u64 = 4;
/// Chunks removed at a time, so that no step writes without bound.
const REMOVED_AT_ONCE: u32 = 512;

/// Files to and from one contact.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Files of people and long payloads of sessions, in both directions.
    records: BTreeMap<TransferId, FileRecord>,
    /// Chunks that came before their offer.
    early: BTreeMap<TransferId, EarlyChunks>,
    /// Which receipts ride along next.
    owed: OwedReceipts,
}

impl Files {
    /// A file from its row.
    ///
    /// # Errors
    /// The record does not hold together.
    pub(super) fn restore(&mut self, transfer: TransferId, record: FileRecord) -> Result<(), &'static str> {
        record.check()?;
        self.records.insert(transfer, record);
        Ok(())
    }

    /// The files of people. What sessions send is out of the owner's sight.
    pub(super) fn list(&self) -> Vec<FileView> {
        let shown = self.records.iter().filter(|(_, file)| file.payload.is_none());
        shown.map(|(transfer, file)| file.view(*transfer)).collect()
    }

    /// One file of people.
    /// # Errors
    /// [`RefusedBecause::Unknown`].
    pub(super) fn view(&self, transfer: TransferId) -> Result<FileView, RefusedBecause> {
        Ok(self.shown(transfer)?.view(transfer))
    }

    /// The same, as it is kept.
    fn shown(&self, transfer: TransferId) -> Result<&FileRecord, RefusedBecause> {
        let record = self.records.get(&transfer).filter(|file| file.payload.is_none());
        record.ok_or(RefusedBecause::Unknown("file"))
    }

    /// Writes a record and keeps it.
    fn keep(&mut self, cx: &mut Context<'_>, id: ContactId, transfer: TransferId, record: FileRecord) {
        cx.put(record.key(id, transfer), &record);
        self.records.insert(transfer, record);
    }

    /// What is on its way in one direction, payloads of sessions included.
    fn underway(&self, direction: Direction) -> impl Iterator<Item = &FileRecord> {
        self.records.values().filter(move |file| file.direction == direction && !file.is_over())
    }

    /// Bytes of files that came, and of those on their way, until their chunks are removed.
    pub(super) fn taken_bytes(&self) -> u64 {
        let incoming = self.records.values().filter(|file| file.direction == Direction::Incoming);
        incoming.filter(|file| file.removed < file.chunks()).map(|file| file.size).sum()
    }

    /// Room for one more file of people on its way, and in the list.
    ///
    /// # Errors
    /// [`RefusedBecause::Full`].
    fn check_room_for_file(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        direction: Direction,
    ) -> Result<(), RefusedBecause> {
        if self.underway(direction).filter(|file| file.payload.is_none()).count() >= MAX_FILES_UNDERWAY {
            return Err(RefusedBecause::Full {
                what: "files on their way to a contact",
                limit: MAX_FILES_UNDERWAY,
                remedy: "wait until one of them is there, or remove one",
            });
        }
        self.make_room(cx, id)
    }

    /// Room for one more long payload of a session.
    ///
    /// # Errors
    /// [`RefusedBecause::Full`].
    fn check_room_for_payload(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        direction: Direction,
    ) -> Result<(), RefusedBecause> {
        let underway = self.underway(direction).filter(|file| file.payload.is_some()).count();
        if underway >= MAX_APPLICATION_TRANSFERS {
            return Err(RefusedBecause::Full {
                what: "long application payloads on their way to a contact",
                limit: MAX_APPLICATION_TRANSFERS,
                remedy: "wait until one of them is settled",
            });
        }
        self.make_room(cx, id)
    }

    /// Lets the oldest file that is over and takes no room go, where there are too many.
    ///
    /// # Errors
    /// [`RefusedBecause::Full`] where none may go.
    fn make_room(&mut self, cx: &mut Context<'_>, id: ContactId) -> Result<(), RefusedBecause> {
        if self.records.len() < MAX_FILES {
            return Ok(());
        }
        let over = self.records.iter().filter(|(_, file)| file.may_go());
        let oldest = over.min_by_key(|(_, file)| file.at);
        let oldest = oldest.map(|(transfer, file)| (*transfer, file.key(id, *transfer)));
        let remedy = "remove one that is no longer needed";
        let (transfer, key) =
            oldest.ok_or(RefusedBecause::Full { what: "files of a contact", limit: MAX_FILES, remedy })?;
        self.records.remove(&transfer);
        self.owed.forget(transfer);
        cx.remove(key);
        Ok(())
    }

    /// Begins a file that the owner loads.
    pub(super) fn offer(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        name: &FileName,
        content: &FileContent,
    ) -> Result<FileView, RefusedBecause> {
        if content.size == 0 || content.size > MAX_FILE {
            let rule = format!("a file has 1 to {MAX_FILE} bytes");
            return Err(RefusedBecause::Invalid { field: "size", rule });
        }
        self.check_room_for_file(cx, id, Direction::Outgoing)?;
        let transfer = draw_transfer(cx);
        let record = FileRecord::new(Direction::Outgoing, name, content, cx.now);
        self.keep(cx, id, transfer, record);
        self.view(transfer)
    }

    /// Whether these bytes make a file whole that is being loaded.
    pub(super) fn is_last_load(&self, transfer: TransferId, first: u32, len: usize) -> bool {
        let chunks = u32::try_from(len.div_ceil(CHUNK_LEN as usize)).unwrap_or(u32::MAX);
        let end = first.saturating_add(chunks);
        self.shown(transfer).is_ok_and(|file| file.state == FileState::Loading && end >= file.chunks())
    }

    /// Takes the next chunks of a file that is being loaded. Once it is whole it is offered to the contact.
    ///
    /// Chunks that were loaded before may be loaded again: a device that lost an answer repeats them.
    /// # Errors
    /// [`RefusedBecause`] where the file is not being loaded, or the bytes are not whole chunks that follow.
    pub(super) fn load(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        transfer: TransferId,
        first: u32,
        bytes: &[u8],
    ) -> Result<(FileView, Option<FileOffer>), RefusedBecause> {
        let mut record = self.shown(transfer)?.clone();
        if record.direction != Direction::Outgoing || record.state != FileState::Loading {
            return Err(RefusedBecause::Conflict("this file is not being loaded".into()));
        }
        if first > record.loaded {
            let rule = format!("the next chunk is number {}", record.loaded);
            return Err(RefusedBecause::Invalid { field: "first", rule });
        }
        let chunks = cut(&record.content(), first, bytes)?;
        let end = first + u32::try_from(chunks.len()).unwrap_or(MAX_LOADED);
        for (index, chunk) in (first..end).zip(chunks) {
            cx.put(Key::Chunk(id, transfer, index), &chunk.to_vec());
        }
        record.loaded = record.loaded.max(end);
        let whole = record.loaded == record.chunks();
        if whole {
            let outgoing = Outgoing::new(record.content(), MAX_FILE);
            record.transfer = outgoing.map_err(|error| RefusedBecause::Conflict(error.to_string()))?.record();
            record.state = FileState::Underway;
        }
        let view = record.view(transfer);
        self.keep(cx, id, transfer, record);
        let offer = whole.then(|| FileOffer {
            transfer,
            name: view.name.clone(),
            size: view.content.size,
            sha256: view.content.sha256,
        });
        Ok((view, offer))
    }

    /// Begins a long payload of a session, all of whose bytes are here. The offer is queued under the number that `queue`
    /// gives.
    pub(super) fn send_payload(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        kind: ApplicationKind,
        bytes: &[u8],
        queue: impl FnOnce(&mut Context<'_>, ApplicationOffer) -> Option<u64>,
    ) -> Result<u64, RefusedBecause> {
        self.check_room_for_payload(cx, id, Direction::Outgoing)?;
        let content = FileContent { size: bytes.len() as u64, sha256: Sha256::digest(bytes).into() };
        let outgoing =
            Outgoing::new(content, MAX_FILE).map_err(|error| RefusedBecause::Conflict(error.to_string()))?;
        let transfer = draw_transfer(cx);
        let number = queue(cx, ApplicationOffer { transfer, kind, content })
            .ok_or_else(|| RefusedBecause::Conflict("the payload cannot be queued".into()))?;
        for (index, chunk) in (0..).zip(bytes.chunks(CHUNK_LEN as usize)) {
            cx.put(Key::Chunk(id, transfer, index), &chunk.to_vec());
        }
        let record = FileRecord::outgoing_payload(kind, number, &outgoing, cx.now);
        self.keep(cx, id, transfer, record);
        Ok(number)
    }

    /// Chunks of a file that arrived whole.
    pub(super) fn read(
        &self,
        cx: &Context<'_>,
        id: ContactId,
        transfer: TransferId,
        first: u32,
        count: u32,
    ) -> Result<Vec<u8>, RefusedBecause> {
        let record = self.shown(transfer)?;
        let readable = record.direction == Direction::Incoming && record.state == FileState::Complete;
        if !readable {
            return Err(RefusedBecause::Conflict("only a file that has arrived whole can be read".into()));
        }
        let end = first.saturating_add(count.min(MAX_LOADED)).min(record.chunks());
        let gone = || RefusedBecause::Conflict("a chunk of the file is gone".into());
        chunks_of(cx, id, transfer, first..end).ok_or_else(gone)
    }

    /// The owner removes a file. While it is on its way the contact gets a cancellation.
    pub(super) fn remove(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        transfer: TransferId,
    ) -> Result<FileOutcome, RefusedBecause> {
        self.shown(transfer)?;
        Ok(self.cancel(cx, id, transfer))
    }

    /// Stops a transfer from our side.
    ///
    /// Chunks are removed later, some at a time. Nothing is said to the contact where the file was not on its way.
    fn cancel(&mut self, cx: &mut Context<'_>, id: ContactId, transfer: TransferId) -> FileOutcome {
        let Some(record) = self.records.get(&transfer).cloned() else { return FileOutcome::default() };
        let say = (record.state == FileState::Underway).then_some(Payload::FileCancel(transfer));
        self.keep(cx, id, transfer, FileRecord { state: FileState::Cancelled, ..record });
        FileOutcome { say, ..FileOutcome::default() }
    }

    /// Chunks that the contact does not have yet: payloads of sessions first, then the file that is done soonest.
    ///
    /// At most [`MAX_CHUNKS_UNDERWAY`]; of files for which no receipt came yet, whose offers these chunks may overtake,
    /// [`MAX_EARLY_CHUNKS`].
    pub(super) fn pending(&self) -> Vec<Pending<ItemKey>> {
        let underway =
            self.records.iter().filter_map(|(transfer, file)| Some((transfer, file, file.outgoing()?)));
        let mut underway: Vec<_> = underway.collect();
        underway.sort_by_key(|(_, file, outgoing)| (file.payload.is_none(), outgoing.missing(), file.at));
        let (mut pending, mut early) = (Vec::new(), MAX_EARLY_CHUNKS);
        for (transfer, file, outgoing) in underway {
            let all = MAX_CHUNKS_UNDERWAY - pending.len();
            let room = if outgoing.is_known() { all } else { all.min(early) };
            let before = pending.len();
            pending.extend(outgoing.unacknowledged().take(room).map(|index| {
                let len = file.content().chunk(index).map_or(0, |bytes| (bytes.end - bytes.start) as usize);
                Pending { key: ItemKey::Chunk(*transfer, index), len, bulk: true }
            }));
            if !outgoing.is_known() {
                early -= pending.len() - before;
            }
        }
        pending
    }

    /// Receipts for the next packet.
    pub(super) fn receipts(&self) -> Vec<(TransferId, Window)> {
        let receipt = |transfer: TransferId| {
            let file = self.records.get(&transfer)?;
            let window = match file.state {
                FileState::Complete => Window::below(file.content().chunks()),
                _ => *file.incoming()?.receipt(),
            };
            Some((transfer, window))
        };
        self.owed.next().filter_map(receipt).collect()
    }

    /// A packet with [`receipts`](Self::receipts) was made.
    pub(super) fn receipts_left(&mut self) {
        let named: Vec<TransferId> = self.owed.next().collect();
        self.owed.left(named.into_iter());
    }

    /// Whether receipts are owed that the packets made so far had no room for.
    pub(super) fn owes_receipts(&self) -> bool {
        self.owed.are_due()
    }

    /// Does what is due: gives up a file whose offer does not come, and removes chunks that nobody needs any more.
    pub(super) fn wake(&mut self, cx: &mut Context<'_>, id: ContactId) -> FileOutcome {
        self.remove_some(cx, id);
        self.expire_early(cx, id)
    }

    /// Removes chunks that nobody needs any more, some at a time; then the file itself, if it was given up.
    fn remove_some(&mut self, cx: &mut Context<'_>, id: ContactId) {
        let wasteful = self.records.iter().find(|(_, file)| file.wastes());
        let Some((transfer, mut record)) = wasteful.map(|(transfer, file)| (*transfer, file.clone())) else {
            return;
        };
        let end = record.removed.saturating_add(REMOVED_AT_ONCE).min(record.chunks());
        for index in record.removed..end {
            cx.remove(Key::Chunk(id, transfer, index));
        }
        record.removed = end;
        if !record.is_needed() && end == record.chunks() {
            cx.remove(record.key(id, transfer));
            self.records.remove(&transfer);
            self.owed.forget(transfer);
        } else {
            self.keep(cx, id, transfer, record);
        }
    }

    /// When something is due next.
    pub(super) fn next_wake(&self, now: Timestamp, clock_is_right: bool) -> Option<Timestamp> {
        let wastes = self.records.values().any(FileRecord::wastes).then_some(now + 1);
        wastes.into_iter().chain(self.next_early().filter(|_| clock_is_right)).min()
    }

    /// Removes all rows: the contact is forgotten.
    pub(super) fn remove_all(&self, cx: &mut Context<'_>, id: ContactId) {
        for (transfer, file) in &self.records {
            for index in file.removed..file.chunks() {
                cx.remove(Key::Chunk(id, *transfer, index));
            }
            cx.remove(file.key(id, *transfer));
        }
        self.remove_all_early(cx, id);
    }
}

/// A random name for a transfer.
fn draw_transfer(cx: &mut Context<'_>) -> TransferId {
    let mut transfer = TransferId([0; 16]);
    cx.rng.fill_bytes(&mut transfer.0);
    transfer
}

/// Whole chunks from `first` on, the last of the file alone may be shorter.
fn cut(content: &FileContent, first: u32, bytes: &[u8]) -> Result<Vec<Vec<u8>>, RefusedBecause> {
    let invalid = |rule: String| RefusedBecause::Invalid { field: "bytes", rule };
    if bytes.is_empty() || bytes.len() > (MAX_LOADED * CHUNK_LEN) as usize {
        return Err(invalid(format!("1 to {MAX_LOADED} chunks of {CHUNK_LEN} bytes")));
    }
    let chunks: Vec<Vec<u8>> = bytes.chunks(CHUNK_LEN as usize).map(<[u8]>::to_vec).collect();
    for (index, chunk) in (first..).zip(&chunks) {
        let range = content.chunk(index).ok_or_else(|| invalid("beyond the end of the file".into()))?;
        if range.end - range.start != chunk.len() as u64 {
            return Err(invalid(format!("whole chunks of {CHUNK_LEN} bytes, but for the end of the file")));
        }
    }
    Ok(chunks)
}

/// The bytes of these chunks; none if one is missing.
fn chunks_of(
    cx: &Context<'_>,
    id: ContactId,
    transfer: TransferId,
    indices: std::ops::Range<u32>,
) -> Option<Vec<u8>> {
    let chunks = indices.map(|index| cx.read::<Vec<u8>>(Key::Chunk(id, transfer, index)));
    Some(chunks.collect::<Option<Vec<_>>>()?.concat())
}

/// Equal in what rows hold.
impl PartialEq for Files {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records && self.early == other.early
    }
}
