//! A store whose process is killed, and one whose disk fills up. The process is this test program once more.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::*;

/// Tells the child what to do, and with which file.
const TASK: &str = "AUTONOMY_TEST_STORE_TASK";
const FILE: &str = "AUTONOMY_TEST_STORE_FILE";

/// Starts this program again, by the one test below, through a shell that runs `before`.
fn child(before: &str, task: &str, file: &Path) -> Child {
    Command::new("sh")
        .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "tests::crash::the_child", "--nocapture", "--test-threads=1"])
        .env(TASK, task)
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The lines of the child that are numbers: how many commits it was told are on disk.
fn commits_of(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("committed ")?.parse().ok())
}

/// What opens a store that is locked anew again and again.
fn locks() -> [Unlock; 2] {
    [Unlock::key([7; 32]), Unlock::key([8; 32])]
}

/// Locks the store anew until the other process ends this one.
fn relock_without_end(file: &Path) {
    let mut store = Store::open(file, &locks()[0]).or_else(|_| Store::open(file, &locks()[1])).unwrap();
    for count in 1..=1_000_000_u64 {
        store.relock(&locks()[(count % 2) as usize], count).unwrap();
        println!("committed {count}");
    }
}

/// Does nothing in a common run; is the other process in the tests below.
#[test]
fn the_child() {
    let (Ok(task), Ok(file)) = (env::var(TASK), env::var(FILE)) else { return };
    if task == "relock" {
        return relock_without_end(Path::new(&file));
    }
    let store = Store::open(PathBuf::from(file), &Unlock::key([7; 32])).unwrap();
    // The other process ends this one.
    for count in 1..=1_000_000_u64 {
        let number = count.to_be_bytes();
        let changes = match task.as_str() {
            "same rows" => vec![RowChange::put("a", number), RowChange::put("b", number)],
            _ => vec![RowChange::put(number, vec![0; 50_000]), RowChange::put("last", number)],
        };
        match store.commit(&changes) {
            Ok(()) => println!("committed {count}"),
            Err(error) => {
                assert!(matches!(error, CommitError::DiskFull { .. }), "{error}");
                assert!(error.to_string().contains("nothing of this step was kept"));
                // Once more: still an error, still nothing changed.
                assert!(store.commit(&changes).is_err());
                return;
            }
        }
    }
}

fn number(rows: &BTreeMap<Vec<u8>, Vec<u8>>, key: &[u8]) -> u64 {
    rows.get(key).map_or(0, |value| u64::from_be_bytes(value.as_slice().try_into().unwrap()))
}

#[test]
fn killed_at_any_moment_it_holds_what_it_said_and_no_half_step() {
    let place = Place::with(&[]);
    for round in 1..=6 {
        let mut child = child("", "same rows", &place.path());
        let mut commits = commits_of(&mut child);
        let seen = commits.by_ref().take(round * 3).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let told = commits.last().unwrap_or(seen);
        let rows = all(&place.open().unwrap()).unwrap();
        let (a, b) = (number(&rows, b"a"), number(&rows, b"b"));
        assert_eq!(a, b);
        assert!(a == told || a == told + 1, "told {told}, found {a}");
    }
}

#[test]
fn killed_while_it_is_locked_anew_exactly_one_secret_opens_it() {
    let place = Place::with(&[("a", "1"), ("b", "2")]);
    for round in 1..=12 {
        let mut child = child("", "relock", &place.path());
        commits_of(&mut child).take(1 + round % 3).for_each(drop);
        // Somewhere in the next one.
        std::thread::sleep(std::time::Duration::from_micros(700 * round as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let opened: Vec<_> = locks().iter().filter_map(|lock| Store::open(place.path(), lock).ok()).collect();
        assert_eq!(opened.len(), 1, "round {round}");
        assert_eq!(all(&opened[0]).unwrap().len(), 2);
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1, "no copy stays behind");
    }
}

#[test]
fn a_file_copied_while_it_was_written_is_whole_or_an_error() {
    let place = Place::with(&[]);
    let mut child = child("", "same rows", &place.path());
    let mut commits = commits_of(&mut child);
    let copy = place.folder.path().join("torn");
    for _ in 0..20 {
        commits.next().unwrap();
        fs::copy(place.path(), &copy).unwrap();
        if let Ok(rows) = open_and_read(&copy, &place.unlock) {
            assert_eq!(number(&rows, b"a"), number(&rows, b"b"));
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_full_disk_fails_the_commit_and_keeps_all_before_it() {
    let place = Place::with(&[]);
    // The shell counts in blocks of 512 bytes: 8 MiB for each file the child writes.
    let mut child = child("trap '' XFSZ; ulimit -f 16384;", "fill", &place.path());
    let told = commits_of(&mut child).last().unwrap();
    assert!(child.wait().unwrap().success());
    let store = place.open().unwrap();
    let rows = all(&store).unwrap();
    assert_eq!(number(&rows, b"last"), told);
    assert_eq!(rows.len() as u64, told + 1);
    // With room again, work goes on.
    store.commit(&[RowChange::put("last", 0_u64.to_be_bytes())]).unwrap();
}
