//! Act `pay`: one pod, one device, one payment, and strangers are refused.

mod admission;
mod money;
mod setup;

use std::fs;

use super::{
    DemoError,
    figures::{megabytes, resident},
    person::Person,
    stage::Stage,
};

/// What the steps of this act share.
struct Play<'a> {
    stage: &'a Stage<'a>,
    /// Whose pod and device they are.
    person: Person,
}

/// Plays the act. The person keeps the pod with `--keep`.
pub(super) fn play(stage: &Stage<'_>) -> Result<Person, DemoError> {
    let play = Play { stage, person: Person::new(stage, "pod", "device")? };
    act(&play)?;
    Ok(play.person)
}

/// The steps in their order.
fn act(play: &Play<'_>) -> Result<(), DemoError> {
    let pod = setup::provision(play)?;
    setup::connect(play)?;
    setup::measure_connections(play)?;
    let descriptors = setup::create_account(play)?;
    let address = money::receive_address(play, &descriptors)?;
    money::arrives(play, &address)?;
    money::pay(play)?;
    money::watch_only(play, &descriptors)?;
    admission::survive_a_kill(play, &pod)?;
    admission::refuse_strangers(play, &pod)?;
    admission::revoke_a_device(play)?;
    rest(play)
}

/// Measures the pod once nothing happens any more.
fn rest(play: &Play<'_>) -> Result<(), DemoError> {
    play.stage.step("the pod at rest", |step| {
        let ended = || DemoError::Wrong("the pod has ended".into());
        step.figure("resident_mb", play.person.pod.pid().and_then(resident).ok_or_else(ended)?);
        let size = fs::metadata(play.stage.autonomy.path()).map_or(0, |metadata| metadata.len());
        step.figure("program_mb", megabytes(size));
        Ok(())
    })
}
