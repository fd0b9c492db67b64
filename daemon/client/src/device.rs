//! A device and its pod: every answer is held against what the device knows on its own.

use std::{mem::discriminant, path::Path};

use autonomy_wallet::{
    account::{AccountError, AccountId, AccountMap, GAP_LIMIT, Keychain, MapKind},
    bitcoin::Txid,
    keys::{EntropyError, KeyError},
    payment::IntentError,
};

use super::{
    CallError, Distrust, MapRefusal, PodClient, Profile, ProfileError, Transport, ceremony::own_index,
    decks::DeckError, files::FileError,
};
use autonomy_api::{Account, PaymentId, PaymentState, ReceiveAddress, Status, Written as _, network_of};

/// How far a pod's state may move on between two looks: a million debits and changes, decades of use.
const MAX_EPOCH_LEAP: u64 = 1 << 20;

/// A device that can reach its pod.
#[derive(Debug)]
pub struct Device {
    /// What the device knows.
    pub profile: Profile,
    /// The pod, as it answers.
    pub pod: PodClient,
}

/// An account as the pod tells it, and whether this device vouches for it.
///
/// What is in it, the balance and the number of addresses, is the pod's word in any case.
#[derive(Debug, Clone)]
pub struct ListedAccount {
    /// What the pod reported.
    pub reported: Account,
    /// Whether this device holds the map and the pod's is the same.
    pub verified: bool,
}

impl Device {
    /// Reaches the pod by its own Unix socket.
    #[must_use]
    pub fn at_socket(profile: Profile, socket: &Path) -> Self {
        Self { profile, pod: PodClient::new(Transport::socket(socket)) }
    }

    /// Asks the pod how it is, and checks that it is the pinned one and has forgotten nothing.
    ///
    /// # Errors
    /// [`Distrust`] as an error of this device, or the call's own.
    pub async fn status(&mut self) -> Result<Status, DeviceError> {
        let status = self.pod.status().await?;
        self.check_status(&status)?;
        self.profile.see_epoch(status.state_epoch)?;
        Ok(status)
    }

    fn check_status(&self, status: &Status) -> Result<(), DeviceError> {
        let pod = self.profile.pod().ok_or(DeviceError::NoPod)?;
        let (pinned, reported) = (pod.pod_key(), status.pod_key);
        if reported != pinned {
            return Err(Distrust::AnotherPod { pinned, reported }.into());
        }
        let (pinned, reported) = (network_of(pod.network()), status.network);
        if reported != pinned {
            return Err(Distrust::AnotherNetwork { pinned, reported }.into());
        }
        let (seen, reported) = (self.profile.state_epoch(), status.state_epoch);
        if reported < seen {
            return Err(Distrust::OlderState { seen, reported }.into());
        }
        if reported - seen > MAX_EPOCH_LEAP {
            return Err(Distrust::StateLeapt { seen, reported }.into());
        }
        Ok(())
    }

    /// The pod's accounts, those of this device compared with its own maps.
    ///
    /// # Errors
    /// [`Distrust::AccountDiffers`] for an account that this device holds otherwise.
    pub async fn accounts(&mut self) -> Result<Vec<ListedAccount>, DeviceError> {
        self.settle_pending().await?;
        let accounts = self.pod.accounts().await?.accounts;
        accounts.into_iter().map(|reported| self.compare(reported)).collect()
    }

    /// One account of the pod, compared.
    ///
    /// # Errors
    /// As [`Device::accounts`].
    pub async fn account(&mut self, id: &AccountId) -> Result<ListedAccount, DeviceError> {
        let reported = self.pod.account(id).await?;
        if reported.id != *id {
            return Err(Distrust::AccountDiffers { field: "id", account: id.to_string() }.into());
        }
        self.compare(reported)
    }

    fn compare(&self, reported: Account) -> Result<ListedAccount, DeviceError> {
        let held = self.profile.account(&reported.id);
        if let Some(held) = held {
            agree(&held.map, &reported)?;
        }
        Ok(ListedAccount { verified: held.is_some(), reported })
    }

    /// A fresh receive address, derived here again. It is remembered as used before it is returned.
    ///
    /// `trust_index` takes an address of ours that lies further out than this device has seen in use. A pod that has
    /// forgotten something is not asked: it would give addresses away a second time.
    ///
    /// # Errors
    /// [`Distrust::Address`], [`Distrust::AddressTooFar`], [`Distrust::AddressNotFresh`], or the call's own.
    pub async fn receive(
        &mut self,
        id: &AccountId,
        trust_index: bool,
    ) -> Result<ReceiveAddress, DeviceError> {
        let unknown = || DeviceError::UnknownAccount { id: id.to_string() };
        self.profile.account(id).ok_or_else(unknown)?;
        self.status().await?;
        let reported = self.pod.new_address(id).await?;
        let held = self.profile.account(id).ok_or_else(unknown)?;
        let ours = held.map.address(Keychain::External, reported.index).map_err(Distrust::Account)?;
        if reported.address != *ours.as_unchecked() {
            let reported_address = reported.address.write().to_string();
            return Err(Distrust::Address { index: reported.index, reported: reported_address, ours }.into());
        }
        let last = held.view.external;
        if last.is_some_and(|last| reported.index <= last) {
            return Err(Distrust::AddressNotFresh { index: reported.index }.into());
        }
        if !within_reach(last, reported.index) && !trust_index {
            return Err(Distrust::AddressTooFar { index: reported.index, last: in_words(last) }.into());
        }
        self.profile.learn(id, &[(Keychain::External, reported.index)])?;
        Ok(ReceiveAddress { index: reported.index, address: reported.address })
    }
}

