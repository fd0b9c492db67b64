//! The making of an account: the pod offers, the device draws R, deals its decks, and both compare.
//!
//! ```text
//! offer ── signature, key G, index checked ── R drawn ── map built ── decks dealt
//!       ── 1. map remembered ── 2. decks on disk ── 3. pod asked ── 4. answer compared ── 5. account kept
//! ```
//!
//! Interrupted before 3, the pod knows nothing and the decks are worthless: they are removed at the next command.
//! Interrupted after, the pod may have the account: it is asked, compared, and kept. Either way no address is shown
//! before 5.

use std::path::PathBuf;

use autonomy_wallet::{
    account::{AccountError, AccountMap, Birthday, Member, MemberLabel, PERSONAL_THRESHOLD, Plan},
    bitcoin::{Network, constants::genesis_block},
    keys::{AccountIndex, AccountKey, RecoveryKey},
    ledger::MAX_HEIGHT,
};
use ed25519_dalek::{Signature, VerifyingKey};
use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use super::{
    CallError, Device, DeviceError, Distrust, MapRefusal,
    decks::{self, HOLDERS},
    device::agree,
};
use autonomy_api::{
    Account, AccountKind, AccountName, AccountOffer, BeginAccount, CeremonyId, CompleteAccount, offer_message,
};

/// How far a block's time may lie ahead of this clock: the network's own rule.
const MAX_AHEAD: u64 = 2 * 60 * 60;

/// How far the chain's tip may lie behind this clock. Blocks of the public networks come within hours.
const MAX_BEHIND: u64 = 2 * 24 * 60 * 60;

/// Seconds a block on the average since the first one, at the fastest. Bitcoin has needed 578; testnet, with its
/// storms of easy blocks, about 100.
const FASTEST_BLOCKS: u64 = 60;

/// What the owner wants.
#[derive(Debug, Clone)]
pub struct AccountWish {
    /// What to call it.
    pub name: AccountName,
    /// What may spend.
    pub kind: AccountKind,
    /// Who will keep the decks.
    pub holders: [String; HOLDERS],
    /// Where the decks are written; the account's own folder in the profile where absent.
    pub decks_dir: Option<PathBuf>,
}

/// A new account.
#[derive(Debug)]
pub struct NewAccount {
    /// The map, agreed by device and pod.
    pub map: AccountMap,
    /// What the pod tells of it.
    pub reported: Account,
    /// The files of the three decks.
    pub decks: [PathBuf; HOLDERS],
}

impl Device {
    /// Makes an account. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`DeviceError`]; whatever fails, no address was shown, and the offer is burnt.
    pub async fn create_account(&mut self, wish: &AccountWish, now: u64) -> Result<NewAccount, DeviceError> {
        decks::check_names(wish.name.as_str(), &wish.holders)?;
        let name = AccountName::visible(wish.name.as_str()).map_err(|_| MapRefusal::Name)?;
        self.status().await?;
        // An account of that name may be among those that were interrupted.
        self.settle_pending().await?;
        if self.profile.accounts().any(|held| name.is_like(held.map.name())) {
            return Err(DeviceError::NameTaken { name: name.to_string() });
        }
        let offer =
            self.pod.begin_account(&BeginAccount { name: wish.name.clone(), kind: wish.kind }).await?;
        let Made { map, recovery } = self.make(wish, &offer, now)?;
        let dealt = decks::deal(&recovery, &map, &wish.holders, now, OsRng)?;
        drop(recovery);
        let dir = wish.decks_dir.clone().unwrap_or_else(|| self.usual_decks_dir(&map));
        self.profile.begin_account(map.clone(), dir.clone())?;
        decks::write(&dir, &map, &dealt)?;
        let reported = self.complete(&offer.ceremony, &map).await?;
        agree(&map, &reported)?;
        self.profile.keep_new_account(map.clone())?;
        Ok(NewAccount { decks: decks::paths(&dir, &map), map, reported })
    }

