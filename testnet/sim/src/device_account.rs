//! What a device knows and holds of an account: the map that it rebuilt itself, and the key P. It trusts no byte of
//! the pod and signs only what its owner typed.
//!
//! The checks are those of the device library (`autonomy_wallet::check`), so a draft that a pod gets wrong after any
//! sequence of faults ends the world.

use std::collections::BTreeSet;
use std::fmt;

use autonomy_wallet::account::{
    AccountId, AccountMap, Birthday, Keychain, MapKind, Member, MemberLabel, PERSONAL_THRESHOLD, Plan,
};
use autonomy_wallet::bitcoin::{Amount, FeeRate, Network, ScriptBuf};
use autonomy_wallet::check::{DeviceView, Owner, Summary, Unchecked};
use autonomy_wallet::keys::{AccountIndex, MemberKey, RecoveryKey, Seed};
use autonomy_wallet::payment::{Intent, parse_address};
use autonomy_wallet::policy::Policy;
use autonomy_wallet::rate;
use data_encoding::BASE64;

use crate::command::{Completion, Offer};

/// Scripts of each branch that are searched when an account's coins are counted: more than any world uses.
const SCRIPTS: u32 = 400;
/// The fee rate of payments: 2 satoshi a virtual byte.
const FEE_RATE: FeeRate = rate::sat_per_vb(2);

/// An account as the device has it.
pub(super) struct DeviceAccount {
    map: AccountMap,
    /// The seed of P.
    payer: Seed,
    /// Number of the account at P.
    index: AccountIndex,
    /// Which addresses are known to be in use: a draft may pay change only near them.
    view: DeviceView,
}

impl DeviceAccount {
    /// Compares the pod's offer, rebuilds the map from the three keys, and answers the offer.
    ///
    /// # Errors
    /// The offer has a key or number that no account can have.
    pub(super) fn agree(entropy: [[u8; 32]; 2], offer: &Offer) -> Result<(Completion, Self), String> {
        let [payer, recovery] = entropy;
        let wrong = |error: &dyn fmt::Display| error.to_string();
        let payer = Seed::from_entropy(&payer).map_err(|error| wrong(&error))?;
        let index = AccountIndex::new(offer.account_index).map_err(|error| wrong(&error))?;
        let device = *payer.account_key(Network::Regtest, index).public();
        let recovery = RecoveryKey::draw(&recovery, &[]).map_err(|error| wrong(&error))?;
        let recovery = recovery.public(Network::Regtest, index);
        let pod = MemberKey::parse(&offer.pod_member_key).map_err(|error| wrong(&error))?;
        let (height, time) = offer.birthday;
        let plan = Plan {
            name: "main".into(),
            kind: MapKind::Personal,
            threshold: PERSONAL_THRESHOLD,
            network: Network::Regtest,
            birthday: Birthday { height, time },
        };
        let [p, r, g] = MemberLabel::PERSONAL;
        let members = [Member::new(p, device), Member::new(r, recovery), Member::new(g, pod)];
        let map = AccountMap::rebuild(plan, &members, &members[0]).map_err(|error| wrong(&error))?;
        let completion = Completion {
            ceremony: offer.ceremony,
            device_member_key: device.to_string(),
            recovery_member_key: recovery.to_string(),
            descriptor: map.descriptor().to_owned(),
            first_address: map.first_address().to_string(),
        };
        Ok((completion, Self { map, payer, index, view: DeviceView::default() }))
    }

    /// Names the account.
    pub(super) fn id(&self) -> AccountId {
        self.map.id()
    }

    /// Whether this is the account's address of that number. If it is, it counts as in use.
    pub(super) fn is_own(&mut self, index: u32, address: &str) -> bool {
        let derived = self.map.address(Keychain::External, index);
        let own = derived.is_ok_and(|derived| derived.to_string() == address);
        if own {
            self.view.learn(Keychain::External, index);
        }
        own
    }

    /// Checks a draft and signs it with P.
    ///
    /// # Errors
    /// The draft does not pay what the owner typed, or breaks another rule of the checker.
    pub(super) fn sign(&mut self, psbt: &str, to: &str, sat: u64) -> Result<String, String> {
        let wrong = |error: &dyn fmt::Display| error.to_string();
        let unchecked = Unchecked::from_base64(psbt).map_err(|error| wrong(&error))?;
        let address = parse_address(to).map_err(|error| wrong(&error))?;
        let wanted = Intent::pay(Network::Regtest, [(address, Amount::from_sat(sat))], FEE_RATE);
        let wanted = wanted.map_err(|error| wrong(&error))?;
        let proposal = unchecked.check(&self.map, &self.view, &Policy::STANDARD, Some(&wanted));
        let proposal = proposal.map_err(|error| wrong(&error))?;
        self.learn(proposal.summary());
        let shown = proposal.summary().digest();
        let key = self.payer.account_key(Network::Regtest, self.index);
        let signed = proposal.approve(&shown).map_err(|error| wrong(&error))?.sign(&key);
        Ok(BASE64.encode(&signed.map_err(|error| wrong(&error))?.to_bytes()))
    }

    /// The addresses of a checked draft count as in use.
    fn learn(&mut self, summary: &Summary) {
        let change = summary.outputs.iter().filter_map(|output| match output.owner {
            Owner::Own { keychain, index } => Some((keychain, index)),
            _ => None,
        });
        let spent = summary.inputs.iter().map(|input| (input.keychain, input.index));
        spent.chain(change).for_each(|(keychain, index)| self.view.learn(keychain, index));
    }

    /// All scripts at which the account may have coins.
    pub(super) fn scripts(&self) -> BTreeSet<ScriptBuf> {
        let branches =
            Keychain::ALL.into_iter().flat_map(|keychain| (0..SCRIPTS).map(move |i| (keychain, i)));
        branches.filter_map(|(keychain, index)| self.map.script_pubkey(keychain, index).ok()).collect()
    }
}

impl fmt::Debug for DeviceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAccount")
            .field("id", &self.id())
            .field("payer", &"[secret]")
            .finish_non_exhaustive()
    }
}
