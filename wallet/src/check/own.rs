//! Which scripts are ours. Hints say where to look; the derived script decides.

use std::collections::BTreeMap;

use super::{CoinView, MAX_HINTS, Refusal};
use crate::account::{AccountMap, GAP_LIMIT, Keychain};
use crate::bitcoin::bip32::{ChildNumber, DerivationPath, Fingerprint, KeySource};
use crate::bitcoin::secp256k1;
use crate::bitcoin::{PublicKey, Script, ScriptBuf};
use crate::keys::{MemberKey, Role};
use crate::miniscript::ForEachKey;

/// PSBT field `bip32_derivation`.
pub(super) type Hints = BTreeMap<secp256k1::PublicKey, KeySource>;

/// One address of the account, derived from the stored map.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct OwnScript {
    pub(super) keychain: Keychain,
    pub(super) index: u32,
    pub(super) script: ScriptBuf,
    pub(super) witness_script: ScriptBuf,
    /// Keys of P, R and G in the members' branch. The key of the time-locked branch is left out: it must
    /// neither sign nor be taken for a member here.
    pub(super) members: [(Role, PublicKey); 3],
}

impl OwnScript {
    /// Derives address `index`; `None` past 2³¹.
    pub(super) fn derive(map: &AccountMap, keychain: Keychain, index: u32) -> Option<Self> {
        let descriptor = map.at(keychain, index).ok()?;
        let mut keys = Vec::with_capacity(4);
        descriptor.for_each_key(|key| {
            keys.push(*key);
            true
        });
        let [p, r, g, ..] = keys[..] else { return None };
        Some(Self {
            keychain,
            index,
            script: descriptor.script_pubkey(),
            witness_script: descriptor.explicit_script().ok()?,
            members: [(Role::P, p), (Role::R, r), (Role::G, g)],
        })
    }

    /// Whose key it is, if a member's.
    pub(super) fn role_of(&self, key: &PublicKey) -> Option<Role> {
        self.members.iter().find(|(_, member)| member == key).map(|(role, _)| *role)
    }

    /// Hints for other signers, written by us and for the members' branch only.
    pub(super) fn hints(&self, map: &AccountMap) -> Hints {
        let hint = |(role, key): &(Role, PublicKey)| {
            let member = map.key(*role);
            let path = member.origin_path().extend(own_steps(member, self.keychain, self.index));
            (key.inner, (member.fingerprint(), path))
        };
        self.members.iter().map(hint).collect()
    }
}

/// Where hints claim a script to be.
pub(super) enum Claim {
    /// No hint carries a fingerprint of ours.
    None,
    /// A fingerprint of ours, on a path that no address has.
    Foreign,
    /// At least one address to look at; the first claimed is named in refusals.
    At(Vec<(Keychain, u32)>),
}

/// Reads the hints of an input or output. Only members' fingerprints and whole paths count.
pub(super) fn claim(
    map: &AccountMap,
    hints: &Hints,
    place: &'static str,
    number: usize,
) -> Result<Claim, Refusal> {
    if hints.len() > MAX_HINTS {
        return Err(Refusal::TooManyHints { place, number, count: hints.len() });
    }
    let mut ours = false;
    let mut places = Vec::new();
    for (fingerprint, path) in hints.values() {
        for member in members_with(map, *fingerprint) {
            ours = true;
            if let Some(place) = place_of(member, path).filter(|place| !places.contains(place)) {
                places.push(place);
            }
        }
    }
    Ok(match (ours, places.is_empty()) {
        (false, _) => Claim::None,
        (true, true) => Claim::Foreign,
        (true, false) => Claim::At(places),
    })
}

fn members_with(map: &AccountMap, fingerprint: Fingerprint) -> impl Iterator<Item = &MemberKey> {
    map.keys().iter().filter(move |key| key.fingerprint() == fingerprint)
}

fn own_steps(member: &MemberKey, keychain: Keychain, index: u32) -> Vec<ChildNumber> {
    let mut steps = member.steps();
    steps.push(ChildNumber::Normal { index: keychain.step() });
    steps.push(ChildNumber::Normal { index });
    steps
}

/// Keychain and index of a full path, if it is a path of the members' branch or (steps 2 and 3) of R's own.
fn place_of(member: &MemberKey, path: &DerivationPath) -> Option<(Keychain, u32)> {
    let origin: Vec<ChildNumber> = member.origin_path().into_iter().copied().chain(member.steps()).collect();
    let rest = AsRef::<[ChildNumber]>::as_ref(path).strip_prefix(origin.as_slice())?;
    let [ChildNumber::Normal { index: step }, ChildNumber::Normal { index }] = rest else { return None };
    let keychain = match (step, member.role()) {
        (0, _) | (2, Role::R) => Keychain::External,
        (1, _) | (3, Role::R) => Keychain::Internal,
        _ => return None,
    };
    Some((keychain, *index))
}

/// Finds the address a script belongs to, among those claimed and the view's own idea.
pub(super) fn find(
    map: &AccountMap,
    view: &dyn CoinView,
    script: &Script,
    claim: &Claim,
) -> Option<OwnScript> {
    let claimed = if let Claim::At(places) = claim { places.as_slice() } else { &[] };
    let known = view.owner_hint(script);
    known
        .iter()
        .chain(claimed)
        .filter_map(|(keychain, index)| OwnScript::derive(map, *keychain, *index))
        .find(|own| own.script.as_script() == script)
}

/// Whether a restored wallet would still find the address.
pub(super) fn within_gap(view: &dyn CoinView, keychain: Keychain, index: u32) -> bool {
    let free_from = view.last_known(keychain).map_or(0, |last| last.saturating_add(1));
    index < free_from.saturating_add(GAP_LIMIT)
}
