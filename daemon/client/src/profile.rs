//! What a device keeps: its keys, its pod, its account maps, and how far it has seen.
//!
//! All of it lies in one encrypted store in the profile folder. It is read whole when opened; each change is one
//! commit, on the disk before the function returns. What must be remembered before something else happens is said
//! where it is written.

mod accounts;
mod pod;
mod rows;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use autonomy_messaging::{AuthSeed, SigningKey};
use autonomy_wallet::{account::AccountId, keys::Seed};
use zeroize::Zeroizing;

pub(crate) use self::accounts::InUse;
use self::rows::{IdentityRow, RowFault};
pub use self::{
    accounts::{HeldAccount, MapRefusal, PendingAccount, Unsettled},
    pod::{NewPod, PodLink},
    rows::row_kinds,
};
use super::files::{FileError, private_dir};
use autonomy_store::{CommitError, CreateError, OpenError, ReadError, RenewError, RowChange, Store, Unlock};

/// Seconds for which a second command waits while a first one has the profile open.
const LOCK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Pause between two tries.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// The open profile of a device.
pub struct Profile {
    store: Store,
    dir: PathBuf,
    identity: IdentityRow,
    auth_seed: Option<AuthSeed>,
    payment_seed: Option<Seed>,
    pod: Option<PodLink>,
    accounts: BTreeMap<AccountId, HeldAccount>,
    pending: Vec<PendingAccount>,
    state_epoch: u64,
    event_cursor: Option<u64>,
}

/// What a device is born with.
pub struct NewProfile {
    /// What it calls itself.
    pub name: String,
    /// The person's identity; only on devices that may let others in.
    pub auth_seed: Option<AuthSeed>,
    /// P; only on devices that may pay.
    pub payment_seed: Option<Seed>,
}

