//! Offers and chunks on their way: sent, taken, acknowledged, refused.
//!
//! A repeat is answered with a receipt, a chunk that is too far ahead is dropped and comes again, and what is not offered
//! yet waits for its offer ([`early`](super::early)): that is a message, which may be late behind others.

use sha2::{Digest as _, Sha256};

use super::{FileRecord, Files, chunks_of};
use crate::{
    ChunkVerdict, FileContent, Incoming, TransferId, Window,
    messenger::{
        context::Context,
        effect::{ApplicationEvent, Notice},
        ids::ContactId,
        refusals::RefusalReason,
        row::Key,
        states::{Direction, FileState},
    },
    packet::Chunk,
    payload::{ApplicationKind, ApplicationOffer, FileOffer, MAX_APPLICATION_LEN, Payload},
};

/// What happened to files.
pub(in crate::messenger) enum FileEvent<'a> {
    /// The contact offers a file, of which at most so many bytes are taken.
    Offered(FileOffer, u64),
    /// The contact announces a long payload, for which there is a session here or not.
    PayloadOffered(&'a ApplicationOffer, bool),
    /// A chunk came.
    Chunk(&'a Chunk),
    /// What the contact has of our files.
    Receipts(&'a [(TransferId, Window)]),
    /// The contact gave a file up.
    Cancelled(TransferId),
    /// The offer of a long payload expired.
    OfferExpired(TransferId),
    /// A new group began: the contact's pod may have been restored from a backup.
    GroupBegan,
}

/// What follows for the conversation.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use]
pub(in crate::messenger) struct FileOutcome {
    /// To be sent to the contact.
    pub(in crate::messenger) say: Option<Payload>,
    /// A receipt is owed; whether what came had come before.
    pub(in crate::messenger) owes_receipt: Option<bool>,
    /// The receipt is to leave at once: the contact waits for it to go on, or to say that the file is there.
    pub(in crate::messenger) at_once: bool,
    /// The contact has chunks that we do not know to have sent: our disk went back.
    pub(in crate::messenger) went_back: bool,
}

impl FileOutcome {
    /// The contact is to stop sending this file.
    pub(super) fn decline(transfer: TransferId) -> Self {
        Self { say: Some(Payload::FileCancel(transfer)), ..Self::default() }
    }

    /// Chunks that had come before the offer are taken: the contact may send more.
    fn took_early(any: bool) -> Self {
        Self { owes_receipt: any.then_some(false), at_once: any, ..Self::default() }
    }
}

impl Files {
    /// Takes note of what happened.
    pub(in crate::messenger) fn handle(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        event: FileEvent<'_>,
    ) -> FileOutcome {
        match event {
            FileEvent::Offered(offer, limit) => return self.offered(cx, id, &offer, limit),
            FileEvent::PayloadOffered(offer, served) => return self.payload_offered(cx, id, offer, served),
            FileEvent::Chunk(chunk) => return self.chunk_arrived(cx, id, chunk),
            FileEvent::Receipts(receipts) => return self.acknowledged(cx, id, receipts),
            FileEvent::Cancelled(transfer) => self.cancelled(cx, id, transfer),
            FileEvent::OfferExpired(transfer) => return self.offer_expired(cx, id, transfer),
            FileEvent::GroupBegan => self.learn_anew(cx, id),
        }
        FileOutcome::default()
    }

    /// A chunk to be sent.
    ///
    /// None if its row is lost, which is counted, or the transfer ended meanwhile.
    pub(in crate::messenger) fn chunk(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        transfer: TransferId,
        index: u32,
    ) -> Option<Chunk> {
        let Some(bytes) = cx.read::<Vec<u8>>(Key::Chunk(id, transfer, index)) else {
            cx.refuse(RefusalReason::LostRow);
            return None;
        };
        let mut record = self.records.get(&transfer)?.clone();
        let mut outgoing = record.outgoing()?;
        if outgoing.mark_sent(index) {
            record.transfer = outgoing.record();
            self.keep(cx, id, transfer, record);
        }
        Some(Chunk { transfer, index, bytes })
    }

    /// Receipts for files that are over say nothing new: they are passed over.
    fn acknowledged(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        receipts: &[(TransferId, Window)],
    ) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        for (transfer, window) in receipts {
            let record = self.records.get(transfer).cloned();
            let Some((mut record, mut outgoing)) =
                record.and_then(|record| Some((record.clone(), record.outgoing()?)))
            else {
                continue;
            };
            match outgoing.acknowledge(window) {
                Ok(true) => {
                    record.transfer = outgoing.record();
                    if outgoing.is_complete() {
                        record.state = FileState::Complete;
                        settled(cx, id, *transfer, &record, true);
                    }
                    self.keep(cx, id, *transfer, record);
                }
                Ok(false) => {}
                Err(_) => outcome.went_back = true,
            }
        }
        outcome
    }

    /// The long payload that was queued under this number.
    pub(in crate::messenger) fn transfer_of(&self, number: u64) -> Option<TransferId> {
        let mut outgoing = self.records.iter().filter(|(_, file)| file.direction == Direction::Outgoing);
        let found = outgoing.find(|(_, file)| file.payload().is_some_and(|(_, of)| of == number));
        found.map(|(transfer, _)| *transfer)
    }

    /// What the contact has of our files is learnt anew.
    fn learn_anew(&mut self, cx: &mut Context<'_>, id: ContactId) {
        let restarted = self.records.iter().filter_map(|(transfer, file)| {
            let mut outgoing = file.outgoing()?;
            outgoing.restart();
            Some((*transfer, FileRecord { transfer: outgoing.record(), ..file.clone() }))
        });
        for (transfer, record) in restarted.collect::<Vec<_>>() {
            self.keep(cx, id, transfer, record);
        }
    }

    /// A contact offers a file: it is taken if it is within the limit.
    fn offered(&mut self, cx: &mut Context<'_>, id: ContactId, offer: &FileOffer, limit: u64) -> FileOutcome {
        let FileOffer { transfer, name, size, sha256 } = offer;
        let content = FileContent { size: *size, sha256: *sha256 };
        if self.records.contains_key(transfer) {
            cx.refuse(RefusalReason::Repeat);
            return FileOutcome::default();
        }
        let room = *size > 0 && self.check_room_for_file(cx, id, Direction::Incoming).is_ok();
        let Some(mut incoming) = Incoming::new(content, limit).ok().filter(|_| room) else {
            self.drop_early(cx, id, *transfer);
            cx.notify(Notice::FileCancelled(id, *transfer));
            return FileOutcome::decline(*transfer);
        };
        let mut record = FileRecord::new(Direction::Incoming, name, &content, cx.now);
        record.state = FileState::Underway;
        cx.notify(Notice::FileOffered(id, *transfer));
        self.begin(cx, id, *transfer, record, &mut incoming)
    }

    /// A file or payload is taken, with all of it that came before its offer.
    fn begin(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        transfer: TransferId,
        record: FileRecord,
        incoming: &mut Incoming,
    ) -> FileOutcome {
        let any = self.take_early(cx, id, transfer, incoming);
        self.took_chunks(cx, id, transfer, record, incoming);
        if any {
            self.owed.owe(transfer);
        }
        FileOutcome::took_early(any)
    }

    /// A long payload is announced. One that no session takes, or that finds no room, is declined.
    fn payload_offered(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        offer: &ApplicationOffer,
        served: bool,
    ) -> FileOutcome {
        let ApplicationOffer { transfer, kind, content } = *offer;
        if self.records.contains_key(&transfer) {
            cx.refuse(RefusalReason::Repeat);
            return FileOutcome::default();
        }
        let room = served && self.check_room_for_payload(cx, id, Direction::Incoming).is_ok();
        let Some(mut incoming) = Incoming::new(content, MAX_APPLICATION_LEN as u64).ok().filter(|_| room)
        else {
            self.drop_early(cx, id, transfer);
            cx.refuse(RefusalReason::DeclinedPayload);
            return FileOutcome::decline(transfer);
        };
        let record = FileRecord::incoming_payload(kind, &incoming, cx.now);
        self.begin(cx, id, transfer, record, &mut incoming)
    }

    /// A chunk of a file.
    fn chunk_arrived(&mut self, cx: &mut Context<'_>, id: ContactId, chunk: &Chunk) -> FileOutcome {
        let Chunk { transfer, index, bytes } = chunk;
        let Some(record) = self.records.get(transfer).cloned() else {
            self.keep_early(cx, id, chunk);
            return FileOutcome::default();
        };
        let (mut first, mut whole) = (false, false);
        let verdict = match (record.state, record.incoming()) {
            (FileState::Complete, _) => ChunkVerdict::Repeat,
            (FileState::Cancelled, _) => {
                cx.refuse(RefusalReason::Superseded);
                return FileOutcome::default();
            }
            (_, None) => ChunkVerdict::Malformed,
            (_, Some(mut incoming)) => {
                first = incoming.received() == 0;
                let verdict = incoming.accept(*index, bytes.len());
                if let ChunkVerdict::New { .. } = verdict {
                    whole = incoming.is_complete();
                    cx.put(Key::Chunk(id, *transfer, *index), bytes);
                    self.took_chunks(cx, id, *transfer, record, &incoming);
                }
                verdict
            }
        };
        match verdict {
            ChunkVerdict::Malformed => cx.refuse(RefusalReason::Malformed),
            ChunkVerdict::TooFar => cx.refuse(RefusalReason::TooFar),
            ChunkVerdict::New { .. } | ChunkVerdict::Repeat => {
                self.owed.owe(*transfer);
                let repeated = verdict == ChunkVerdict::Repeat;
                let at_once = first || whole;
                return FileOutcome { owes_receipt: Some(repeated), at_once, ..FileOutcome::default() };
            }
        }
        FileOutcome::default()
    }

    /// Chunks are here for the first time; with the last the file, or payload, is whole.
    fn took_chunks(
        &mut self,
        cx: &mut Context<'_>,
        id: ContactId,
        transfer: TransferId,
        mut record: FileRecord,
        incoming: &Incoming,
    ) {
        record.transfer = incoming.record();
        if incoming.is_complete() {
            record.state = FileState::Complete;
            match record.payload() {
                Some((kind, _)) => deliver(cx, id, transfer, kind, &record),
                None => cx.notify(Notice::FileReceived(id, transfer)),
            }
        }
        self.keep(cx, id, transfer, record);
    }

    /// A contact gave a file up.
    fn cancelled(&mut self, cx: &mut Context<'_>, id: ContactId, transfer: TransferId) {
        self.drop_early(cx, id, transfer);
        let Some(record) = self.records.get(&transfer).filter(|record| !record.is_over()).cloned() else {
            return cx.refuse(RefusalReason::Superseded);
        };
        let record = FileRecord { state: FileState::Cancelled, ..record };
        settled(cx, id, transfer, &record, false);
        self.keep(cx, id, transfer, record);
    }

    /// The offer of a long payload expired: the payload ends with it.
    fn offer_expired(&mut self, cx: &mut Context<'_>, id: ContactId, transfer: TransferId) -> FileOutcome {
        match self.records.get(&transfer).filter(|record| !record.is_over()) {
            Some(record) => {
                settled(cx, id, transfer, record, false);
                self.cancel(cx, id, transfer)
            }
            None => FileOutcome::default(),
        }
    }
}

/// A transfer ended: a notice for the owner, or an event for the session.
fn settled(cx: &mut Context<'_>, id: ContactId, transfer: TransferId, record: &FileRecord, delivered: bool) {
    match (record.payload(), record.direction) {
        (Some((kind, number)), Direction::Outgoing) => {
            cx.application_event(ApplicationEvent::Settled { contact: id, number, kind, delivered });
        }
        (Some(_), Direction::Incoming) => {}
        (None, _) if delivered => cx.notify(Notice::FileDelivered(id, transfer)),
        (None, _) => cx.notify(Notice::FileCancelled(id, transfer)),
    }
}

/// All chunks of a long payload are here. It is delivered if its hash is right.
fn deliver(
    cx: &mut Context<'_>,
    id: ContactId,
    transfer: TransferId,
    kind: ApplicationKind,
    record: &FileRecord,
) {
    let Some(bytes) = chunks_of(cx, id, transfer, 0..record.chunks()) else {
        return cx.refuse(RefusalReason::LostRow);
    };
    if <[u8; 32]>::from(Sha256::digest(&bytes)) != record.content().sha256 {
        return cx.refuse(RefusalReason::Malformed);
    }
    cx.application_event(ApplicationEvent::Deliver { contact: id, kind, bytes });
}
