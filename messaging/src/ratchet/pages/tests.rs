use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

use super::*;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Writes the changes of one state; gives the number of bytes written.
fn write(rows: &mut Rows, changes: Changes) -> usize {
    let mut written = 0;
    for (key, value) in changes {
        written += value.as_ref().map_or(0, Vec::len);
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
    written
}

fn load(rows: &Rows) -> Result<Pages, LoadError> {
    Pages::load(&mut |key| rows.get(key).cloned()).map(|(_, pages)| pages)
}

fn digests(pages: &Pages) -> Vec<(usize, Digest)> {
    pages.pages.iter().map(|page| (page.len, page.digest)).collect()
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(7).fill_bytes(&mut bytes);
    bytes
}

#[test]
fn what_is_inserted_does_not_move_the_rest() {
    let (mut pages, mut rows) = (Pages::default(), Rows::new());
    let mut state = noise(40_000);
    assert!(write(&mut rows, pages.update(state.clone().into())) > state.len());
    for at in [0, 1, 10_000, 39_999] {
        state.splice(at..at, [1, 2, 3]);
        let written = write(&mut rows, pages.update(state.clone().into()));
        assert!(written < 2 * MAX_PAGE, "{written} bytes for three");
        assert_eq!(load(&rows).unwrap().state(), state);
    }
}

#[test]
fn what_repeats_itself_is_stored_once() {
    let (mut pages, mut rows) = (Pages::default(), Rows::new());
    let state = vec![0; 100_000];
    let written = write(&mut rows, pages.update(state.clone().into()));
    assert!(written < 3 * MAX_PAGE, "{written}");
    assert_eq!(load(&rows).unwrap().state(), state);
}

#[test]
fn the_largest_state_fits() {
    let (mut pages, mut rows) = (Pages::default(), Rows::new());
    let state = noise(MAX_STATE);
    write(&mut rows, pages.update(state.clone().into()));
    assert_eq!(load(&rows).unwrap().state(), state);
}

#[test]
fn a_row_that_is_gone_changed_or_of_another_time_is_noticed() {
    let (mut pages, mut rows) = (Pages::default(), Rows::new());
    let mut state = noise(5_000);
    write(&mut rows, pages.update(state.clone().into()));
    let before = rows.clone();
    state[2_500] ^= 1;
    write(&mut rows, pages.update(state.clone().into()));
    for key in rows.keys() {
        let mut fewer = rows.clone();
        fewer.remove(key);
        assert!(load(&fewer).is_err());
        let mut changed = rows.clone();
        changed.get_mut(key).unwrap()[0] ^= 1;
        assert!(load(&changed).is_err());
        let mut mixed = rows.clone();
        mixed.insert(key.clone(), before[key].clone());
        assert!(before[key] == rows[key] || load(&mixed).is_err());
    }
    assert_eq!(load(&Rows::new()).err(), Some(LoadError::Missing));
}

#[test]
fn a_session_of_a_newer_program_is_named_as_such() {
    let (mut pages, mut rows) = (Pages::default(), Rows::new());
    write(&mut rows, pages.update(noise(5_000).into()));
    for (key, page) in &rows {
        assert_eq!(check_page(key, page), Ok(()));
        assert!(check_page(key, &[]).is_err() && check_page(&key[1..], page).is_err());
    }
    let index = rows.get_mut(&INDEX_KEY[..]).unwrap();
    index[0] = VERSION + 1;
    assert_eq!(check_page(&INDEX_KEY, index), Err(LoadError::Newer(VERSION + 1)));
    assert_eq!(load(&rows).err(), Some(LoadError::Newer(VERSION + 1)));
    rows.get_mut(&INDEX_KEY[..]).unwrap()[0] = 0;
    assert!(matches!(load(&rows).err(), Some(LoadError::Malformed(_))), "there was no version 0");
}

#[test]
fn all_rows_of_a_session_that_is_damaged_are_found() {
    let (mut pages, mut rows) = (Pages::default(), Rows::new());
    write(&mut rows, pages.update(noise(MAX_STATE).into()));
    rows.insert(page_key(u16::try_from(MAX_PAGES - 1).unwrap()).to_vec(), vec![1]);
    rows.insert(INDEX_KEY.to_vec(), Vec::new());
    let found = leftover_keys(&|key| rows.contains_key(key));
    assert_eq!(found, rows.keys().cloned().collect::<Vec<_>>());
    rows.remove(&INDEX_KEY[..]);
    assert_eq!(leftover_keys(&|key| rows.contains_key(key)), [[0; 0]; 0], "no index, no session");
}

/// Removes `len` bytes somewhere, and puts others there.
#[derive(Debug, Clone)]
struct Edit {
    at: prop::sample::Index,
    len: usize,
    with: Vec<u8>,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let with = prop_oneof![
        vec(any::<u8>(), 0..3_000),
        (any::<u8>(), 0..3_000_usize).prop_map(|(byte, len)| vec![byte; len])
    ];
    let edit = (any::<prop::sample::Index>(), 0..2_000_usize, with);
    vec(edit.prop_map(|(at, len, with)| Edit { at, len, with }), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_loaded_is_the_last_state(edits in edits(), restart in any::<bool>()) {
        let (mut pages, mut rows) = (Pages::default(), Rows::new());
        let mut state = noise(8_000);
        for Edit { at, len, with } in edits {
            let start = at.index(state.len() + 1);
            let end = (start + len).min(state.len());
            state.splice(start..end, with);
            write(&mut rows, pages.update(state.clone().into()));
            let loaded = load(&rows).unwrap();
            prop_assert_eq!(loaded.state(), &state);
            prop_assert_eq!(digests(&pages), digests(&loaded));
            let mut afresh = Pages::default();
            afresh.update(state.clone().into());
            prop_assert_eq!(digests(&pages), digests(&afresh));
            prop_assert_eq!(loaded.keys(), rows.keys().cloned().collect::<Vec<_>>());
            if restart {
                pages = loaded;
            }
        }
    }

    #[test]
    fn any_rows_are_a_state_or_an_error(index in vec(any::<u8>(), 0..200), page in vec(any::<u8>(), 0..5_000)) {
        let answer = Pages::load(&mut |key| Some(if key == INDEX_KEY { index.clone() } else { page.clone() }));
        prop_assert!(answer.is_err() || index.len() >= 17);
    }
}
