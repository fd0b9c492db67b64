//! Receiving and sending bitcoin.

use serde_json::Value;

use super::{Play, setup::Descriptors};
use crate::demo::{
    DemoError,
    stage::{missing, must, number, text},
};

/// The payment that is received, in satoshi.
const INCOMING_SAT: u64 = 100_000_000;
/// The payment that is sent, in satoshi.
const OUTGOING_SAT: u64 = 25_000_000;
/// The same as a person types it.
const OUTGOING: &str = "0.25 BTC";
/// The note on it.
const NOTE: &str = "rent";

/// Shows a new address, which pod, device and bitcoind derive independently.
pub(super) fn receive_address(play: &Play<'_>, descriptors: &Descriptors) -> Result<String, DemoError> {
    play.stage.step("address derived by pod, device and bitcoind", |step| {
        let received = play.person.device.cli(&["receive"])?.value;
        must(received["verified"] == true, || format!("the device has not checked it: {received}"))?;
        let address = text(&received, "address")?;
        bitcoind_agrees(play, &descriptors.receive, &received)?;
        step.figure("address", address.clone());
        Ok(address)
    })
}

/// Compares an address that `autonomy receive` printed with the one that bitcoind derives.
fn bitcoind_agrees(play: &Play<'_>, descriptor: &str, received: &Value) -> Result<(), DemoError> {
    let address = text(received, "address")?;
    let index = received["index"].as_u64().and_then(|index| u32::try_from(index).ok());
    let index = index.ok_or_else(|| missing(received, "index"))?;
    let derived = play.stage.bitcoind()?.derive_addresses(descriptor, index, index)?;
    must(derived == [address.clone()], || {
        format!("address {index}: bitcoind derives {derived:?}, the device {address}")
    })
}

/// Pays to the address and waits until the device sees the payment, unconfirmed and then confirmed.
pub(super) fn arrives(play: &Play<'_>, address: &str) -> Result<(), DemoError> {
    play.stage.step("1 BTC arrives, unconfirmed", |step| {
        step.figure("txid", play.stage.bitcoind()?.send_to(address, INCOMING_SAT)?);
        let ready = |accounts: &Value| balance(accounts) == Some((0, INCOMING_SAT));
        play.person.device_sees("1 BTC is there, unconfirmed", &["account", "list"], ready).map(drop)
    })?;
    play.stage.step("1 BTC confirmed", |_| {
        play.stage.bitcoind()?.mine(1)?;
        let ready = |accounts: &Value| balance(accounts) == Some((INCOMING_SAT, 0));
        play.person.device_sees("1 BTC is confirmed", &["account", "list"], ready).map(drop)
    })
}

/// Confirmed and unconfirmed satoshi of the only account.
fn balance(accounts: &Value) -> Option<(u64, u64)> {
    let balance = &accounts["accounts"][0]["balance"];
    Some((balance["confirmed_sat"].as_u64()?, balance["unconfirmed_sat"].as_u64()?))
}

/// A payment that was sent.
struct Paid {
    txid: String,
    fee_sat: u64,
}

/// Pays, checks what the device read in the transaction before it signed, and waits for a
/// confirmation.
pub(super) fn pay(play: &Play<'_>) -> Result<(), DemoError> {
    let paid = play.stage.step("0.25 BTC paid: draft, check, P, check, G, broadcast", |step| {
        let outside = play.stage.bitcoind()?.address()?;
        let paid = play.person.device.cli(&["pay", &outside, OUTGOING, "--note", NOTE, "--yes"])?.value;
        let (txid, fee_sat) = (text(&paid, "txid")?, number(&paid, "fee_sat")?);
        // What the device itself read in the transaction before it signed.
        let checked = &paid["checked"];
        let outputs = checked["outputs"].as_array().ok_or_else(|| missing(&paid, "outputs"))?;
        let leaves = outputs.iter().filter(|output| output["own"] == false);
        let leaves: Vec<_> = leaves.map(|output| (&output["address"], &output["amount_sat"])).collect();
        must(checked["txid"] == *txid && leaves == [(&outside.into(), &OUTGOING_SAT.into())], || {
            format!("the device signed something else: {paid}")
        })?;
        let mempool = play.stage.bitcoind()?.mempool()?;
        must(mempool.contains(&txid), || format!("{txid} is not in the mempool: {mempool:?}"))?;
        step.figure("txid", txid.clone());
        step.figure("fee_sat", fee_sat);
        Ok(Paid { txid, fee_sat })
    })?;
    play.stage.step("payment confirmed", |_| {
        play.stage.bitcoind()?.mine(1)?;
        let ready = |list: &Value| {
            let newest = &list["payments"][0];
            newest["txid"] == *paid.txid && newest["state"] == "confirmed"
        };
        play.person.device_sees("the payment is confirmed", &["payment", "list"], ready).map(drop)
    })?;
    history(play, &paid)
}

/// Checks that the history has both payments and the note.
fn history(play: &Play<'_>, paid: &Paid) -> Result<(), DemoError> {
    play.stage.step("history", |step| {
        let history = play.person.device.cli(&["history"])?.value;
        let entries = history["entries"].as_array().ok_or_else(|| missing(&history, "entries"))?;
        let answer: Vec<_> = entries.iter().filter_map(|entry| entry["net_sat"].as_i64()).collect();
        let out = -(OUTGOING_SAT as i64) - paid.fee_sat as i64;
        must(answer == [out, INCOMING_SAT as i64], || {
            format!("{out} and then 1 BTC were expected: {history}")
        })?;
        must(entries[0]["txid"] == *paid.txid && entries[0]["note"] == NOTE, || {
            format!("the newest is not the payment: {history}")
        })?;
        step.figure("entries", entries.len());
        let left = INCOMING_SAT - OUTGOING_SAT - paid.fee_sat;
        let accounts = play.person.device.cli(&["account", "list"])?.value;
        must(balance(&accounts) == Some((left, 0)), || format!("{left} sat should be left: {accounts}"))?;
        step.figure("left_sat", left);
        Ok(())
    })
}

/// Imports the exported map into Bitcoin Core: it derives the same addresses and sees the same
/// balance.
pub(super) fn watch_only(play: &Play<'_>, descriptors: &Descriptors) -> Result<(), DemoError> {
    play.stage.step("Bitcoin Core watches the same account", |step| {
        let watching =
            play.stage.bitcoind()?.watch("exported", &[&descriptors.receive, &descriptors.change])?;
        let (theirs, ours) = (watching.balances()?.trusted, confirmed(play)?);
        must(ours == theirs, || format!("the device sees {ours} sat, Bitcoin Core {theirs}"))?;
        step.figure("balance_sat", ours);
        // Core has seen the first address paid, and so hands out the next one, as the pod does.
        let (next, answer) = (play.person.device.cli(&["receive"])?.value, watching.next_address()?);
        bitcoind_agrees(play, &descriptors.receive, &next)?;
        must(next["address"] == *answer, || format!("Bitcoin Core gives {answer} next, the device {next}"))?;
        step.figure("next_address", answer);
        Ok(())
    })
}

/// Confirmed satoshi as the device sees them.
pub(super) fn confirmed(play: &Play<'_>) -> Result<u64, DemoError> {
    number(&play.person.device.cli(&["account", "list"])?.value, "confirmed_sat")
}
