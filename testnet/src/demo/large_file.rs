//! Act `file`: a file of the largest size from one pod to another, while Tor relays fail. It takes
//! half an hour, so it is not among the usual acts.

use std::time::Duration;

use super::{
    DemoError, FileSize,
    faults::RelayFaults,
    person::Person,
    stage::Stage,
    talk::{Cast, add_relays, meet, send_file},
};

/// Plays the act. Both people keep their pods with `--keep`.
pub(super) fn play(stage: &Stage<'_>, size: FileSize, kill_every: u64) -> Result<Vec<Person>, DemoError> {
    let mut cast = Cast::set(stage)?;
    add_relays(&cast)?;
    meet(&mut cast)?;
    let bytes = size.mebibytes << 20;
    stage.step("both take files as large as that", |_| {
        for participant in [&cast.alice, &cast.bob] {
            participant.person.pod.cli(&["file", "limit", &participant.contact, &bytes.to_string()])?;
        }
        Ok(())
    })?;
    let faults = RelayFaults { every: Duration::from_secs(kill_every), silent_too: false };
    let name = format!("a file of {} MiB; a Tor relay killed every {kill_every} s", size.mebibytes);
    send_file(&cast, &name, bytes, faults)?;
    Ok(cast.leave())
}
