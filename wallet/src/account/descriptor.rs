//! From keys to descriptors, and back.

use std::str::FromStr;

use super::{AccountError, Keychain, Kind, MAX_DESCRIPTOR_LEN, MAX_LOCK_BLOCKS};
use crate::bitcoin::NetworkKind;
use crate::bitcoin::bip32::ChildNumber;
use crate::keys::{MemberKey, Role};
use crate::miniscript::descriptor::DescriptorPublicKey;
use crate::miniscript::descriptor::checksum::desc_checksum;
use crate::miniscript::{Descriptor, ForEachKey};

/// A descriptor of one keychain, keys still extended.
pub(super) type Ranged = Descriptor<DescriptorPublicKey>;

/// The multipath descriptor (BIP-389) with its checksum.
pub(super) fn multipath(kind: Kind, keys: &[MemberKey; 3]) -> String {
    let text = script(kind, keys, |key, branch| match branch {
        Branch::Members => format!("{key}/<0;1>/*"),
        Branch::Recovery => format!("{key}/<2;3>/*"),
    });
    with_checksum(text)
}

/// The ordinary descriptor of one keychain with its checksum, for software that does not read BIP-389.
pub(super) fn single_path(kind: Kind, keys: &[MemberKey; 3], keychain: Keychain) -> String {
    let text = script(kind, keys, |key, branch| format!("{key}/{}/*", branch.step(keychain)));
    with_checksum(text)
}

/// miniscript itself would write hardened steps as `'`; the maps write `h`, as Bitcoin Core does.
fn with_checksum(text: String) -> String {
    let checksum = desc_checksum(&text).expect("descriptors are made of ASCII only");
    format!("{text}#{checksum}")
}

/// The same scripts for one keychain, with the keychain step already taken: one derivation for each key and
/// address instead of two or three. Origin paths grow by the steps taken, so PSBT hints stay the same.
pub(super) fn flat(kind: Kind, keys: &[MemberKey; 3], keychain: Keychain) -> Ranged {
    let text = script(kind, keys, |key, branch| flat_key(key, branch.step(keychain)));
    Descriptor::from_str(&text).expect("written from checked keys in a form that is tested")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Branch {
    Members,
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

fn script(kind: Kind, keys: &[MemberKey; 3], write: impl Fn(&MemberKey, Branch) -> String) -> String {
    let members = keys.each_ref().map(|key| write(key, Branch::Members)).join(",");
    match kind {
        Kind::TwoOfThree => format!("wsh(sortedmulti(2,{members}))"),
        Kind::TwoOfThreeOrRecovery { blocks } => {
            let recovery = write(&keys[1], Branch::Recovery);
            format!("wsh(or_d(multi(2,{members}),and_v(v:pkh({recovery}),older({blocks}))))")
        }
    }
}

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

/// Takes a descriptor apart into the keys and the kind that write it. The caller writes it again and compares:
/// only that makes it ours.
pub(super) fn take_apart(text: &str, network: NetworkKind) -> Result<(Kind, [MemberKey; 3]), AccountError> {
    let parsed = parse_foreign(text)?;
    let mut expressions = Vec::new();
    parsed.for_each_key(|key| {
        expressions.push(format!("{key:#}"));
        true
    });
    let kind = kind_of(text)?;
    let wanted = if kind == Kind::TwoOfThree { 3 } else { 4 };
    if expressions.len() != wanted {
        return Err(AccountError::Foreign("it does not have the keys P, R and G"));
    }
    let key = |role, text: &str| {
        let text =
            text.strip_suffix("/<0;1>/*").ok_or(AccountError::Foreign("a key does not end in /<0;1>/*"))?;
        let key = MemberKey::parse(role, text)?;
        key.check_for(key.account(), network)?;
        Ok::<_, AccountError>(key)
    };
    let keys =
        [key(Role::P, &expressions[0])?, key(Role::R, &expressions[1])?, key(Role::G, &expressions[2])?];
    Ok((kind, keys))
}

/// Size and checksum first, then miniscript's parser.
fn parse_foreign(text: &str) -> Result<Ranged, AccountError> {
    if text.len() > MAX_DESCRIPTOR_LEN {
        return Err(AccountError::Descriptor(format!(
            "{} bytes, at most {MAX_DESCRIPTOR_LEN} are read",
            text.len()
        )));
    }
    if !text.is_ascii() {
        return Err(AccountError::Descriptor("it holds characters outside ASCII".into()));
    }
    if !text.contains('#') {
        return Err(AccountError::Descriptor("the checksum (#........) is missing".into()));
    }
    Descriptor::from_str(text).map_err(|error| AccountError::Descriptor(error.to_string()))
}

fn kind_of(text: &str) -> Result<Kind, AccountError> {
    let threshold = |rest: &str| {
        let found = rest.split(',').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        if found == u32::from(super::THRESHOLD) { Ok(()) } else { Err(AccountError::Threshold { found }) }
    };
    if let Some(rest) = text.strip_prefix("wsh(sortedmulti(") {
        threshold(rest)?;
        return Ok(Kind::TwoOfThree);
    }
    let Some(rest) = text.strip_prefix("wsh(or_d(multi(") else {
        return Err(AccountError::Foreign("neither wsh(sortedmulti(…)) nor wsh(or_d(multi(…),…))"));
    };
    threshold(rest)?;
    let blocks = rest
        .split_once("older(")
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(number, _)| number.parse::<u32>().ok())
        .ok_or(AccountError::Foreign("the second branch has no older(blocks)"))?;
    check_lock(blocks)?;
    Ok(Kind::TwoOfThreeOrRecovery { blocks })
}

/// BIP-68: 16 bits, in blocks.
pub(super) fn check_lock(blocks: u32) -> Result<(), AccountError> {
    if (1..=MAX_LOCK_BLOCKS).contains(&blocks) { Ok(()) } else { Err(AccountError::Lock(blocks)) }
}