impl Profile {
    /// The profile's file.
    #[must_use]
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("profile.redb")
    }

    /// Whether there is a profile in `dir`.
    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        Self::path(dir).exists()
    }

    /// Makes a profile with fresh keys of the device's own.
    ///
    /// # Errors
    /// [`ProfileError`]; an existing profile is never overwritten.
    pub fn create(dir: &Path, unlock: &Unlock, new_profile: NewProfile) -> Result<Self, ProfileError> {
        private_dir(dir)?;
        let identity = IdentityRow::draw(new_profile.name);
        let mut rows = vec![rows::put(rows::IDENTITY, &identity)];
        if let Some(seed) = &new_profile.auth_seed {
            rows.push(rows::put(rows::AUTH, &Zeroizing::new(seed.as_bytes().to_vec())));
        }
        if let Some(seed) = &new_profile.payment_seed {
            rows.push(rows::put(rows::PAYMENT, &Zeroizing::new(seed.entropy().to_vec())));
        }
        let store = Store::create_with(Self::path(dir), unlock, &rows)?;
        let NewProfile { auth_seed, payment_seed, .. } = new_profile;
        Ok(Self {
            store,
            dir: dir.to_owned(),
            identity,
            auth_seed,
            payment_seed,
            pod: None,
            accounts: BTreeMap::new(),
            pending: Vec::new(),
            state_epoch: 0,
            event_cursor: None,
        })
    }

    /// Opens a profile and checks all that is in it. Waits some seconds where another command has it open.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub async fn open(dir: &Path, unlock: &Unlock) -> Result<Self, ProfileError> {
        let mut waited = std::time::Duration::ZERO;
        let store = loop {
            match Store::open(Self::path(dir), unlock) {
                Err(OpenError::InUse { .. }) if waited < LOCK_TIMEOUT => {
                    tokio::time::sleep(PAUSE).await;
                    waited += PAUSE;
                }
                done => break done?,
            }
        };
        Self::read(store, dir)
    }

    fn read(store: Store, dir: &Path) -> Result<Self, ProfileError> {
        let mut rows = BTreeMap::new();
        for row in store.rows()? {
            let (key, value) = row?;
            rows.insert(key.to_vec(), value);
        }
        let bytes = |key| rows::take::<Zeroizing<Vec<u8>>>(&rows, key);
        let identity = rows::take(&rows, rows::IDENTITY)?.ok_or(RowFault::missing("identity"))?;
        let auth_seed = bytes(rows::AUTH)?
            .map(|bytes| {
                bytes.as_slice().try_into().map(AuthSeed::from_bytes).map_err(|_| RowFault::new("auth seed"))
            })
            .transpose()?;
        let payment_seed = bytes(rows::PAYMENT)?
            .map(|bytes| Seed::from_entropy(&bytes).map_err(|_| RowFault::new("payment key")))
            .transpose()?;
        let pod = rows::take(&rows, rows::POD)?.map(PodLink::from_row).transpose()?;
        let accounts = accounts::read(&rows)?;
        let pending = accounts::read_pending(&rows)?;
        let state_epoch = rows::take(&rows, rows::EPOCH)?.unwrap_or(0);
        let event_cursor = rows::take(&rows, rows::CURSOR)?;
        let dir = dir.to_owned();
        Ok(Self {
            store,
            dir,
            identity,
            auth_seed,
            payment_seed,
            pod,
            accounts,
            pending,
            state_epoch,
            event_cursor,
        })
    }

    /// The profile's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the device calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// The device's Ed25519 key: its TLS identity.
    #[must_use]
    pub fn device_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.identity.device_seed)
    }

    /// The person's identity, where this device may let others in.
    #[must_use]
    pub fn auth_seed(&self) -> Option<&AuthSeed> {
        self.auth_seed.as_ref()
    }

    /// P, where this device may pay.
    #[must_use]
    pub fn payment_seed(&self) -> Option<&Seed> {
        self.payment_seed.as_ref()
    }

    /// The highest state epoch this device has seen of its pod.
    #[must_use]
    pub fn state_epoch(&self) -> u64 {
        self.state_epoch
    }

    /// Remembers a state epoch that the pod reported. A lower one changes nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn see_epoch(&mut self, epoch: u64) -> Result<(), ProfileError> {
        if epoch > self.state_epoch {
            self.commit(vec![rows::put(rows::EPOCH, &epoch)])?;
            self.state_epoch = epoch;
        }
        Ok(())
    }

    /// The last event this device has shown.
    #[must_use]
    pub fn event_cursor(&self) -> Option<u64> {
        self.event_cursor
    }

    /// Remembers the last event shown.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_event_cursor(&mut self, id: u64) -> Result<(), ProfileError> {
        self.commit(vec![rows::put(rows::CURSOR, &id)])?;
        self.event_cursor = Some(id);
        Ok(())
    }

    /// Locks the profile with `new` in place of what opened it. Its key is drawn anew, so that no copy of it that the old
    /// secret opens is left in the file; copies made before open as before. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When it cannot be written; then the old secret opens it still.
    pub fn relock(&mut self, new: &Unlock, now: u64) -> Result<(), ProfileError> {
        Ok(self.store.relock(new, now)?)
    }

    fn commit(&self, rows: Vec<RowChange>) -> Result<(), ProfileError> {
        Ok(self.store.commit(&rows)?)
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("dir", &self.dir)
            .field("auth_seed", &self.auth_seed.as_ref().map(|_| "[secret]"))
            .field("payment_seed", &self.payment_seed.as_ref().map(|_| "[secret]"))
            .field("accounts", &self.accounts.len())
            .field("state_epoch", &self.state_epoch)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NewProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewProfile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a profile cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] FileError),
    /// Its store cannot be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// Its store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A row of its store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A change was not written; nothing changed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// It was not written anew.
    #[error(transparent)]
    Renew(#[from] RenewError),
    /// A row is there and makes no sense.
    #[error(transparent)]
    Row(#[from] RowFault),
    /// An account map that is not one of this device.
    #[error(transparent)]
    Map(#[from] MapRefusal),
}
