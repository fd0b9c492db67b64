//! How an account is made by two: a ceremony of two requests.
//!
//! The pod offers an account number, its key G and entropy; the device draws R, deals its decks, and comes back with P, R
//! and the descriptor it built. The pod builds it again from the keys and compares. An offer that is not completed is
//! burnt: its number is never offered again.

use autonomy_wallet::{
    account::{AccountMap, Birthday, Confirmation, MapKind, Member, MemberLabel, PERSONAL_THRESHOLD, Plan},
    bitcoin::{BlockHash, Network},
    keys::AccountIndex,
};
use serde::{Deserialize, Serialize};

use super::{ACCOUNTS, Account, Accounts, MAX_ACCOUNTS};
use crate::{
    Answer, CeremonyId, Refusal, Reply, Timestamp, context::Context, devices::Admission, disk,
    identity::Identity, input::ChainPoint, row::tag, table::Table,
};
use autonomy_api::{
    AccountKind, AccountName, AccountOffer, BeginAccount, CompleteAccount, EventKind, Hex, Written as _,
    offer_message,
};

/// How long an offer stands, seconds: an hour is enough to deal decks and give nobody a stale tip.
const CEREMONY_SECONDS: u64 = 60 * 60;
/// Offers open at once; one owner makes one account at a time, and a crashed one may leave a few.
const MAX_CEREMONIES: usize = 8;

/// Offers that wait for their devices.
pub(crate) static CEREMONIES: Table<CeremonyId, Ceremony> = Table::new(tag::CEREMONY);

/// An offer that waits for the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceremony {
    /// What the owner calls the account.
    name: AccountName,
    /// What sort of account it is to be.
    #[serde(with = "disk::account_kind")]
    kind: AccountKind,
    /// The account number that was burnt for it.
    index: u32,
    /// Height of the block before which no coin of the account can be.
    birthday_height: u32,
    /// Time in that block's header, seconds.
    birthday_time: u64,
    /// Its hash.
    birthday_hash: BlockHash,
    /// When the offer was made.
    offered_at: Timestamp,
}

impl Ceremony {
    /// When the offer lapses.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.offered_at.saturating_add(CEREMONY_SECONDS)
    }

    /// What the account is to be, by the offer alone: nothing in it is the device's word.
    fn plan(&self, network: Network) -> Plan {
        Plan {
            name: self.name.to_string(),
            kind: MapKind::from(self.kind),
            threshold: PERSONAL_THRESHOLD,
            network,
            birthday: Birthday { height: self.birthday_height, time: self.birthday_time },
        }
    }
}

impl Accounts {
    /// Offers an account number and G for a new account.
    ///
    /// # Errors
    /// The pod has no owner or has not seen the chain yet, the request breaks a rule, or there is no room.
    pub(crate) fn begin(
        &mut self,
        cx: &mut Context<'_>,
        admission: &Admission,
        tip: Option<ChainPoint>,
        body: BeginAccount,
    ) -> Reply {
        admission.require_owner()?;
        self.check_begin(body.kind)?;
        self.check_name(&body.name)?;
        let tip = tip.ok_or_else(|| {
            let why = "the pod has not seen the chain's tip yet, which is the account's birthday";
            Refusal::ChainNotReady(why.into())
        })?;
        let index = cx.journal().next_account();
        let account_index = account_index(index)?;
        let key = admission.identity().gordian_key(account_index)?;
        let ceremony = CeremonyId::draw(cx.rng);
        let mut entropy = [0; 32];
        cx.rng.fill_bytes(&mut entropy);
        let mut offer = AccountOffer {
            ceremony,
            account_index,
            pod_member_key: *key.public(),
            entropy: Hex(entropy),
            signature: Hex([0; 64]),
            birthday_height: tip.height,
            birthday_time: tip.time,
        };
        offer.signature = Hex(admission.identity().sign(&offer_message(&offer)));
        let burnt = cx.journal_mut().burn_account();
        cx.row(burnt);
        let record = Ceremony {
            name: body.name,
            kind: body.kind,
            index,
            birthday_height: tip.height,
            birthday_time: tip.time,
            birthday_hash: tip.hash,
            offered_at: cx.now,
        };
        cx.row(self.ceremonies.put(ceremony, record));
        Ok(Answer::Offer(offer))
    }

    /// Two accounts that could be taken for each other are refused.
    ///
    /// # Errors
    /// The name does not show what it is, or is taken.
    fn check_name(&self, name: &AccountName) -> Result<(), Refusal> {
        let visible = AccountName::visible(name.as_str());
        let name = visible.map_err(|error| Refusal::invalid("name", error.to_string()))?;
        if self.all.values().any(|account| name.is_like(account.map().name())) {
            return Err(Refusal::invalid(
                "name",
                "another account is called so, or nearly so: choose another name",
            ));
        }
        Ok(())
    }

