//! A contact with a program that speaks MLS and knows no rules of ours.
#![expect(clippy::unwrap_used, reason = "a helper of tests: what fails here fails the test")]

use autonomy_messaging::ratchet::{OwnKeyPackage, Psk, Sealed};
use ed25519_dalek::{Signer as _, SigningKey};
use openmls::group::GroupId;
use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, KeyPackage, KeyPackageIn, MlsGroup,
    MlsMessageIn, MlsMessageOut, OpenMlsProvider as _, PreSharedKeyProposal, ProcessedMessageContent,
    Proposal, ProtocolVersion, WireFormatPolicy,
};
use openmls::schedule::{ExternalPsk, PreSharedKeyId, Psk as MlsPsk};
use openmls_libcrux_crypto::Provider;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;
pub(crate) const PSK_ID: &[u8] = b"autonomy invite v1";

pub(crate) struct RawSigner(pub(crate) SigningKey);

impl Signer for RawSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl RawSigner {
    pub(crate) fn credential(&self, name: &[u8]) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(name.to_vec()).into(),
            signature_key: self.0.verifying_key().to_bytes().to_vec().into(),
        }
    }
}

/// A contact with a program that speaks MLS and knows no rules of ours.
pub(crate) struct Raw {
    pub(crate) provider: Provider,
    pub(crate) signer: RawSigner,
    pub(crate) group: MlsGroup,
}

impl Raw {
    pub(crate) fn new(policy: WireFormatPolicy) -> Self {
        let provider = Provider::new().unwrap();
        let signer = RawSigner(SigningKey::from_bytes(&[3; 32]));
        let group = MlsGroup::builder()
            .with_group_id(GroupId::from_slice(&[5; 16]))
            .ciphersuite(SUITE)
            .with_wire_format_policy(policy)
            .with_capabilities(Capabilities::new(None, Some(&[SUITE]), None, None, None))
            .build(&provider, &signer, signer.credential(b"raw"))
            .unwrap();
        Self { provider, signer, group }
    }

    pub(crate) fn psk(&self, id: &[u8], psk: &Psk) -> Proposal {
        let id = MlsPsk::External(ExternalPsk::new(id.to_vec()));
        let id = PreSharedKeyId::new(SUITE, self.provider.rand(), id).unwrap();
        id.store(&self.provider, psk.as_bytes()).unwrap();
        Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(id)))
    }

    /// Adds those to the group; gives the Welcome.
    pub(crate) fn add(&mut self, packages: &[&OwnKeyPackage], psks: Vec<Proposal>) -> Vec<u8> {
        let packages: Vec<KeyPackage> = packages.iter().map(|own| parsed(own)).collect();
        let bundle = self
            .group
            .commit_builder()
            .propose_adds(packages)
            .add_proposals(psks)
            .load_psks(self.provider.storage())
            .unwrap()
            .use_ratchet_tree_extension(true)
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        self.group.merge_pending_commit(&self.provider).unwrap();
        bundle.into_welcome_msg().unwrap().to_bytes().unwrap()
    }

    /// A commit with these proposals, and a message after it.
    pub(crate) fn commit(&mut self, proposals: Vec<Proposal>) -> Sealed {
        let bundle = self
            .group
            .commit_builder()
            .force_self_update(true)
            .add_proposals(proposals)
            .load_psks(self.provider.storage())
            .unwrap()
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        self.after(bundle.into_commit())
    }

    pub(crate) fn after(&mut self, commit: MlsMessageOut) -> Sealed {
        self.group.merge_pending_commit(&self.provider).unwrap();
        let message = self.group.create_message(&self.provider, &self.signer, b"after").unwrap();
        Sealed { commit: Some(commit.to_bytes().unwrap()), message: message.to_bytes().unwrap() }
    }

    pub(crate) fn take_commit(&mut self, sealed: &Sealed) {
        let commit = MlsMessageIn::tls_deserialize_exact(sealed.commit.as_ref().unwrap()).unwrap();
        let commit = commit.try_into_protocol_message().unwrap();
        let processed = self.group.process_message(&self.provider, commit).unwrap().into_content();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed else { panic!("a commit") };
        self.group.merge_staged_commit(&self.provider, *staged).unwrap();
    }

    /// A commit that adds a third.
    pub(crate) fn commit_adding(&mut self, other: &OwnKeyPackage) -> Sealed {
        let bundle = self
            .group
            .commit_builder()
            .propose_adds([parsed(other)])
            .load_psks(self.provider.storage())
            .unwrap()
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        self.after(bundle.into_commit())
    }
}

pub(crate) fn parsed(own: &OwnKeyPackage) -> KeyPackage {
    let package = KeyPackageIn::tls_deserialize_exact(own.public()).unwrap();
    package.validate(Provider::new().unwrap().crypto(), ProtocolVersion::Mls10).unwrap()
}
