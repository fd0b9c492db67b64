//! Which scripts are ours. Hints say where to look; the derived script decides.

use std::collections::BTreeMap;

use super::{CheckRefusal, CoinView, MAX_HINTS};
use crate::account::{AccountMap, GAP_LIMIT, Keychain, Member};
use crate::bitcoin::bip32::{ChildNumber, DerivationPath, KeySource};
use crate::bitcoin::secp256k1;
use crate::bitcoin::{PublicKey, Script, ScriptBuf};
use crate::keys::{KeyForm, MemberKey};
use crate::miniscript::ForEachKey;

/// PSBT field `bip32_derivation`.
pub(super) type Hints = BTreeMap<secp256k1::PublicKey, KeySource>;

/// One address of the account, derived from the stored map.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct OwnScript {
    /// Receiving or change.
    pub(super) keychain: Keychain,
    /// Its number on that keychain.
    pub(super) index: u32,
    /// The output script.
    pub(super) script: ScriptBuf,
    /// What the output script is the hash of.
    pub(super) witness_script: ScriptBuf,
    /// The members' keys at this address, in the order of the map's keys, each with the position of its member.
    /// The key of the time-locked branch is left out: it must neither sign nor be taken for a member here.
    keys: Vec<(usize, PublicKey)>,
}

impl OwnScript {
    /// Derives address `index`; `None` past 2³¹.
    pub(super) fn derive(map: &AccountMap, keychain: Keychain, index: u32) -> Option<Self> {
        let descriptor = map.at(keychain, index).ok()?;
        let mut derived = Vec::with_capacity(map.keys().count() + 1);
        descriptor.for_each_key(|key| {
            derived.push(*key);
            true
        });
        let holders = map.members().iter().enumerate();
        let holders = holders.flat_map(|(position, member)| member.keys().iter().map(move |_| position));
        Some(Self {
            keychain,
            index,
            script: descriptor.script_pubkey(),
            witness_script: descriptor.explicit_script().ok()?,
            keys: holders.zip(derived).collect(),
        })
    }

    /// The member whose key it is, if any.
    pub(super) fn member_with<'a>(&self, map: &'a AccountMap, key: &PublicKey) -> Option<&'a Member> {
        let (position, _) = self.keys.iter().find(|(_, own)| own == key)?;
        map.members().get(*position)
    }

    /// The members for whom enough of these keys have signed.
    pub(super) fn satisfied<'a>(
        &self,
        members: &'a [Member],
        signed: impl Fn(&PublicKey) -> bool,
    ) -> impl Iterator<Item = &'a Member> {
        let count =
            move |position| self.keys.iter().filter(|(of, key)| *of == position && signed(key)).count();
        let members = members.iter().enumerate();
        members
            .filter(move |(position, member)| count(*position) >= member.threshold())
            .map(|(_, member)| member)
    }

    /// Hints for other signers, written by us and for the members' branch only.
    pub(super) fn hints(&self, map: &AccountMap) -> Hints {
        let hint = |((_, derived), key): (&(usize, PublicKey), &MemberKey)| {
            let path = key.origin_path().extend(own_steps(key, self.keychain, self.index));
            (derived.inner, (key.fingerprint(), path))
        };
        self.keys.iter().zip(map.keys()).map(hint).collect()
    }
}

/// Where hints claim a script to be.
pub(super) enum Claim {
    /// No hint carries a fingerprint of ours.
    None,
    /// A fingerprint of ours, on a path that no address has.
    Foreign,
    /// An address to look at.
    At(Keychain, u32),
}

/// Reads the hints of an input or output. Only members' fingerprints and whole paths count.
///
/// The hints of one script all lead to one address: whoever names two is refused, which also bounds the work to
/// one derivation.
pub(super) fn claim(
    map: &AccountMap,
    hints: &Hints,
    place: &'static str,
    number: usize,
) -> Result<Claim, CheckRefusal> {
    if hints.len() > MAX_HINTS {
        return Err(CheckRefusal::TooManyHints { place, number, count: hints.len() });
    }
    let mut claim = Claim::None;
    for (fingerprint, path) in hints.values() {
        let Some(key) = map.keys().find(|key| key.fingerprint() == *fingerprint) else { continue };
        claim = match (claim, place_of(key, path)) {
            (Claim::None, None) => Claim::Foreign,
            (Claim::None | Claim::Foreign, Some((keychain, index))) => Claim::At(keychain, index),
            (Claim::At(keychain, index), Some(other)) if other != (keychain, index) => {
                return Err(CheckRefusal::ContradictoryHints { place, number });
            }
            (claim, _) => claim,
        };
    }
    Ok(claim)
}

