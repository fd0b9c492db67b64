//! Pays, and shows where the checks are: the pod drafts, this device checks, a person approves, both sign.
//!
//! ```text
//! cargo run -p autonomy-examples --example pay -- bcrt1q… 25000
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to the person who tries it")]

use std::{error::Error, io::BufRead, time::Duration};

use autonomy_api::{NewPayment, Recipient, Written, bitcoin::Amount};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(address), Some(sat)) = (words.next(), words.next()) else {
        return Err("whom and how many satoshi?".into());
    };
    let recipients =
        vec![Recipient { address: Written::read(&address)?, amount: Amount::from_sat(sat.parse()?) }];
    let wish = NewPayment { recipients, fee_rate: None, note: None };

    let mut device = autonomy_examples::device().await?;
    let account = device.profile.accounts().next().ok_or("make an account first: autonomy account create")?;
    let id = account.map.id();
    // Returns only what passed the checker: every input ours, every output asked for or our own change.
    let draft = device.draft(&id, &wish).await?;
    for output in &draft.summary().outputs {
        println!("{} to {} ({:?})", output.amount, output.address, output.owner);
    }
    println!("fee {}. Pay? [y/N]", draft.summary().fee);
    let answer = std::io::stdin().lock().lines().next().transpose()?;
    if answer.as_deref() != Some("y") {
        device.give_up(&draft.id()).await?;
        return Ok(());
    }
    let paid = device.approve(draft).await?;
    let payment = device.follow_payment(&paid.payment, Duration::from_secs(15)).await?;
    println!("{} is {:?}", payment.txid, payment.state);
    Ok(())
}
