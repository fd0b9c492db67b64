//! How a device gets its pod: by making the pod its own, or by being let in by another device.

use autonomy_messaging::{
    Access, BadName, CertificateError, DescriptorSecret, Name, PublicKey, RoleKind, SealingSecret, TextError,
    Validity,
    provision::{
        AnswerError, BadGrant, Bundle, BundleTerms, DeviceRequest, Grant, GrantTerms, MAX_MAPS, PodRequest,
        RequestError, SealedGrant,
    },
};
use autonomy_wallet::{account::AccountMap, bitcoin::Network};
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::{Device, DeviceError, Profile, ProfileError, ceremony::own_index, profile::NewPod};
use autonomy_api::{AddDevice, DeviceKey, Hex, network_of, wallet_network};

/// How long certificates hold, in seconds: ten years of 365 days. Revocation is by the pod's list, at once; the date
/// only bounds what a forgotten device could do in another age.
const VALID_FOR: u64 = 10 * 365 * 86_400;

/// Spare descriptor keys looked through for one that the pod knows and no device uses: those of the bundle, and as
/// many again for later ones.
const MAX_SPARE: u32 = 64;

impl Profile {
    /// Answers a pod's request: this device's person becomes its owner. Gives the sealed bundle as text.
    ///
    /// The pod is remembered before the bundle leaves. A pod that this profile had before is replaced: the new
    /// certificates have a higher epoch, and the onion addresses stay unless `new_address` asks for others.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub fn provision(
        &mut self,
        request: &str,
        pod_name: &str,
        new_address: bool,
        now: u64,
    ) -> Result<String, ProvisionError> {
        let request = PodRequest::from_text(request)?;
        let name = Name::new(pod_name)?;
        let seed = self.auth_seed().ok_or(ProvisionError::NoAuthSeed)?;
        self.check_network(wallet_network(request.network()))?;
        let descriptor = DescriptorSecret::from_bytes(self.own_descriptor_secret());
        let terms = BundleTerms {
            pod_name: name.clone(),
            device_key: PublicKey::from(&self.device_key()),
            descriptor_key: descriptor.public(),
            epoch: self.pod().map_or(1, |pod| pod.epoch() + 1),
            onion_epoch: self.pod().map_or(0, |pod| pod.onion_epoch() + u64::from(new_address)),
            validity: Validity::lasting(now, VALID_FOR),
        };
        let onion_epoch = terms.onion_epoch;
        let bundle = Bundle::new(seed, &request, terms);
        let text = bundle.seal(seed, &request, &mut OsRng).to_text();
        self.set_pod(NewPod {
            pod_certificate: bundle.pod_certificate(),
            device_certificate: bundle.device_certificate(),
            app_onion: bundle.app_onion().public(),
            descriptor_secret: Zeroizing::new(*descriptor.as_bytes()),
            network: wallet_network(request.network()),
            onion_epoch,
            entropy: Some(*request.entropy()),
            name: name.as_str().to_owned(),
        })?;
        Ok(text)
    }

    /// A pod of another network could pay from none of the accounts held here.
    ///
    /// # Errors
    /// [`ProvisionError::Network`].
    fn check_network(&self, pod: Network) -> Result<(), ProvisionError> {
        let held = self.accounts().map(|held| held.map.network()).find(|held| *held != pod);
        held.map_or(Ok(()), |held| Err(ProvisionError::Network { held, pod }))
    }

    /// Asks, as a new device, to be let in: the text to carry to a device that is in.
    ///
    /// # Errors
    /// A name that cannot be one.
    pub fn device_request(&self) -> Result<String, ProvisionError> {
        Ok(self.own_request()?.to_text())
    }

    fn own_request(&self) -> Result<DeviceRequest, ProvisionError> {
        let sealing = SealingSecret::from_bytes(self.sealing_secret()).public();
        Ok(DeviceRequest::new(&self.device_key(), sealing, Name::new(self.name())?))
    }

    /// Takes the grant that answers this device's request, with the account maps in it.
    ///
    /// # Errors
    /// [`ProvisionError`]; then nothing was kept.
    pub fn join(&mut self, grant: &str, now: u64) -> Result<(), ProvisionError> {
        let secret = SealingSecret::from_bytes(self.sealing_secret());
        let grant = SealedGrant::from_text(grant)?.open(&secret, &self.own_request()?, now)?;
        let refused = |error: &dyn std::fmt::Display| ProvisionError::Map(error.to_string());
        let mut maps: Vec<AccountMap> = Vec::new();
        for bytes in grant.account_maps() {
            let map = AccountMap::from_bytes(bytes).map_err(|error| refused(&error))?;
            map.check_network(wallet_network(grant.network())).map_err(|error| refused(&error))?;
            maps.push(map);
        }
        self.set_pod(NewPod {
            pod_certificate: grant.pod_certificate(),
            device_certificate: grant.device_certificate(),
            app_onion: grant.app_onion(),
            descriptor_secret: Zeroizing::new(*grant.spare_key().secret.as_bytes()),
            network: wallet_network(grant.network()),
            onion_epoch: 0,
            entropy: None,
            name: "pod".to_owned(),
        })?;
        for map in maps {
            match self.import_account(map, now) {
                // The owner's own accounts, however they are called: the other device holds them as well.
                Err(ProfileError::Map(refusal)) => {
                    tracing::warn!("an account map of the grant is left out: {refusal}")
                }
                kept => kept?,
            }
        }
        Ok(())
    }
}

