//! Files between contacts: one's device offers and loads them, the other's reads and compares them.
//!
//! The two owners work through a file whenever they use a device: the sender offers it, loads it, and asks until it
//! is reported as delivered; the receiver asks until it is complete, reads it and compares every byte. A file that is
//! complete with other bytes, or is cancelled by nobody, breaks a promise at once; one that is not done in the end
//! breaks one then.

use autonomy_messaging::messenger::{ContactId, FileState};
use autonomy_messaging::{CHUNK_LEN, FileContent, TransferId};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use sha2::{Digest, Sha256};

use crate::command::{Answer, Command};
use crate::config::Fault;
use crate::pod::mix;
use crate::world::World;

/// An owner who uses a device sends a file in one of so many times.
const SENDS: u32 = 60;
/// Longest file. A device loads it in one request, which takes 40 chunks at most.
const MAX_LEN: u64 = 20 * CHUNK_LEN as u64;

/// A file on its way, as the two owners know it. It is dropped once both sides are done with it.
#[derive(Debug)]
pub(super) struct Sent {
    from: usize,
    to: usize,
    transfer: TransferId,
    /// Source of its bytes, so that they need not be kept.
    seed: u64,
    len: u64,
    /// Whether the sender's pod has all bytes.
    loaded: bool,
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

/// The bytes of a file.
#[expect(clippy::expect_used, reason = "at most MAX_LEN")]
fn bytes(seed: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).expect("at most MAX_LEN")];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

impl World {
    /// Everything of this module that an owner may do at one time.
    pub(super) fn act_on_files(&mut self, pod: usize) {
        if self.faults_on && self.config.faults.has(Fault::Owners) && self.rng.gen_ratio(1, SENDS) {
            self.send_file(pod);
        }
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

    /// Offers a file to a contact.
    fn send_file(&mut self, pod: usize) {
        let friends = self.friends(pod);
        if friends.is_empty() {
            return;
        }
        let to = friends[self.rng.gen_range(0..friends.len())];
        let (seed, len) = (mix(self.config.seed, self.heap.now()), self.rng.gen_range(1..MAX_LEN));
        let content = FileContent { size: len, sha256: Sha256::digest(bytes(seed, len)).into() };
        let contact = self.shells[to].pod.contact_id();
        let answer = self.ask(pod, Command::OfferFile { contact, content });
        if let Some(Ok(Answer::File { transfer, .. })) = answer {
            let sent =
                Sent { from: pod, to, transfer, seed, len, loaded: false, read: false, delivered: false };
            self.files.push(sent);
        }
    }

    /// The sender's device loads a file, and asks later whether it was delivered.
    fn check_sent_file(&mut self, file: usize) {
        let Sent { from, to, transfer, loaded, .. } = self.files[file];
        let contact = self.shells[to].pod.contact_id();
        if !loaded {
            let bytes = self.files[file].bytes();
            let load = Command::LoadFile { contact, transfer, bytes };
            self.files[file].loaded = matches!(self.ask(from, load), Some(Ok(_)));
            return;
        }
        match self.file(from, contact, transfer) {
            Some(FileState::Complete) => self.files[file].delivered = true,
            Some(FileState::Loading) => self.files[file].loaded = false,
            Some(FileState::Cancelled) => self.breach(Some(from), "a file is cancelled by nobody".into()),
            _ => {}
        }
    }

    /// The receiver's device reads a file once it is complete, and compares.
    #[expect(clippy::expect_used, reason = "at most 20 chunks")]
    fn check_received_file(&mut self, file: usize) {
        let Sent { from, to, transfer, len, .. } = self.files[file];
        let contact = self.shells[from].pod.contact_id();
        if self.file(to, contact, transfer) != Some(FileState::Complete) {
            return;
        }
        let count = u32::try_from(len.div_ceil(CHUNK_LEN.into())).expect("at most 20 chunks");
        let read = self.ask(to, Command::ReadFile { contact, transfer, count });
        match read {
            Some(Ok(Answer::Bytes(bytes))) if bytes == self.files[file].bytes() => {
                self.files[file].read = true
            }
            None => {}
            Some(other) => {
                let told = other.map(|_| "other bytes");
                self.breach(Some(to), format!("a file that is complete reads as {told:?}"));
            }
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
