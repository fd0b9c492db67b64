//! A pod is restored from an old backup.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use autonomy_testnet::clock;

use super::cast::Cast;
use crate::demo::{DemoError, figures::seconds, stage::must};

/// Time for both to make a new group and to exchange a message in it.
const LIMIT: Duration = Duration::from_secs(300);

/// Backs up Alice's pod. What happens later is not in the backup.
pub(super) fn back_up(cast: &Cast<'_>) -> Result<PathBuf, DemoError> {
    cast.stage.step("Alice's pod writes a backup", |step| {
        let file = cast.stage.world.folder().path().join("alice.backup");
        cast.alice.person.pod.cli(&["pod", "backup", &file.display().to_string()])?;
        step.figure("bytes", fs::metadata(&file).map_or(0, |metadata| metadata.len()));
        step.figure("said_before", cast.alice.said.len() + cast.bob.said.len());
        Ok(file)
    })
}

/// Alice's disk fails; her pod is restored from the backup, and the conversation continues.
pub(super) fn restore(cast: &mut Cast<'_>, backup: &Path) -> Result<(), DemoError> {
    let stage = cast.stage;
    stage.step("Alice's pod is restored from the backup", |step| {
        step.figure("said_since_then", cast.alice.said.len() + cast.bob.said.len());
        cast.alice.person.pod.kill();
        let data = cast.alice.person.pod.dir().join("data");
        fs::rename(&data, data.with_file_name("data-lost"))
            .map_err(|source| DemoError::File { what: format!("move {}", data.display()), source })?;
        cast.alice.person.pod.cli(&["pod", "restore", &backup.display().to_string()])?;
        cast.alice.on()
    })?;
    stage.step("they go on talking, re-keyed", |step| {
        let started = clock::now();
        let before = cast
            .alice
            .person
            .wait("the pod runs", LIMIT, || cast.alice.person.received(&cast.alice.contact).map(Some))?;
        let (from_alice, from_bob) = ("Alice, from the backup", "Bob, to the new Alice");
        cast.alice.send(from_alice.into())?;
        cast.bob.send(from_bob.into())?;
        // Bob has heard all of it once, whatever the restored pod believes.
        cast.bob.receive_all(&cast.alice, LIMIT)?;
        step.figure("until_bob_hears_seconds", seconds(started.elapsed()));
        let heard = cast.alice.person.wait("Alice hears Bob", LIMIT, || {
            let heard = cast.alice.person.received(&cast.alice.contact)?;
            Ok(heard.last().is_some_and(|last| last == from_bob).then_some(heard))
        })?;
        step.figure("until_alice_hears_seconds", seconds(started.elapsed()));
        let new = heard.get(before.len()..).unwrap_or_default();
        must(new.iter().filter(|words| *words == from_bob).count() == 1, || format!("Alice heard {new:?}"))?;
        for participant in [&cast.alice, &cast.bob] {
            participant.person.all_delivered(&participant.contact, LIMIT)?;
            let contact = participant.person.contact_in("active", LIMIT)?;
            must(contact["verified"] == true, || {
                format!("{} has lost the mark: {contact}", participant.name)
            })?;
        }
        step.figure("until_all_receipts_seconds", seconds(started.elapsed()));
        step.figure("still_verified", true);
        Ok(())
    })
}