/// A device that was let in.
#[derive(Debug, Clone)]
pub struct LetIn {
    /// Its key and id.
    pub id: DeviceKey,
    /// What it is called.
    pub name: String,
    /// The sealed grant, to be carried to it.
    pub grant: String,
    /// Names of the accounts whose maps did not fit into the grant, oldest first: it has room for [`MAX_MAPS`]. The
    /// new device cannot check them until it has their maps.
    pub left_out: Vec<String>,
}

impl Device {
    /// Lets a new device in: tells the pod, and seals a grant for it.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn let_in(
        &mut self,
        request: &str,
        name: Option<&str>,
        access: Access,
        now: u64,
    ) -> Result<LetIn, ProvisionError> {
        let request = DeviceRequest::from_text(request)?;
        let name = name.map_or_else(|| Ok(request.name().clone()), Name::new)?;
        self.status().await?;
        let devices = self.pod.devices().await.map_err(DeviceError::from)?;
        let (maps, left_out) = self.maps_to_give();
        let grant = self.grant(&request, access, &devices.spare_descriptor_keys, maps, now)?;
        let device = AddDevice {
            certificate: grant.device_certificate().into(),
            name: name.clone(),
            descriptor_key: Hex(*grant.spare_key().secret.public().as_bytes()),
        };
        let added = self.pod.add_device(&device).await.map_err(DeviceError::from)?;
        tracing::debug!(name = %added.name, "let in");
        let seed = self.profile.auth_seed().ok_or(ProvisionError::NoAuthSeed)?;
        Ok(LetIn {
            id: DeviceKey::from(&request.device_key()),
            name: name.as_str().to_owned(),
            grant: grant.seal(seed, &request, &mut OsRng).to_text(),
            left_out,
        })
    }

    /// The newest account maps, as many as a grant takes, and the names of the others.
    fn maps_to_give(&self) -> (Vec<Vec<u8>>, Vec<String>) {
        let mut maps: Vec<&AccountMap> = self.profile.accounts().map(|held| &held.map).collect();
        maps.sort_by_key(|map| (map.birthday().height, own_index(map).ok()));
        let (others, newest) = maps.split_at(maps.len().saturating_sub(MAX_MAPS));
        let names = others.iter().map(|map| map.name().to_owned()).collect();
        (newest.iter().map(|map| map.to_bytes()).collect(), names)
    }

    fn grant(
        &self,
        request: &DeviceRequest,
        access: Access,
        spare: &[Hex<32>],
        account_maps: Vec<Vec<u8>>,
        now: u64,
    ) -> Result<Grant, ProvisionError> {
        let seed = self.profile.auth_seed().ok_or(ProvisionError::NoAuthSeed)?;
        let pod = self.profile.pod().ok_or(DeviceError::NoPod)?;
        let certificate = pod.pod_certificate().map_err(ProfileError::from)?;
        let pod_certificate = certificate.verify(&pod.root(), RoleKind::Pod, now)?;
        let is_spare =
            |index: &u32| spare.contains(&Hex(*seed.spare_descriptor_key(*index).public().as_bytes()));
        let spare_index = (0..MAX_SPARE).find(is_spare).ok_or(ProvisionError::NoSpareKey)?;
        let terms = GrantTerms {
            pod_certificate,
            access,
            // It grows with every device that is let in or shut out, so that no certificate made before counts as new.
            epoch: pod.epoch().max(self.profile.state_epoch()),
            validity: Validity::lasting(now, VALID_FOR),
            onion_epoch: pod.onion_epoch(),
            spare_index,
            network: network_of(pod.network()),
            account_maps,
        };
        Ok(Grant::new(seed, request, terms)?)
    }
}

/// Why a pod or a device was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The request is not one.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The grant is not one.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The grant does not answer this device.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The grant cannot be made.
    #[error(transparent)]
    Grant(#[from] BadGrant),
    /// The pod's certificate does not hold any more.
    #[error("the pod's certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The pod is on another network than the accounts of this profile.
    #[error(
        "this profile holds accounts on {held}, the pod is on {pod}: give that pod to a profile of its own"
    )]
    Network {
        /// Of the accounts.
        held: Network,
        /// Of the pod.
        pod: Network,
    },
    /// An account map in the grant.
    #[error("an account map in the grant is not safe: {0}")]
    Map(String),
    /// This device cannot decide who enters.
    #[error("this device does not hold the owner's identity: let the device that made the pod do this")]
    NoAuthSeed,
    /// All keys that the pod knows in advance are used up.
    #[error(
        "this pod has used up its four spare descriptor keys, one for each further device, those shut out included; a \
         new pod (`autonomy pod init`, then `autonomy provision`) has four again"
    )]
    NoSpareKey,
    /// The profile cannot be read or written.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The pod.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
