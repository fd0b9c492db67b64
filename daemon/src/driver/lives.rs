//! Calls of a node that was read again from its store are not those of the node before.
//!
//! The messenger numbers its calls from the start on. After a failed commit there is a new one in the same process, and
//! answers to the old one's calls may still come: they must not count as answers to calls of the same number.

use autonomy_messaging::{lane::CallId, messenger};

/// Which node of this process it is: the first is 0.
pub(super) type Life = u64;

/// Calls of one life: far more than any makes.
const CALLS: u64 = 1 << 40;

/// The life after this one.
pub(super) const fn next(life: Life) -> Life {
    life + 1
}

/// An effect of this life, for the network.
pub(super) fn to_network(life: Life, effect: messenger::Effect) -> messenger::Effect {
    match effect {
        messenger::Effect::Call { call, place, lane, request } => {
            messenger::Effect::Call { call: CallId(call.0 + life * CALLS), place, lane, request }
        }
        other => other,
    }
}

/// An input from the network, if it is not of an earlier life.
pub(super) fn from_network(life: Life, input: messenger::Input) -> Option<messenger::Input> {
    match input {
        messenger::Input::Called { call, outcome } => {
            let of_this = call.0 / CALLS == life;
            of_this.then_some(messenger::Input::Called { call: CallId(call.0 % CALLS), outcome })
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use autonomy_messaging::{lane::Unreached, messenger::Input};

    use super::*;

    fn answer(call: u64) -> Input {
        Input::Called { call: CallId(call), outcome: Err(Unreached { detail: String::new() }) }
    }

    #[test]
    fn answers_to_calls_of_an_earlier_life_are_dropped() {
        assert!(matches!(from_network(0, answer(5)), Some(Input::Called { call: CallId(5), .. })));
        assert!(from_network(1, answer(5)).is_none());
        assert!(matches!(from_network(1, answer(CALLS + 5)), Some(Input::Called { call: CallId(5), .. })));
    }
}
