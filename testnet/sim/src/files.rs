//! Files between contacts: one's device offers and loads them, the other's reads and compares them.
//!
//! The two owners work through a file whenever they use a device: the sender offers it, loads it, and asks until it
//! is reported as delivered; the receiver asks until it is complete, reads it and compares every byte. A file that is
//! complete with other bytes, or is cancelled by nobody, breaks a promise at once; one that is not done in the end
//! breaks one then. A file of no bytes has to be refused at once.

use autonomy_messaging::messenger::{ContactId, FileState, MAX_LOADED};
use autonomy_messaging::{CHUNK_LEN, FileContent, TransferId};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use sha2::{Digest, Sha256};

use crate::command::{Answer, Command, Refused};
use crate::config::Fault;
use crate::pod::mix;
use crate::world::World;

/// An owner who uses a device sends a file in one of so many times.
const SENDS: u32 = 60;
/// Bytes of a chunk.
const CHUNK: u64 = CHUNK_LEN as u64;
/// Longest file that owners send by themselves: more than fills a window of chunks, and several requests of a device.
const MAX_LEN: u64 = 90 * CHUNK;

/// A file on its way, as the two owners know it. It is dropped once both sides are done with it.
#[derive(Debug)]
pub(super) struct Sent {
    from: usize,
    to: usize,
    transfer: TransferId,
    /// Source of its bytes, so that they need not be kept.
    seed: u64,
    len: u64,
    /// Whether the receiver's device has read the right bytes.
    read: bool,
    /// Whether the sender's pod reports it as delivered.
    delivered: bool,
}

impl Sent {
    /// What was sent.
    fn bytes(&self) -> Vec<u8> {
        bytes(self.seed, self.len)
    }

    /// Whether both sides are done with it.
    fn is_over(&self) -> bool {
        self.read && self.delivered
    }
}

/// Length of a file: mostly some chunks, now and then one at an edge, or a long one.
fn some_length(rng: &mut StdRng) -> u64 {
    match rng.gen_range(0..10) {
        0 => [0, 1, CHUNK - 1, CHUNK, CHUNK + 1][rng.gen_range(0..5)],
        1 => rng.gen_range(20 * CHUNK..MAX_LEN),
        _ => rng.gen_range(1..20 * CHUNK),
    }
}

/// The bytes of a file.
#[expect(clippy::expect_used, reason = "it fits into memory")]
fn bytes(seed: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).expect("it fits into memory")];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

impl World {
    /// Everything of this module that an owner may do at one time.
    pub(super) fn act_on_files(&mut self, pod: usize) {
        if self.faults_on && self.config.faults.has(Fault::Owners) && self.rng.gen_ratio(1, SENDS) {
            self.send_some_file(pod);
        }
        self.work_on_files(pod);
    }

    /// The owner of a pod loads, reads and compares.
    fn work_on_files(&mut self, pod: usize) {
        for file in 0..self.files.len() {
            if !self.shells[pod].pod.is_running() {
                return;
            }
            if self.files[file].from == pod && !self.files[file].delivered {
                self.check_sent_file(file);
            }
            if self.files[file].to == pod && !self.files[file].read {
                self.check_received_file(file);
            }
        }
        let over = self.files.iter().filter(|file| file.is_over()).count() as u64;
        self.figures.files += over;
        self.files.retain(|file| !file.is_over());
    }

    /// Offers some file to a contact.
    fn send_some_file(&mut self, pod: usize) {
        let friends = self.friends(pod);
        if friends.is_empty() {
            return;
        }
        let to = friends[self.rng.gen_range(0..friends.len())];
        let len = some_length(&mut self.rng);
        self.send_file(pod, to, len);
    }

    /// The owner of a pod offers a file of so many bytes to a contact. Says whether the pod accepted it.
    pub fn send_file(&mut self, from: usize, to: usize, len: u64) -> bool {
        let seed = mix(self.config.seed, self.heap.now() ^ (self.files.len() as u64) << 48);
        let content = FileContent { size: len, sha256: Sha256::digest(bytes(seed, len)).into() };
        let contact = self.shells[to].pod.contact_id();
        let answer = self.ask(from, Command::OfferFile { contact, content });
        let Some(Ok(Answer::File { transfer, .. })) = answer else { return false };
        if len == 0 {
            self.breach(Some(from), "a file of no bytes was accepted".into());
        }
        self.files.push(Sent { from, to, transfer, seed, len, read: false, delivered: false });
        true
    }

