//! Act `talk`: two people become contacts and exchange messages and files, though they are never there together, relays
//! die, circuits break, and a pod comes back from an old backup.

mod apart;
mod cast;

use super::{DemoError, TalkSize, person::Person, stage::Stage};
use cast::Cast;

/// Plays the act; both go on with `--keep`.
pub(super) fn play(stage: &Stage<'_>, _size: TalkSize) -> Result<Vec<Person>, DemoError> {
    let mut cast = Cast::set(stage)?;
    cast::add_relays(&cast)?;
    apart::become_contacts(&mut cast)?;
    apart::converse(&mut cast)?;
    Ok(vec![cast.alice.person, cast.bob.person])
}
