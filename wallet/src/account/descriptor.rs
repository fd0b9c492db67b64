//! From members to descriptors.
//!
//! One writer for every text: what a map shows, what it is compared with and what is derived come from the same
//! parts, so they cannot differ.

use std::str::FromStr;

use super::{Keychain, MapKind, Member, MemberLabel};
use crate::bitcoin::bip32::ChildNumber;
use crate::keys::MemberKey;
use crate::miniscript::Descriptor;
use crate::miniscript::descriptor::DescriptorPublicKey;
use crate::miniscript::descriptor::checksum::desc_checksum;

/// A descriptor of one keychain, keys still extended.
pub(super) type Ranged = Descriptor<DescriptorPublicKey>;

/// What a descriptor is written from, already checked.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    /// Decides the shape of the script.
    pub(super) kind: MapKind,
    /// Signatures that are needed.
    pub(super) threshold: u8,
    /// In the order in which their keys are written.
    pub(super) members: &'a [Member],
}

/// Which part of the script a key stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Branch {
    /// The quorum of the members.
    Members,
    /// R alone, once a coin has rested for the agreed number of blocks.
    Recovery,
}

impl Branch {
    /// The recovery branch has steps of its own (2 and 3): a descriptor may not hold one key twice.
    fn step(self, keychain: Keychain) -> u32 {
        match self {
            Self::Members => keychain.step(),
            Self::Recovery => keychain.step() + 2,
        }
    }
}

impl Parts<'_> {
    /// The multipath descriptor (BIP-389) with its checksum.
    pub(super) fn multipath(self) -> String {
        with_checksum(self.script(|key, branch| match branch {
            Branch::Members => format!("{key}/<0;1>/*"),
            Branch::Recovery => format!("{key}/<2;3>/*"),
        }))
    }

    /// The ordinary descriptor of one keychain with its checksum, for software that does not read BIP-389.
    pub(super) fn single_path(self, keychain: Keychain) -> String {
        with_checksum(self.script(|key, branch| format!("{key}/{}/*", branch.step(keychain))))
    }

    /// The same scripts for one keychain, with the keychain step already taken: one derivation for each key
    /// and address instead of two or three. Origin paths grow by the steps taken, so PSBT hints stay the same.
    #[expect(clippy::expect_used, reason = "written from checked keys in a form that is tested")]
    pub(super) fn flat(self, keychain: Keychain) -> Ranged {
        let text = self.script(|key, branch| flat_key(key, branch.step(keychain)));
        Descriptor::from_str(&text).expect("written from checked keys in a form that is tested")
    }

    /// The script expression without checksum; `write` says how a key is written in each branch.
    fn script(self, write: impl Fn(&MemberKey, Branch) -> String) -> String {
        let keys = self.members.iter().flat_map(Member::keys);
        let keys = keys.map(|key| write(key, Branch::Members)).collect::<Vec<_>>().join(",");
        let threshold = self.threshold;
        match self.kind {
            MapKind::Personal | MapKind::Shared => format!("wsh(sortedmulti({threshold},{keys}))"),
            MapKind::PersonalOrRecovery { blocks } => {
                let recovery = self.members.iter().filter(|member| member.label == MemberLabel::R);
                let recovery: String =
                    recovery.flat_map(Member::keys).map(|key| write(key, Branch::Recovery)).collect();
                format!("wsh(or_d(multi({threshold},{keys}),and_v(v:pkh({recovery}),older({blocks}))))")
            }
        }
    }
}

/// miniscript itself would write hardened steps as `'`; the maps write `h`, as Bitcoin Core does.
/// The text with its checksum (BIP-380).
#[expect(
    clippy::expect_used,
    reason = "a descriptor consists of ASCII, for which a checksum is defined (BIP-380)"
)]
fn with_checksum(text: String) -> String {
    let checksum = desc_checksum(&text).expect("descriptors are made of ASCII only");
    format!("{text}#{checksum}")
}

/// A key expression whose steps down to the keychain are taken already, with an origin that says so.
#[expect(
    clippy::expect_used,
    reason = "two unhardened steps below depth 4: failure has a chance of 2^-127 (BIP-32)"
)]
fn flat_key(key: &MemberKey, step: u32) -> String {
    let mut path = key.steps();
    path.push(ChildNumber::Normal { index: step });
    let xpub = key
        .xpub()
        .derive_pub(crate::secp(), &path)
        .expect("two unhardened steps below depth 4; failure has a chance of 2^-127");
    let mut origin = format!("{}", key.fingerprint());
    for step in key.origin_path().into_iter().chain(&path) {
        origin.push_str(&format!("/{step:#}"));
    }
    format!("[{origin}]{xpub}/*")
}
