//! Chunks on their way: sent, taken, acknowledged, refused.

use super::{FileRecord, STRAY_AFTER};
use crate::{
    ChunkVerdict, FileContent, Incoming, MAX_TRANSFERS, TransferId, Window,
    messenger::{
        ContactState, Direction, FileState, Notice, RefusalReason, contact_turn::ContactTurn, row::Key,
    },
    packet::{Chunk, Item},
    payload::{FileOffer, Payload},
};

/// Files whose chunks came without an offer, at most so many are remembered.
const MAX_STRAY: usize = 8;

impl ContactTurn<'_, '_> {
    /// A chunk to be sent.
    pub(in crate::messenger) fn chunk(&mut self, transfer: TransferId, index: u32) -> Option<Item> {
        let bytes = self.cx.read::<Vec<u8>>(Key::Chunk(self.id, transfer, index))?;
        let mut record = self.file_record(transfer).ok()?.clone();
        let mut outgoing = record.outgoing()?;
        if outgoing.mark_sent(index) {
            record.transfer = outgoing.record();
            self.keep_file(transfer, record);
        }
        Some(Item::Chunk(Chunk { transfer, index, bytes }))
    }

    /// What a contact has of our files.
    pub(in crate::messenger) fn file_receipts(&mut self, receipts: &[(TransferId, Window)]) {
        for (transfer, window) in receipts {
            let Ok(record) = self.file_record(*transfer) else { continue };
            let (mut record, Some(mut outgoing)) = (record.clone(), record.outgoing()) else { continue };
            match outgoing.acknowledge(window) {
                Ok(true) => {
                    record.transfer = outgoing.record();
                    if outgoing.is_complete() {
                        record.state = FileState::Complete;
                        match record.payload() {
                            Some((kind, number)) => self.payload_settled(number, kind, true),
                            None => self.cx.notify(Notice::FileDelivered(self.id, *transfer)),
                        }
                    }
                    self.keep_file(*transfer, record);
                }
                Ok(false) => {}
                Err(_) => self.cx.refuse(RefusalReason::ForgedReceipt),
            }
        }
    }

    /// The contact's pod may have been restored from a backup: what it has of our files is learnt anew.
    pub(in crate::messenger) fn restart_files(&mut self) {
        let contact = &*self.contact;
        let restarted = contact.files.iter().filter_map(|(transfer, file)| {
            let mut outgoing = file.outgoing()?;
            outgoing.restart();
            Some((*transfer, FileRecord { transfer: outgoing.record(), ..file.clone() }))
        });
        let restarted: Vec<_> = restarted.collect();
        restarted.into_iter().for_each(|(transfer, record)| self.keep_file(transfer, record));
    }

    /// A contact offers a file: it is taken if it is within the limit.
    pub(in crate::messenger) fn file_offered(&mut self, offer: FileOffer) {
        let FileOffer { transfer, name, size, sha256 } = offer;
        let content = FileContent { size, sha256 };
        let contact = &*self.contact;
        if contact.files.contains_key(&transfer) {
            return;
        }
        let limit = contact.record.profile.file_limit;
        let welcome = size > 0 && contact.files_underway(Direction::Incoming) < MAX_TRANSFERS;
        let incoming = Incoming::new(content, limit).ok().filter(|_| welcome);
        let room = self.make_room_for_file().is_ok();
        let Some(incoming) = incoming.filter(|_| room) else {
            self.queue_payload(&Payload::FileCancel(transfer));
            return self.cx.notify(Notice::FileCancelled(self.id, transfer));
        };
        let mut record = FileRecord::new(Direction::Incoming, &name, &content, self.cx.now);
        record.state = FileState::Underway;
        record.transfer = incoming.record();
        self.keep_file(transfer, record);
        self.cx.notify(Notice::FileOffered(self.id, transfer));
    }

    /// A chunk of a file.
    pub(in crate::messenger) fn chunk_arrived(&mut self, chunk: &Chunk) {
        let Chunk { transfer, index, bytes } = chunk;
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let Some(record) = contact.files.get(transfer).cloned() else {
            return self.stray_chunk(*transfer);
        };
        let verdict = match record.state {
            FileState::Complete => ChunkVerdict::Repeat,
            FileState::Cancelled => return,
            _ => match record.incoming() {
                Some(mut incoming) => {
                    let verdict = incoming.accept(*index, bytes.len());
                    if let ChunkVerdict::New { .. } = verdict {
                        self.take_chunk(*transfer, *index, bytes, record, &incoming);
                    }
                    verdict
                }
                None => ChunkVerdict::Malformed,
            },
        };
        match verdict {
            ChunkVerdict::Malformed => self.cx.refuse(RefusalReason::Malformed),
            ChunkVerdict::TooFar => {}
            ChunkVerdict::New { .. } | ChunkVerdict::Repeat => {
                let contact = &mut *self.contact;
                contact.volatile.courier.owe_receipt(now, verdict == ChunkVerdict::Repeat);
                let lately = &mut contact.volatile.chunks_from;
                lately.retain(|other| other != transfer);
                lately.push_back(*transfer);
                if lately.len() > MAX_TRANSFERS {
                    lately.pop_front();
                }
                self.touch();
            }
        }
    }

    fn take_chunk(
        &mut self,
        transfer: TransferId,
        index: u32,
        bytes: &Vec<u8>,
        mut record: FileRecord,
        incoming: &Incoming,
    ) {
        self.cx.put(Key::Chunk(self.id, transfer, index), bytes);
        record.transfer = incoming.record();
        if incoming.is_complete() {
            record.state = FileState::Complete;
            match record.payload() {
                Some((kind, _)) => self.deliver_long_payload(transfer, kind, incoming.content()),
                None => self.cx.notify(Notice::FileReceived(self.id, transfer)),
            }
        }
        self.keep_file(transfer, record);
    }

    /// A chunk of a file that was never offered here: after a while its sender is told to stop.
    fn stray_chunk(&mut self, transfer: TransferId) {
        let now = self.cx.now;
        let contact = &mut *self.contact;
        let stray = &mut contact.volatile.stray_chunks;
        if stray.len() >= MAX_STRAY && !stray.contains_key(&transfer) {
            stray.retain(|_, since| now < *since + STRAY_AFTER);
        }
        if stray.len() < MAX_STRAY || stray.contains_key(&transfer) {
            let since = *stray.entry(transfer).or_insert(now);
            if now >= since + STRAY_AFTER && contact.record.state() == ContactState::Active {
                stray.remove(&transfer);
                self.queue_payload(&Payload::FileCancel(transfer));
            }
        }
    }

    /// A contact gave a file up.
    pub(in crate::messenger) fn file_cancelled(&mut self, transfer: TransferId) {
        let Ok(record) = self.file_record(transfer) else { return };
        if record.is_over() {
            return;
        }
        let record = FileRecord { state: FileState::Cancelled, ..record.clone() };
        match (record.payload(), record.direction) {
            (Some((kind, number)), Direction::Outgoing) => self.payload_settled(number, kind, false),
            (Some(_), Direction::Incoming) => {}
            (None, _) => self.cx.notify(Notice::FileCancelled(self.id, transfer)),
        }
        self.keep_file(transfer, record);
    }
}
