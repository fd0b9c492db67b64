//! Ids and seals of rows.
//!
//! Seals are XChaCha20-Poly1305 with a random 24-byte nonce (2^80 rows before two are likely to meet). What is
//! sealed is bound to what it is (a label), to the format version, and to the place it lies in (the row id), so a
//! sealed value that is moved elsewhere does not open.

use std::fmt;

use chacha20poly1305::{
    XChaCha20Poly1305,
    aead::{AeadInPlace as _, KeyInit as _},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use rand_core::{OsRng, RngCore as _};
use sha2::Sha256;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{header::VERSION, tally::Tally};

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// Nonce and tag before each ciphertext.
const OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// A row's name on disk.
pub(super) type RowId = [u8; 32];
/// What a sealed row adds to the tally.
pub(super) type Mark = [u8; 32];
/// The key that everything in a store hangs on.
pub(super) type DataKey = Zeroizing<[u8; 32]>;

/// The keys for each purpose, all made from the data key by HKDF with a label of their own: what is learnt of one tells
/// nothing about another. Wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub(super) struct Keys {
    row: [u8; 32],
    id: [u8; 32],
    tally: [u8; 32],
    mark: [u8; 32],
}

/// A data key that never was before.
pub(super) fn fresh_data_key() -> DataKey {
    let mut key = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(key.as_mut());
    key
}

impl Keys {
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes")]
    pub(super) fn derive(data_key: &DataKey) -> Self {
        let source = Hkdf::<Sha256>::new(None, data_key.as_ref());
        let key = |label: &str| {
            let mut key = [0; 32];
            source.expand(label.as_bytes(), &mut key).expect("HKDF-SHA256 gives up to 8,160 bytes");
            key
        };
        Self {
            row: key("autonomy store v1 row"),
            id: key("autonomy store v1 id"),
            tally: key("autonomy store v1 tally"),
            mark: key("autonomy store v1 mark"),
        }
    }

    /// Where a row lies: the same name has the same id, and the id does not tell the name.
    pub(super) fn row_id(&self, name: &[u8]) -> RowId {
        keyed_hash(&self.id, &[name])
    }

    /// Seals a row: 42 bytes longer than name and value. The name goes inside: it is how the row is found again without
    /// being asked for. Twice the same row gives two different seals.
    #[expect(clippy::expect_used, reason = "names are bounded by MAX_KEY_LEN, far below 65,536")]
    pub(super) fn seal_row(&self, id: &RowId, name: &[u8], value: &[u8]) -> Vec<u8> {
        let name_len = u16::try_from(name.len()).expect("names are bounded by MAX_KEY_LEN, far below 65,536");
        seal(&self.row, &bound_to(b"row", id), &[value, name, &name_len.to_be_bytes()])
    }

    /// The name and value of a sealed row; `None` if it is not what was sealed there.
    pub(super) fn open_row(&self, id: &RowId, sealed: &[u8]) -> Option<(Vec<u8>, Zeroizing<Vec<u8>>)> {
        let mut plain = open(&self.row, &bound_to(b"row", id), sealed)?;
        let (rest, name_len) = plain.split_last_chunk::<2>()?;
        let value_len = rest.len().checked_sub(u16::from_be_bytes(*name_len).into())?;
        let name = rest[value_len..].to_vec();
        plain.truncate(value_len);
        Some((name, plain))
    }

    /// What a sealed row adds to the tally: nonce and tag stand for the whole of it.
    pub(super) fn mark(&self, id: &RowId, sealed: &[u8]) -> Mark {
        keyed_hash(&self.mark, &[id, sealed.get(..OVERHEAD).unwrap_or(sealed)])
    }

    pub(super) fn seal_tally(&self, tally: &Tally) -> Vec<u8> {
        seal(&self.tally, &bound_to(b"tally", &[]), &[&tally.to_bytes()])
    }

    pub(super) fn open_tally(&self, sealed: &[u8]) -> Option<Tally> {
        Tally::from_bytes(&open(&self.tally, &bound_to(b"tally", &[]), sealed)?)
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn bound_to(what: &[u8], place: &[u8]) -> Vec<u8> {
    [&VERSION.to_be_bytes(), what, b"\0", place].concat()
}

/// Nonce, tag, ciphertext of `parts` one after the other. The plain text lies in the buffer that is returned, and is
/// encrypted there: no copy of it is made.
#[expect(clippy::expect_used, reason = "XChaCha20 takes 256 GB, and a row is bounded by MAX_VALUE_LEN")]
pub(super) fn seal(key: &[u8; 32], bound_to: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut sealed = Vec::with_capacity(OVERHEAD + len);
    sealed.resize(OVERHEAD, 0);
    parts.iter().for_each(|part| sealed.extend_from_slice(part));
    let (head, body) = sealed.split_at_mut(OVERHEAD);
    let (nonce, tag) = head.split_at_mut(NONCE_LEN);
    OsRng.fill_bytes(nonce);
    let made = XChaCha20Poly1305::new(key.into())
        .encrypt_in_place_detached((&*nonce).into(), bound_to, body)
        .expect("XChaCha20 takes 256 GB, and a row is bounded by MAX_VALUE_LEN");
    tag.copy_from_slice(&made);
    sealed
}

/// What [`seal`] was given; `None` if key, place or a single bit differ.
pub(super) fn open(key: &[u8; 32], bound_to: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
    let (tag, body) = rest.split_at_checked(TAG_LEN)?;
    let mut plain = Zeroizing::new(body.to_vec());
    XChaCha20Poly1305::new(key.into())
        .decrypt_in_place_detached(nonce.into(), bound_to, &mut plain, tag.into())
        .ok()?;
    Some(plain)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys { .. }")
    }
}