    /// The devices of both owners look after all files. Gives how many are not read or not known as delivered yet.
    pub fn look_after_files(&mut self) -> usize {
        for pod in 0..self.shells.len() {
            self.work_on_files(pod);
        }
        self.files.len()
    }

    /// The sender's device loads a file while that is what the pod waits for, and asks whether it was delivered.
    fn check_sent_file(&mut self, file: usize) {
        let Sent { from, to, transfer, .. } = self.files[file];
        let contact = self.shells[to].pod.contact_id();
        match self.file(from, contact, transfer) {
            Some(FileState::Loading) => self.load_file(file),
            Some(FileState::Complete) => self.files[file].delivered = true,
            Some(FileState::Cancelled) => self.breach(Some(from), "a file is cancelled by nobody".into()),
            _ => {}
        }
    }

    /// Loads a file piece by piece, until one is not answered or not taken: then again with the next look.
    fn load_file(&mut self, file: usize) {
        let Sent { from, to, transfer, .. } = self.files[file];
        let contact = self.shells[to].pod.contact_id();
        let pieces = self.files[file].bytes();
        let pieces = pieces.chunks((MAX_LOADED * CHUNK_LEN) as usize).map(<[u8]>::to_vec);
        for (piece, bytes) in (0..).zip(pieces) {
            let load = Command::LoadFile { contact, transfer, first: piece * MAX_LOADED, bytes };
            if !matches!(self.ask(from, load), Some(Ok(_))) {
                return;
            }
        }
    }

    /// The receiver's device reads a file once it is complete, and compares.
    fn check_received_file(&mut self, file: usize) {
        let Sent { from, to, transfer, .. } = self.files[file];
        let contact = self.shells[from].pod.contact_id();
        if self.file(to, contact, transfer) != Some(FileState::Complete) {
            return;
        }
        match self.read_file(to, contact, transfer) {
            Some(Ok(bytes)) if bytes == self.files[file].bytes() => self.files[file].read = true,
            None => {}
            Some(other) => {
                let told = other.map(|_| "other bytes");
                self.breach(Some(to), format!("a file that is complete reads as {told:?}"));
            }
        }
    }

    /// All bytes of a file, as the pod gives them out. None if it crashed meanwhile.
    fn read_file(
        &mut self,
        pod: usize,
        contact: ContactId,
        transfer: TransferId,
    ) -> Option<Result<Vec<u8>, Refused>> {
        let (mut all, mut first) = (Vec::new(), 0);
        loop {
            let read = Command::ReadFile { contact, transfer, first, count: MAX_LOADED };
            match self.ask(pod, read)? {
                Ok(Answer::Bytes(bytes)) if bytes.is_empty() => return Some(Ok(all)),
                Ok(Answer::Bytes(bytes)) => all.extend(bytes),
                Ok(_) => return Some(Ok(all)),
                Err(refused) => return Some(Err(refused)),
            }
            first += MAX_LOADED;
        }
    }

    /// How far a file is, as one of the two pods says.
    fn file(&mut self, pod: usize, contact: ContactId, transfer: TransferId) -> Option<FileState> {
        match self.ask(pod, Command::File(contact, transfer)) {
            Some(Ok(Answer::File { state, .. })) => Some(state),
            _ => None,
        }
    }

    /// Nothing more is promised about files of this pod: its disk was lost, and with it what it had loaded or received
    /// since the backup.
    pub(super) fn forget_files(&mut self, pod: usize) {
        self.files.retain(|file| file.from != pod && file.to != pod);
    }

    /// Nor about files between two who part.
    pub(super) fn forget_files_between(&mut self, one: usize, other: usize) {
        self.files.retain(|file| [(one, other), (other, one)].iter().all(|way| (file.from, file.to) != *way));
    }

    /// In the end every file is read and known as delivered.
    pub(super) fn check_files(&mut self) {
        if let Some(Sent { from, to, read, delivered, .. }) = self.files.first() {
            let what = format!(
                "a file of pod {from} to pod {to} is still underway (read: {read}, told as delivered: {delivered})"
            );
            self.breach(Some(*from), what);
        }
    }
}
