//! The ledger: what the chain does to it, and that its rows hold all of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::collections::BTreeMap;

use autonomy_wallet::account::{GAP_LIMIT, Keychain, MapKind};
use autonomy_wallet::bitcoin::{Amount, OutPoint, Transaction};
use autonomy_wallet::ledger::{
    Applied, ApplyError, BlockId, CoinState, HistoryState, KEPT_CHECKPOINTS, LOOKAHEAD, Ledger, LedgerError,
    LedgerRow, LoadError, RECOVERY_LOOKAHEAD,
};
use common::{SHOP, THIEF, World, address, coinbase, pay, sat, spend};
use proptest::prelude::*;

/// A store: rows in, rows out.
#[derive(Default, Clone)]
struct Store(BTreeMap<Vec<u8>, Vec<u8>>);

impl Store {
    fn commit(&mut self, rows: Vec<LedgerRow>) {
        for LedgerRow { key, value } in rows {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }

    fn load(&self, world: &World) -> Result<Ledger, LoadError> {
        Ledger::load(world.map.clone(), self.0.clone())
    }

    fn count(&self, tag: u8) -> usize {
        self.0.keys().filter(|key| key[0] == tag).count()
    }
}

#[track_caller]
fn assert_same(a: &Ledger, b: &Ledger) {
    assert_eq!(a.balance(), b.balance());
    assert_eq!(a.history(), b.history());
    assert_eq!(a.coins().collect::<Vec<_>>(), b.coins().collect::<Vec<_>>());
    assert_eq!(a.tip(), b.tip());
    for keychain in Keychain::ALL {
        assert_eq!(a.next_index(keychain), b.next_index(keychain));
        assert_eq!(a.last_used(keychain), b.last_used(keychain));
        assert_eq!(a.last_known(keychain), b.last_known(keychain));
    }
    assert_eq!(a.oldest_unpaid(), b.oldest_unpaid());
}

// --- addresses ---

#[test]
fn reveal_stops_after_twenty_unpaid_addresses() {
    let mut world = World::new();
    for index in 0..GAP_LIMIT {
        let own = world.ledger.reveal_next_address().unwrap();
        assert_eq!((own.keychain, own.index), (Keychain::External, index));
        assert_eq!(own.address, world.map.address(Keychain::External, index).unwrap());
    }
    assert_eq!(world.ledger.reveal_next_address(), Err(LedgerError::GapLimit { oldest_unpaid: 0 }));

    // The seventh is paid: seven more may go out.
    let seventh = world.map.script_pubkey(Keychain::External, 6).unwrap();
    let tx = world.payment_to(seventh, 10_000);
    world.ledger.apply_unconfirmed([(tx.clone(), 1_700_100_000)]);
    assert!(world.ledger.reveal_next_address().is_err(), "what is in no block may be replaced");
    world.mine(vec![tx]);
    for index in GAP_LIMIT..GAP_LIMIT + 7 {
        assert_eq!(world.ledger.reveal_next_address().unwrap().index, index);
    }
    assert_eq!(world.ledger.reveal_next_address(), Err(LedgerError::GapLimit { oldest_unpaid: 0 }));
}

#[test]
fn revealed_address_is_in_the_next_rows() {
    let mut world = World::new();
    let mut store = Store::default();
    store.commit(world.ledger.take_rows());
    world.ledger.reveal_next_address().unwrap();
    let rows = world.ledger.take_rows();
    assert!(rows.iter().any(|row| row.key == [b'r', 0] && row.value == Some(vec![0, 0, 0, 0])));
    store.commit(rows);
    assert_eq!(store.load(&world).unwrap().next_index(Keychain::External), 1);
    assert!(world.ledger.take_rows().is_empty());
}

// --- the chain ---

#[test]
fn incoming_payment_is_pending_then_confirmed() {
    let mut world = World::new();
    let tx = world.payment_to_us(100_000_000);
    let txid = tx.compute_txid();
    assert_eq!(world.ledger.apply_unconfirmed([(tx.clone(), 1_700_100_000)]).relevant, [txid]);
    assert_eq!(world.ledger.balance().untrusted_pending, sat(100_000_000));
    let entry = world.ledger.entry(&txid).unwrap();
    assert_eq!(entry.state, HistoryState::Pending { first_seen: Some(1_700_100_000) });
    assert_eq!((entry.net().to_sat(), entry.fee), (100_000_000, None));

    assert_eq!(world.mine(vec![tx]), Applied { relevant: vec![txid], reorganised: false });
    assert_eq!(world.ledger.balance().confirmed, sat(100_000_000));
    assert_eq!(world.ledger.entry(&txid).unwrap().confirmations(world.ledger.tip().height), 1);
    world.mine_empty(5);
    assert_eq!(world.ledger.entry(&txid).unwrap().confirmations(world.ledger.tip().height), 6);
}

#[test]
fn repeated_transaction_gives_no_rows() {
    let mut world = World::new();
    let tx = world.payment_to_us(5_000);
    world.ledger.apply_unconfirmed([(tx.clone(), 1)]);
    let _ = world.ledger.take_rows();
    for seen in 2..10 {
        assert_eq!(world.ledger.apply_unconfirmed([(tx.clone(), seen)]), Applied::default());
        assert!(world.ledger.take_rows().is_empty());
    }
}

#[test]
fn foreign_mempool_gives_no_rows() {
    let mut world = World::new();
    let _ = world.ledger.take_rows();
    let shop = address(SHOP).assume_checked().script_pubkey();
    let strangers: Vec<_> = (0..100).map(|i| (world.payment_to(shop.clone(), 1_000 + i), 1)).collect();
    assert_eq!(world.ledger.apply_unconfirmed(strangers), Applied::default());
    assert!(world.ledger.take_rows().is_empty() && world.ledger.history().is_empty());
}

#[test]
fn unconfirmed_coinbase_is_dropped() {
    let mut world = World::new();
    let ours = world.map.first_address().script_pubkey();
    let mut empty = spend(OutPoint::null(), ours.clone(), 5_000);
    empty.input.clear();
    let fakes = [coinbase(ours, 5_000, 1), empty].map(|tx| (tx, 1));
    assert_eq!(world.ledger.apply_unconfirmed(fakes), Applied::default());
    assert_eq!(world.ledger.balance().total(), Amount::ZERO);
    world.mine_empty(1);
}

#[test]
fn absurd_unconfirmed_amounts_do_not_overflow() {
    let mut world = World::new();
    let ours = world.map.first_address().script_pubkey();
    let absurd =
        [u64::MAX, Amount::MAX_MONEY.to_sat() + 1].map(|amount| world.payment_to(ours.clone(), amount));
    assert_eq!(world.ledger.apply_unconfirmed(absurd.clone().map(|tx| (tx, 1))), Applied::default());
    let tip = world.ledger.tip();
    let height = tip.height + 1;
    let txid = absurd[0].compute_txid();
    let block = world.block_on(tip, absurd.to_vec());
    assert_eq!(world.ledger.apply_block(&block, height, tip), Err(ApplyError::Impossible { height, txid }));

    // Each of them possible, all of them together more than 64 bits hold.
    let fortunes: Vec<_> =
        (0..8_800).map(|_| (world.payment_to(ours.clone(), Amount::MAX_MONEY.to_sat()), 1)).collect();
    world.ledger.apply_unconfirmed(fortunes);
    assert_eq!(world.ledger.balance().untrusted_pending, Amount::MAX_MONEY);
    assert_eq!(world.ledger.balance().total(), Amount::MAX_MONEY);
    assert_eq!(world.ledger.balance().spendable(), Amount::ZERO);
}

#[test]
fn mining_reward_matures_after_a_hundred_blocks() {
    let mut world = World::new();
    let reward = coinbase(world.map.first_address().script_pubkey(), 5_000_000_000, 1);
    world.mine(vec![reward]);
    for _ in 0..99 {
        assert_eq!(world.ledger.balance().immature, sat(5_000_000_000));
        world.mine_empty(1);
    }
    assert_eq!(world.ledger.balance().confirmed, sat(5_000_000_000));
    assert_eq!(world.ledger.coins().next().unwrap().state, CoinState::Confirmed { height: 101 });
}

#[test]
fn reorganisation_makes_a_payment_pending_again() {
    let mut world = World::new();
    world.mine_empty(3);
    let fork = world.ledger.tip();
    let tx = world.payment_to_us(7_000_000);
    world.mine(vec![tx.clone()]);
    world.mine_empty(1);
    assert_eq!(world.ledger.balance().confirmed, sat(7_000_000));

    // Two blocks are replaced by three others, and the payment is not among them yet.
    let mut parent = fork;
    for height in fork.height + 1..=fork.height + 3 {
        let block = world.block_on(parent, vec![]);
        let applied = world.ledger.apply_block(&block, height, parent).unwrap();
        assert_eq!(applied.reorganised, height == fork.height + 1);
        parent = BlockId { height, hash: block.block_hash() };
    }
    let entry = world.ledger.entry(&tx.compute_txid()).unwrap();
    assert!(matches!(entry.state, HistoryState::Pending { .. }));
    assert_eq!(world.ledger.balance().confirmed, Amount::ZERO);
    world.mine(vec![tx]);
    assert_eq!(world.ledger.balance().confirmed, sat(7_000_000));
}

#[test]
fn reorg_below_the_kept_checkpoints_is_followed() {
    let mut world = World::new();
    let mut store = Store::default();
    let early = world.payment_to_us(1_000_000);
    world.mine(vec![early.clone()]);
    let fork = world.ledger.tip();
    let late = world.payment_to_us(2_000_000);
    world.mine_empty(KEPT_CHECKPOINTS);
    world.mine(vec![late.clone()]);
    world.mine_empty(KEPT_CHECKPOINTS);
    store.commit(world.ledger.take_rows());
    world.ledger = store.load(&world).unwrap();
    assert!(world.ledger.block_hash(fork.height + 1).is_none());

    // The source agrees with us on the block of the early payment only.
    let block = world.block_on(fork, vec![]);
    let applied = world.ledger.apply_block(&block, fork.height + 1, fork).unwrap();
    assert!(applied.reorganised);
    assert_eq!(world.ledger.tip().height, fork.height + 1);
    assert_eq!(world.ledger.balance().confirmed, sat(1_000_000));
    assert!(matches!(world.ledger.entry(&late.compute_txid()).unwrap().state, HistoryState::Pending { .. }));
    store.commit(world.ledger.take_rows());
    assert_same(&store.load(&world).unwrap(), &world.ledger);
}

#[test]
fn unconnected_block_is_refused() {
    let mut world = World::funded();
    let stray = BlockId { height: 500, hash: world.ledger.tip().hash };
    let block = world.block_on(stray, vec![]);
    let (height, tip) = (501, world.ledger.tip().height);
    assert_eq!(
        world.ledger.apply_block(&block, height, stray),
        Err(ApplyError::Disconnected { height, tip })
    );
    let same_height = BlockId { height, hash: world.ledger.tip().hash };
    assert_eq!(
        world.ledger.apply_block(&block, height, same_height),
        Err(ApplyError::Inconsistent { height })
    );
    assert_eq!(world.ledger.tip().height, tip);
    assert_eq!(world.ledger.balance().confirmed, sat(100_000_000));
}

#[test]
fn replaced_payment_names_its_replacement() {
    let mut world = World::funded();
    let first = world.paid(&pay(SHOP, 10_000_000));
    let mut second = first.clone();
    second.output.iter_mut().for_each(|output| output.value -= sat(1_000));
    world.ledger.apply_unconfirmed([(first.clone(), 1_700_100_000)]);
    world.ledger.apply_unconfirmed([(second.clone(), 1_700_100_060)]);
    let by = second.compute_txid();
    assert_eq!(world.ledger.entry(&first.compute_txid()).unwrap().state, HistoryState::Replaced { by });
    assert_eq!(world.ledger.unconfirmed().collect::<Vec<_>>(), [by]);
    assert_eq!(world.ledger.spender(&first.input[0].previous_output), Some(by));
}

/// A payment to us in the block after `fork`, and a payment of ours that spends it with all other coins.
fn spent_incoming() -> (World, BlockId, Transaction, Transaction) {
    let mut world = World::funded();
    let fork = world.ledger.tip();
    let incoming = world.payment_to_us(30_000_000);
    world.mine(vec![incoming.clone()]);
    let paid = world.paid(&pay(SHOP, 120_000_000));
    world.ledger.apply_unconfirmed([(paid.clone(), 1_700_100_000)]);
    (world, fork, incoming, paid)
}

#[test]
fn taken_back_payment_frees_what_was_spent_with_it() {
    let (mut world, fork, incoming, paid) = spent_incoming();
    let change_spent = world.paid(&pay(SHOP, 5_000_000));
    world.ledger.apply_unconfirmed([(change_spent.clone(), 1_700_100_060)]);
    // Whoever paid us spends the coin otherwise, in a block in place of the first.
    let coin = incoming.input[0].previous_output;
    let taken_back = spend(coin, address(SHOP).assume_checked().script_pubkey(), 29_000_000);
    let by = taken_back.compute_txid();
    assert!(world.ledger.watchlist().coins.contains(&coin));
    let block = world.block_on(fork, vec![taken_back]);
    world.ledger.apply_block(&block, fork.height + 1, fork).unwrap();
    let mut store = Store::default();
    store.commit(world.ledger.take_rows());
    for ledger in [&store.load(&world).unwrap(), &world.ledger] {
        for lost in [&incoming, &paid, &change_spent] {
            assert_eq!(ledger.entry(&lost.compute_txid()).unwrap().state, HistoryState::Replaced { by });
        }
        assert_eq!(ledger.entry(&by), None, "it is of others");
        assert_eq!(ledger.unconfirmed().count(), 0);
        assert_eq!(ledger.balance().total(), sat(100_000_000));
    }
}

#[test]
fn unconfirmed_rival_of_others_decides_nothing() {
    let mut world = World::new();
    let incoming = world.payment_to_us(30_000_000);
    let txid = incoming.compute_txid();
    world.ledger.apply_unconfirmed([(incoming.clone(), 1_700_100_000)]);
    let shop = address(SHOP).assume_checked().script_pubkey();
    let rival = spend(incoming.input[0].previous_output, shop, 29_000_000);
    let by = rival.compute_txid();
    assert_eq!(world.ledger.apply_unconfirmed([(rival.clone(), 1_700_100_060)]), Applied::default());
    assert!(matches!(world.ledger.entry(&txid).unwrap().state, HistoryState::Pending { .. }));
    world.mine(vec![rival]);
    assert_eq!(world.ledger.entry(&txid).unwrap().state, HistoryState::Replaced { by });
}

#[test]
fn unconfirmed_payment_in_place_of_a_spent_one_decides_nothing() {
    let (mut world, fork, incoming, paid) = spent_incoming();
    let block = world.block_on(fork, vec![]);
    world.ledger.apply_block(&block, fork.height + 1, fork).unwrap();
    // Whoever paid us pays less in its place: our payment was signed, and may still be mined.
    let script = world.map.first_address().script_pubkey();
    let less = spend(incoming.input[0].previous_output, script, 1_000);
    assert_eq!(world.ledger.apply_unconfirmed([(less.clone(), 1_700_100_060)]), Applied::default());
    assert!(matches!(world.ledger.entry(&paid.compute_txid()).unwrap().state, HistoryState::Pending { .. }));
    world.mine(vec![less.clone()]);
    let by = less.compute_txid();
    assert_eq!(world.ledger.entry(&paid.compute_txid()).unwrap().state, HistoryState::Replaced { by });
    assert_eq!(world.ledger.balance().total(), sat(100_001_000));
}

#[test]
fn payment_replaced_many_times_is_looked_at_once_each() {
    let mut world = World::new();
    let incoming = world.payment_to_us(30_000_000);
    let coin = incoming.input[0].previous_output;
    let script = world.map.first_address().script_pubkey();
    let replacements = 200;
    for number in 0..replacements {
        let next = spend(coin, script.clone(), 29_000_000 - number);
        world.ledger.apply_unconfirmed([(next, 1_700_100_000 + number)]);
    }
    let by = world.ledger.unconfirmed().next().unwrap();
    let (pending, replaced): (Vec<_>, Vec<_>) =
        world.ledger.history().iter().partition(|entry| matches!(entry.state, HistoryState::Pending { .. }));
    assert_eq!((pending.len(), replaced.len() as u64), (1, replacements - 1));
    assert!(replaced.iter().all(|entry| entry.state == HistoryState::Replaced { by }));
}

#[test]
fn confirmations_of_a_rival_are_counted_whosever_it_is() {
    let (mut world, fork, incoming, paid) = spent_incoming();
    let shop = address(SHOP).assume_checked().script_pubkey();
    let taken_back = spend(incoming.input[0].previous_output, shop, 29_000_000);
    let by = taken_back.compute_txid();
    assert_eq!(world.ledger.confirmations(&by), 0);
    let block = world.block_on(fork, vec![taken_back]);
    world.ledger.apply_block(&block, fork.height + 1, fork).unwrap();
    assert_eq!((world.ledger.confirmations(&by), world.ledger.confirmations(&paid.compute_txid())), (1, 0));
    world.mine_empty(4);
    assert_eq!(world.ledger.confirmations(&by), 5);
}

#[test]
fn eviction_that_is_known_gives_no_rows() {
    let mut world = World::new();
    let fork = world.ledger.tip();
    let incoming = world.payment_to_us(30_000_000);
    world.mine(vec![incoming.clone()]);
    let paid = world.paid(&pay(SHOP, 10_000_000));
    world.ledger.apply_unconfirmed([(paid, 1_700_100_000)]);
    let block = world.block_on(fork, vec![]);
    world.ledger.apply_block(&block, fork.height + 1, fork).unwrap();
    // In no block any more, and no mempool has it; our payment may still bring it back.
    let txid = incoming.compute_txid();
    assert_eq!(world.ledger.apply_evicted([(txid, 1_700_200_000)]).relevant, [txid]);
    let _ = world.ledger.take_rows();
    for at in 0..3 {
        assert_eq!(world.ledger.apply_evicted([(txid, 1_700_200_002 + at)]), Applied::default());
        assert!(world.ledger.take_rows().is_empty());
    }
    // Back in the mempool: it counts by itself, and no longer through our payment alone.
    assert_eq!(world.ledger.apply_unconfirmed([(incoming.clone(), 1_700_300_000)]).relevant, [txid]);
    let _ = world.ledger.take_rows();
    assert_eq!(world.ledger.apply_unconfirmed([(incoming, 1_700_300_002)]), Applied::default());
}

#[test]
fn eviction_counts_after_the_clock_was_set_back() {
    let mut world = World::new();
    let (ahead, right) = (1_800_000_000, 1_700_100_000);
    let incoming = world.payment_to_us(30_000_000);
    let txid = incoming.compute_txid();
    world.ledger.apply_unconfirmed([(incoming.clone(), ahead)]);
    for at in [right, right + 120] {
        world.ledger.apply_evicted([(txid, at)]);
        assert_eq!(world.ledger.entry(&txid).unwrap().state, HistoryState::Dropped);
        world.ledger.apply_unconfirmed([(incoming.clone(), at + 60)]);
        assert!(matches!(world.ledger.entry(&txid).unwrap().state, HistoryState::Pending { .. }));
    }
}

#[test]
fn evicted_payment_frees_its_coins_and_may_return() {
    let mut world = World::funded();
    let tx = world.paid(&pay(SHOP, 10_000_000));
    let txid = tx.compute_txid();
    world.ledger.apply_unconfirmed([(tx.clone(), 1_700_100_000)]);
    assert_eq!(world.ledger.apply_evicted([(txid, 1_700_200_000)]).relevant, [txid]);
    assert_eq!(world.ledger.entry(&txid).unwrap().state, HistoryState::Dropped);
    assert_eq!(world.ledger.balance().confirmed, sat(100_000_000));
    world.ledger.apply_unconfirmed([(tx, 1_700_300_000)]);
    assert!(matches!(world.ledger.entry(&txid).unwrap().state, HistoryState::Pending { .. }));
}

#[test]
fn restored_account_keeps_first_sight_of_a_returned_payment() {
    let mut world = World::funded();
    let tx = world.paid(&pay(SHOP, 10_000_000));
    let txid = tx.compute_txid();
    world.ledger.apply_unconfirmed([(tx.clone(), 1_700_100_000)]);
    world.ledger.apply_evicted([(txid, 1_700_200_000)]);
    world.ledger.apply_unconfirmed([(tx, 1_700_300_000)]);
    let mut store = Store::default();
    store.commit(world.ledger.take_rows());
    let loaded = store.load(&world).unwrap();
    assert_same(&loaded, &world.ledger);
    let pending = HistoryState::Pending { first_seen: Some(1_700_100_000) };
    assert_eq!(loaded.entry(&txid).unwrap().state, pending);
}

#[test]
fn a_restored_account_finds_payments_in_the_worst_order() {
    // A thousand fresh addresses, paid in one block, the last one first.
    let world = World::new();
    let mut recovered = World::new();
    let start = recovered.ledger.tip();
    recovered.ledger = Ledger::create(world.map.clone(), start, RECOVERY_LOOKAHEAD);
    let pay = |index| recovered_script(&world, index);
    let txs: Vec<Transaction> =
        (0..1_000).rev().map(|index| recovered.payment_to(pay(index), 1_000)).collect();
    recovered.mine(txs);
    assert_eq!(recovered.ledger.balance().confirmed, sat(1_000_000));
}

fn recovered_script(world: &World, index: u32) -> autonomy_wallet::bitcoin::ScriptBuf {
    world.map.script_pubkey(Keychain::External, index).unwrap()
}

// --- rows ---

#[test]
fn empty_blocks_leave_a_bounded_number_of_rows() {
    let mut world = World::funded();
    let mut store = Store::default();
    for _ in 0..20 {
        world.mine_empty(50);
        store.commit(world.ledger.take_rows());
    }
    // The first block of the chain, the last 150 below the tip and the tip, and the one with our coins.
    assert_eq!(store.count(b'b'), 1 + KEPT_CHECKPOINTS as usize + 1 + 1);
    let loaded = store.load(&world).unwrap();
    assert_same(&loaded, &world.ledger);
    assert_eq!(loaded.balance().confirmed, sat(100_000_000));
}

#[test]
fn each_row_holds_one_entity() {
    let mut world = World::funded();
    let mut store = Store::default();
    store.commit(world.ledger.take_rows());
    assert_eq!((store.count(b'm'), store.count(b't'), store.count(b'a')), (1, 3, 3));
    assert_eq!(store.count(b's') as u32, 2 * LOOKAHEAD + 3);
    let tx = world.payment_to_us(5_000);
    world.ledger.apply_unconfirmed([(tx, 1_700_100_000)]);
    let tags: Vec<u8> = world.ledger.take_rows().iter().map(|row| row.key[0]).collect();
    // The transaction, when first and last seen, the address that was given out, one more script watched.
    assert_eq!(tags.iter().filter(|tag| b"tflrs".contains(tag)).count(), 5);
    assert_eq!(tags.len(), 5);
}

#[test]
fn load_refuses_rows_of_another_account_or_version() {
    let mut world = World::funded();
    let mut store = Store::default();
    store.commit(world.ledger.take_rows());

    let other = World::of_kind(MapKind::PersonalOrRecovery { blocks: 10 });
    let error = store.load(&other).unwrap_err();
    assert_eq!(error, LoadError::ForeignAccount { found: world.map.id(), expected: other.map.id() });

    let with = |key: &[u8], value: &[u8]| {
        let mut store = store.clone();
        store.0.insert(key.to_vec(), value.to_vec());
        store.load(&world).unwrap_err()
    };
    let without = |key: &[u8]| {
        let mut store = store.clone();
        store.0.remove(key).unwrap();
        store.load(&world).unwrap_err()
    };
    assert_eq!(with(&[b'b', 0, 0, 0, 0], &[7; 32]), LoadError::ForeignChain);
    assert_eq!(without(b"m"), LoadError::NoHeader);
    let mut header = store.0[&b"m"[..]].clone();
    header[0] = 9;
    assert_eq!(with(b"m", &header), LoadError::Version(9));
    let mut newer = store.clone();
    newer.0.extend([(b"m".to_vec(), header), (b"!".to_vec(), vec![])]);
    assert_eq!(newer.load(&world).unwrap_err(), LoadError::Version(9), "told before its new kinds of rows");
    let mut never = store.0[&b"m"[..]].clone();
    never[0] = 0;
    assert!(matches!(with(b"m", &never), LoadError::Row { .. }));
    assert!(matches!(without(&[b'b', 0, 0, 0, 0]), LoadError::Contradiction(_)));
    assert!(matches!(without(&[b's', 0, 0, 0, 0, 9]), LoadError::Contradiction(_)));
    assert_eq!(Store::default().load(&world).unwrap_err(), LoadError::NoHeader);
}

#[test]
fn load_names_the_damaged_row() {
    let mut world = World::funded();
    let mut store = Store::default();
    store.commit(world.ledger.take_rows());
    let with = |key: &[u8], value: &[u8]| {
        let mut store = store.clone();
        store.0.insert(key.to_vec(), value.to_vec());
        store.load(&world).unwrap_err()
    };
    let tx = store.0.iter().find(|(key, _)| key[0] == b't').unwrap();
    let other = store.0.iter().rfind(|(key, _)| key[0] == b't').unwrap();
    for (key, value) in [
        (&b"z"[..], &b""[..]),
        (b"", b""),
        (b"b", b""),
        (tx.0, b"not a transaction"),
        (tx.0, other.1),
        (&[b'r', 2], &[0; 4]),
        (&[b's', 0, 0, 0, 0, 0], b"not a script"),
    ] {
        let LoadError::Row { key: named, .. } = with(key, value) else { panic!("{key:?}") };
        assert_eq!(named, data_encoding::HEXLOWER.encode(key));
    }
    // Somebody else's script in the place of ours, where the sample looks.
    let thief = address(THIEF).assume_checked().script_pubkey();
    assert_eq!(
        with(&[b's', 0, 0, 0, 0, 0], thief.as_bytes()),
        LoadError::Script { keychain: Keychain::External, index: 0 }
    );
    // Two thousand million addresses given out: refused, not derived.
    assert!(matches!(with(&[b'r', 0], &[0x7f, 0xff, 0xff, 0xff]), LoadError::Contradiction(_)));
    // Times for a transaction that is not there.
    let mut key = vec![b'l'];
    key.extend([3; 32]);
    assert!(matches!(with(&key, &[0; 8]), LoadError::Contradiction(_)));
}

// --- what a source looks for ---

#[test]
fn news_of_the_watchlist_add_up_to_the_watchlist() {
    let mut world = World::new();
    let mut told = Told::default();
    assert_eq!(told.take(&mut world.ledger), (2 * LOOKAHEAD as usize, 0), "everything at first");
    assert_eq!(told.take(&mut world.ledger), (0, 0));
    world.ledger.reveal_next_address().unwrap();
    assert_eq!(told.take(&mut world.ledger), (1, 0), "the lookahead moved by one");
    let far = world.map.script_pubkey(Keychain::External, LOOKAHEAD - 1).unwrap();
    let tx = world.payment_to(far, 10_000);
    world.mine(vec![tx.clone()]);
    assert_eq!(
        told.take(&mut world.ledger),
        (LOOKAHEAD as usize - 1, 2),
        "our coin, and the one that it was paid with"
    );
    let mut store = Store::default();
    store.commit(world.ledger.take_rows());
    let mut loaded = store.load(&world).unwrap();
    assert!(loaded.take_watchlist_news().is_empty(), "whoever loads it tells everything");
    assert_eq!(loaded.watchlist(), world.ledger.watchlist());
}

/// What a source was told.
#[derive(Default)]
struct Told {
    scripts: Vec<autonomy_wallet::bitcoin::ScriptBuf>,
    coins: Vec<OutPoint>,
}

impl Told {
    /// Takes the news, checks that it had everything in the list, scripts once, and gives how much was new.
    #[track_caller]
    fn take(&mut self, ledger: &mut Ledger) -> (usize, usize) {
        let news = ledger.take_watchlist_news();
        let counts = (news.scripts.len(), news.coins.len());
        self.scripts.extend(news.scripts);
        self.coins.extend(news.coins);
        let mut all = ledger.watchlist();
        all.scripts.sort();
        self.scripts.sort();
        assert_eq!(self.scripts, all.scripts);
        // The list forgets coins of others that are spent for good.
        assert!(all.coins.iter().all(|coin| self.coins.contains(coin)));
        counts
    }
}

/// One thing that may happen to an account.
#[derive(Debug, Clone)]
enum Event {
    Incoming(u64),
    Mine,
    MineReward,
    Empty(u32),
    Pay(u64),
    TakeBack,
    Evict,
    Reorganise(u32),
    Reveal,
    Reserve,
    Release,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1_000u64..50_000_000).prop_map(Event::Incoming),
        3 => Just(Event::Mine),
        1 => Just(Event::MineReward),
        1 => (1u32..160).prop_map(Event::Empty),
        3 => (1_000u64..20_000_000).prop_map(Event::Pay),
        1 => Just(Event::TakeBack),
        1 => Just(Event::Evict),
        1 => (1u32..4).prop_map(Event::Reorganise),
        1 => Just(Event::Reveal),
        1 => Just(Event::Reserve),
        1 => Just(Event::Release),
    ]
}

