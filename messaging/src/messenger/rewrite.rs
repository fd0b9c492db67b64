//! Rows of any version in the present one: what a test asks of the databases of earlier releases.

use zeroize::Zeroizing;

use super::{
    conversation::{Entry, QueuedRow, ThreadRecord},
    files::{EarlyChunks, FileRecord},
    invites::InviteRecord,
    relays::RelayRecord,
    row::{BadRow, Key, RowClass, Unreadable, pack, unpack},
    stage::ContactRecord,
    states::Reach,
    stored::StoredName,
};
use crate::ratchet::check_page;

/// The value of a row of the messenger in the present version of its kind. Pages of a ratchet are checked for their
/// version and left as they are: a digest over all of them seals them.
///
/// # Errors
/// [`BadRow`]: the key or the value cannot be read, or a newer program wrote it.
pub fn rewritten(key: &[u8], value: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadRow> {
    let tag = key.first().copied().unwrap_or_default();
    let bad = |why| BadRow { tag, why };
    if RowClass::of(key) == RowClass::Ratchet {
        // Behind the tag stands the contact, and behind it the name of the page.
        let page = key.get(1 + 16..).ok_or(bad("its key is malformed".into()))?;
        check_page(page, value).map_err(|why| bad(why.to_string().into()))?;
        return Ok(Zeroizing::new(value.to_vec()));
    }
    repacked(Key::parse(key).ok_or(bad("its key is malformed".into()))?, value).map_err(bad)
}

fn repacked(key: Key, value: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    Ok(match key {
        Key::Name => pack(&unpack::<StoredName>(value)?),
        Key::Reach => pack(&unpack::<Reach>(value)?),
        Key::Relay(..) => pack(&unpack::<RelayRecord>(value)?),
        Key::Invite(..) => pack(&unpack::<InviteRecord>(value)?),
        Key::Contact(..) => pack(&unpack::<ContactRecord>(value)?),
        Key::Thread(..) => pack(&unpack::<ThreadRecord>(value)?),
        Key::Queued(..) => pack(&unpack::<QueuedRow>(value)?),
        Key::Entry(..) => pack(&unpack::<Entry>(value)?),
        Key::Part(..) | Key::Chunk(..) => pack(&unpack::<Vec<u8>>(value)?),
        Key::Early(..) => pack(&unpack::<EarlyChunks>(value)?),
        Key::Sending(..) | Key::Taking(..) => pack(&unpack::<FileRecord>(value)?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Name;

    #[test]
    fn a_rewritten_row_is_the_same_and_a_newer_one_is_refused() {
        let (key, value) = (Key::Name.to_bytes(), pack(&StoredName(Name::new("Alice").unwrap())));
        assert_eq!(rewritten(&key, &value), Ok(value.clone()));
        let newer = rewritten(&key, &[&[2], &value[1..]].concat()).unwrap_err();
        assert_eq!((newer.tag, newer.to_string().contains("newer program")), (b'n', true), "{newer}");
        assert!(rewritten(b"", &value).is_err() && rewritten(b"?", &value).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_row_or_refused(tag in prop::sample::select(&super::super::ROW_TAGS[..]), name: Vec<u8>, value: Vec<u8>) {
            let key = [vec![tag], name].concat();
            if let Ok(again) = rewritten(&key, &value) {
                prop_assert_eq!(rewritten(&key, &again), Ok(again.clone()), "what is written reads the same");
            }
        }

        #[test]
        fn any_bytes_of_a_chunk_are_read_as_they_were_written(bytes: Vec<u8>) {
            let value = pack(&bytes);
            prop_assert_eq!(unpack::<Vec<u8>>(&value), Ok(bytes));
        }
    }
}