    /// Ends ceremonies that were interrupted: keeps accounts the pod completed, and forgets the others.
    ///
    /// # Errors
    /// As any call; what is not settled stays for the next time.
    pub async fn settle_pending(&mut self) -> Result<(), DeviceError> {
        for pending in self.profile.pending_accounts().to_vec() {
            let id = pending.map.id();
            match self.pod.account(&id).await {
                Ok(reported) => {
                    agree(&pending.map, &reported)?;
                    self.profile.keep_new_account(pending.map)?;
                }
                Err(CallError::Refused { status: 404, .. }) => {
                    decks::discard(&pending.decks, &pending.map);
                    self.profile.forget_pending(&id)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn complete(&self, ceremony: &CeremonyId, map: &AccountMap) -> Result<Account, DeviceError> {
        let keys = CompleteAccount {
            device_member_key: *map.key(&MemberLabel::P)?,
            recovery_member_key: *map.key(&MemberLabel::R)?,
            descriptor: map.descriptor().to_owned(),
            first_address: map.first_address().as_unchecked().clone(),
        };
        Ok(self.pod.complete_account(ceremony, &keys).await?)
    }

    fn usual_decks_dir(&self, map: &AccountMap) -> PathBuf {
        self.profile.dir().join("decks").join(map.id().to_string())
    }

    fn make(&self, wish: &AccountWish, offer: &AccountOffer, now: u64) -> Result<Made, DeviceError> {
        let pod = self.profile.pod().ok_or(DeviceError::NoPod)?;
        check_signature(offer, pod.pod_key().as_bytes())?;
        let birthday = Birthday { height: offer.birthday_height, time: offer.birthday_time };
        check_birthday(birthday, pod.network(), now)?;
        let index = offer.account_index;
        if self.held_indices().any(|used| used == index) {
            return Err(Distrust::Offer { field: "index", rule: "belongs to an account that exists" }.into());
        }
        let own = self.own_member(index, "make an account")?;
        let mut system = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(system.as_mut_slice());
        let mut contributed: Vec<&[u8]> = vec![&offer.entropy.0];
        contributed.extend(pod.entropy().map(<[u8; 32]>::as_slice));
        let recovery = RecoveryKey::draw(&system, &contributed)?;
        let members = [
            own.clone(),
            Member::new(MemberLabel::R, recovery.public(pod.network(), index)),
            Member::new(MemberLabel::G, offer.pod_member_key),
        ];
        let plan = Plan {
            name: wish.name.to_string(),
            kind: wish.kind.into(),
            threshold: PERSONAL_THRESHOLD,
            network: pod.network(),
            birthday,
        };
        let map = AccountMap::rebuild(plan, &members, &own).map_err(Distrust::Account)?;
        Ok(Made { map, recovery })
    }

    fn held_indices(&self) -> impl Iterator<Item = AccountIndex> + '_ {
        let pending = self.profile.pending_accounts().iter().map(|pending| &pending.map);
        let held = self.profile.accounts().map(|held| &held.map).chain(pending);
        held.filter_map(|map| own_index(map).ok())
    }

    /// This device as a member of one account.
    pub(super) fn own_member(&self, index: AccountIndex, what: &'static str) -> Result<Member, DeviceError> {
        Ok(Member::new(MemberLabel::P, *self.payment_key(index, what)?.public()))
    }

    /// P of one account.
    pub(super) fn payment_key(
        &self,
        index: AccountIndex,
        what: &'static str,
    ) -> Result<AccountKey, DeviceError> {
        let pod = self.profile.pod().ok_or(DeviceError::NoPod)?;
        let seed = self.profile.payment_seed().ok_or(DeviceError::NoPaymentKey { what })?;
        Ok(seed.account_key(pod.network(), index))
    }
}

/// The account index of this device's key.
///
/// # Errors
/// [`AccountError::NoSuchMember`] when the account has no key P.
pub(super) fn own_index(map: &AccountMap) -> Result<AccountIndex, AccountError> {
    Ok(map.key(&MemberLabel::P)?.account())
}

struct Made {
    map: AccountMap,
    recovery: RecoveryKey,
}

/// Checks who signed the offer: the pod key that this device has pinned, over every field, see [`offer_message`]. An offer
/// that was changed on its way is another one.
fn check_signature(offer: &AccountOffer, pod_key: &[u8; 32]) -> Result<(), Distrust> {
    let signature = Signature::from_bytes(&offer.signature.0);
    let key = VerifyingKey::from_bytes(pod_key).map_err(|_| Distrust::OfferSignature)?;
    key.verify_strict(&offer_message(offer), &signature).map_err(|_| Distrust::OfferSignature)
}

/// Whether a birthday lies in the past, as far as can be told without a chain: whoever restores the account one day searches
/// from there on, and would miss coins.
pub(super) fn is_past(birthday: Birthday, network: Network, now: u64) -> bool {
    let age = now.saturating_sub(genesis_block(network).header.time.into());
    let highest = (age / FASTEST_BLOCKS).min(MAX_HEIGHT.into());
    birthday.time <= now.saturating_add(MAX_AHEAD) && u64::from(birthday.height) <= highest
}

/// Checks that the birthday is about now, as far as can be told without a chain: whoever restores the account one day
/// searches from there on.
fn check_birthday(birthday: Birthday, network: Network, now: u64) -> Result<(), Distrust> {
    let wrong = |rule| Err(Distrust::Offer { field: "birthday", rule });
    if birthday.time > now.saturating_add(MAX_AHEAD) {
        return wrong("lies in the future: later searches would miss coins");
    }
    // On a network of one's own, blocks come when their owner wants them.
    if network != Network::Regtest && birthday.time < now.saturating_sub(MAX_BEHIND) {
        return wrong("lies more than two days back: the pod has not caught up with the chain");
    }
    let age = now.saturating_sub(genesis_block(network).header.time.into());
    let highest = (age / FASTEST_BLOCKS).min(MAX_HEIGHT.into());
    if u64::from(birthday.height) > highest {
        return wrong("is a block that cannot exist yet: later searches would miss coins");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 23 November 2026; bitcoin's tip is somewhere near block 976,000.
    const NOW: u64 = 1_795_442_527;

    fn born(network: Network, height: u32, time: u64) -> Result<(), Distrust> {
        check_birthday(Birthday { height, time }, network, NOW)
    }

    #[test]
    fn birthday_must_be_about_now() {
        for (network, height) in
            [(Network::Bitcoin, 976_000), (Network::Testnet, 4_900_000), (Network::Signet, 330_000)]
        {
            assert!(born(network, height, NOW - 3_600).is_ok());
            assert!(born(network, height, NOW + MAX_AHEAD).is_ok());
            assert!(born(network, height, NOW + MAX_AHEAD + 1).is_err());
            assert!(born(network, height, NOW - MAX_BEHIND).is_ok());
            assert!(born(network, height, NOW - MAX_BEHIND - 1).is_err());
        }
        assert!(born(Network::Regtest, 101, 1_296_688_602).is_ok(), "a chain that stood still for years");
    }

    #[test]
    fn birthday_in_a_future_block_is_refused() {
        for network in [Network::Bitcoin, Network::Testnet, Network::Signet, Network::Regtest] {
            for height in [10_000_000, MAX_HEIGHT, MAX_HEIGHT + 1, u32::MAX] {
                assert!(matches!(born(network, height, NOW), Err(Distrust::Offer { field: "birthday", .. })));
            }
        }
    }
}