/// The world's own mempool and clock.
struct Life {
    world: World,
    mempool: Vec<Transaction>,
    now: u64,
}

impl Life {
    fn happen(&mut self, event: &Event) {
        self.now += 600;
        let Self { world, mempool, now } = self;
        match event {
            Event::Incoming(amount) => {
                let tx = world.payment_to_us(*amount);
                world.ledger.apply_unconfirmed([(tx.clone(), *now)]);
                mempool.push(tx);
            }
            Event::Mine => drop(world.mine(std::mem::take(mempool))),
            Event::MineReward => {
                let script = world.map.first_address().script_pubkey();
                let reward = coinbase(script, 5_000_000_000, (*now / 600) as u8);
                world.mine(vec![reward]);
            }
            Event::Empty(blocks) => world.mine_empty(*blocks),
            Event::Pay(amount) => {
                let intent = pay(SHOP, *amount);
                if world.ledger.draft(&intent, &mut world.rng).is_ok() {
                    let tx = world.paid(&intent);
                    world.ledger.apply_unconfirmed([(tx.clone(), *now)]);
                    mempool.push(tx);
                }
            }
            Event::TakeBack => {
                let is_paid_by_others = |coin: &OutPoint| world.ledger.transaction(&coin.txid).is_none();
                let inputs = mempool.iter().flat_map(|tx| &tx.input).map(|input| input.previous_output);
                if let Some(coin) = inputs.clone().find(is_paid_by_others) {
                    let rival = spend(coin, address(SHOP).assume_checked().script_pubkey(), 1_000);
                    world.mine(vec![rival]);
                    let waits = |tx: &Transaction| {
                        let state = world.ledger.entry(&tx.compute_txid()).map(|entry| entry.state);
                        matches!(state, Some(HistoryState::Pending { .. }))
                    };
                    mempool.retain(waits);
                }
            }
            Event::Evict => {
                let gone: Vec<_> = world.ledger.unconfirmed().take(1).collect();
                world.ledger.apply_evicted(gone.iter().map(|txid| (*txid, *now)));
                mempool.retain(|tx| !gone.contains(&tx.compute_txid()));
            }
            Event::Reorganise(depth) => self.reorganise(*depth),
            Event::Reveal => drop(world.ledger.reveal_next_address()),
            Event::Reserve => {
                let coin = world.ledger.coins().next().map(|coin| coin.outpoint);
                world.ledger.reserve(coin);
            }
            Event::Release => {
                let coins: Vec<_> = world.ledger.coins().map(|coin| coin.outpoint).collect();
                world.ledger.release(coins);
            }
        }
    }

