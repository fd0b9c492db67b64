//! Act `talk`: two people become contacts and exchange messages and files, though they are never there together, relays
//! die, circuits break, and a pod comes back from an old backup.

mod apart;
mod cast;
mod file;
mod restore;
mod together;

use super::{DemoError, TalkSize, person::Person, stage::Stage};
pub(super) use apart::meet;
pub(super) use cast::{Cast, Talker, add_relays};

/// Plays the act; both go on with `--keep`.
pub(super) fn play(stage: &Stage<'_>, size: TalkSize) -> Result<Vec<Person>, DemoError> {
    let mut cast = Cast::set(stage)?;
    add_relays(&cast)?;
    apart::become_contacts(&mut cast)?;
    apart::converse(&mut cast)?;
    together::gather(&cast)?;
    let backup = restore::back_up(&cast)?;
    together::measure(&mut cast, size.burst)?;
    file::send(&cast, size.file_mb)?;
    restore::restore(&mut cast, &backup)?;
    Ok(cast.leave())
}
