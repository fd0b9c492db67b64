//! An account map from the pod, for a device that lost its own: one whose words were restored.
//!
//! The pod could offer an account of its own keys with P among them, and whoever receives there pays the pod. So the map
//! must hold P as this device derives it, and an address that its owner knows from before: from somebody who paid, or from
//! notes. Whoever does not know the other keys cannot make a map with that address.

use autonomy_api::Account;
use autonomy_wallet::{
    account::{AccountId, AccountMap, Birthday, GAP_LIMIT, Keychain},
    bitcoin::{Address, address::NetworkUnchecked},
};

use super::{Device, DeviceError, Distrust, ceremony::own_index, device::agree};

/// Addresses of each branch that are compared with the known one: of an account paid daily, those of thirteen years. Each
/// takes some tens of microseconds.
const MAX_COMPARED: u32 = 5_000;

impl Device {
    /// Takes the pod's map of an account at `now`, in seconds since 1970, and keeps it.
    ///
    /// # Errors
    /// [`Distrust::Account`] or [`Distrust::AccountDiffers`] for a map that is not safe or not of this device's key;
    /// [`MapRefusal`](super::MapRefusal) in [`DeviceError::Profile`], also for a birthday in the future;
    /// [`DeviceError::UnknownAddress`] where the known address is not in it.
    pub async fn adopt_map(
        &mut self,
        id: &AccountId,
        known: &Address<NetworkUnchecked>,
        now: u64,
    ) -> Result<AccountMap, DeviceError> {
        self.status().await?;
        let reported = self.account(id).await?.reported;
        let map = self.offered(&reported)?;
        let compared = reported.revealed.saturating_add(GAP_LIMIT).min(MAX_COMPARED);
        if !holds(&map, known, compared)? {
            return Err(DeviceError::UnknownAddress { account: map.name().to_owned() });
        }
        self.profile.import_account(map.clone(), now)?;
        Ok(map)
    }

    /// The map of what the pod reports, with this device's own P in it.
    fn offered(&self, reported: &Account) -> Result<AccountMap, DeviceError> {
        let network = self.profile.pod().ok_or(DeviceError::NoPod)?.network();
        let birthday = Birthday { height: reported.birthday_height, time: reported.birthday_time };
        let map =
            AccountMap::from_descriptor(&reported.descriptor, reported.name.as_str(), network, birthday)
                .map_err(Distrust::Account)?;
        agree(&map, reported)?;
        map.check_own(&self.own_member(own_index(&map)?, "take an account map from the pod")?)
            .map_err(Distrust::Account)?;
        Ok(map)
    }
}

/// Whether an address is among the first of either branch.
fn holds(map: &AccountMap, known: &Address<NetworkUnchecked>, count: u32) -> Result<bool, DeviceError> {
    for index in 0..count {
        for keychain in [Keychain::External, Keychain::Internal] {
            if map.address(keychain, index)?.as_unchecked() == known {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