    fn reorganise(&mut self, depth: u32) {
        let tip = self.world.ledger.tip();
        let base = tip.height.saturating_sub(depth).max(100);
        let Some(hash) = self.world.ledger.block_hash(base) else { return };
        let mut parent = BlockId { height: base, hash };
        for height in base + 1..=tip.height + 1 {
            let block = self.world.block_on(parent, vec![]);
            self.world.ledger.apply_block(&block, height, parent).unwrap();
            parent = BlockId { height, hash: block.block_hash() };
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever happens, and whenever the pod is restarted: what is loaded equals what kept running.
    #[test]
    fn loaded_ledger_equals_the_one_that_kept_running(events in prop::collection::vec(event(), 1..25), restart in any::<u32>()) {
        let mut life = Life { world: World::new(), mempool: vec![], now: 1_700_100_000 };
        let mut store = Store::default();
        let mut told = Told::default();
        store.commit(life.world.ledger.take_rows());
        for (number, event) in events.iter().enumerate() {
            life.happen(event);
            told.take(&mut life.world.ledger);
            let rows = life.world.ledger.take_rows();
            // The same rows twice change nothing.
            store.commit(rows.clone());
            store.commit(rows);
            let loaded = store.load(&life.world).unwrap();
            assert_same(&loaded, &life.world.ledger);
            if restart >> (number % 32) & 1 == 1 {
                life.world.ledger = loaded;
            }
        }
    }
}

/// A sound store with some life in it.
static SOUND: std::sync::LazyLock<Store> = std::sync::LazyLock::new(|| {
    let mut world = World::funded();
    let tx = world.paid(&pay(SHOP, 10_000_000));
    world.ledger.apply_unconfirmed([(tx, 1_700_100_000)]);
    let incoming = world.payment_to_us(5_000);
    world.ledger.apply_unconfirmed([(incoming, 1_700_100_000)]);
    let reward = coinbase(world.map.first_address().script_pubkey(), 5_000_000_000, 1);
    world.mine(vec![reward]);
    let mut store = Store::default();
    store.commit(world.ledger.take_rows());
    store
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// A damaged, missing or invented row: refused with a reason, or loaded and able to go on. Never a panic.
    #[test]
    fn damaged_rows_are_refused_or_give_a_usable_ledger(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        what in 0..4u8,
    ) {
        let mut store = SOUND.clone();
        // Scripts are sampled only: a debug build of bdk insists on every one of them.
        let keys: Vec<_> = store.0.keys().filter(|key| key[0] != b's').cloned().collect();
        let key = keys[which.index(keys.len())].clone();
        let mut value = store.0.remove(&key).unwrap();
        let mut new_key = key;
        match what {
            0 => {}
            1 if !value.is_empty() => {
                *at.get_mut(&mut value) = byte;
                store.0.insert(new_key, value);
            }
            2 => {
                *at.get_mut(&mut new_key) = byte;
                store.0.insert(new_key, value);
            }
            _ => {
                value.push(byte);
                store.0.insert(new_key, value);
            }
        }
        let mut world = World::new();
        if let Ok(ledger) = store.load(&world) {
            world.ledger = ledger;
            world.ledger.balance();
            world.ledger.history();
            let tx = world.payment_to(world.map.first_address().script_pubkey(), 5_000);
            let tip = world.ledger.tip();
            let block = world.block_on(tip, vec![tx]);
            // Past the highest possible block there is no next one.
            let _ = world.ledger.apply_block(&block, tip.height + 1, tip);
            let _ = world.ledger.draft(&pay(SHOP, 1_000), &mut world.rng);
            world.ledger.balance();
            let _ = world.ledger.take_rows();
        }
    }
}