/// Steps from an announced key to an address.
fn own_steps(key: &MemberKey, keychain: Keychain, index: u32) -> Vec<ChildNumber> {
    let mut steps = key.steps();
    steps.push(ChildNumber::Normal { index: keychain.step() });
    steps.push(ChildNumber::Normal { index });
    steps
}

/// Keychain and index of a full path, if it is a path of the members' branch or (steps 2 and 3) of the recovery
/// branch, whose key is the one at depth 0.
fn place_of(key: &MemberKey, path: &DerivationPath) -> Option<(Keychain, u32)> {
    let origin: Vec<ChildNumber> = key.origin_path().into_iter().copied().chain(key.steps()).collect();
    let rest = AsRef::<[ChildNumber]>::as_ref(path).strip_prefix(origin.as_slice())?;
    let [ChildNumber::Normal { index: step }, ChildNumber::Normal { index }] = rest else { return None };
    let keychain = match (step, key.form()) {
        (0, _) | (2, KeyForm::DepthZero) => Keychain::External,
        (1, _) | (3, KeyForm::DepthZero) => Keychain::Internal,
        _ => return None,
    };
    Some((keychain, *index))
}

/// Finds the address a script belongs to, by the view's own idea or the claim.
pub(super) fn find(
    map: &AccountMap,
    view: &dyn CoinView,
    script: &Script,
    claim: &Claim,
) -> Option<OwnScript> {
    let claimed = if let Claim::At(keychain, index) = claim { Some((*keychain, *index)) } else { None };
    view.owner_hint(script)
        .into_iter()
        .chain(claimed)
        .filter_map(|(keychain, index)| OwnScript::derive(map, keychain, index))
        .find(|own| own.script.as_script() == script)
}

/// Whether a restored wallet would still find the address.
pub(super) fn within_gap(view: &dyn CoinView, keychain: Keychain, index: u32) -> bool {
    let free_from = view.last_known(keychain).map_or(0, |last| last.saturating_add(1));
    index < free_from.saturating_add(GAP_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{MemberKeys, MemberLabel};
    use crate::keys::{AccountIndex, Seed};

    /// `wsh(and_v(v:multi(2,P,R,G),multi(2,P',R',G')))`: two persons of three keys each.
    fn persons() -> (Vec<Member>, OwnScript) {
        let key = |number: u8| {
            let seed = Seed::from_entropy(&[number; 16]).unwrap();
            *seed.account_key(crate::bitcoin::Network::Regtest, AccountIndex::FIRST).public()
        };
        let person = |number: u8| Member {
            label: MemberLabel::new(format!("person {number}")).unwrap(),
            keys: MemberKeys::Person { threshold: 2, keys: (0..3).map(|i| key(3 * number + i)).collect() },
        };
        let members = vec![person(0), person(1)];
        let holders = [0, 0, 0, 1, 1, 1].into_iter();
        let public = members.iter().flat_map(Member::keys).map(|key| PublicKey::new(key.xpub().public_key));
        let (script, witness_script) = (ScriptBuf::new(), ScriptBuf::new());
        let keys = holders.zip(public).collect();
        (members, OwnScript { keychain: Keychain::External, index: 0, script, witness_script, keys })
    }

    #[test]
    fn a_person_has_signed_once_enough_of_their_keys_have() {
        let (members, own) = persons();
        let satisfied = |signed: &[usize]| {
            let keys: Vec<_> = signed.iter().map(|position| own.keys[*position].1).collect();
            own.satisfied(&members, |key| keys.contains(key)).cloned().collect::<Vec<_>>()
        };
        assert!(satisfied(&[0, 3]).is_empty());
        assert_eq!(satisfied(&[0, 2, 3]), members[..1]);
        assert_eq!(satisfied(&[3, 4, 5]), members[1..]);
        assert_eq!(satisfied(&[1, 2, 4, 5]), members);
    }
}
