//! The outcome of one input.

use super::{effect::Effect, reply::Reply, row::Row};

/// Commit `rows` in one transaction, then carry out `effects`, then give `reply`.
#[must_use = "rows that are not committed are forgotten, effects that are not carried out never happen"]
#[derive(Debug, Default)]
pub struct Step {
    /// New states, in the order they were applied; a later row of the same key wins.
    pub rows: Vec<Row>,
    /// What to do once the rows are safe.
    pub effects: Vec<Effect>,
    /// The answer, where a request was the input.
    pub reply: Option<Reply>,
}
