//! Between the node and the network: what the messenger wants done, and what comes of it.

use autonomy_messaging::messenger::{Effect, Input as MailInput};
use tokio::sync::{mpsc, watch};

use crate::{
    driver::Handle,
    node::Input,
    peers::{NetworkEvent, NetworkHandle},
};

/// Carries out the messenger's effects until the driver ends.
pub(super) async fn carry_out(
    mut effects: mpsc::UnboundedReceiver<Effect>,
    network: NetworkHandle,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let effect = tokio::select! {
            effect = effects.recv() => effect,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        match effect {
            Some(Effect::Call { call, place, lane, request }) => network.call(call, place, lane, request),
            Some(Effect::Collect(wanted)) => network.collect(wanted),
            Some(Effect::Serve(queues)) => network.serve(queues),
            Some(Effect::Answer { ticket, response }) => network.answer(ticket, response),
            // Events of the node by then.
            Some(Effect::Notify(_)) => {}
            None => return,
        }
    }
}

/// Tells the node what the network saw, one thing after the other: while the node is busy, places wait.
pub(super) async fn deliver(
    mut events: mpsc::Receiver<NetworkEvent>,
    handle: Handle,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some(event) = event else { return };
        let input = match event {
            NetworkEvent::Called { call, outcome } => MailInput::Called { call, outcome },
            NetworkEvent::Collected { place, queue, number, blob } => {
                MailInput::Collected { place, queue, number, blob: Box::new(blob) }
            }
            NetworkEvent::Subscribed { place, up } => MailInput::Subscribed { place, up },
            NetworkEvent::Missing { place, queue } => MailInput::Missing { place, queue },
            NetworkEvent::Asked { ticket, request } => MailInput::Asked { ticket, request },
        };
        if !handle.deliver(Input::Mail(input)).await {
            return;
        }
    }
}
