//! Act `pay`: one pod, one device, one payment, and nobody else comes in.

mod doors;
mod money;
mod setup;

use std::fs;

use super::{
    DemoError,
    figures::{megabytes, resident},
    stage::Stage,
};

pub(super) fn play(stage: &Stage<'_>) -> Result<(), DemoError> {
    let pod = setup::provision(stage)?;
    setup::connect(stage)?;
    setup::measure_connections(stage)?;
    let descriptors = setup::create_account(stage)?;
    let address = money::receive_address(stage, &descriptors)?;
    money::arrives(stage, &address)?;
    money::pay(stage)?;
    money::watch_only(stage, &descriptors)?;
    doors::survive_a_kill(stage, &pod)?;
    doors::turn_strangers_away(stage, &pod)?;
    doors::revoke_a_device(stage)?;
    rest(stage)
}

fn rest(stage: &Stage<'_>) -> Result<(), DemoError> {
    stage.step("the pod at rest", |step| {
        let ended = || DemoError::Wrong("the pod has ended".into());
        step.figure("resident_mb", stage.pod.pid().and_then(resident).ok_or_else(ended)?);
        let size = fs::metadata(stage.autonomy.path()).map_or(0, |metadata| metadata.len());
        step.figure("program_mb", megabytes(size));
        Ok(())
    })
}
