//! Who may make a queue at a place, the harder the fuller it is.
//!
//! A place that is half empty takes anybody. From there on each further queue costs its owner work that doubles with
//! every sixteenth of the room, so a flood pays for itself while a pod that opens three queues hardly notices. A
//! place can also be closed to strangers: then a token of its operator is needed. Those who have a queue already are
//! not affected.

use std::fmt;

use zeroize::Zeroizing;

use super::QueueLimits;
use crate::keys::derive_key;
use crate::place::{Capability, CapabilityHash, QueueId};
use crate::wire::{MAX_WORK_BITS, PlaceRefusal, Ticket, is_worked};

/// Seconds for which a challenge is given out; it is taken for as long again. Enough for a slow machine and Tor.
const CHALLENGE_PERIOD: u64 = 600;

/// Work asked for when half of the queues are in use: 2^12 hashes, some milliseconds.
const LEAST_BITS: u8 = 12;
/// Steps of one bit from there to the last queue: the work doubles with each sixteenth, up to 2^20 hashes, half a second.
const STEPS: u8 = 8;

const _: () = assert!(LEAST_BITS + STEPS <= MAX_WORK_BITS);

/// Decides about tickets. Keeps nothing: a challenge follows from a secret of the place and the time.
///
/// Challenges change every ten minutes, so work cannot be done in advance or sold on for long.
pub struct Pressure {
    /// Random at each start of the place.
    secret: Zeroizing<[u8; 32]>,
    /// Hashes of the operator's invitation tokens.
    tokens: Vec<CapabilityHash>,
    /// Whether those without a token may come at all.
    strangers: bool,
}

impl Pressure {
    /// `secret` makes challenges that nobody can foresee; `tokens` are the hashes of the operator's invitation tokens;
    /// `strangers` says whether anybody without one may come too.
    #[must_use]
    pub fn new(secret: [u8; 32], tokens: Vec<CapabilityHash>, strangers: bool) -> Self {
        Self { secret: Zeroizing::new(secret), tokens, strangers }
    }

    /// Whether one more queue is made, where there are `queues` already. A token stands for work; at the cap nobody
    /// gets one, token or not.
    ///
    /// # Errors
    /// [`PlaceRefusal::TooManyQueues`] at the cap, [`PlaceRefusal::BadTicket`] for an unknown token, wrong work, or a stranger
    /// where none may come, [`PlaceRefusal::WorkNeeded`] with the challenge of now where work is missing or was done for
    /// an old one.
    pub fn admit(
        &self,
        now: u64,
        queues: u64,
        limits: &QueueLimits,
        queue: &QueueId,
        ticket: &Ticket,
    ) -> Result<(), PlaceRefusal> {
        if queues >= limits.max_queues {
            return Err(PlaceRefusal::TooManyQueues);
        }
        match ticket {
            Ticket::Token(token) if self.knows(token) => Ok(()),
            Ticket::Token(_) => Err(PlaceRefusal::BadTicket),
            _ if !self.strangers => Err(PlaceRefusal::BadTicket),
            _ if work_bits(queues, limits) == 0 => Ok(()),
            Ticket::Open => Err(self.work_needed(now, queues, limits)),
            Ticket::Work { challenge, nonce } => {
                if ![now, now.saturating_sub(CHALLENGE_PERIOD)]
                    .map(|at| self.challenge(at))
                    .contains(challenge)
                {
                    return Err(self.work_needed(now, queues, limits));
                }
                // A step is granted: the place may have filled while they worked.
                let bits = work_bits(queues, limits) - 1;
                is_worked(challenge, queue, *nonce, bits).then_some(()).ok_or(PlaceRefusal::BadTicket)
            }
        }
    }

    /// Looks at every token, whichever it is.
    ///
    /// So the time it takes does not tell which of them matched.
    fn knows(&self, token: &Capability) -> bool {
        self.tokens.iter().fold(false, |known, hash| known | hash.admits(token))
    }

    /// What to answer to a stranger without a valid ticket.
    fn work_needed(&self, now: u64, queues: u64, limits: &QueueLimits) -> PlaceRefusal {
        PlaceRefusal::WorkNeeded { challenge: self.challenge(now), bits: work_bits(queues, limits) }
    }

    /// The challenge of the period in which `now` lies: HKDF of the secret and the period's number.
    fn challenge(&self, now: u64) -> [u8; 32] {
        let period = (now / CHALLENGE_PERIOD).to_be_bytes();
        *derive_key(b"autonomy queue challenge v1", &self.secret, &[&period])
    }
}

/// Work a stranger has to do for one more queue, where there are `queues` already: none while half of them are free.
///
/// 12 bits from half on, 20 for the last queue.
#[must_use]
pub fn work_bits(queues: u64, limits: &QueueLimits) -> u8 {
    let half = limits.max_queues / 2;
    let Some(over) = queues.checked_sub(half) else { return 0 };
    let range = u128::from((limits.max_queues - half).max(1));
    let step = u128::from(over) * u128::from(STEPS) / range;
    LEAST_BITS + u8::try_from(step).unwrap_or(STEPS).min(STEPS)
}

impl fmt::Debug for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pressure")
            .field("tokens", &self.tokens.len())
            .field("strangers", &self.strangers)
            .finish_non_exhaustive()
    }
}
