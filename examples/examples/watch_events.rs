//! Prints what happens at your pod, as it happens, and comes back after a lost connection.
//!
//! ```text
//! cargo run -p autonomy-examples --example watch_events
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the person who tries it")]

use std::{error::Error, time::Duration};

use autonomy_client::CallError;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut device = autonomy_examples::device().await?;
    // Asking for the status checks that this is the pod we know, and that it has forgotten nothing.
    println!("pod {}", device.status().await?.pod_key);
    let mut last = None;
    loop {
        match watch(&device, &mut last).await {
            Err(CallError::Unreachable { detail, .. }) => eprintln!("lost, trying again: {detail}"),
            Err(error) => return Err(error.into()),
            Ok(()) => {}
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Prints events after `last` until the stream ends.
async fn watch(device: &autonomy_client::Device, last: &mut Option<u64>) -> Result<(), CallError> {
    let mut events = device.pod.events(*last, true).await?;
    while let Some(event) = events.next().await? {
        println!("{event:?}");
        *last = Some(event.id);
    }
    Ok(())
}
