//! Looks how much of the disk is free, for the node: below its reserve no file is taken, so that messages and payments
//! have room.

use std::{path::PathBuf, time::Duration};

use autonomy_messaging::messenger::{self, DISK_RESERVE};
use tokio::sync::watch;

use crate::{driver::Handle, free_space::free_bytes};
use autonomy_node::Input;

/// Pause between two looks. A contact whose file fills both Tor streams brings some 60 MB meanwhile, a quarter of the
/// reserve.
const LOOK: Duration = Duration::from_secs(30);

/// Tells the node whenever the free space crosses its reserve, until the pod stops.
pub(super) async fn watch(folder: PathBuf, node: Handle, mut stop: watch::Receiver<bool>) {
    let mut was_low = false;
    loop {
        if let Some(free) = free_bytes(&folder)
            && was_low != (free < DISK_RESERVE)
        {
            was_low = !was_low;
            tracing::warn!(
                free,
                "{}",
                if was_low { "the disk is nearly full" } else { "the disk has room again" }
            );
            if !node.deliver(Input::Mail(messenger::Input::FreeSpace(free))).await {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
