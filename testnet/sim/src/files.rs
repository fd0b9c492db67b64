//! Files between friends: offered and loaded by one's device, read and compared by the other's.

use autonomy_messaging::messenger::{ContactId, FileState};
use autonomy_messaging::{CHUNK_LEN, FileContent, TransferId};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use sha2::{Digest, Sha256};

use crate::command::{Answer, Command};
use crate::config::Fault;
use crate::pod::mix;
use crate::world::World;

/// Of so many looks, one ends in a file being sent, on average.
const SENDS: u32 = 60;
/// Longest file: a device loads it at once, by 40 chunks at most.
const MAX_LEN: u64 = 20 * CHUNK_LEN as u64;

/// A file on its way from one pod to another, as the two owners know it.
#[derive(Debug)]
pub(super) struct Sent {
    from: usize,
    to: usize,
    transfer: TransferId,
    /// Its bytes are drawn from this.
    seed: u64,
    len: u64,
    loaded: bool,
    /// The receiver's device has read it, and it was right.
    read: bool,
    /// The sender's pod says that the other has it.
    delivered: bool,
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        bytes(self.seed, self.len)
    }

    fn is_over(&self) -> bool {
        self.read && self.delivered
    }
}

#[expect(clippy::expect_used, reason = "at most MAX_LEN")]
fn bytes(seed: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).expect("at most MAX_LEN")];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

impl World {
    /// Everything of this module that an owner does at a look.
    pub(super) fn mind_files(&mut self, pod: usize) {
        if self.troubled && self.config.faults.has(Fault::Owners) && self.rng.gen_ratio(1, SENDS) {
            self.send_file(pod);
        }
        for file in 0..self.files.len() {
            if !self.bodies[pod].pod.is_running() {
                return;
            }
            if self.files[file].from == pod && !self.files[file].delivered {
                self.look_after(file);
            }
            if self.files[file].to == pod && !self.files[file].read {
                self.look_for(file);
            }
        }
        let over = self.files.iter().filter(|file| file.is_over()).count() as u64;
        self.figures.files += over;
        self.files.retain(|file| !file.is_over());
    }

    fn send_file(&mut self, pod: usize) {
        let friends = self.friends(pod);
        if friends.is_empty() {
            return;
        }
        let to = friends[self.rng.gen_range(0..friends.len())];
        let (seed, len) = (mix(self.config.seed, self.heap.now()), self.rng.gen_range(1..MAX_LEN));
        let content = FileContent { size: len, sha256: Sha256::digest(bytes(seed, len)).into() };
        let contact = self.bodies[to].pod.contact_id();
        let answer = self.ask(pod, Command::OfferFile { contact, content });
        if let Some(Ok(Answer::File { transfer, .. })) = answer {
            let sent =
                Sent { from: pod, to, transfer, seed, len, loaded: false, read: false, delivered: false };
            self.files.push(sent);
        }
    }

    /// The sender's device loads a file, and asks whether it was delivered.
    fn look_after(&mut self, file: usize) {
        let Sent { from, to, transfer, loaded, .. } = self.files[file];
        let contact = self.bodies[to].pod.contact_id();
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

    /// The receiver's device reads a file once it is there, and compares.
    #[expect(clippy::expect_used, reason = "at most 20 chunks")]
    fn look_for(&mut self, file: usize) {
        let Sent { from, to, transfer, len, .. } = self.files[file];
        let contact = self.bodies[from].pod.contact_id();
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

    fn file(&mut self, pod: usize, contact: ContactId, transfer: TransferId) -> Option<FileState> {
        match self.ask(pod, Command::File(contact, transfer)) {
            Some(Ok(Answer::File { state, .. })) => Some(state),
            _ => None,
        }
    }

    /// Nothing more is promised of files of this pod: its disk was lost.
    pub(super) fn forget_files(&mut self, pod: usize) {
        self.files.retain(|file| file.from != pod && file.to != pod);
    }

    /// Nor of files between two who part.
    pub(super) fn forget_files_between(&mut self, one: usize, other: usize) {
        self.files.retain(|file| [(one, other), (other, one)].iter().all(|way| (file.from, file.to) != *way));
    }

    /// In the end every file is where it should be, and both know.
    pub(super) fn check_files(&mut self) {
        if let Some(Sent { from, to, read, delivered, .. }) = self.files.first() {
            let what = format!(
                "a file of pod {from} to pod {to} is still underway (read: {read}, told as delivered: {delivered})"
            );
            self.breach(Some(*from), what);
        }
    }
}
