//! A driver with many inputs at once, with few, and with a disk that fills up.

mod full;

use autonomy_messaging::{
    AuthSeed, CertificateRole, DescriptorSecret, Name, PublicKey, SigningKey, Validity,
    provision::{Bundle, BundleTerms, SealedBundle},
};
use tempfile::TempDir;

use super::{turns::Turns, *};
use crate::chain::{Delivery, NoChain};
use autonomy_api::{Access, AddDevice, DeviceKey, EventKind, Hex, PaymentId};
use autonomy_node::{Answer, COUNTERS, Caller, ChainEvent, ChainPoint, Command, Identity, Watch};
use autonomy_store::Unlock;
use autonomy_wallet::bitcoin::{BlockHash, Transaction, Txid, hashes::Hash as _};

/// A driver that a test runs by hand, of a pod that has an owner.
struct Place {
    dir: TempDir,
    driver: Driver,
    heard: broadcast::Receiver<Event>,
}

/// Asked, and not answered yet.
type Waits = oneshot::Receiver<Result<Reply, AskError>>;

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut node, rows) = Node::create(Identity::draw(
            autonomy_wallet::bitcoin::Network::Regtest,
            &mut rand::rngs::OsRng,
            now(),
        ));
        let store = Store::create(dir.path().join("pod.redb"), &key()).unwrap();
        commit(&store, rows).unwrap();
        let adopt = request(Command::Adopt(bundle(&node)));
        assert_eq!(step(&mut node, &store, Input::Request(adopt)).unwrap(), Some(Ok(Answer::Adopted)));
        let (driver, heard) = driver(node, store);
        Self { dir, driver, heard }
    }

    fn commits(&self) -> u64 {
        self.driver.store.commits().unwrap()
    }

    /// Names of the devices that listeners heard of, in order.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(event) = self.heard.try_recv() {
            let EventKind::DeviceAdded { name, .. } = event.kind else { panic!("{event:?}") };
            told.push(name.to_string());
        }
        told
    }
}

/// A driver that no thread runs yet.
fn driver(node: Node, store: Store) -> (Driver, broadcast::Receiver<Event>) {
    let (events, heard) = broadcast::channel(EVENT_BUFFER);
    let (admitted, _) = watch::channel(Admitted::default());
    let (post, _) = mpsc::unbounded_channel();
    let (disk_warning, _) = watch::channel(None);
    let inbox = mpsc::channel(1).0.downgrade();
    let (chain, source) = (Box::new(NoChain), Arc::new(NoChain));
    let (life, taking, free) = (0, Taking::All, (|_| u64::MAX) as fn(&Path) -> u64);
    let driver = Driver {
        node,
        store,
        chain,
        post,
        events,
        admitted,
        source,
        inbox,
        life,
        taking,
        free,
        told_low: false,
        disk_warning,
        time: Time::new(watch::channel(None).0),
    };
    (driver, heard)
}

fn key() -> Unlock {
    Unlock::key([7; 32])
}

fn owner() -> AuthSeed {
    AuthSeed::from_bytes(&[1; 32])
}

fn bundle(node: &Node) -> SealedBundle {
    let terms = BundleTerms {
        pod_name: Name::new("home").unwrap(),
        device_key: PublicKey::from(&SigningKey::from_bytes(&[2; 32])),
        descriptor_key: DescriptorSecret::from_bytes(&[9; 32]).public(),
        epoch: 1,
        onion_epoch: 0,
        validity: Validity::lasting(now(), 86_400),
    };
    let request = node.pod_request();
    Bundle::new(&owner(), &request, terms).seal(&owner(), &request, &mut rand::rngs::OsRng)
}

/// Lets in the device that has this number for a name.
fn add(number: u8) -> Command {
    let key = PublicKey::from(&SigningKey::from_bytes(&[number + 10; 32]));
    let role = CertificateRole::Device { access: Access::Full };
    let certificate = owner().root_key().certify(role, &key, 1, Validity::lasting(now(), 86_400));
    Command::AddDevice(AddDevice {
        certificate: certificate.into(),
        name: Name::new(&number.to_string()).unwrap(),
        descriptor_key: Hex(*DescriptorSecret::from_bytes(&[8; 32]).public().as_bytes()),
    })
}

