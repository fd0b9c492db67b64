//! The account map itself.

use core::fmt;

use super::descriptor::{self, Ranged};
use super::{AccountError, AccountId, Birthday, Keychain, Kind, MAX_NAME_LEN, THRESHOLD};
use crate::bitcoin::{Address, Network, PublicKey, ScriptBuf};
use crate::keys::{AccountIndex, MemberKey, Role};
use crate::miniscript::Descriptor;

/// What the members agreed on before any key was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Shown to the owner; 1 to [`MAX_NAME_LEN`] bytes.
    pub name: String,
    /// What may spend.
    pub kind: Kind,
    /// Signatures needed, as announced. Must be [`THRESHOLD`].
    pub threshold: u8,
    /// The chain.
    pub network: Network,
    /// The account index all keys are derived for.
    pub account: AccountIndex,
    /// Where the search for coins may begin.
    pub birthday: Birthday,
}

/// What one member tells the others after rebuilding the map, to be compared by each.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The id the member computed.
    pub id: AccountId,
    /// The first receiving address the member computed. People can read it to each other.
    pub first_address: String,
}

/// A checked account map. Immutable: every value in it fits every other, or it would not exist.
#[derive(Clone)]
pub struct AccountMap {
    plan: Plan,
    keys: [MemberKey; 3],
    id: AccountId,
    text: String,
    /// One for each [`Keychain`], in order of its step.
    flat: [Ranged; 2],
}

impl AccountMap {
    /// Builds the map from the plan and the announced keys, as member with key `own`.
    ///
    /// The order of `announced` does not matter.
    ///
    /// # Errors
    /// [`AccountError`] for missing, duplicate or foreign keys, wrong origins, another threshold, a bad lock or
    /// name, and when `own` is not among the keys.
    pub fn rebuild(plan: Plan, announced: &[MemberKey], own: &MemberKey) -> Result<Self, AccountError> {
        let map = Self::assemble(plan, announced)?;
        map.check_own(own)?;
        Ok(map)
    }

    /// Reads the map of a descriptor (BIP-380 with `<0;1>` of BIP-389 and its checksum).
    ///
    /// A descriptor knows neither name nor birthday, and not which test network it is for.
    ///
    /// # Errors
    /// [`AccountError`]: as [`AccountMap::rebuild`], and when the text is not byte for byte what this wallet
    /// would write.
    pub fn from_descriptor(
        text: &str,
        name: &str,
        network: Network,
        birthday: Birthday,
    ) -> Result<Self, AccountError> {
        let (kind, keys) = descriptor::take_apart(text, network.into())?;
        let plan = Plan {
            name: name.into(),
            kind,
            threshold: THRESHOLD,
            network,
            account: keys[0].account(),
            birthday,
        };
        let map = Self::assemble(plan, &keys)?;
        if map.text != text {
            return Err(AccountError::Foreign("written differently: order of keys, quotes or paths"));
        }
        Ok(map)
    }

    pub(super) fn assemble(plan: Plan, announced: &[MemberKey]) -> Result<Self, AccountError> {
        check_plan(&plan)?;
        let keys = by_role(announced)?;
        for key in &keys {
            key.check_for(plan.account, plan.network.into())?;
        }
        check_distinct(&keys)?;
        let text = descriptor::multipath(plan.kind, &keys);
        let flat = Keychain::ALL.map(|keychain| descriptor::flat(plan.kind, &keys, keychain));
        Ok(Self { id: AccountId::of(&text), plan, keys, text, flat })
    }

    /// Checks that `own` is in the map, at its own place.
    ///
    /// # Errors
    /// [`AccountError::OwnKeyMissing`].
    pub fn check_own(&self, own: &MemberKey) -> Result<(), AccountError> {
        if self.key(own.role()) == own { Ok(()) } else { Err(AccountError::OwnKeyMissing(own.role())) }
    }

    /// Checks that this node is on the account's network.
    ///
    /// # Errors
    /// [`AccountError::Network`].
    pub fn check_network(&self, expected: Network) -> Result<(), AccountError> {
        let found = self.plan.network;
        if found == expected { Ok(()) } else { Err(AccountError::Network { found, expected }) }
    }

    /// What this member tells the others.
    pub fn confirmation(&self) -> Confirmation {
        Confirmation { id: self.id, first_address: self.first_address().to_string() }
    }

