//! Blocks and the mempool, honest and foreign, and how the source is.

use std::sync::Arc;

use autonomy_blocks::spend;
use autonomy_node::{ChainEvent, ChainPoint, Input, SourceState};
use autonomy_wallet::bitcoin::{
    Amount, BlockHash, Network, OutPoint, ScriptBuf, constants::genesis_block, hashes::Hash as _,
};
use proptest::prelude::*;

use super::Machine;

#[derive(Debug, Clone)]
pub(super) enum Event {
    PaidIn(u8, u64),
    PaidToStranger(u64),
    Mine(u8),
    Reorganise(u8),
    ForeignBlock(u32),
    Evict(u8),
    SpentElsewhere(u8),
    Source(u8),
    Fees(u16, f64),
    Anchor(u32),
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (any::<u8>(), 1_000_u64..3_000_000).prop_map(|(account, sat)| Event::PaidIn(account, sat)),
        1 => any::<u64>().prop_map(Event::PaidToStranger),
        6 => any::<u8>().prop_map(Event::Mine),
        2 => (1_u8..8).prop_map(Event::Reorganise),
        1 => any::<u32>().prop_map(Event::ForeignBlock),
        2 => any::<u8>().prop_map(Event::Evict),
        1 => any::<u8>().prop_map(Event::SpentElsewhere),
        1 => any::<u8>().prop_map(Event::Source),
        1 => any::<(u16, f64)>().prop_map(|(target, rate)| Event::Fees(target, rate)),
        1 => any::<u32>().prop_map(Event::Anchor),
    ]
}

impl Machine {
    pub(super) fn chain_event(&mut self, event: Event) {
        match event {
            Event::PaidIn(choice, sat) => {
                let address = self.account_of(choice).first_address;
                let transaction = self.world.paid_in(&address, sat);
                self.waiting.push(transaction);
            }
            Event::PaidToStranger(sat) => {
                let coinbase = genesis_block(Network::Regtest).txdata[0].compute_txid();
                let mut transaction = spend(OutPoint { txid: coinbase, vout: 0 }, ScriptBuf::new(), 0);
                transaction.output[0].value = Amount::from_sat(sat);
                self.world.seen(vec![transaction]);
            }
            Event::Mine(count) => {
                let count = usize::from(count).min(self.waiting.len());
                let mined = self.waiting.drain(..count).collect();
                self.world.mine(mined);
            }
            // What was mined may never come back: a reorganisation to empty blocks.
            Event::Reorganise(depth) => {
                let depth = usize::from(depth).min(self.world.height() as usize - 1);
                if depth > 0 {
                    self.world.reorganise(depth);
                }
            }
            Event::ForeignBlock(height) => {
                let block = Arc::new(genesis_block(Network::Regtest));
                self.source_says(ChainEvent::Block { block, height });
            }
            Event::Evict(choice) => self.evict(choice),
            Event::SpentElsewhere(choice) => self.spend_elsewhere(choice),
            Event::Source(how) => {
                let [away, syncing, synced] = [
                    SourceState::Away("gone".into()),
                    SourceState::Syncing(how.into()),
                    SourceState::Synced(u32::MAX),
                ];
                self.source_says(ChainEvent::Source([away, syncing, synced][usize::from(how) % 3].clone()));
            }
            Event::Fees(target, rate) => self.source_says(ChainEvent::Fees(vec![(target, rate)])),
            Event::Anchor(height) => {
                let point = ChainPoint { height, hash: BlockHash::all_zeros(), time: 0 };
                self.source_says(ChainEvent::Anchor(vec![point; 3]));
            }
        }
    }

    fn source_says(&mut self, event: ChainEvent) {
        let reply = self.world.give(Input::Chain(event));
        assert!(reply.is_none(), "nobody asked");
    }

    fn evict(&mut self, choice: u8) {
        let watched: Vec<_> = self.world.node.watch().txids.into_iter().collect();
        if let Some(txid) = watched.get(usize::from(choice) % watched.len().max(1)) {
            self.source_says(ChainEvent::Mempool { seen: vec![], evicted: vec![*txid] });
        }
    }

    /// A coin of a draft is spent in a block, by another transaction.
    fn spend_elsewhere(&mut self, choice: u8) {
        let Some(coin) = self.payment_of(choice).and_then(|payment| super::money::first_coin(&payment))
        else {
            return;
        };
        self.waiting.retain(|waiting| waiting.input.iter().all(|input| input.previous_output != coin));
        self.world.mine(vec![spend(coin, ScriptBuf::new(), 1_000)]);
    }
}