fn request(command: Command) -> Request {
    Request { caller: Caller::Owner, idempotency_key: None, command }
}

fn ask(inbox: &mpsc::Sender<Message>, command: Command) -> Waits {
    let (answer, waits) = oneshot::channel();
    inbox.try_send(Message::Asked(request(command), answer)).unwrap();
    waits
}

/// The state epoch of the pod in a store.
fn epoch(store: &Store) -> u64 {
    restored(store).1
}

fn restored(store: &Store) -> (Node, u64) {
    let rows = store.rows().unwrap().map(|row| {
        let (key, value) = row.unwrap();
        Row::found(key, value)
    });
    let rows: Vec<_> = rows.collect();
    let counters = rows.iter().find_map(|row| COUNTERS.read(&row.key, row.value.as_ref()?).ok());
    let epoch = counters.unwrap().1.state_epoch;
    (Node::restore(rows).unwrap().0, epoch)
}

/// The type of a value wipes it, and it is moved: no copy of a secret stays in freed memory.
#[test]
fn rows_are_written_from_the_bytes_they_came_in() {
    fn wiped_when_dropped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    let row = Row::found("identity", vec![7; 32]);
    let came_in = row.value.as_ref().unwrap().as_ptr();
    let changes = changes(vec![row]);
    let value = changes[0].value.as_ref().unwrap();
    wiped_when_dropped(value);
    assert_eq!(value.as_ptr(), came_in, "the value was copied");
}

#[test]
fn waiting_inputs_share_a_commit_and_reply_in_order() {
    let mut place = Place::new();
    let (inbox, waiting) = mpsc::channel(INBOX);
    let asked: Vec<_> = (0..5).map(|n| (n, ask(&inbox, add(n)), ask(&inbox, Command::Status))).collect();
    drop(inbox);
    let before = place.commits();
    place.driver.run(waiting).unwrap();
    assert_eq!(place.commits(), before + 1, "ten inputs, one commit");
    for (number, mut added, mut status) in asked {
        let Ok(Answer::Device(device)) = added.try_recv().unwrap().unwrap() else { panic!("not added") };
        assert_eq!(device.name.as_str(), number.to_string());
        let Ok(Answer::Status(status)) = status.try_recv().unwrap().unwrap() else { panic!("no status") };
        assert_eq!(status.devices, u32::from(number) + 2, "a later input sees what the earlier ones did");
    }
    assert_eq!(place.told(), ["0", "1", "2", "3", "4"]);
    assert!(restored(&place.driver.store).0 == place.driver.node);
}

#[test]
fn more_inputs_than_a_batch_take_several_commits() {
    let mut place = Place::new();
    let count = 2 * batch::MAX_BATCH as u64 + 2;
    let (inbox, waiting) = mpsc::channel(count as usize);
    let first = epoch(&place.driver.store) + 1;
    // Each goes on above the epoch that the one before it reached.
    let seen = (0..count).map(|n| Command::Reconcile { seen: first + 2 * n });
    let asked: Vec<_> = seen.map(|command| ask(&inbox, command)).collect();
    drop(inbox);
    let before = place.commits();
    place.driver.run(waiting).unwrap();
    assert_eq!(place.commits(), before + 3);
    assert!(asked.into_iter().all(|mut waits| waits.try_recv().unwrap().unwrap() == Ok(Answer::Done)));
    assert_eq!(epoch(&place.driver.store), first + 2 * (count - 1) + 1);
}

#[test]
fn inputs_without_rows_cost_no_commit() {
    let mut place = Place::new();
    let (inbox, waiting) = mpsc::channel(INBOX);
    let mut status = ask(&inbox, Command::Status);
    let mut refused = ask(&inbox, Command::Reconcile { seen: 0 });
    drop(inbox);
    let before = place.commits();
    place.driver.run(waiting).unwrap();
    assert_eq!(place.commits(), before);
    assert!(status.try_recv().unwrap().unwrap().is_ok());
    assert!(refused.try_recv().unwrap().unwrap().is_err());
}

