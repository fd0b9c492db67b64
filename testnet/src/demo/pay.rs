//! Act `pay`: one pod, one device, one payment, and nobody else comes in.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use autonomy_testnet::{
    clock,
    party::{CommandError, Device},
};
use serde_json::Value;

use super::{
    DemoError,
    stage::{Stage, find, must, percentiles, resident_megabytes, sat, text},
};

/// What comes in, and what goes out.
const INCOMING_SAT: u64 = 100_000_000;
const OUTGOING_SAT: u64 = 25_000_000;
/// Connections, requests and echoes that figures are taken from.
const COLD: &str = "7";
const WARM: &str = "40";

pub(super) fn play(stage: &Stage<'_>) -> Result<(), DemoError> {
    let onion = provision(stage)?;
    connect(stage)?;
    let descriptor = create_account(stage)?;
    let address = receive_address(stage, &descriptor)?;
    be_paid(stage, &address)?;
    pay(stage)?;
    watch_only(stage, &descriptor)?;
    survive_a_kill(stage, &onion)?;
    turn_strangers_away(stage)?;
    revoke_a_device(stage)?;
    rest(stage)
}

/// Pod and device are made, and become each other's. Gives the pod's onion address.
fn provision(stage: &Stage<'_>) -> Result<String, DemoError> {
    let request = stage.step("pod init", |_| {
        let made = stage.pod.cli(&["pod", "init", "--network", "regtest"])?;
        text(&made.value, "request")
    })?;
    let bundle = stage.step("device init and provision", |step| {
        let made = stage.device.cli(&["init"])?;
        step.figure("identity", text(&made.value, "identity")?);
        let answered = stage.device.cli(&["provision", &request, "--yes"])?;
        text(&answered.value, "bundle")
    })?;
    stage.step("pod adopt and run", |step| {
        stage.pod.cli(&["pod", "adopt", &bundle])?;
        let started = clock::now();
        stage.pod.run()?;
        let status = stage.reachable(step)?;
        step.figure("start_to_reachable_seconds", round(started.elapsed().as_secs_f64()));
        let onion = text(&status["onion"]["app"], "address")?;
        step.figure("onion", onion.clone());
        Ok(onion)
    })
}

fn connect(stage: &Stage<'_>) -> Result<(), DemoError> {
    stage.step("device connects over onion", |step| {
        let first = stage.device.cli(&["status"])?;
        let second = stage.device.cli(&["status"])?;
        step.figure("first_command_seconds", round(first.took.as_secs_f64()));
        step.figure("second_command_seconds", round(second.took.as_secs_f64()));
        Ok(())
    })?;
    stage.step("connections measured", |step| {
        step.progress(0.5, "cold connects, warm requests, bare echoes over the same onion");
        let probe = ["probe", "--as", "profile", "--count", COLD, "--warm", WARM, "--echo", WARM];
        let measured = stage.device.cli(&probe)?.value;
        for (name, list) in [
            ("cold_connect", "cold_seconds"),
            ("warm_request", "warm_seconds"),
            ("bare_echo", "echo_seconds"),
        ] {
            let (p50, p95) = percentiles(&measured[list])
                .ok_or_else(|| DemoError::Wrong(format!("`{list}` is missing in {measured}")))?;
            step.figure(&format!("{name}_p50_ms"), p50);
            step.figure(&format!("{name}_p95_ms"), p95);
        }
        Ok(())
    })
}

