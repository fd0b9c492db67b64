//! One side of a talk: outbox, inbox and courier, with rows that a crash leaves behind.

use std::collections::BTreeMap;

use autonomy_messaging::{Courier, Inbox, Outbox, PartShape, PartVerdict, Pending, Route, Window};
use rand::rngs::StdRng;

pub(crate) const GROUP: [u8; 16] = [1; 16];

/// A packet as it would be sealed.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) receipt: Window,
    pub(crate) parts: Vec<(u64, PartShape, Vec<u8>)>,
}

/// A call that a peer wants made.
pub(crate) struct Out {
    pub(crate) call: u64,
    pub(crate) place: usize,
    pub(crate) frame: Frame,
}

/// What is on disk.
#[derive(Default)]
struct Rows {
    head: Vec<u8>,
    queued: BTreeMap<u64, Vec<u8>>,
    bodies: BTreeMap<u64, Vec<u8>>,
    inbox: Vec<u8>,
    kept: BTreeMap<u64, Vec<u8>>,
}

pub(crate) struct Peer {
    outbox: Outbox,
    inbox: Inbox,
    courier: Courier<u64>,
    routes: Vec<Route>,
    rows: Rows,
    calls: u64,
    pub(crate) shown: Vec<Vec<u8>>,
    pub(crate) delivered: Vec<u64>,
    pub(crate) frames: usize,
}

impl Peer {
    pub(crate) fn new(routes: &[Route]) -> Self {
        let (outbox, inbox) = (Outbox::new(GROUP), Inbox::new(GROUP));
        let rows = Rows { head: outbox.head(), inbox: inbox.record(), ..Rows::default() };
        let (routes, courier) = (routes.to_vec(), Courier::new(routes, 0));
        let (shown, delivered) = Default::default();
        Self { outbox, inbox, courier, routes, rows, calls: 0, shown, delivered, frames: 0 }
    }

    pub(crate) fn say(&mut self, log: u64, body: &[u8]) {
        self.outbox.queue(log, u32::try_from(body.len()).unwrap()).unwrap();
        self.rows.bodies.insert(log, body.to_vec());
        self.rows.queued.insert(log, self.outbox.record(log).unwrap());
        self.rows.head = self.outbox.head();
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.outbox.queued_parts()
    }

    pub(crate) fn courier(&mut self) -> &mut Courier<u64> {
        &mut self.courier
    }

    /// What is due, marked as sent on disk before it leaves.
    pub(crate) fn ship(&mut self, now: u64, rng: &mut StdRng) -> Vec<Out> {
        let part = |seq| self.outbox.part(seq).unwrap();
        let pending: Vec<Pending<u64>> = (self.outbox.unacknowledged())
            .map(|key| Pending { key, len: part(key).len as usize, bulk: false })
            .collect();
        let shipments = self.courier.next(now, rng, &pending);
        shipments.into_iter().map(|shipment| self.seal(shipment.place, shipment.keys, now)).collect()
    }

    fn seal(&mut self, place: usize, keys: Vec<u64>, now: u64) -> Out {
        let mut parts = Vec::new();
        for seq in &keys {
            let part = self.outbox.part(*seq).unwrap();
            let shape = PartShape { first: part.first, last: part.last, len: part.len, origin: part.origin };
            let bytes = (part.offset as usize)..((part.offset + part.len) as usize);
            parts.push((*seq, shape, self.rows.bodies[&part.log][bytes].to_vec()));
            self.outbox.mark_sent(*seq);
        }
        self.rows.head = self.outbox.head();
        self.calls += 1;
        self.frames += 1;
        self.courier.sent(self.calls, place, keys, now);
        Out { call: self.calls, place, frame: Frame { receipt: *self.inbox.receipt(), parts } }
    }

    pub(crate) fn take(&mut self, frame: &Frame, now: u64) {
        self.courier.heard_from(now);
        for settled in self.outbox.acknowledge(&frame.receipt).unwrap() {
            self.rows.queued.remove(&settled.log);
            self.rows.bodies.remove(&settled.log);
            self.delivered.push(settled.log);
        }
        self.rows.head = self.outbox.head();
        for (seq, shape, bytes) in &frame.parts {
            let verdict = self.take_part(*seq, *shape, bytes);
            self.courier.owe_receipt(now, verdict == PartVerdict::Repeat);
        }
        self.rows.inbox = self.inbox.record();
    }

    fn take_part(&mut self, seq: u64, shape: PartShape, bytes: &[u8]) -> PartVerdict {
        let accepted = self.inbox.accept(seq, shape);
        let kept = &mut self.rows.kept;
        if accepted.verdict != PartVerdict::New {
            return accepted.verdict;
        }
        kept.insert(seq, bytes.to_vec());
        for message in &accepted.released {
            self.shown.push(message.seqs.clone().flat_map(|part| kept[&part].clone()).collect());
        }
        for gone in accepted.forget.iter().chain((!accepted.keep).then_some(&seq)) {
            kept.remove(gone);
        }
        accepted.verdict
    }

    /// Everything but the rows is gone.
    pub(crate) fn crash(&mut self) {
        let queued = self.rows.queued.iter().map(|(log, record)| (*log, record.as_slice()));
        let outbox = Outbox::restore(&self.rows.head, queued).unwrap();
        let inbox = Inbox::restore(&self.rows.inbox).unwrap();
        assert_eq!((&outbox, &inbox), (&self.outbox, &self.inbox));
        (self.outbox, self.inbox) = (outbox, inbox);
        self.courier = Courier::new(&self.routes, 0);
        // Calls of before have no outcome any more.
        self.calls += 1_000_000;
    }
}
