//! Act `file`: a file as large as they get, from one pod to another, while Tor relays die. Not part of the demonstration's
//! usual acts: it takes half an hour.

use std::time::Duration;

use super::{
    DemoError, FileSize,
    person::Person,
    stage::Stage,
    talk::{Cast, add_relays, meet, send_file},
    unrest::Unrest,
};

/// Plays the act; both go on with `--keep`.
pub(super) fn play(stage: &Stage<'_>, size: FileSize, kill_every: u64) -> Result<Vec<Person>, DemoError> {
    let mut cast = Cast::set(stage)?;
    add_relays(&cast)?;
    meet(&mut cast)?;
    let bytes = size.mebibytes << 20;
    stage.step("both take files as large as that", |_| {
        for talker in [&cast.alice, &cast.bob] {
            talker.person.pod.cli(&["file", "limit", &talker.contact, &bytes.to_string()])?;
        }
        Ok(())
    })?;
    let unrest = Unrest { every: Duration::from_secs(kill_every), silent_too: false };
    let name = format!("a file of {} MiB; a Tor relay killed every {kill_every} s", size.mebibytes);
    send_file(&cast, &name, bytes, unrest)?;
    Ok(cast.leave())
}
