//! Which application kinds have a session in the embedding node.

use std::ops::RangeInclusive;

use crate::payload::{ApplicationKind, FIRST_APPLICATION_KIND};

/// Kinds that have a session. Other application kinds are shown to the owner as unknown.
#[derive(Debug, Default)]
pub(super) struct ServedKinds(Vec<RangeInclusive<u16>>);

impl ServedKinds {
    /// These ranges; kinds of the messenger are none of theirs.
    pub(super) fn new(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        let application = |range: &RangeInclusive<u16>| *range.start() >= FIRST_APPLICATION_KIND;
        Self(ranges.into_iter().filter(application).collect())
    }

    /// Whether a session here takes payloads of this kind.
    pub(super) fn contains(&self, kind: ApplicationKind) -> bool {
        self.0.iter().any(|range| range.contains(&kind.number()))
    }
}
