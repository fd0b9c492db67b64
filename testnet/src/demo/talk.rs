//! Act `talk`: two people become contacts and exchange messages and files, though they are never
//! online together, relays fail, circuits break, and a pod is restored from an old backup.

mod apart;
mod cast;
mod file;
mod restore;
mod together;

use std::time::Duration;

use super::{DemoError, TalkSize, faults::RelayFaults, person::Person, stage::Stage};
pub(super) use apart::meet;
pub(super) use cast::{Cast, Participant, add_relays};
pub(super) use file::send_file;

/// Interval of Tor relay failures during the file: short, so that some of them meet it. On two
/// cores 20 MB arrive within half a minute.
const FILE_FAULTS: Duration = Duration::from_secs(15);

/// Plays the act. Both people keep their pods with `--keep`.
pub(super) fn play(stage: &Stage<'_>, size: TalkSize) -> Result<Vec<Person>, DemoError> {
    let mut cast = Cast::set(stage)?;
    add_relays(&cast)?;
    apart::become_contacts(&mut cast)?;
    apart::converse(&mut cast)?;
    together::gather(&cast)?;
    let backup = restore::back_up(&cast)?;
    together::measure(&mut cast, size.burst)?;
    let faults = RelayFaults { every: FILE_FAULTS, silent_too: true };
    send_file(&cast, "a file, while Tor relays die or fall silent", size.file_mb * 1_000_000, faults)
        .map(drop)?;
    restore::restore(&mut cast, &backup)?;
    Ok(cast.leave())
}
