//! From a descriptor to the parts it was written from.
//!
//! Miniscript's parser says whether the text is a descriptor; the outline below says which of our two shapes it has.
//! Neither is believed: the map is built from the parts and must give the same text again.

use std::str::FromStr;

use super::descriptor::Ranged;
use super::rules::check_lock;
use super::{AccountError, MAX_DESCRIPTOR_LEN, MapKind, MemberLabel};
use crate::keys::{KeyForm, MemberKey};
use crate::miniscript::{Descriptor, ForEachKey};

/// What a descriptor says. The caller writes it again and compares: only that makes it one of ours.
pub(super) struct Parsed {
    /// By the shape, and by whether a key has the form of a recovery key.
    pub(super) kind: MapKind,
    /// As the text says it; held against the rules when the map is built.
    pub(super) threshold: u8,
    /// The members' keys, in the order of the text.
    pub(super) keys: Vec<MemberKey>,
}

impl Parsed {
    /// # Errors
    /// [`AccountError::Descriptor`] where it is no descriptor, [`AccountError::Foreign`] where it is none of ours.
    pub(super) fn read(text: &str) -> Result<Self, AccountError> {
        let script = Outline::read(text, &parse_bounded(text)?)?;
        let keys: Vec<_> = script.keys.iter().map(|key| member_key(key)).collect::<Result<_, _>>()?;
        let has_recovery_key = keys.iter().any(|key| key.form() == KeyForm::DepthZero);
        let kind = match script.lock {
            Some(blocks) => MapKind::PersonalOrRecovery { blocks },
            None if has_recovery_key => MapKind::Personal,
            None => MapKind::Shared,
        };
        if kind != MapKind::Shared && keys.len() != MemberLabel::PERSONAL.len() {
            return Err(AccountError::Foreign("it does not have the keys P, R and G"));
        }
        Ok(Self { kind, threshold: script.threshold, keys })
    }

    /// Labels for members of whom only the keys are known: those of the personal kind, else fingerprints.
    #[expect(clippy::expect_used, reason = "eight hexadecimal digits are a label")]
    pub(super) fn default_labels(&self) -> Vec<MemberLabel> {
        if self.kind != MapKind::Shared {
            return MemberLabel::PERSONAL.to_vec();
        }
        let label = |key: &MemberKey| MemberLabel::new(key.fingerprint().to_string());
        self.keys.iter().map(|key| label(key).expect("8 hexadecimal digits are a label")).collect()
    }
}

/// Size and character set first, then miniscript's parser, which checks the checksum.
fn parse_bounded(text: &str) -> Result<Ranged, AccountError> {
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

/// The outline of one of the two scripts that are written here.
struct Outline {
    /// Signatures that are needed.
    threshold: u8,
    /// Key expressions of the members, in the order of the text.
    keys: Vec<String>,
    /// Blocks of the recovery branch, if there is one.
    lock: Option<u32>,
}

impl Outline {
    /// The parts by the beginning of the text; anything else is foreign.
    fn read(text: &str, parsed: &Ranged) -> Result<Self, AccountError> {
        let mut keys = Vec::new();
        parsed.for_each_key(|key| {
            keys.push(format!("{key:#}"));
            true
        });
        if let Some(rest) = text.strip_prefix("wsh(sortedmulti(") {
            return Ok(Self { threshold: threshold(rest)?, keys, lock: None });
        }
        let Some(rest) = text.strip_prefix("wsh(or_d(multi(") else {
            return Err(AccountError::Foreign("neither wsh(sortedmulti(…)) nor wsh(or_d(multi(…),…))"));
        };
        // The recovery key, which stands in the second branch again. The caller compares it.
        keys.pop();
        Ok(Self { threshold: threshold(rest)?, keys, lock: Some(lock(rest)?) })
    }
}

/// The number before the first comma.
fn threshold(rest: &str) -> Result<u8, AccountError> {
    let number = rest.split(',').next().and_then(|number| number.parse().ok());
    number.ok_or(AccountError::Foreign("the threshold is not a number"))
}

/// The number within `older(…)`, which BIP-68 bounds.
fn lock(rest: &str) -> Result<u32, AccountError> {
    let blocks = rest
        .split_once("older(")
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(number, _)| number.parse().ok())
        .ok_or(AccountError::Foreign("the second branch has no older(blocks)"))?;
    check_lock(blocks)?;
    Ok(blocks)
}

/// A key expression without the keychain steps and the wildcard that all of ours end with.
fn member_key(expression: &str) -> Result<MemberKey, AccountError> {
    let text = expression.strip_suffix("/<0;1>/*");
    let text = text.ok_or(AccountError::Foreign("a key does not end in /<0;1>/*"))?;
    Ok(MemberKey::parse(text)?)
}
