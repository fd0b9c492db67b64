//! Passes what the messenger wants done to the network, and what the network received to the node.
//!
//! Both run until the pod stops. Effects not carried out by then are derived again at the next
//! start.

use autonomy_messaging::messenger;
use tokio::sync::{mpsc, watch};

use crate::{driver::Handle, peers::NetworkHandle};
use autonomy_node::Input;

/// Carries out the messenger's effects until the driver ends.
pub(super) async fn carry_out(
    mut effects: mpsc::UnboundedReceiver<messenger::Effect>,
    network: NetworkHandle,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let effect = tokio::select! {
            effect = effects.recv() => effect,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some(effect) = effect else { return };
        network.carry_out(effect);
    }
}

/// Delivers what the network received to the node, in order. While the node is busy nothing more is
/// read, so places keep the rest.
pub(super) async fn deliver(
    mut inputs: mpsc::Receiver<messenger::Input>,
    handle: Handle,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let input = tokio::select! {
            input = inputs.recv() => input,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some(input) = input else { return };
        if !handle.deliver(Input::Mail(input)).await {
            return;
        }
    }
}
