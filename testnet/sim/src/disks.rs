//! Disks that are lost: a backup takes their place, or a copy of the whole disk.
//!
//! A backup has no ratchets, and may be of any age and of any moment: also while contacts are being introduced or are
//! blocked. A copy of the whole disk has all, and nobody tells the pod that it went back: so it is with snapshots of
//! machines, with folders that are copied back, and where the last commit is torn.

use rand::Rng;

use super::config::{DAY, HOUR, SECOND};
use super::faults::Recovery;
use super::heap::Millis;
use super::shell::Backup;
use super::world::{Event, World};

impl World {
    /// Makes a backup now; the disk is lost later. Not while the account of the pod is being made: the oracle knows no
    /// promise for that.
    pub(super) fn schedule_disk_loss(&mut self, pod: usize) {
        let most = self.some_part_of_the_days();
        let after = self.rng.gen_range(HOUR..most);
        let disk = self.shells[pod].pod.backup();
        self.schedule_loss(pod, disk, after);
    }

    /// Copies the disk now; the copy takes its place seconds, hours or days later.
    pub(super) fn schedule_rollback(&mut self, pod: usize) {
        let most = [20 * SECOND, HOUR, 2 * DAY][self.rng.gen_range(0..3)];
        let after = self.rng.gen_range(SECOND..most);
        let disk = self.shells[pod].pod.copy_of_disk();
        self.schedule_loss(pod, disk, after);
    }

    /// The disk of a pod is lost after this time, unless it is going to be lost before.
    fn schedule_loss(&mut self, pod: usize, disk: super::pod::Disk, after: Millis) {
        let lacks_account = self.plans_account(pod) && self.shells[pod].money.device_account.is_none();
        if lacks_account || self.shells[pod].backup.is_some() {
            return;
        }
        self.keep_copy(pod, disk);
        self.heap.after(after, Event::Recover(Recovery::Restore(pod)));
    }

    /// Keeps a copy of a disk, with what is true now.
    fn keep_copy(&mut self, pod: usize, disk: super::pod::Disk) {
        let shell = &self.shells[pod];
        let backup = Backup {
            disk,
            memory: self.oracle.remember(pod),
            choices: shell.choices.clone(),
            blocked: shell.blocked.clone(),
            times: self.pairs_of[pod].iter().map(|pair| self.pairs[*pair].times).collect(),
            epoch: shell.pod.person().epoch(),
        };
        self.shells[pod].backup = Some(backup);
    }

    /// Makes a backup of a pod, for [`World::restore_backup`].
    pub fn back_up(&mut self, pod: usize) {
        let disk = self.shells[pod].pod.backup();
        self.keep_copy(pod, disk);
    }

    /// Copies the whole disk of a pod, for [`World::restore_backup`].
    pub fn copy_disk(&mut self, pod: usize) {
        let disk = self.shells[pod].pod.copy_of_disk();
        self.keep_copy(pod, disk);
    }

    /// The disk of a pod is lost, and its last copy takes its place. The oracle goes back with it. Nothing happens where
    /// there is no copy.
    pub fn restore_backup(&mut self, pod: usize) {
        let Some(Backup { disk, memory, choices, blocked, times, epoch }) = self.shells[pod].backup.take()
        else {
            return;
        };
        let now = self.heap.now();
        self.figures.restores += 1;
        self.stop(pod);
        let shell = &mut self.shells[pod];
        shell.log_event(now, "loses its disk and gets a copy, launch", shell.launch);
        shell.pod.restore_backup(disk);
        shell.safe.clear();
        shell.money.roll_back();
        shell.stale_keys = shell.pod.person().epoch() > epoch;
        shell.unread.clear();
        shell.blocked = blocked;
        shell.choices = choices;
        self.choose_as_before(pod);
        self.oracle.roll_back(pod, memory);
        self.forget_files(pod);
        self.roll_pairs_back(pod, &times);
        if self.shells[pod].wanted {
            self.start(pod);
        }
    }
}
