//! The databases of all releases: each opens, gives the pod that the release knew, and is written anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use autonomy_api::PaymentId;
use autonomy_messaging::messenger::{self, Command as Mail};
use autonomy_node::{Answer, Command, Effect, Node, Row, row_kinds};
use autonomy_store::{RowChange, Store, Unlock};

use crate::{
    common_golden::Golden,
    facts::facts,
    mail::{asks, id, text_to},
    story::{self, FRIEND},
    world::World,
};

static POD: Golden = Golden::new("pod.redb", write);

fn unlock() -> Unlock {
    Unlock::passphrase("golden passphrase".to_owned()).unwrap()
}

/// Writes the database of a pod with some of everything.
fn write(path: &Path) -> Vec<String> {
    let rows = story::rows().iter().map(|(key, value)| RowChange::put(key.clone(), value.clone()));
    let rows: Vec<RowChange> = rows.collect();
    // The store as it is after use: rows were written, written again and removed.
    let home = tempfile::tempdir().unwrap();
    let store = Store::create(home.path().join("used.redb"), &unlock()).unwrap();
    for rows in rows.chunks(50) {
        store.commit(rows).unwrap();
        store.commit(rows).unwrap();
    }
    store.backup(path, |_| true).unwrap();
    facts(&mut World::from_rows(story::rows().clone()))
}

fn rows_of(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let store = Store::open(path, &unlock()).unwrap();
    let rows = store.rows().unwrap().map(Result::unwrap);
    rows.map(|(key, value)| (key, value.to_vec())).collect()
}

fn kinds(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> BTreeSet<Vec<u8>> {
    rows.keys().map(|key| Row::found(key.clone(), vec![]).kind().to_vec()).collect()
}

fn restored(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> Node {
    let rows = rows.iter().map(|(key, value)| Row::found(key.clone(), value.clone()));
    Node::restore(rows).unwrap().0
}

#[test]
fn golden_pods_of_all_releases_are_restored() {
    for (release, _home, path) in POD.copies() {
        let mut world = World::from_rows(rows_of(&path));
        POD.compare(&release, &facts(&mut world));
    }
}

#[test]
fn golden_rows_written_anew_give_the_same_pod() {
    for (release, _home, path) in POD.copies() {
        let rows = rows_of(&path);
        let anew = rows.iter().map(|(key, value)| {
            let row = Row::found(key.clone(), value.clone()).rewritten().unwrap();
            (row.key, row.value.unwrap().to_vec())
        });
        let anew: BTreeMap<Vec<u8>, Vec<u8>> = anew.collect();
        assert!(anew.keys().eq(rows.keys()), "{release}: a row changed its key");
        assert!(restored(&anew) == restored(&rows), "{release}: the pod is another one");
        POD.compare(&release, &facts(&mut World::from_rows(anew)));
    }
}

/// Groups are read when they are needed: a word to a contact needs one.
#[test]
fn golden_groups_still_encrypt() {
    for (release, _home, path) in POD.copies() {
        let mut world = World::from_rows(rows_of(&path));
        let Answer::Contacts(contacts) = asks(&mut world, Mail::Contacts) else { panic!("no contacts") };
        let friend = contacts.contacts.iter().find(|contact| contact.name.as_str() == FRIEND).unwrap();
        let groups =
            |world: &World| world.rows.keys().filter(|key| key[0] == 12).cloned().collect::<BTreeSet<_>>();
        let before = groups(&world);
        asks(&mut world, text_to(id(friend), "after all these releases"));
        let called =
            world.effects.iter().any(|effect| matches!(effect, Effect::Mail(messenger::Effect::Call { .. })));
        assert!(called, "{release}: nothing was sent");
        assert!(!before.is_empty() && groups(&world).is_superset(&before), "{release}: a new group was made");
        let Answer::MailStatus(status) = asks(&mut world, Mail::Status) else { panic!("no status") };
        assert!(status.refused.values().all(|count| *count == 0), "{release}: {:?}", status.refused);
    }
}

/// A table without a row in the golden database would change its format unseen.
#[test]
fn every_kind_of_row_is_in_the_newest_golden_pod() {
    let today = kinds(story::rows());
    let missing: Vec<_> = row_kinds().difference(&today).cloned().collect();
    assert!(missing.is_empty(), "the story has no row of kinds {missing:?}");
    let (release, _home, path) = POD.copies().pop().unwrap();
    let golden = kinds(&rows_of(&path));
    let missing: Vec<_> = today.difference(&golden).collect();
    assert!(missing.is_empty(), "{release} has no row of kinds {missing:?}: write its golden files anew");
}

/// The device asks by an id that is in no golden file.
#[test]
fn a_golden_pod_goes_on_as_any_other() {
    let (_, _home, path) = POD.copies().pop().unwrap();
    let mut world = World::from_rows(rows_of(&path));
    let Answer::Accounts(accounts) = world.device_asks(Command::Accounts).unwrap() else {
        panic!("no accounts")
    };
    let account = accounts.accounts[0].clone();
    let draft = world.draft(&account, 30_000).unwrap();
    let psbt = world.sign(&account, &draft);
    world.approve(&draft, psbt).unwrap();
    assert_eq!(world.sent().len(), 1, "what is signed is sent");
    assert!(world.device_asks(Command::Payment(PaymentId([0xee; 16]))).is_err());
}
