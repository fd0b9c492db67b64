//! Asks for a fresh receive address, and waits until something arrives there.
//!
//! ```text
//! cargo run -p autonomy-examples --example receive
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to the person who tries it")]

use std::error::Error;

use autonomy_api::{EventKind, Written as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut device = autonomy_examples::device().await?;
    let account = device.profile.accounts().next().ok_or("make an account first: autonomy account create")?;
    let (id, name) = (account.map.id(), account.map.name().to_owned());
    // From now on, so that the payment cannot fall between the address and the stream.
    let mut events = device.pod.events(None, true).await?;
    // The device derives the address again from its own account map: a pod cannot slip in another.
    let address = device.receive(&id, false).await?;
    println!("address {} of {name}: {}", address.index, address.address.write().as_str());
    while let Some(event) = events.next().await? {
        match event.kind {
            EventKind::TransactionSeen { account, net, .. } if account == id && net.is_positive() => {
                println!("{net} on the way");
            }
            EventKind::TransactionConfirmed { account, confirmations, .. } if account == id => {
                println!("{confirmations} confirmation(s)");
                return Ok(());
            }
            _ => {}
        }
    }
    Ok(())
}