#[test]
fn renewal_is_made_by_a_pod_that_runs() {
    let mut place = Place::new();
    let path = place.driver.store.path().to_owned();
    assert!(place.driver.store.is_renewal_due(now()));
    let mut old = std::fs::File::open(&path).unwrap();
    let plenty: fn(&Path) -> u64 = |_| u64::MAX;
    let scarce: fn(&Path) -> u64 = |_| disk::RESERVE;
    // Not by a clock that nothing confirms, and not without room for a second copy.
    for (number, free, is_right, is_due) in
        [(0, plenty, false, true), (1, scarce, true, true), (2, plenty, true, false)]
    {
        let (inbox, waiting) = mpsc::channel(INBOX);
        let mut asked = ask(&inbox, add(number));
        drop(inbox);
        place.driver.free = free;
        // Of a clock that was years ahead.
        place.driver.time.no_renewal_before = now() + 5 * 366 * 86_400;
        if is_right {
            place.driver.time.consensus(now() - 3_600, now() + 7_200);
        }
        place.driver.run(waiting).unwrap();
        assert!(asked.try_recv().unwrap().unwrap().is_ok());
        assert_eq!(place.driver.store.is_renewal_due(now()), is_due);
    }
    let mut erased = Vec::new();
    io::Read::read_to_end(&mut old, &mut erased).unwrap();
    assert!(erased.iter().all(|byte| *byte == 0));
    let devices = epoch(&place.driver.store);
    drop(place.driver);
    assert_eq!(epoch(&Store::open(&path, &key()).unwrap()), devices);
}

#[test]
fn single_input_is_committed_at_once() {
    let mut place = Place::new();
    let before = place.commits();
    let (inbox, waiting) = mpsc::channel(INBOX);
    let runs = thread::Builder::new().spawn(move || {
        place.driver.run(waiting).unwrap();
        place
    });
    // Each is answered while the inbox stays open and nothing else comes.
    for number in 0..3 {
        assert!(ask(&inbox, add(number)).blocking_recv().unwrap().unwrap().is_ok());
    }
    drop(inbox);
    assert_eq!(runs.unwrap().join().unwrap().commits(), before + 3);
}

/// A link of which the other end is a list.
struct Listed(std::sync::mpsc::Sender<Said>);

/// What a pod says to its chain source.
#[derive(Debug, PartialEq)]
enum Said {
    Watches(usize),
    Committed(u64),
    Sends(Txid),
}

impl ChainLink for Listed {
    fn watch(&self, watch: Watch) {
        self.0.send(Said::Watches(watch.scripts.len())).unwrap();
    }

    fn committed(&self, number: u64) {
        self.0.send(Said::Committed(number)).unwrap();
    }

    fn broadcast(&self, txid: Txid, _: Box<Transaction>) {
        self.0.send(Said::Sends(txid)).unwrap();
    }
}

#[test]
fn delivery_is_confirmed_after_commit_and_effects() {
    let mut place = Place::new();
    let (link, said) = std::sync::mpsc::channel();
    place.driver.chain = Box::new(Listed(link));
    place.driver.carry_out(vec![Effect::Watch(Box::default())]);
    assert_eq!(said.try_recv(), Ok(Said::Watches(0)));
    let (inbox, waiting) = mpsc::channel(INBOX);
    let point = ChainPoint { height: 0, hash: BlockHash::all_zeros(), time: 0 };
    for (number, event) in (1..).zip([ChainEvent::Anchor(vec![point]), ChainEvent::Fees(Vec::new())]) {
        let delivery = Delivery { number, input: Input::Chain(event) };
        inbox.try_send(Message::Delivered(0, delivery)).unwrap();
    }
    drop(inbox);
    let before = place.commits();
    place.driver.run(waiting).unwrap();
    assert_eq!(place.commits(), before + 1);
    assert_eq!(said.try_iter().collect::<Vec<_>>(), [Said::Committed(2)], "once, for both");
    assert!(restored(&place.driver.store).0.chain_points() == [point]);
}

#[test]
fn backup_holds_exactly_what_came_before_it() {
    let mut place = Place::new();
    let copy = place.dir.path().join("copy.redb");
    let seen = epoch(&place.driver.store) + 10;
    let (inbox, waiting) = mpsc::channel(INBOX);
    let mut before = ask(&inbox, Command::Reconcile { seen });
    let (answer, mut copied) = oneshot::channel();
    inbox.try_send(Message::BackUp(copy.clone(), answer)).unwrap();
    let mut after = ask(&inbox, Command::Reconcile { seen: seen + 10 });
    drop(inbox);
    place.driver.run(waiting).unwrap();
    assert!(copied.try_recv().unwrap().is_ok());
    assert!([&mut before, &mut after].into_iter().all(|waits| waits.try_recv().unwrap().unwrap().is_ok()));
    assert_eq!(epoch(&Store::open(copy, &key()).unwrap()), seen + 1);
    assert_eq!(epoch(&place.driver.store), seen + 11);
}

