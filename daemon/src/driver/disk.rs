//! What the driver does when the disk takes no more.
//!
//! ```text
//!            less than RESERVE free                    a commit failed
//! all ───────────────────────────────▶ payments only ────────────────────▶ reads only
//!  ▲          twice as much free again          │                            │
//!  └────────────────────────────────────────────┴──── every RETRY: reload ◀──┘
//! ```
//!
//! After a failed commit the node is ahead of the store. It is read again from there, so that nothing it did since counts,
//! and whoever waited is told that nothing was kept. Until a commit works again, only what reads is answered.
//! [`RESERVE`] keeps cosigning alive: the pod itself takes the last of the disk for payments alone, and for what makes room.
//!
//! The driver gives the node each crossing of [`DISK_RESERVE`], below which the node takes no files.

use std::{path::Path, time::Duration};

use tokio::time::Instant;

use super::{Driver, StoreFailed, batch::Batch, follow, lives};
use crate::free_space::free_bytes;
use autonomy_messaging::messenger::{self, DISK_RESERVE};
use autonomy_node::{Class, Effect, Input, Node, Row};

/// Disk that is left to payments: with less free than this, nothing else is taken. A payment writes about 100 kB, its
/// blocks and their ledger rows as much again, so that some 300 payments fit.
pub const RESERVE: u64 = 64 << 20;
/// Free disk below which the owner is warned: four times the reserve, which a pod with many messages fills in a day.
pub const WARN_BELOW: u64 = 4 * RESERVE;
/// Free disk above which all is taken again: twice the reserve, since going back reads the whole store.
const ENOUGH: u64 = 2 * RESERVE;
/// With less free than this no commit is tried again, for the same reason.
const LEAST: u64 = 1 << 20;
/// Pause before a commit is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(10);

/// What is written at present.
#[derive(Debug, Clone, Default)]
pub(super) enum Taking {
    /// Everything.
    #[default]
    All,
    /// What has to do with money; the rest waits until there is room.
    Payments,
    /// Nothing: a commit failed for this reason, and is tried again at this moment.
    Nothing(String, Instant),
    /// The same, and the store could not be read again either: what the node says may not be what it holds.
    Unread(String, Instant),
}

impl Taking {
    /// When a commit is tried again, if nothing is written now.
    pub(super) const fn again(&self) -> Option<Instant> {
        match self {
            Self::All | Self::Payments => None,
            Self::Nothing(_, again) | Self::Unread(_, again) => Some(*again),
        }
    }

    /// A commit is not tried before [`RETRY`] from now.
    fn put_off(&mut self) {
        if let Self::Nothing(_, again) | Self::Unread(_, again) = self {
            *again = Instant::now() + RETRY;
        }
    }
}

/// Bytes free for this user on the disk of a file; everything where the system does not say.
pub(super) fn free(file: &Path) -> u64 {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    free_bytes(folder).unwrap_or(u64::MAX)
}

impl Driver {
    /// Why a request of this class is not taken now; `None` where it is.
    pub(super) fn refuses(&self, class: Class) -> Option<String> {
        match (&self.taking, class) {
            (Taking::Unread(why, _), _) => Some(why.clone()),
            (Taking::All, _) | (_, Class::Read) => None,
            (Taking::Payments, Class::Money | Class::Removal) => None,
            (Taking::Payments, _) => Some(format!(
                "less than {} MiB of the pod's disk are free, which are kept for payments; free some space",
                RESERVE >> 20
            )),
            (Taking::Nothing(why, _), _) => Some(why.clone()),
        }
    }

    /// Whether an input that nobody waits for is taken now. What is not comes again: the network's after the next
    /// subscription, the chain's from the last block that was committed.
    pub(super) fn takes(&self, input: &Input) -> bool {
        match (&self.taking, input) {
            (Taking::All, _) => true,
            (Taking::Payments, Input::Mail(input)) => {
                !matches!(input, messenger::Input::Collected { .. } | messenger::Input::Asked { .. })
            }
            (Taking::Payments, _) => true,
            (Taking::Nothing(..) | Taking::Unread(..), _) => false,
        }
    }