/// Gives the receive descriptor as Bitcoin Core reads it.
fn create_account(stage: &Stage<'_>) -> Result<String, DemoError> {
    stage.step("account created, decks written", |step| {
        let made = stage.device.cli(&["account", "create", "--name", "main"])?.value;
        let decks: Vec<PathBuf> = made["decks"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(PathBuf::from)
            .collect();
        must(decks.len() == 3, || format!("three decks were expected: {made}"))?;
        for deck in &decks {
            let mode = fs::metadata(deck).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
            must(mode == 0o600, || format!("{} has mode {mode:o}", deck.display()))?;
        }
        step.figure("decks", decks.len());
        step.figure("account", text(&made, "id")?);
        let export = stage.device.cli(&["account", "export", "--format", "core"])?.value;
        text(&export["importdescriptors"][0], "desc")
    })
}

fn receive_address(stage: &Stage<'_>, descriptor: &str) -> Result<String, DemoError> {
    stage.step("address derived by device, pod and bitcoind", |step| {
        let received = stage.device.cli(&["receive"])?.value;
        must(received["verified"] == true, || format!("the device has not checked it: {received}"))?;
        let (address, index) = (text(&received, "address")?, received["index"].as_u64().unwrap_or(0) as u32);
        let derived = stage.bitcoind()?.derive_addresses(descriptor, index, index)?;
        must(derived == [address.clone()], || format!("bitcoind derives {derived:?}, the device {address}"))?;
        step.figure("address", address.clone());
        Ok(address)
    })
}

fn be_paid(stage: &Stage<'_>, address: &str) -> Result<(), DemoError> {
    stage.step("1 BTC arrives, unconfirmed", |_| {
        stage.bitcoind()?.send_to(address, INCOMING_SAT)?;
        let arrived = |list: &Value| sat(list, "unconfirmed_sat") == INCOMING_SAT;
        stage.device_sees("1 BTC is unconfirmed", &["account", "list"], arrived).map(drop)
    })?;
    stage.step("1 BTC confirmed", |_| {
        stage.bitcoind()?.mine(1)?;
        let confirmed = |list: &Value| sat(list, "confirmed_sat") == INCOMING_SAT;
        stage.device_sees("1 BTC is confirmed", &["account", "list"], confirmed).map(drop)
    })
}

fn pay(stage: &Stage<'_>) -> Result<(), DemoError> {
    let txid = stage.step("0.25 BTC paid: draft, check, P, check, G, broadcast", |step| {
        let outside = stage.bitcoind()?.address()?;
        let paid = stage.device.cli(&["pay", &outside, "0.25 BTC", "--note", "demo", "--yes"])?;
        let txid = text(&paid.value, "txid")?;
        step.figure("fee_sat", sat(&paid.value, "fee_sat"));
        step.figure("txid", txid.clone());
        let mempool = stage.bitcoind()?.mempool()?;
        must(mempool.contains(&txid), || format!("{txid} is not in the mempool: {mempool:?}"))?;
        Ok(txid)
    })?;
    stage.step("payment confirmed", |_| {
        stage.bitcoind()?.mine(1)?;
        let confirmed = |list: &Value| {
            let payment = find(list, "payments").and_then(|payments| payments.get(0));
            payment.is_some_and(|payment| payment["txid"] == *txid && payment["state"] == "confirmed")
        };
        stage.device_sees("the payment is confirmed", &["payment", "list"], confirmed).map(drop)
    })?;
    stage.step("history", |step| {
        let history = stage.device.cli(&["history"])?.value;
        let entries = history["entries"].as_array().cloned().unwrap_or_default();
        must(entries.len() == 2, || format!("two entries were expected: {history}"))?;
        let out = entries[0]["net_sat"].as_i64().unwrap_or(0);
        must(out < -(OUTGOING_SAT as i64) && entries[0]["txid"] == *txid, || {
            format!("the newest is wrong: {history}")
        })?;
        step.figure("entries", entries.len());
        Ok(())
    })
}

/// The exported map, in Bitcoin Core's own wallet: the same addresses, the same balance.
fn watch_only(stage: &Stage<'_>, receive: &str) -> Result<(), DemoError> {
    stage.step("Bitcoin Core watches the same account", |step| {
        let export = stage.device.cli(&["account", "export", "--format", "core"])?.value;
        let change = text(&export["importdescriptors"][1], "desc")?;
        let watching = stage.bitcoind()?.watch("exported", &[receive, &change])?;
        let theirs = watching.balances()?.trusted;
        let ours = sat(&stage.device.cli(&["account", "list"])?.value, "confirmed_sat");
        must(ours == theirs, || format!("the device sees {ours} sat, Bitcoin Core {theirs}"))?;
        let (next, last) = (stage.device.cli(&["receive"])?.value, watching.next_address()?);
        let index = next["index"].as_u64().unwrap_or(0) as u32;
        let derived = stage.bitcoind()?.derive_addresses(receive, index, index)?;
        must(derived == [text(&next, "address")?], || {
            format!("address {index} differs: {derived:?}, {next}")
        })?;
        let first = stage.bitcoind()?.derive_addresses(receive, 0, 20)?;
        must(first.contains(&last), || format!("Bitcoin Core gives {last}, which is none of ours"))?;
        step.figure("balance_sat", ours);
        Ok(())
    })
}

fn survive_a_kill(stage: &Stage<'_>, onion: &str) -> Result<(), DemoError> {
    stage.step("pod killed and restarted", |step| {
        let before = sat(&stage.device.cli(&["account", "list"])?.value, "confirmed_sat");
        stage.pod.kill();
        let started = clock::now();
        stage.pod.run()?;
        let status = stage.reachable(step)?;
        step.figure("start_to_reachable_seconds", round(started.elapsed().as_secs_f64()));
        let again = text(&status["onion"]["app"], "address")?;
        must(again == onion, || format!("the address was {onion}, now it is {again}"))?;
        let after = loop {
            match stage.device.cli(&["account", "list"]) {
                Ok(list) => break sat(&list.value, "confirmed_sat"),
                // The device may still hold the circuit of the pod that was killed.
                Err(error @ CommandError::Failed { code: 4, .. }) if started.elapsed().as_secs() < 120 => {
                    drop(error)
                }
                Err(error) => return Err(error.into()),
            }
        };
        step.figure("device_back_seconds", round(started.elapsed().as_secs_f64()));
        must(before == after, || format!("the balance was {before} sat, now it is {after}"))
    })
}

/// Neither a stranger nor a foreign certificate gets in.
fn turn_strangers_away(stage: &Stage<'_>) -> Result<(), DemoError> {
    for (who, identity) in
        [("a stranger without descriptor key", "stranger"), ("a foreign certificate", "foreign")]
    {
        stage.step(&format!("{who} is refused"), |step| {
            match stage.device.cli(&["probe", "--as", identity]) {
                Ok(done) => Err(DemoError::Wrong(format!("it was let in: {}", done.value))),
                Err(CommandError::Failed { kind, detail, code, .. }) => {
                    step.figure("refused_by", if kind.is_empty() { format!("exit {code}") } else { kind });
                    step.figure("says", detail);
                    Ok(())
                }
                Err(error) => Err(error.into()),
            }
        })?;
    }
    Ok(())
}

fn revoke_a_device(stage: &Stage<'_>) -> Result<(), DemoError> {
    let laptop = Device::new(stage.world, &stage.autonomy, "laptop")?;
    stage.step("a second device is let in", |_| {
        let request = text(&laptop.cli(&["device", "request", "--name", "laptop"])?.value, "request")?;
        let grant =
            text(&stage.device.cli(&["device", "add", &request, "--access", "limited"])?.value, "grant")?;
        laptop.cli(&["device", "join", &grant])?;
        let seen = laptop.cli(&["account", "list"])?.value;
        must(sat(&seen, "confirmed_sat") > 0, || format!("it sees nothing: {seen}"))
    })?;
    stage.step("revoked, it is refused at once", |step| {
        stage.device.cli(&["device", "revoke", "laptop", "--yes"])?;
        let asked = clock::now();
        // Its connection is still open: it is the pod that no longer answers it.
        match laptop.cli(&["status"]) {
            Ok(done) => Err(DemoError::Wrong(format!("it is still answered: {}", done.value))),
            Err(CommandError::Failed { kind, detail, .. }) => {
                step.figure("refused_after_seconds", round(asked.elapsed().as_secs_f64()));
                step.figure("refused_by", kind);
                step.figure("says", detail);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    })
}

fn rest(stage: &Stage<'_>) -> Result<(), DemoError> {
    stage.step("the pod at rest", |step| {
        let megabytes = stage.pod.pid().and_then(resident_megabytes);
        step.figure("resident_mb", megabytes.ok_or_else(|| DemoError::Wrong("the pod has ended".into()))?);
        let size = fs::metadata(stage.autonomy.path()).map_or(0, |metadata| metadata.len());
        step.figure("program_mb", round(size as f64 / 1e6));
        Ok(())
    })
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
