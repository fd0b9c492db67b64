//! What a pod can do to the world. To learn all of it, read this enum.

use autonomy_messaging::{OnionSeed, messenger};
use bdk_wallet::bitcoin::{Transaction, Txid};

use super::Watch;
use autonomy_api::DeviceKey;
use autonomy_api::{Access, Event};

/// Something to do after the rows of a step are safe on disk. Each can be derived again from the rows, and doing
/// it twice does no harm.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The chain source looks for these too. Comes before all other effects of its step: once with everything after a
    /// restore, later only when something was added.
    Watch(Box<Watch>),
    /// Hand this transaction to the chain source.
    Broadcast(Txid, Box<Transaction>),
    /// Tell every listener.
    Notify(Event),
    /// Exactly these devices may enter, and these x25519 keys open the descriptor of the app service.
    Admit {
        /// Keys for the TLS gate, and how far each may go.
        devices: Vec<(DeviceKey, Access)>,
        /// Keys for restricted discovery, spare ones included.
        descriptor_keys: Vec<[u8; 32]>,
    },
    /// Ask a place something, collect queues, serve own ones, answer a peer. Never a notice: those are events.
    Mail(messenger::Effect),
    /// The pod has an owner now: its onion services can be launched.
    Adopted,
    /// Contacts come at the addresses of exactly these keys, the present one first: its peer service is to be reached there.
    /// At none where they come through relays only.
    Listen(Vec<OnionSeed>),
}
