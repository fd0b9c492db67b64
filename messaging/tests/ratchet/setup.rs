//! How a session begins.

use autonomy_messaging::ratchet::{
    CreateError, JoinError, KeyPackageError, MAX_COMMIT, MAX_IDENTITY, MAX_KEY_PACKAGE, MAX_WELCOME,
    OwnKeyPackage, PeerKeyPackage, Session,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::{key_package, pair, psk, public_of};

#[test]
fn an_invite_opens_a_session() {
    let (inviter, guest) = (key_package(1), key_package(2));
    let (created, welcome) =
        Session::create(&mut StdRng::seed_from_u64(3), &guest, &public_of(&inviter), &psk(4)).unwrap();
    let joined = Session::join(&inviter, &welcome, &psk(4)).unwrap();

    println!("key package {} B, welcome {} B", inviter.public().len(), welcome.len());
    assert!(welcome.len() <= MAX_WELCOME);
    assert_eq!(created.incarnation(), joined.incarnation());
    assert_eq!((created.epoch(), joined.epoch()), (1, 1));
    assert_eq!(created.peer_leaf_key(), inviter.leaf_key());
    assert_eq!(joined.peer_leaf_key(), guest.leaf_key());
    assert_eq!(created.export("queue"), joined.export("queue"));
    assert_ne!(created.export("queue"), created.export("another"));
    assert!(joined.is_our_turn() && !created.is_our_turn(), "the joiner begins");
}

#[test]
fn a_key_package_opens_more_than_one_session() {
    let (inviter, guest) = (key_package(1), key_package(2));
    let mut rng = StdRng::seed_from_u64(3);
    let (first, welcome) = Session::create(&mut rng, &guest, &public_of(&inviter), &psk(4)).unwrap();
    Session::join(&inviter, &welcome, &psk(4)).unwrap();
    let (second, welcome) = Session::create(&mut rng, &guest, &public_of(&inviter), &psk(5)).unwrap();
    let joined = Session::join(&inviter, &welcome, &psk(5)).unwrap();
    assert_ne!(first.incarnation(), second.incarnation());
    assert_eq!(joined.incarnation(), second.incarnation());
}

#[test]
fn welcome_without_the_invite_key_is_refused() {
    let (inviter, guest) = (key_package(1), key_package(2));
    let mut rng = StdRng::seed_from_u64(3);
    let (_, welcome) = Session::create(&mut rng, &guest, &public_of(&inviter), &psk(4)).unwrap();
    assert_eq!(Session::join(&inviter, &welcome, &psk(5)).unwrap_err(), JoinError::WrongPsk);
    assert_eq!(Session::join(&guest, &welcome, &psk(4)).unwrap_err(), JoinError::OtherKeyPackage);
    assert_eq!(Session::join(&key_package(9), &welcome, &psk(4)).unwrap_err(), JoinError::OtherKeyPackage);
}

#[test]
fn a_welcome_that_was_changed_is_refused() {
    let (inviter, guest) = (key_package(1), key_package(2));
    let mut rng = StdRng::seed_from_u64(3);
    let (_, welcome) = Session::create(&mut rng, &guest, &public_of(&inviter), &psk(4)).unwrap();
    for at in (0..welcome.len()).step_by(37) {
        let mut changed = welcome.clone();
        changed[at] ^= 1;
        assert!(Session::join(&inviter, &changed, &psk(4)).is_err(), "byte {at}");
        assert!(Session::join(&inviter, &welcome[..at], &psk(4)).is_err(), "{at} bytes");
    }
    let longer = [welcome.as_slice(), &[0]].concat();
    assert_eq!(Session::join(&inviter, &longer, &psk(4)).unwrap_err(), JoinError::Malformed);
    let huge = vec![0; MAX_WELCOME + 1];
    assert_eq!(Session::join(&inviter, &huge, &psk(4)).unwrap_err(), JoinError::Length(huge.len()));
}

#[test]
fn a_key_package_that_was_changed_is_refused() {
    let public = key_package(1).public().to_vec();
    for at in (0..public.len()).step_by(29) {
        let mut changed = public.clone();
        changed[at] ^= 1;
        assert!(PeerKeyPackage::parse(&changed).is_err(), "byte {at}");
        assert!(PeerKeyPackage::parse(&public[..at]).is_err(), "{at} bytes");
    }
    assert!(PeerKeyPackage::parse(&[public.as_slice(), &[0]].concat()).is_err());
    let huge = vec![0; MAX_KEY_PACKAGE + 1];
    assert_eq!(PeerKeyPackage::parse(&huge).unwrap_err(), KeyPackageError::Length(huge.len()));
}

#[test]
fn the_longest_identity_fits_everywhere() {
    let mut rng = StdRng::seed_from_u64(1);
    let longest = OwnKeyPackage::generate(&mut rng, &[7; MAX_IDENTITY]).unwrap();
    let other = OwnKeyPackage::generate(&mut rng, &[8; MAX_IDENTITY]).unwrap();
    assert!(OwnKeyPackage::generate(&mut rng, &[7; MAX_IDENTITY + 1]).is_err());
    assert!(longest.public().len() <= MAX_KEY_PACKAGE);
    let (mut created, welcome) = Session::create(&mut rng, &longest, &public_of(&other), &psk(1)).unwrap();
    assert!(welcome.len() <= MAX_WELCOME);
    let mut joined = Session::join(&other, &welcome, &psk(1)).unwrap();
    let sealed = joined.seal(&mut rng, b"", true).unwrap();
    assert!(sealed.commit.as_ref().unwrap().len() <= MAX_COMMIT);
    created.open(sealed.commit.as_deref(), &sealed.message).unwrap();
}

#[test]
fn a_key_package_comes_back_from_a_backup() {
    let own = key_package(1);
    let bytes = own.to_bytes();
    let restored = OwnKeyPackage::from_bytes(&bytes).unwrap();
    assert_eq!(restored.public(), own.public());
    assert_eq!((restored.hash(), restored.leaf_key()), (own.hash(), own.leaf_key()));
    assert_eq!(restored.hash(), public_of(&own).hash());

    let mut rng = StdRng::seed_from_u64(3);
    let (_, welcome) = Session::create(&mut rng, &key_package(2), &public_of(&own), &psk(4)).unwrap();
    Session::join(&restored, &welcome, &psk(4)).expect("the restored key package opens a welcome");
    for len in 0..bytes.len() {
        assert!(OwnKeyPackage::from_bytes(&bytes[..len]).is_err(), "{len} bytes");
    }
    let another = key_package(2).to_bytes();
    let mixed = [&another[..33], &bytes[33..]].concat();
    assert!(OwnKeyPackage::from_bytes(&mixed).is_err(), "the signature key of another");
}

#[test]
fn session_with_the_own_key_package_is_refused() {
    let own = key_package(1);
    let error = Session::create(&mut StdRng::seed_from_u64(1), &own, &public_of(&own), &psk(1)).unwrap_err();
    assert_eq!(error, CreateError::KeyPackage);
}

#[test]
fn nothing_secret_is_printed() {
    let (creator, joiner) = pair(1);
    let printed =
        format!("{:?} {:?} {:?} {:?}", creator.own, creator.session, psk(1), public_of(&joiner.own));
    assert!(printed.contains("Psk(..)") && printed.len() < 400, "{printed}");
}