    /// The rules of a request, and the room there is.
    fn check_begin(&self, kind: AccountKind) -> Result<(), Refusal> {
        if kind == AccountKind::Shared {
            let rule = "a pod makes `two_of_three` and `two_of_three_or_recovery` accounts";
            return Err(Refusal::invalid("kind", rule));
        }
        if self.all.len() >= MAX_ACCOUNTS {
            let remedy = "a further account needs a further pod";
            return Err(Refusal::Full { what: "accounts of a pod", limit: MAX_ACCOUNTS, remedy });
        }
        if self.ceremonies.len() >= MAX_CEREMONIES {
            let remedy = "complete one, or wait an hour for the oldest to lapse";
            return Err(Refusal::Full { what: "accounts being made", limit: MAX_CEREMONIES, remedy });
        }
        Ok(())
    }

    /// Opens the account of an offer, once the device's descriptor is the one that the keys make. Its ledger begins at
    /// `oldest`, the oldest block known, so that a reorganisation of the birth block finds its fork.
    ///
    /// # Errors
    /// There is no such offer, the descriptor is another one, or the account exists.
    pub(crate) fn complete(
        &mut self,
        cx: &mut Context<'_>,
        admission: &Admission,
        oldest: Option<ChainPoint>,
        id: CeremonyId,
        body: &CompleteAccount,
    ) -> Reply {
        let unknown = || Refusal::Unknown { what: "open account offer", id: id.to_string() };
        let ceremony = self.ceremonies.get(&id).ok_or_else(unknown)?;
        let index = account_index(ceremony.index)?;
        let map = rebuild(admission.identity(), ceremony, index, body)?;
        let (account_id, name) = (map.id(), ceremony.name.clone());
        if self.all.contains_key(&account_id) {
            return Err(Refusal::Conflict("this account exists already".into()));
        }
        let start = oldest.ok_or_else(|| Refusal::ChainNotReady("no block seen yet".into()))?;
        let account = Account::create(map, index, &start, cx.now);
        let described = account.describe();
        cx.row(ACCOUNTS.put(&account_id, &account.record));
        self.all.insert(account_id, account);
        self.take_rows(cx, account_id);
        cx.row(self.ceremonies.remove(&id));
        cx.advance_epoch();
        cx.notify(EventKind::AccountCreated { account: account_id, name });
        Ok(Answer::Account(described))
    }

    /// Lets offers lapse that nobody completed.
    pub(crate) fn expire_ceremonies(&mut self, cx: &mut Context<'_>) {
        let lapsed = self.ceremonies.iter().filter(|(_, ceremony)| ceremony.expires_at() <= cx.now);
        let lapsed: Vec<CeremonyId> = lapsed.map(|(id, _)| *id).collect();
        cx.rows(lapsed.iter().map(|id| self.ceremonies.remove(id)));
    }

    /// When the next offer lapses.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.ceremonies.values().map(Ceremony::expires_at).min()
    }
}

/// Builds the map from the three keys, as if the device's descriptor had not been sent, and compares.
fn rebuild(
    identity: &Identity,
    ceremony: &Ceremony,
    index: AccountIndex,
    body: &CompleteAccount,
) -> Result<AccountMap, Refusal> {
    let device = Member::new(MemberLabel::P, body.device_member_key);
    let recovery = Member::new(MemberLabel::R, body.recovery_member_key);
    let own = Member::new(MemberLabel::G, *identity.gordian_key(index)?.public());
    let plan = ceremony.plan(identity.network());
    let map = AccountMap::rebuild(plan, &[device, recovery, own.clone()], &own)
        .map_err(|error| Refusal::Unsafe(error.to_string()))?;
    if map.descriptor() != body.descriptor {
        let detail = "`descriptor` is not the one that these three keys make; the account is not opened";
        return Err(Refusal::Unsafe(detail.into()));
    }
    let theirs = Confirmation { id: map.id(), first_address: body.first_address.write().to_string() };
    map.confirm(&theirs).map_err(|error| Refusal::Unsafe(error.to_string()))?;
    Ok(map)
}

/// A number below 2^31, as BIP-32 has them: the pod would have to burn one a second for 68 years to run out.
fn account_index(index: u32) -> Result<AccountIndex, Refusal> {
    AccountIndex::new(index).map_err(|error| Refusal::Conflict(error.to_string()))
}