/// What is left of the disk is for payments: here all of it is.
#[test]
fn a_nearly_full_disk_takes_payments_and_reads_alone() {
    let mut place = Place::new();
    place.driver.free = |_| disk::RESERVE - 1;
    let cancel = Command::CancelPayment(PaymentId([1; 16]));
    let (inbox, waiting) = mpsc::channel(INBOX);
    let mut asked = [add(0), cancel.clone(), Command::Status].map(|command| ask(&inbox, command));
    drop(inbox);
    place.driver.run(waiting).unwrap();
    let [added, cancelled, status] = asked.each_mut().map(|waits| waits.try_recv().unwrap());
    assert!(matches!(added, Err(AskError::NotKept(why)) if why.contains("kept for payments")));
    assert!(matches!(cancelled, Ok(Err(_))), "the node itself was asked, and knows no such payment");
    let Ok(Ok(Answer::Status(status))) = status else { panic!("no status") };
    assert_eq!(status.devices, 1);
    assert!(place.driver.disk_warning.borrow().as_ref().unwrap().contains("63 MiB left"));

    // As much again is not enough: going back costs a look at the whole store.
    for is_taken in [false, true] {
        place.driver.free = if is_taken { |_| disk::WARN_BELOW } else { |_| disk::RESERVE };
        let (inbox, waiting) = mpsc::channel(INBOX);
        let mut added = ask(&inbox, add(0));
        drop(inbox);
        place.driver.run(waiting).unwrap();
        assert_eq!(added.try_recv().unwrap().is_ok(), is_taken);
    }
    let (inbox, waiting) = mpsc::channel(INBOX);
    let mut added = ask(&inbox, add(1));
    drop(inbox);
    place.driver.run(waiting).unwrap();
    assert!(added.try_recv().unwrap().unwrap().is_ok());
    assert_eq!(*place.driver.disk_warning.borrow(), None);
}

#[test]
fn what_makes_room_is_taken_while_the_disk_is_nearly_full() {
    let mut place = Place::new();
    place.driver.free = |_| disk::RESERVE - 1;
    let remove = Command::Mail(messenger::Command::Remove(messenger::ContactId([1; 16])));
    let (inbox, waiting) = mpsc::channel(INBOX);
    let mut asked = ask(&inbox, remove);
    drop(inbox);
    place.driver.run(waiting).unwrap();
    assert!(matches!(asked.try_recv().unwrap(), Ok(Err(_))), "the node was asked, and knows nobody");
}

#[test]
fn reloaded_node_learns_again_that_the_disk_is_nearly_full() {
    let mut place = Place::new();
    place.driver.free = |_| messenger::DISK_RESERVE - 1;
    for life in 0..2 {
        let (inbox, waiting) = mpsc::channel(INBOX);
        let asked = ask(&inbox, Command::Status);
        drop((inbox, asked));
        assert!(!place.driver.told_low, "{life}");
        place.driver.run(waiting).unwrap();
        assert!(place.driver.told_low);
        place.driver.give_up_writing("a commit failed".into()).unwrap();
        place.driver.taking = Taking::All;
    }
}

#[test]
fn one_reader_leaves_room_in_the_line_for_others() {
    let turns = Turns::default();
    let reader = Caller::Device(DeviceKey([1; 32]));
    let now =
        |caller, command: &Command| futures::FutureExt::now_or_never(turns.wait(caller, command)).flatten();
    let mut held = Vec::new();
    while let Some(place) = now(reader, &Command::Accounts) {
        held.push(place);
    }
    assert!(held.len() < INBOX / 8, "{} reads of one caller wait at once", held.len());
    assert!(now(reader, &Command::Status).is_some(), "its own status");
    assert!(now(Caller::Owner, &Command::Accounts).is_some(), "others");
    held.pop();
    assert!(now(reader, &Command::Accounts).is_some());
}