    /// Looks at the disk, and takes more or less from now on; writes the store anew where that is due.
    ///
    /// # Errors
    /// The store is damaged.
    pub(super) fn look_at_disk(&mut self) -> Result<(), StoreFailed> {
        let free = (self.free)(self.store.path());
        self.warn(free);
        match &self.taking {
            Taking::All if free < RESERVE => {
                tracing::warn!(free, "the disk is nearly full: only payments are taken");
                self.taking = Taking::Payments;
                self.collect_nothing();
                Ok(())
            }
            Taking::Payments if free >= ENOUGH => self.reload(),
            taking if taking.again().is_some_and(|again| again <= Instant::now()) => {
                if free >= LEAST {
                    return self.reload();
                }
                self.taking.put_off();
                Ok(())
            }
            Taking::All => self.renew_store(),
            _ => Ok(()),
        }
    }

    /// Tells the node whether the disk has room for files, where that has changed.
    ///
    /// # Errors
    /// The store is damaged.
    pub(super) fn judge_disk(&mut self, batch: &mut Batch) -> Result<(), StoreFailed> {
        let free = (self.free)(self.store.path());
        let is_low = free < DISK_RESERVE;
        if self.told_low == is_low || self.taking.again().is_some() {
            return Ok(());
        }
        tracing::warn!(
            free,
            "{}",
            if is_low { "the disk is nearly full" } else { "the disk has room again" }
        );
        self.told_low = is_low;
        self.take(batch, Input::Mail(messenger::Input::FreeSpace(free)), None)
    }

    /// Tells the owner how the disk is.
    fn warn(&self, free: u64) {
        let warning = match &self.taking {
            Taking::Nothing(why, _) | Taking::Unread(why, _) => Some(why.clone()),
            _ if free < WARN_BELOW => Some(format!(
                "the disk of the pod's database has {} MiB left; below {} MiB only payments are taken",
                free >> 20,
                RESERVE >> 20
            )),
            _ => None,
        };
        self.disk_warning.send_if_modified(|shown| {
            let changed = *shown != warning;
            *shown = warning;
            changed
        });
    }

    /// Takes nothing until [`RETRY`] from now, and goes back to what the store holds.
    ///
    /// # Errors
    /// The store is damaged.
    pub(super) fn give_up_writing(&mut self, why: String) -> Result<(), StoreFailed> {
        tracing::error!("{why}");
        self.collect_nothing();
        let again = Instant::now() + RETRY;
        self.taking = match self.restore() {
            Ok(_) => Taking::Nothing(why, again),
            Err(failed) => {
                StoreFailed::unless_passing(failed)?;
                Taking::Unread(why, again)
            }
        };
        self.warn((self.free)(self.store.path()));
        Ok(())
    }

    /// Goes on from what the store holds, as after a start.
    ///
    /// # Errors
    /// The store is damaged.
    fn reload(&mut self) -> Result<(), StoreFailed> {
        let effects = match self.restore() {
            Ok(effects) => effects,
            Err(failed) => {
                let why = failed.to_string();
                StoreFailed::unless_passing(failed)?;
                self.taking = Taking::Unread(why, Instant::now() + RETRY);
                return Ok(());
            }
        };
        self.taking = Taking::All;
        self.chain = follow(&*self.source, &self.node, &self.inbox, self.life);
        self.collect_nothing();
        self.carry_out(effects);
        Ok(())
    }

    /// The node as the store holds it. What was under way for the one before reaches it no more.
    fn restore(&mut self) -> Result<Vec<Effect>, StoreFailed> {
        self.store.reopen()?;
        let mut rows = Vec::new();
        for row in self.store.rows()? {
            let (key, value) = row?;
            if !Row::is_cold_key(&key) {
                rows.push(Row::found(key, value));
            }
        }
        let (node, effects) = Node::restore(rows).map_err(|error| StoreFailed::damaged(&error))?;
        self.node = node;
        self.life = lives::next(self.life);
        self.time.forget_told();
        self.told_low = false;
        Ok(effects)
    }

    /// Ends all subscriptions: what is pushed now would be lost for those who read it. They begin again by the next
    /// [`messenger::Effect::Collect`].
    fn collect_nothing(&self) {
        drop(self.post.send(messenger::Effect::Collect(Vec::new())));
    }
}
