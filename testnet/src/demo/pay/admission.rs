//! The pod comes back after a kill, and admits only its owner's devices.

use autonomy_testnet::clock;

use super::{Play, money::confirmed, setup::PodFacts};
use crate::demo::{
    DemoError,
    figures::seconds,
    stage::{must, number, refusal, text},
};

/// Kills the pod, starts it, and checks that address and balance are as before.
pub(super) fn survive_a_kill(play: &Play<'_>, pod: &PodFacts) -> Result<(), DemoError> {
    play.stage.step("pod killed and restarted", |step| {
        let before = confirmed(play)?;
        play.person.pod.kill();
        let started = clock::now();
        play.person.pod.run()?;
        let status = play.person.reachable(step)?;
        step.figure("start_to_reachable_seconds", seconds(started.elapsed()));
        let again = text(&status["onion"]["app"], "address")?;
        must(again == pod.onion, || format!("the address was {}, now it is {again}", pod.onion))?;
        // The device's agent may still hold a circuit to the pod that was killed.
        let (list, failed) = play.person.once_reached(&["account", "list"])?;
        step.figure("device_back_seconds", seconds(started.elapsed()));
        step.figure("failed_commands", failed);
        let after = number(&list.value, "confirmed_sat")?;
        must(before == after, || format!("the balance was {before} sat, now it is {after}"))?;
        step.figure("balance_sat", after);
        Ok(())
    })
}

/// Checks that a stranger and a foreign certificate are refused while the device is admitted.
pub(super) fn refuse_strangers(play: &Play<'_>, pod: &PodFacts) -> Result<(), DemoError> {
    let stranger = play.stage.another_device("stranger")?;
    play.stage.step("a stranger without descriptor key is refused", |step| {
        let probe = ["probe", "--as", "stranger", "--onion", &pod.onion, "--pod-key", &pod.key];
        let (kind, words) = refusal(stranger.cli(&probe), &["descriptor-key"])?;
        step.figure("refused_by", kind);
        step.figure("says", words);
        Ok(())
    })?;
    play.stage.step("a foreign certificate is refused", |step| {
        // It has the descriptor key and so finds the service; TLS refuses it.
        let (kind, words) = refusal(play.person.device.cli(&["probe", "--as", "foreign"]), &["certificate"])?;
        step.figure("refused_by", kind);
        step.figure("says", words);
        play.person.device.cli(&["status"])?;
        Ok(())
    })
}

/// Adds a second device, revokes it, and checks that it gets neither answers nor new connections.
pub(super) fn revoke_a_device(play: &Play<'_>) -> Result<(), DemoError> {
    let laptop = play.stage.another_device("laptop")?;
    play.stage.step("a second device is added", |step| {
        let request = text(&laptop.cli(&["device", "request", "--name", "laptop"])?.value, "request")?;
        let added = play.person.device.cli(&["device", "add", &request, "--access", "limited"])?;
        laptop.cli(&["device", "join", &text(&added.value, "grant")?])?;
        let (seen, ours) = (laptop.cli(&["account", "list"])?.value, confirmed(play)?);
        must(number(&seen, "confirmed_sat")? == ours, || format!("{ours} sat are there, it sees {seen}"))?;
        step.figure("balance_sat", ours);
        Ok(())
    })?;
    play.stage.step("revoked, it is refused at once", |step| {
        play.person.device.cli(&["device", "revoke", "laptop", "--yes"])?;
        let revoked = clock::now();
        let (kind, words) = refusal(laptop.cli(&["status"]), &["not-admitted"])?;
        step.figure("refused_after_seconds", seconds(revoked.elapsed()));
        step.figure("refused_by", kind);
        step.figure("says", words);
        Ok(())
    })?;
    play.stage.step("revoked, it gets no new connection", |step| {
        // Whether TLS or restricted discovery refuses it depends on when Tor's directories get the new descriptor.
        let (kind, words) =
            refusal(laptop.cli(&["probe", "--as", "profile"]), &["certificate", "descriptor-key"])?;
        step.figure("refused_by", kind);
        step.figure("says", words);
        play.person.device.cli(&["status"])?;
        Ok(())
    })
}
