//! A pod of a thousand contacts: what they take on its disk and in its memory, and how long it takes to come up.

use std::{collections::HashSet, fs, path::Path, process::Command, sync::Arc, time::Instant};

use autonomy_api::ContactState;
use autonomy_daemon::{chain::NoChain, driver};
use autonomy_messaging::{messenger::Command as Mail, payload::Text};
use autonomy_node::{Answer, Caller, Command as NodeCommand, Node, Request, Row};
use autonomy_store::{RowChange, Store, Unlock};

use crate::{
    bench_node::{BenchNode, befriend},
    place_of, readers,
};

/// Names the database to whoever opens it: a process of its own, so that its memory holds nothing else.
pub(crate) const ROWS: &str = "AUTONOMY_BENCH_CROWD";
const CONTACTS: u64 = 1_000;

fn unlock() -> Unlock {
    Unlock::key([7; 32])
}

pub(crate) fn measure() {
    let mut alice = BenchNode::adopted(1);
    let mut gone = HashSet::new();
    let since = Instant::now();
    for number in 0..CONTACTS {
        let mut friend = BenchNode::adopted(1_000 + number);
        befriend(&mut alice, &mut friend, &gone);
        gone.insert(place_of(&mut friend));
    }
    println!("{CONTACTS} contacts were made in {:.0?}, both sides", since.elapsed());
    let size: usize = alice.rows.iter().map(|(key, value)| key.len() + value.len()).sum();
    println!("rows of a contact: {} B", size / CONTACTS as usize);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pod.redb");
    let rows: Vec<RowChange> =
        alice.rows.into_iter().map(|(key, value)| RowChange::put(key, value)).collect();
    drop(Store::create_with(&file, &unlock(), &rows).unwrap());
    println!("database: {} MB", fs::metadata(&file).unwrap().len() / 1_000_000);
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program).env(ROWS, &file).status().unwrap();
    assert!(status.success());
}

/// Comes up from the database as a pod does, and writes to everybody.
pub(crate) fn open(file: &Path) {
    let before = resident();
    let since = Instant::now();
    let store = Store::open(file, &unlock()).unwrap();
    let rows = store.rows().unwrap().map(Result::unwrap).filter(|(key, _)| !Row::is_cold_key(key));
    let (node, _) = Node::restore(rows.map(|(key, value)| Row::found(key, value))).unwrap();
    println!("up from the database after {:.0?}", since.elapsed());
    println!("memory of the program: {before} kB, with its contacts: {} kB", resident());
    let (post, effects) = tokio::sync::mpsc::unbounded_channel();
    let handle = driver::start(node, store, Vec::new(), Arc::new(NoChain), post).unwrap();
    let ask = |command| {
        let command = NodeCommand::Mail(command);
        handle.ask(Request { caller: Caller::Owner, idempotency_key: None, command })
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let since = Instant::now();
    runtime.block_on(async {
        let Ok(Answer::Contacts(all)) = ask(Mail::Contacts).await.unwrap() else { panic!("no contacts") };
        let active = all.contacts.iter().filter(|contact| contact.state == ContactState::Active);
        let ids: Vec<_> = active.map(|contact| contact.id).collect();
        assert_eq!(ids.len() as u64, CONTACTS);
        for id in ids {
            ask(Mail::Send { contact: id, text: Text::new("hello").unwrap() }).await.unwrap().unwrap();
        }
    });
    println!("a message to each of them: {:.1?}, {} kB then", since.elapsed(), resident());
    runtime.block_on(async {
        let Ok(Answer::Contacts(all)) = ask(Mail::Contacts).await.unwrap() else { panic!("no contacts") };
        readers::measure(&handle, all.contacts[0].id).await;
        readers::parcels(&handle).await;
    });
    drop(effects);
}

/// Kilobytes of this process in memory.
pub(crate) fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
