//! Sessions: how they begin, talk, survive restarts, and what they refuse.
#![allow(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod adverse;
mod hostile;
mod raw;
mod setup;
mod store;
mod turns;

use std::collections::BTreeMap;

use autonomy_messaging::ratchet::{OwnKeyPackage, PeerKeyPackage, Psk, Sealed, Session};
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

/// One side: its key package, its session, and the rows of it in a store.
pub(crate) struct Side {
    pub(crate) own: OwnKeyPackage,
    pub(crate) session: Session,
    pub(crate) rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) rng: StdRng,
}

impl Side {
    pub(crate) fn new(own: OwnKeyPackage, session: Session, seed: u64) -> Self {
        let mut side = Self { own, session, rows: BTreeMap::new(), rng: StdRng::seed_from_u64(seed) };
        side.store();
        side
    }

    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Sealed {
        self.session.seal(&mut self.rng, plaintext, true).expect("a message can be sealed")
    }

    /// Opens what the other sealed.
    pub(crate) fn open(
        &mut self,
        sealed: &Sealed,
    ) -> Result<Vec<u8>, autonomy_messaging::ratchet::OpenError> {
        self.session.open(sealed.commit.as_deref(), &sealed.message).map(|bytes| bytes.to_vec())
    }

    /// Writes what changed; gives the number of bytes written.
    pub(crate) fn store(&mut self) -> usize {
        let changes = self.session.take_changes();
        let written = changes.iter().filter_map(|(_, value)| value.as_ref().map(Vec::len)).sum();
        for (key, value) in changes {
            match value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
        written
    }

    /// The session as it is in the store.
    pub(crate) fn stored(&self) -> Session {
        Session::load(&mut |key| self.rows.get(key).cloned(), &self.own)
            .expect("what was stored can be loaded")
    }

    /// Stores, forgets the running session, and goes on with the stored one.
    pub(crate) fn restart(&mut self) {
        self.store();
        let mut stored = self.stored();
        assert!(stored == self.session, "the stored session is the running one");
        assert!(stored.take_changes().is_empty(), "nothing changes by loading");
        assert_eq!(
            stored.row_keys(),
            self.rows.keys().cloned().collect::<Vec<_>>(),
            "no row is left over or unknown"
        );
        self.session = stored;
    }
}

pub(crate) fn key_package(seed: u64) -> OwnKeyPackage {
    OwnKeyPackage::generate(&mut StdRng::seed_from_u64(seed), b"somebody").expect("a key package")
}

pub(crate) fn public_of(own: &OwnKeyPackage) -> PeerKeyPackage {
    PeerKeyPackage::parse(own.public()).expect("an own key package is a key package")
}

pub(crate) fn psk(seed: u64) -> Psk {
    let mut bytes = [0; 32];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    Psk::from_bytes(&bytes)
}

/// A session between two: the creator, who saw the invite, and the joiner, who made it.
pub(crate) fn pair(seed: u64) -> (Side, Side) {
    let (creator, joiner) = (key_package(seed), key_package(seed + 1));
    let mut rng = StdRng::seed_from_u64(seed + 2);
    let (session, welcome) =
        Session::create(&mut rng, &creator, &public_of(&joiner), &psk(seed)).expect("a session");
    let joined = Session::join(&joiner, &welcome, &psk(seed)).expect("the welcome opens");
    (Side::new(creator, session, seed + 3), Side::new(joiner, joined, seed + 4))
}