    /// Compares with what another member came to.
    ///
    /// # Errors
    /// [`AccountError::Disagreement`] names what differs: the account must not be used.
    pub fn confirm(&self, theirs: &Confirmation) -> Result<(), AccountError> {
        let ours = self.confirmation();
        let differ =
            |field, ours: String, theirs: String| Err(AccountError::Disagreement { field, ours, theirs });
        if ours.first_address != theirs.first_address {
            return differ("first address", ours.first_address, theirs.first_address.clone());
        }
        if ours.id != theirs.id {
            return differ("account id", ours.id.to_string(), theirs.id.to_string());
        }
        Ok(())
    }

    /// The id: a hash of the descriptor.
    pub fn id(&self) -> AccountId {
        self.id
    }

    /// The owner's name for it.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// The agreement the map was built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What may spend.
    pub fn kind(&self) -> Kind {
        self.plan.kind
    }

    /// The chain.
    pub fn network(&self) -> Network {
        self.plan.network
    }

    /// The account index.
    pub fn account(&self) -> AccountIndex {
        self.plan.account
    }

    /// Where the search for coins may begin.
    pub fn birthday(&self) -> Birthday {
        self.plan.birthday
    }

    /// The members' keys, in the order P, R, G.
    pub fn keys(&self) -> &[MemberKey; 3] {
        &self.keys
    }

    /// One member's key.
    pub fn key(&self, role: Role) -> &MemberKey {
        match role {
            Role::P => &self.keys[0],
            Role::R => &self.keys[1],
            Role::G => &self.keys[2],
        }
    }

    /// The multipath descriptor with checksum.
    pub fn descriptor(&self) -> &str {
        &self.text
    }

    /// An address of the account.
    ///
    /// # Errors
    /// [`AccountError::AddressIndex`] from 2³¹ on.
    pub fn address(&self, keychain: Keychain, index: u32) -> Result<Address, AccountError> {
        let script = self.script_pubkey(keychain, index)?;
        Ok(Address::from_script(&script, self.plan.network).expect("P2WSH scripts have an address form"))
    }

    /// The first receiving address: what members compare.
    pub fn first_address(&self) -> Address {
        self.address(Keychain::External, 0).expect("0 is in range")
    }

    /// The output script of an address.
    ///
    /// # Errors
    /// [`AccountError::AddressIndex`] from 2³¹ on.
    pub fn script_pubkey(&self, keychain: Keychain, index: u32) -> Result<ScriptBuf, AccountError> {
        Ok(self.at(keychain, index)?.script_pubkey())
    }

    /// The definite descriptor of one address.
    pub(crate) fn at(&self, keychain: Keychain, index: u32) -> Result<Descriptor<PublicKey>, AccountError> {
        self.flat(keychain)
            .derived_descriptor(crate::secp(), index)
            .map_err(|_| AccountError::AddressIndex(index))
    }

    /// The ranged descriptor of one keychain, keychain step already taken.
    pub(crate) fn flat(&self, keychain: Keychain) -> &Ranged {
        &self.flat[keychain.step() as usize]
    }
}

fn check_plan(plan: &Plan) -> Result<(), AccountError> {
    if plan.threshold != THRESHOLD {
        return Err(AccountError::Threshold { found: plan.threshold.into() });
    }
    if let Kind::TwoOfThreeOrRecovery { blocks } = plan.kind {
        descriptor::check_lock(blocks)?;
    }
    let name = &plan.name;
    if name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(char::is_control) {
        return Err(AccountError::Name);
    }
    Ok(())
}

fn by_role(announced: &[MemberKey]) -> Result<[MemberKey; 3], AccountError> {
    let one = |role| {
        let mut found = announced.iter().filter(|key| key.role() == role);
        match (found.next(), found.count()) {
            (Some(key), 0) => Ok(*key),
            (first, more) => Err(AccountError::Roles { role, count: more + usize::from(first.is_some()) }),
        }
    };
    Ok([one(Role::P)?, one(Role::R)?, one(Role::G)?])
}

/// Same public key, or same master key: both make two signatures out of one holder.
fn check_distinct(keys: &[MemberKey; 3]) -> Result<(), AccountError> {
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let (a, b) = (&keys[a], &keys[b]);
        if a.xpub().public_key == b.xpub().public_key || a.fingerprint() == b.fingerprint() {
            return Err(AccountError::DuplicateKey(a.role(), b.role()));
        }
    }
    Ok(())
}

impl PartialEq for AccountMap {
    fn eq(&self, other: &Self) -> bool {
        self.plan == other.plan && self.keys == other.keys
    }
}

impl Eq for AccountMap {}

impl fmt::Debug for AccountMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountMap").field("id", &self.id).field("plan", &self.plan).finish_non_exhaustive()
    }
}
