//! Damage of any kind: what comes through the checker is what was sent, or nothing.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::LazyLock;

use autonomy_wallet::account::{AccountMap, MapKind};
use autonomy_wallet::check::{CheckRefusal, DeviceView, Digest, Summary, Unchecked};
use autonomy_wallet::payment::Intent;
use autonomy_wallet::policy::Policy;
use common::{Members, SHOP, World, pay, plan, sharer};
use proptest::prelude::*;

/// An honest payment: what was shown, the draft, and the draft with P's signature.
struct Honest {
    map: AccountMap,
    view: DeviceView,
    intent: Intent,
    digest: Digest,
    draft: Vec<u8>,
    signed: Vec<u8>,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let mut world = World::funded();
    let intent = pay(SHOP, 25_000_000);
    let draft = world.draft(&intent).to_bytes();
    let proposal = world.on_device(&draft, Some(&intent)).unwrap();
    let digest = proposal.summary().digest();
    let signed = proposal.approve(&digest).unwrap().sign(&world.members.p).unwrap().to_bytes();
    Honest { map: world.map.clone(), view: world.device(), intent, digest, draft, signed }
});

/// One map of each kind.
static MAPS: LazyLock<[AccountMap; 3]> = LazyLock::new(|| {
    let personal = |kind| Members::new(1).map(kind);
    let members: Vec<_> = (0..5).map(|number| sharer(number).0).collect();
    let shared = AccountMap::rebuild(plan(MapKind::Shared, 3), &members, &members[0]).unwrap();
    [personal(MapKind::Personal), personal(MapKind::PersonalOrRecovery { blocks: 52_560 }), shared]
});

fn check(bytes: &[u8]) -> Result<Summary, CheckRefusal> {
    let honest = &*HONEST;
    let unchecked = Unchecked::from_bytes(bytes)?;
    let proposal = unchecked.check(&honest.map, &honest.view, &Policy::STANDARD, Some(&honest.intent))?;
    Ok(proposal.summary().clone())
}

/// P's signature covers all of it: nothing but what P saw comes through.
fn survives_only_unchanged(bytes: &[u8]) {
    if let Ok(summary) = check(bytes) {
        assert_eq!(summary.digest(), HONEST.digest);
    }
}

#[test]
fn honest_payment_passes() {
    assert_eq!(check(&HONEST.draft).unwrap().digest(), HONEST.digest);
    assert_eq!(check(&HONEST.signed).unwrap().digest(), HONEST.digest);
}

#[test]
fn flipped_bit_never_changes_a_signed_payment() {
    let mut bytes = HONEST.signed.clone();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        // Flips in hints and in scripts that are derived anew do no harm; all others are refused.
        survives_only_unchanged(&bytes);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[derive(Debug, Clone)]
enum Damage {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Copy(prop::sample::Index, prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (index(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (index(), 1..40usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (index(), index(), 1..40usize).prop_map(|(from, to, count)| Damage::Copy(from, to, count)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    match damage {
        Damage::Set(at, byte) => *at.get_mut(bytes) = *byte,
        Damage::Insert(at, new) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, new.iter().copied());
        }
        Damage::Remove(at, count) => {
            let at = at.index(bytes.len());
            bytes.drain(at..(at + count).min(bytes.len()));
        }
        Damage::Copy(from, to, count) => {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let count = (*count).min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + count, to);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_changes_a_signed_payment(damages in prop::collection::vec(damage(), 1..4)) {
        let mut bytes = HONEST.signed.clone();
        damages.iter().for_each(|damage| apply(&mut bytes, damage));
        survives_only_unchanged(&bytes);
    }

    /// Unsigned, a small change of fee may pass the check; the approval of what was shown then does not fit.
    #[test]
    fn damaged_draft_is_consistent_or_refused(damages in prop::collection::vec(damage(), 1..4)) {
        let mut bytes = HONEST.draft.clone();
        damages.iter().for_each(|damage| apply(&mut bytes, damage));
        let honest = &*HONEST;
        if let Ok(summary) = check(&bytes) {
            let spent: u64 = summary.inputs.iter().map(|input| input.amount.to_sat()).sum();
            let paid: u64 = summary.outputs.iter().map(|output| output.amount.to_sat()).sum();
            prop_assert_eq!(spent, paid + summary.fee.to_sat());
            prop_assert_eq!(summary.paid(), honest.intent.total());
            let proposal = Unchecked::from_bytes(&bytes).unwrap()
                .check(&honest.map, &honest.view, &Policy::STANDARD, None).unwrap();
            let same = proposal.summary().digest() == honest.digest;
            prop_assert_eq!(proposal.approve(&honest.digest).is_ok(), same);
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Unchecked::from_bytes(&bytes).is_err());
        prop_assert!(AccountMap::from_bytes(&bytes).is_err());
    }

    /// A descriptor or account map with any byte changed is refused: the checksum or the id sees it.
    #[test]
    fn damage_never_changes_an_account_map(damages in prop::collection::vec(damage(), 1..3), which in 0..3usize) {
        let map = &MAPS[which];
        let mut text = map.descriptor().as_bytes().to_vec();
        damages.iter().for_each(|damage| apply(&mut text, damage));
        let text = String::from_utf8_lossy(&text);
        if let Ok(read) = AccountMap::from_descriptor(&text, "savings", map.network(), map.birthday()) {
            prop_assert_eq!(read.descriptor(), map.descriptor());
        }
        let mut bytes = map.to_bytes();
        damages.iter().for_each(|damage| apply(&mut bytes, damage));
        if let Ok(read) = AccountMap::from_bytes(&bytes) {
            prop_assert_eq!(read.id(), map.id());
            prop_assert_eq!(read.first_address(), map.first_address());
        }
    }
}
