//! The pod a device belongs to, and how to reach it.

use std::fmt;

use autonomy_messaging::{Access, Certificate, PublicKey, RootPublic, UnverifiedCertificate};
use autonomy_wallet::bitcoin::Network;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    Profile, ProfileError,
    rows::{self, RowFault},
};

/// What a device knows of its pod. Certificates were checked when they came; their dates are the pod's business.
#[derive(Clone)]
pub struct PodLink {
    row: PodRow,
    pod_key: PublicKey,
    root: RootPublic,
    network: Network,
}

/// As it lies in the store.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct PodRow {
    pod_key: [u8; 32],
    root: [u8; 32],
    pod_certificate: Vec<u8>,
    device_certificate: Vec<u8>,
    access: u8,
    app_onion: [u8; 32],
    descriptor_secret: [u8; 32],
    network: String,
    onion_epoch: u64,
    epoch: u64,
    entropy: Option<[u8; 32]>,
    name: String,
}

/// What a bundle or a grant brings.
pub struct NewPod {
    /// The root's certificate for the pod key.
    pub pod_certificate: Certificate,
    /// The root's certificate for this device.
    pub device_certificate: Certificate,
    /// The key in the address of the app onion.
    pub app_onion: PublicKey,
    /// This device's key to the descriptor of the app onion.
    pub descriptor_secret: Zeroizing<[u8; 32]>,
    /// The pod's Bitcoin network.
    pub network: Network,
    /// Which life the onion addresses are in.
    pub onion_epoch: u64,
    /// What the pod contributed to R in its request.
    pub entropy: Option<[u8; 32]>,
    /// What the owner calls the pod.
    pub name: String,
}

impl fmt::Debug for NewPod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPod")
            .field("network", &self.network)
            .field("onion_epoch", &self.onion_epoch)
            .field("name", &self.name)
            .field("descriptor_secret", &"[secret]")
            .field("entropy", &"[secret]")
            .finish_non_exhaustive()
    }
}

impl PodLink {
    pub(super) fn new(pod: NewPod) -> Result<Self, RowFault> {
        Self::from_row(PodRow {
            pod_key: *pod.pod_certificate.subject().as_bytes(),
            root: *pod.pod_certificate.root().as_bytes(),
            pod_certificate: pod.pod_certificate.to_bytes().to_vec(),
            device_certificate: pod.device_certificate.to_bytes().to_vec(),
            access: match pod.device_certificate.access() {
                Some(Access::Full) => 3,
                Some(Access::Limited) => 2,
                _ => 1,
            },
            app_onion: *pod.app_onion.as_bytes(),
            descriptor_secret: *pod.descriptor_secret,
            network: pod.network.to_string(),
            onion_epoch: pod.onion_epoch,
            epoch: pod.pod_certificate.epoch(),
            entropy: pod.entropy,
            name: pod.name,
        })
    }

    pub(super) fn from_row(row: PodRow) -> Result<Self, RowFault> {
        let fault = |_| RowFault::new("pod");
        Ok(Self {
            pod_key: PublicKey::from_bytes(&row.pod_key).map_err(fault)?,
            root: RootPublic::from_bytes(&row.root).map_err(fault)?,
            network: row.network.parse().map_err(|_| RowFault::new("pod"))?,
            row,
        })
    }

    /// The pod's Ed25519 key.
    #[must_use]
    pub fn pod_key(&self) -> PublicKey {
        self.pod_key
    }

    /// Whose pod it is.
    #[must_use]
    pub fn root(&self) -> RootPublic {
        self.root
    }

    /// The root's certificate for the pod key, to be verified before use.
    ///
    /// # Errors
    /// When the stored bytes are no certificate.
    pub fn pod_certificate(&self) -> Result<UnverifiedCertificate, RowFault> {
        UnverifiedCertificate::parse(&self.row.pod_certificate).map_err(|_| RowFault::new("pod certificate"))
    }

    /// The key in the address of the app onion.
    #[must_use]
    pub fn app_onion(&self) -> &[u8; 32] {
        &self.row.app_onion
    }

    /// This device's key to the descriptor of the app onion.
    #[must_use]
    pub fn descriptor_secret(&self) -> &[u8; 32] {
        &self.row.descriptor_secret
    }

    /// The pod's Bitcoin network.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// Which life the onion addresses are in.
    #[must_use]
    pub fn onion_epoch(&self) -> u64 {
        self.row.onion_epoch
    }

    /// Epoch of the certificates.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.row.epoch
    }

    /// What the pod contributed to R in its request.
    #[must_use]
    pub fn entropy(&self) -> Option<&[u8; 32]> {
        self.row.entropy.as_ref()
    }

    /// What the owner calls the pod.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.row.name
    }

    /// How far this device may go.
    #[must_use]
    pub fn access(&self) -> Access {
        match self.row.access {
            3 => Access::Full,
            2 => Access::Limited,
            _ => Access::Minimal,
        }
    }
}

impl Profile {
    /// The pod this device belongs to.
    #[must_use]
    pub fn pod(&self) -> Option<&PodLink> {
        self.pod.as_ref()
    }

    /// Remembers a pod in place of the one before. Its state epoch is forgotten with another pod key: a new pod
    /// counts anew. Accounts stay; they are money, whatever pod cosigns them.
    ///
    /// Written **before** a bundle leaves this device: a pod that has adopted it must find a device that knows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_pod(&mut self, pod: NewPod) -> Result<(), ProfileError> {
        let link = PodLink::new(pod)?;
        let another = self.pod.as_ref().is_some_and(|before| before.pod_key != link.pod_key);
        let mut changes = vec![rows::put(rows::POD, &link.row)];
        if another {
            changes.push(rows::put(rows::EPOCH, &0_u64));
            changes.push(autonomy_store::RowChange::remove(rows::CURSOR));
        }
        self.commit(changes)?;
        if another {
            (self.state_epoch, self.event_cursor) = (0, None);
        }
        self.pod = Some(link);
        Ok(())
    }

    /// x25519 key that grants to this device are sealed to.
    #[must_use]
    pub fn sealing_secret(&self) -> &[u8; 32] {
        &self.identity.sealing_secret
    }

    /// The descriptor key a provisioning device gives itself.
    #[must_use]
    pub fn own_descriptor_secret(&self) -> &[u8; 32] {
        &self.identity.descriptor_secret
    }
}

impl fmt::Debug for PodLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodLink")
            .field("pod_key", &self.pod_key)
            .field("root", &self.root)
            .field("network", &self.network)
            .field("name", &self.row.name)
            .field("descriptor_secret", &"[secret]")
            .finish_non_exhaustive()
    }
}
