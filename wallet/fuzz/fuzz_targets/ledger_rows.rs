//! One damaged row in an otherwise sound ledger: refused, or loaded and able to answer.
#![no_main]

use std::sync::LazyLock;

use autonomy_wallet::account::{AccountMap, Birthday};
use autonomy_wallet::bitcoin::Network;
use autonomy_wallet::bitcoin::constants::genesis_block;
use autonomy_wallet::ledger::{BlockId, Ledger};
use libfuzzer_sys::fuzz_target;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

static SOUND: LazyLock<(AccountMap, Rows)> = LazyLock::new(|| {
    let vectors: &str = include_str!("../../tests/vectors/accounts.json");
    let start = vectors.find("wsh(").expect("the vectors hold descriptors");
    let text = vectors[start..].split('"').next().expect("a closing quote");
    let birthday = Birthday { height: 0, time: 0 };
    let map = AccountMap::from_descriptor(text, "fuzz", Network::Regtest, birthday).expect("ours");
    let genesis = BlockId { height: 0, hash: genesis_block(Network::Regtest).block_hash() };
    let rows = Ledger::create(map.clone(), genesis, 1).take_rows();
    (map, rows.into_iter().filter_map(|row| Some((row.key, row.value?))).collect())
});

fuzz_target!(|damage: (Vec<u8>, Vec<u8>)| {
    let (map, sound) = &*SOUND;
    let rows = sound.iter().cloned().chain([damage]);
    if let Ok(mut ledger) = Ledger::load(map.clone(), rows) {
        ledger.balance();
        ledger.history();
        ledger.take_rows();
    }
});
