//! The profiles of all releases: each opens, and is what the device knew.

use std::{collections::BTreeSet, path::Path};

use autonomy_client::{Profile, profile::row_kinds};
use autonomy_messaging::PublicKey;
use autonomy_store::{Store, Unlock};
use autonomy_wallet::account::Keychain;
use data_encoding::HEXLOWER;

use crate::{common_golden::Golden, world::World};

static PROFILE: Golden = Golden::new("profile.redb", write);

fn unlock() -> Unlock {
    Unlock::key([7; 32])
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// Writes the profile of a device with a pod, an account, and a second one that was dealt and not completed.
fn write(path: &Path) -> Vec<String> {
    let world = wait(async {
        let mut world = World::new().await;
        let map = world.account().await.map;
        let profile = &mut world.device.profile;
        profile.learn(&map.id(), &[(Keychain::External, 3), (Keychain::Internal, 1)]).unwrap();
        profile.begin_account(map, "decks/second".into()).unwrap();
        profile.see_epoch(21).unwrap();
        profile.set_event_cursor(17).unwrap();
        world
    });
    let made = Profile::path(&world.files());
    drop(world.device);
    Store::open(&made, &unlock()).unwrap().backup(path, |_| true).unwrap();
    facts(path)
}

/// What the device at this profile knows.
fn facts(path: &Path) -> Vec<String> {
    let profile = wait(Profile::open(path.parent().unwrap(), &unlock())).unwrap();
    let pod = profile.pod().unwrap();
    let key = |bytes: &[u8]| HEXLOWER.encode(bytes);
    let mut facts = vec![
        format!(
            "device {:?} has key {}",
            profile.name(),
            key(PublicKey::from(&profile.device_key()).as_bytes())
        ),
        format!("grants are opened with {}", key(profile.sealing_secret())),
        format!("own descriptor key {}", key(profile.own_descriptor_secret())),
        format!("person {}", profile.auth_seed().unwrap().root_key().public()),
        format!("payment entropy {}", key(profile.payment_seed().unwrap().entropy())),
        format!("pod {:?} {} on {}", pod.name(), key(pod.pod_key().as_bytes()), pod.network()),
        format!(
            "pod of {}, reached at {} with {}",
            pod.root(),
            key(pod.app_onion()),
            key(pod.descriptor_secret())
        ),
        format!(
            "pod gave {:?}, onion epoch {}, epoch {}",
            pod.entropy().map(|bytes| key(bytes)),
            pod.onion_epoch(),
            pod.epoch()
        ),
        format!("access {:?}", pod.access()),
        format!("certificate of {}", key(pod.pod_certificate().unwrap().to_bytes().as_slice())),
        format!("seen epoch {}, event {:?}", profile.state_epoch(), profile.event_cursor()),
    ];
    for account in profile.accounts() {
        let (map, view) = (&account.map, account.view);
        facts.push(format!("account {:?} {}", map.name(), map.descriptor()));
        facts.push(format!("account {:?} used {:?}, {:?}", map.name(), view.external, view.internal));
    }
    for pending in profile.pending_accounts() {
        facts.push(format!(
            "pending {:?} {} in {}",
            pending.map.name(),
            pending.map.id(),
            pending.decks.display()
        ));
    }
    facts
}

fn kinds(path: &Path) -> BTreeSet<Vec<u8>> {
    let store = Store::open(path, &unlock()).unwrap();
    let names = store.rows().unwrap().map(|row| row.unwrap().0);
    let kind = |name: Vec<u8>| row_kinds().into_iter().find(|kind| name.starts_with(kind)).unwrap().to_vec();
    names.map(kind).collect()
}

#[test]
fn golden_profiles_of_all_releases_are_opened() {
    for (release, _home, path) in PROFILE.copies() {
        PROFILE.compare(&release, &facts(&path));
    }
}

#[test]
fn every_kind_of_row_is_in_the_newest_golden_profile() {
    let (_, _home, path) = PROFILE.copies().pop().unwrap();
    assert_eq!(kinds(&path), row_kinds().into_iter().map(<[u8]>::to_vec).collect());
}