impl Profile {
    /// A receive address that was given out before, derived from the account map alone: no pod is asked.
    ///
    /// `trust_index` takes one that this device has not seen given out: another device may have.
    ///
    /// # Errors
    /// [`DeviceError::AddressNotSeen`]: nobody might look for money there.
    pub fn address_again(
        &self,
        id: &AccountId,
        index: u32,
        trust_index: bool,
    ) -> Result<ReceiveAddress, DeviceError> {
        let held = self.account(id).ok_or_else(|| DeviceError::UnknownAccount { id: id.to_string() })?;
        if !trust_index && held.view.external.is_none_or(|last| index > last) {
            return Err(DeviceError::AddressNotSeen { index, last: in_words(held.view.external) });
        }
        let address = held.map.address(Keychain::External, index)?;
        Ok(ReceiveAddress { index, address: address.into_unchecked() })
    }
}

fn in_state(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Draft => "a draft",
        PaymentState::Signed => "signed",
        PaymentState::Seen => "in the network",
        PaymentState::Confirmed => "confirmed",
        PaymentState::Cancelled => "cancelled",
        PaymentState::Failed => "failed",
    }
}

fn in_words(last: Option<u32>) -> String {
    last.map_or_else(|| "none".to_owned(), |last| last.to_string())
}

/// Whether a restored wallet, which looks [`GAP_LIMIT`] addresses past the `last` in use, would find this one.
pub(super) fn within_reach(last: Option<u32>, index: u32) -> bool {
    let free_from = last.map_or(0, |last| last.saturating_add(1));
    index < free_from.saturating_add(GAP_LIMIT)
}

/// Compares the pod's account with the map this device built: all of it but what is in it.
pub(super) fn agree(map: &AccountMap, reported: &Account) -> Result<(), Distrust> {
    let differs = |field| Distrust::AccountDiffers { field, account: map.id().to_string() };
    if reported.descriptor != map.descriptor() {
        return Err(differs("descriptor"));
    }
    if reported.id != map.id() {
        return Err(differs("id"));
    }
    if reported.first_address != *map.first_address().as_unchecked() {
        return Err(differs("first address"));
    }
    if (reported.birthday_height, reported.birthday_time) != (map.birthday().height, map.birthday().time) {
        return Err(differs("birthday"));
    }
    if own_index(map) != Ok(reported.account_index) {
        return Err(differs("index"));
    }
    // Names are how people choose an account: another's name on it could make them pay from the wrong one.
    if reported.name.as_str() != map.name() {
        return Err(differs("name"));
    }
    if discriminant(&MapKind::from(reported.kind)) != discriminant(&map.kind()) {
        return Err(differs("kind"));
    }
    Ok(())
}

/// Why a device did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The pod did not answer, or said no.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The pod answered, and this device does not believe it.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// The profile cannot be read or written.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The decks cannot be dealt.
    #[error(transparent)]
    Decks(#[from] DeckError),
    /// What the owner wants paid cannot be.
    #[error(transparent)]
    Intent(#[from] IntentError),
    /// The random generator is broken.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// An account that cannot be made from these wishes.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A key that does not fit.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// This profile belongs to no pod yet.
    #[error("this device has no pod yet")]
    NoPod,
    /// This device cannot sign.
    #[error("this device does not hold the payment key P, so it cannot {what}")]
    NoPaymentKey {
        /// What it was to do.
        what: &'static str,
    },
    /// This device cannot let others in.
    #[error("this device does not hold the owner's identity, so it cannot {what}")]
    NoAuthSeed {
        /// What it was to do.
        what: &'static str,
    },
    /// An account map, or a name, that this device does not vouch for.
    #[error(transparent)]
    Map(#[from] MapRefusal),
    /// This device has signed another payment, which may be sent as well.
    #[error(
        "payment {payment} was signed here before and {}; this one spends other coins, so both would be paid. \
         Look at the earlier one first",
        if *.sent { "was sent to the same recipients" } else { "may still be sent" }
    )]
    PaidBefore {
        /// The pod's id of the earlier payment.
        payment: PaymentId,
        /// Its transaction.
        txid: Txid,
        /// Whether the pod says that it was sent.
        sent: bool,
    },
    /// Two accounts of one name could be taken for each other.
    #[error("this device holds an account called {name} already: choose another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The pod's map of an account does not give an address that its owner knows.
    #[error("the address is none of the pod's account {account}: nothing was kept")]
    UnknownAddress {
        /// The account.
        account: String,
    },
    /// This device signed, and cannot tell what the pod did with the signature.
    #[error("payment {payment} may have been sent, as transaction {txid}: {cause}")]
    MaybePaid {
        /// The pod's id of the payment.
        payment: PaymentId,
        /// The transaction; its id does not change by signing.
        txid: Txid,
        /// Why there is no clear answer.
        cause: Box<DeviceError>,
    },
    /// A payment that cannot be taken up: it is no draft.
    #[error("payment {payment} is no draft any more: it is {}", in_state(*state))]
    NotADraft {
        /// The pod's id of the payment.
        payment: PaymentId,
        /// Where it stands.
        state: PaymentState,
    },
    /// This device has not seen an address of that number given out.
    #[error("this device has not seen receive address {index} given out; the last it has seen is {last}")]
    AddressNotSeen {
        /// Its number.
        index: u32,
        /// The last one seen, in words.
        last: String,
    },
    /// The pod has an account whose map this device does not hold, so it can check nothing.
    #[error("this device does not hold the map of account {id}")]
    UnknownAccount {
        /// The account.
        id: String,
    },
}
