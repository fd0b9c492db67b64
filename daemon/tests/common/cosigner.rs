//! The owner's half of an account, as an honest device computes it.

use autonomy_api::{Account, AccountOffer, CompleteAccount, Payment, PsbtBytes};
use autonomy_wallet::{
    account::{AccountMap, Birthday, MapKind, Member, MemberLabel, Plan},
    bitcoin::Network,
    check::{DeviceView, Unchecked},
    keys::{RecoveryKey, Seed},
    policy::Policy,
};

/// What an honest device answers to an offer of an account of the plain kind, and the map it keeps.
pub(crate) fn complete(payer: &Seed, offer: &AccountOffer) -> (CompleteAccount, AccountMap) {
    let index = offer.account_index;
    let device = *payer.account_key(Network::Regtest, index).public();
    let recovery = RecoveryKey::draw(&std::array::from_fn(|i| i as u8), &[]).unwrap();
    let recovery = recovery.public(Network::Regtest, index);
    let plan = Plan {
        name: "main".into(),
        kind: MapKind::Personal,
        threshold: 2,
        network: Network::Regtest,
        birthday: Birthday { height: offer.birthday_height, time: offer.birthday_time },
    };
    let [p, r, g] = MemberLabel::PERSONAL;
    let members = [Member::new(p, device), Member::new(r, recovery), Member::new(g, offer.pod_member_key)];
    let map = AccountMap::rebuild(plan, &members, &members[0]).unwrap();
    let body = CompleteAccount {
        device_member_key: device,
        recovery_member_key: recovery,
        descriptor: map.descriptor().to_owned(),
        first_address: map.first_address().as_unchecked().clone(),
    };
    (body, map)
}

/// The draft with P's signatures, as an honest device makes it.
pub(crate) fn sign(payer: &Seed, account: &Account, payment: &Payment) -> PsbtBytes {
    let birthday = Birthday { height: account.birthday_height, time: account.birthday_time };
    let map = AccountMap::from_descriptor(&account.descriptor, "main", Network::Regtest, birthday).unwrap();
    let unchecked = Unchecked::from_bytes(payment.psbt.as_deref().unwrap()).unwrap();
    let proposal = unchecked.check(&map, &DeviceView::default(), &Policy::STANDARD, None).unwrap();
    let shown = proposal.summary().digest();
    let key = payer.account_key(Network::Regtest, account.account_index);
    let signed = proposal.approve(&shown).unwrap().sign(&key).unwrap();
    PsbtBytes::new(signed.to_bytes()).unwrap()
}
