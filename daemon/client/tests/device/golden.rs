//! The profiles of all releases: each opens, and is what the device knew.

use std::{collections::BTreeSet, path::Path};

use autonomy_client::{
    Profile,
    profile::{NewPod, NewProfile, row_kinds},
};
use autonomy_messaging::{Access, AuthSeed, CertificateRole, PublicKey, SigningKey, Validity};
use autonomy_store::{Store, Unlock};
use autonomy_wallet::{
    account::{AccountMap, Birthday, Keychain, MapKind, Member, MemberLabel, Plan},
    bitcoin::Network,
    keys::{AccountIndex, RecoveryKey, Seed},
};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::common_golden::Golden;

/// When the certificates of the story begin: 2026-01-01.
const START: u64 = 1_767_225_600;

static PROFILE: Golden = Golden::new("profile.redb", write);

fn unlock() -> Unlock {
    Unlock::key([7; 32])
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn auth() -> AuthSeed {
    AuthSeed::from_bytes(&[1; 32])
}

/// A pod of the person, and this device's place in it.
fn pod(device: &SigningKey) -> NewPod {
    let pod = PublicKey::from(&SigningKey::from_bytes(&[2; 32]));
    let certify = |role, subject: &PublicKey| {
        auth().root_key().certify(role, subject, 3, Validity::lasting(START, 365 * 86_400))
    };
    NewPod {
        pod_certificate: certify(CertificateRole::Pod, &pod),
        device_certificate: certify(
            CertificateRole::Device { access: Access::Full },
            &PublicKey::from(device),
        ),
        app_onion: PublicKey::from(&SigningKey::from_bytes(&[4; 32])),
        descriptor_secret: Zeroizing::new([5; 32]),
        network: Network::Regtest,
        onion_epoch: 2,
        entropy: Some([6; 32]),
        name: "home".into(),
    }
}

/// The personal account of this number.
fn map(number: u32, name: &str) -> AccountMap {
    let index = AccountIndex::new(number).unwrap();
    let key = |byte| *Seed::from_entropy(&[byte; 32]).unwrap().account_key(Network::Regtest, index).public();
    let entropy = std::array::from_fn(|at| at as u8);
    let recovery = RecoveryKey::draw(&entropy, &[]).unwrap().public(Network::Regtest, index);
    let plan = Plan {
        name: name.into(),
        kind: MapKind::Personal,
        threshold: 2,
        network: Network::Regtest,
        birthday: Birthday { height: 101, time: START },
    };
    let [p, r, g] = MemberLabel::PERSONAL;
    let members = [Member::new(p, key(3)), Member::new(r, recovery), Member::new(g, key(9))];
    AccountMap::rebuild(plan, &members, &members[0]).unwrap()
}

/// Writes the profile of a device with a pod, an account, and a second one that was dealt and not completed.
fn write(path: &Path) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let payment_seed = Seed::from_entropy(&[3; 32]).unwrap();
    let birth =
        NewProfile { name: "phone".into(), auth_seed: Some(auth()), payment_seed: Some(payment_seed) };
    let mut profile = Profile::create(home.path(), &unlock(), birth).unwrap();
    let (main, second) = (map(0, "main"), map(1, "second"));
    profile.set_pod(pod(&profile.device_key())).unwrap();
    profile.import_account(main.clone(), START).unwrap();
    profile.learn(&main.id(), &[(Keychain::External, 3), (Keychain::Internal, 1)]).unwrap();
    profile.begin_account(second, "decks/second".into()).unwrap();
    profile.see_epoch(21).unwrap();
    profile.set_event_cursor(17).unwrap();
    drop(profile);
    let used = Store::open(Profile::path(home.path()), &unlock()).unwrap();
    used.backup(path, |_| true).unwrap();
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
