//! A disk that takes nothing more. The process whose disk it is, is this test program once more.

use std::{env, path::Path, process};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::*;

/// Tells the child which store to open.
const FILE: &str = "AUTONOMY_TEST_DRIVER_FILE";

#[test]
fn a_full_disk_keeps_nothing_answers_reads_and_passes() {
    let place = Place::new();
    let file = place.driver.store.path().to_owned();
    let before = epoch(&place.driver.store);
    let Place { dir, driver, .. } = place;
    drop(driver);
    let child = child(&file);
    assert!(child.status.success(), "{}{}", text(&child.stdout), text(&child.stderr));
    let store = Store::open(&file, &key()).unwrap();
    assert_eq!(epoch(&store), before + 2, "one device was added before the disk was full, and one after");
    drop(dir);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts this program again, by the one test below. The shell ignores the signal that a full quota sends.
fn child(file: &Path) -> process::Output {
    process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "driver::tests::full::the_child", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .output()
        .unwrap()
}

/// Does nothing in a common run; is the other process in the test above.
#[test]
fn the_child() {
    let Ok(file) = env::var(FILE) else { return };
    let store = Store::open(file, &key()).unwrap();
    let (mut driver, mut heard) = driver(restored(&store).0, store);
    let mut round = |commands: Vec<Command>| {
        let (inbox, waiting) = mpsc::channel(INBOX);
        let asked: Vec<_> = commands.into_iter().map(|command| ask(&inbox, command)).collect();
        drop(inbox);
        (driver.run(waiting), asked)
    };
    let (outcome, mut asked) = round(vec![add(0)]);
    assert!(outcome.is_ok() && asked[0].try_recv().unwrap().is_ok());
    assert!(heard.try_recv().is_ok());

    // From now on no file of this process may grow, nor be written beyond its first page.
    setrlimit(Resource::Fsize, Rlimit { current: Some(4096), maximum: None }).unwrap();
    let (outcome, asked) = round(vec![Command::Status, add(1), Command::Status, add(2)]);
    outcome.unwrap();
    for mut waits in asked {
        let Err(AskError::NotKept(why)) = waits.try_recv().unwrap() else {
            panic!("an answer from a failed step")
        };
        assert!(why.contains("nothing of the last steps was kept"), "{why}");
    }
    assert!(heard.try_recv().is_err(), "an effect of a failed step");
    let (outcome, mut asked) = round(vec![Command::Status, add(3)]);
    outcome.unwrap();
    let Ok(Ok(Answer::Status(status))) = asked[0].try_recv().unwrap() else { panic!("reads stay up") };
    assert_eq!(status.devices, 2, "as the store has them");
    assert!(matches!(asked[1].try_recv().unwrap(), Err(AskError::NotKept(_))));

    setrlimit(Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    thread::sleep(disk::RETRY);
    let (outcome, mut asked) = round(vec![add(4)]);
    outcome.unwrap();
    assert!(asked[0].try_recv().unwrap().unwrap().is_ok());
    assert!(heard.try_recv().is_ok());
}
