//! The account map itself.

use core::fmt;

use super::descriptor::{Parts, Ranged};
use super::parse::Parsed;
use super::{AccountError, AccountId, Birthday, Keychain, MapKind, Member, MemberLabel, rules};
use crate::bitcoin::{Address, Network, PublicKey, ScriptBuf};
use crate::keys::MemberKey;
use crate::miniscript::Descriptor;

/// What the members agreed on before any key was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Shown to the owner; 1 to [`MAX_NAME_LEN`](super::MAX_NAME_LEN) characters.
    pub name: String,
    /// Which members it has, and what may spend.
    pub kind: MapKind,
    /// How many members must sign: 2 in a personal account, 1 to all of them in a shared one.
    pub threshold: u8,
    /// The chain.
    pub network: Network,
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
    /// In the one order of the descriptor.
    members: Vec<Member>,
    id: AccountId,
    text: String,
    /// One for each [`Keychain`], in order of its step.
    flat: [Ranged; 2],
}

impl AccountMap {
    /// Builds the map from the plan and the announced members, as the member `own`.
    ///
    /// The order of `announced` does not matter.
    ///
    /// # Errors
    /// [`AccountError`] for missing, duplicate or foreign keys, wrong origins, a threshold out of bounds, a bad
    /// lock or name, and when `own` is not among the members.
    pub fn rebuild(plan: Plan, announced: &[Member], own: &Member) -> Result<Self, AccountError> {
        let map = Self::assemble(plan, announced)?;
        map.check_own(own)?;
        Ok(map)
    }

    /// Reads the map of a descriptor (BIP-380 with `<0;1>` of BIP-389 and its checksum).
    ///
    /// A descriptor knows neither name nor birthday, and not which test network it is for. It names no members
    /// either: those of a shared account are labelled by the fingerprint of their key.
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
        let parsed = Parsed::read(text)?;
        let labels = parsed.default_labels();
        Self::of_parsed(text, parsed, labels, name.into(), network, birthday)
    }

    /// The map that a parsed descriptor stands for.
    /// # Errors
    /// [`AccountError::Members`] for another number of labels than keys, [`AccountError::Foreign`] where this wallet
    /// would write the text in another way, and whatever stands against such a map.
    pub(super) fn of_parsed(
        text: &str,
        parsed: Parsed,
        labels: Vec<MemberLabel>,
        name: String,
        network: Network,
        birthday: Birthday,
    ) -> Result<Self, AccountError> {
        let Parsed { kind, threshold, keys } = parsed;
        if labels.len() != keys.len() {
            return Err(AccountError::Members { found: labels.len(), least: keys.len(), most: keys.len() });
        }
        let members: Vec<_> =
            labels.into_iter().zip(keys).map(|(label, key)| Member::new(label, key)).collect();
        let map = Self::assemble(Plan { name, kind, threshold, network, birthday }, &members)?;
        if map.text != text {
            return Err(AccountError::Foreign("written differently: order of keys, quotes or paths"));
        }
        Ok(map)
    }

    /// Holds the members against the rules of their kind, and writes the descriptor.
    fn assemble(plan: Plan, announced: &[Member]) -> Result<Self, AccountError> {
        let members = rules::admit(&plan, announced)?;
        let parts = Parts { kind: plan.kind, threshold: plan.threshold, members: &members };
        let text = parts.multipath();
        let flat = Keychain::ALL.map(|keychain| parts.flat(keychain));
        Ok(Self { id: AccountId::of(&text), plan, members, text, flat })
    }

    /// Checks that `own` is in the map, with its label and its keys.
    ///
    /// # Errors
    /// [`AccountError::OwnKeyMissing`].
    pub fn check_own(&self, own: &Member) -> Result<(), AccountError> {
        if self.members.contains(own) { Ok(()) } else { Err(AccountError::OwnKeyMissing(own.label.clone())) }
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

    /// What the owner calls the account.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// The agreement the map was built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Which members it has, and what may spend.
    pub fn kind(&self) -> MapKind {
        self.plan.kind
    }

    /// How many members must sign.
    pub fn threshold(&self) -> usize {
        self.plan.threshold.into()
    }

    /// The chain.
    pub fn network(&self) -> Network {
        self.plan.network
    }

    /// Where the search for coins may begin.
    pub fn birthday(&self) -> Birthday {
        self.plan.birthday
    }

    /// The members, in the order of the descriptor: P, R, G in a personal account.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// All keys, in the order of the descriptor.
    pub fn keys(&self) -> impl Iterator<Item = &MemberKey> {
        self.members.iter().flat_map(Member::keys)
    }

    /// The key of the member with this label.
    ///
    /// # Errors
    /// [`AccountError::NoSuchMember`]; [`AccountError::PersonMember`] when it has more than one key.
    pub fn key(&self, label: &MemberLabel) -> Result<&MemberKey, AccountError> {
        let member = self.members.iter().find(|member| member.label == *label);
        member.ok_or_else(|| AccountError::NoSuchMember(label.clone()))?.key()
    }

    /// The member that holds a key.
    pub fn member_with(&self, key: &MemberKey) -> Option<&Member> {
        self.members.iter().find(|member| member.keys().contains(key))
    }

    /// What the descriptor is written from.
    pub(super) fn parts(&self) -> Parts<'_> {
        Parts { kind: self.plan.kind, threshold: self.plan.threshold, members: &self.members }
    }

    /// The multipath descriptor with checksum.
    pub fn descriptor(&self) -> &str {
        &self.text
    }

    /// An address of the account.
    ///
    /// # Errors
    /// [`AccountError::AddressIndex`] from 2³¹ on.
    #[expect(clippy::expect_used, reason = "every P2WSH script has an address form (BIP-173)")]
    pub fn address(&self, keychain: Keychain, index: u32) -> Result<Address, AccountError> {
        let script = self.script_pubkey(keychain, index)?;
        Ok(Address::from_script(&script, self.plan.network).expect("P2WSH scripts have an address form"))
    }

    /// The first receiving address: what members compare.
    #[expect(clippy::expect_used, reason = "index 0 is in range")]
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

impl PartialEq for AccountMap {
    fn eq(&self, other: &Self) -> bool {
        self.plan == other.plan && self.members == other.members
    }
}

impl Eq for AccountMap {}

impl fmt::Debug for AccountMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountMap").field("id", &self.id).field("plan", &self.plan).finish_non_exhaustive()
    }
}
