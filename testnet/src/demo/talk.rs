//! Act `talk`: two people become contacts and exchange messages and files, though they are never there together, relays
//! die, circuits break, and a pod comes back from an old backup.

mod apart;
mod cast;
mod file;
mod restore;
mod together;

use std::time::Duration;

use super::{DemoError, TalkSize, person::Person, stage::Stage, unrest::Unrest};
pub(super) use apart::meet;
pub(super) use cast::{Cast, Talker, add_relays};
pub(super) use file::send_file;

/// Often, so that some of it meets the file: on two cores 20 MB are there after half a minute.
const FILE_UNREST: Duration = Duration::from_secs(15);

/// Plays the act; both go on with `--keep`.
pub(super) fn play(stage: &Stage<'_>, size: TalkSize) -> Result<Vec<Person>, DemoError> {
    let mut cast = Cast::set(stage)?;
    add_relays(&cast)?;
    apart::become_contacts(&mut cast)?;
    apart::converse(&mut cast)?;
    together::gather(&cast)?;
    let backup = restore::back_up(&cast)?;
    together::measure(&mut cast, size.burst)?;
    let unrest = Unrest { every: FILE_UNREST, silent_too: true };
    send_file(&cast, "a file, while Tor relays die or fall silent", size.file_mb * 1_000_000, unrest)?;
    restore::restore(&mut cast, &backup)?;
    Ok(cast.leave())
}
