//! What is remembered of a contact: who they are, and the stage that the two of us have reached. Each stage owns what is
//! valid in it.
//!
//! ```text
//!                 their invite is redeemed                  their card arrives
//!    ┌─▶ Known ─────────────────────────────▶ Joining ───────────────────────────┐
//!    │     │                                     │ it fails, or they are removed ▼
//!    └─────│─────────────────────────────────────┘                            Active ◀──▶ Blocked
//!    ▲     │ they redeem ours                                                    ▲
//!    │     └────────────────────────────────▶ Asking ────────────────────────────┘
//!    └── declined ──────────────────────────────┘     the owner confirms them
//! ```
//!
//! A person who was not on record before is forgotten in place of becoming known again; one who was a contact is one again
//! (see [`returning`](super::returning)).
//!
//! The stage decides what is there to be used: a [`Pair`] only once there was a group, queues only for those who may
//! write to us, a card of theirs only once one came. So code that needs one of these asks the record for it and has
//! to say what happens where it is missing.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    ids::InviteId,
    own_queue::OwnQueue,
    pair::Pair,
    states::{ContactState, Timestamp},
    stored::{StoredInvite, optional_text},
};
use crate::{Name, RootPublic, vcard::Note};

/// Longest file taken from a contact until the owner sets another limit: 256 MiB.
pub const DEFAULT_FILE_LIMIT: u64 = 256 << 20;

/// What is remembered of a contact. Changes rarely.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ContactRecord {
    pub(super) profile: Profile,
    pub(super) stage: Stage,
    /// What was between us before, while a contact asks or is joined once more: it is gone back to if that leads nowhere.
    pub(super) former: Option<Box<Active>>,
    /// Since when they are blocked, as long as their queues are kept.
    pub(super) blocked_since: Option<Timestamp>,
}

/// Who a person is, and what the owner says about them. Valid in every stage.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Profile {
    /// Checked when the record was made or read.
    root: [u8; 32],
    /// What the owner calls them, if they do.
    #[zeroize(skip)]
    #[serde(with = "optional_text")]
    pub(super) name: Option<Name>,
    /// What the owner noted about them, if anything.
    #[zeroize(skip)]
    #[serde(with = "optional_text")]
    pub(super) note: Option<Note>,
    /// Whether the safety numbers were compared.
    pub(super) verified: bool,
    /// The owner put them on record before there was anything else between us: that stays when an invite leads nowhere.
    pub(super) on_record: bool,
    /// When the record was made; kept when a known person becomes a contact.
    pub(super) created_at: Timestamp,
    /// Longest file taken from them, bytes.
    pub(super) file_limit: u64,
}

/// How far the two of us are.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Known by an imported card, and nothing more.
    Known,
    /// We redeem their invite.
    Joining(Joining),
    /// They redeemed our invite; we have not confirmed them yet.
    Asking(Asking),
    /// Messages go both ways.
    Active(Active),
    /// The owner blocked them: what they send is dropped, and no invite is kept for them.
    Blocked(Active),
}

/// An invite of theirs that we redeem.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Joining {
    /// What is redeemed; gone with the stage.
    pub(super) invite: StoredInvite,
    /// How far the redemption is.
    pub(super) step: JoinStep,
    /// Ours for the inviter, so that they can answer.
    pub(super) queues: Queues,
    /// What the introduction says of us.
    pub(super) our_card: OurCard,
}

/// What comes next in a redemption.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum JoinStep {
    /// Fetch the inviter's key package.
    Redeem,
    /// Wait since then for our queues to be made, and introduce ourselves with this key package.
    Queues(Vec<u8>, Timestamp),
    /// Leave the introduction, and wait to be confirmed.
    Introduced(Introduced),
}

/// An introduction that was made.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Introduced {
    /// The introduction: an envelope.
    pub(super) hello: Vec<u8>,
    /// When it was left first, for all we know.
    pub(super) left: Option<Timestamp>,
    /// Of the group that the introduction begins.
    pub(super) pair: Pair,
}

/// One who redeemed our invite.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Asking {
    pub(super) invite: InviteId,
    /// Of the group that they began with us.
    pub(super) pair: Pair,
    /// Their signed card, checked when it came. It grants the right to deposit in their queues.
    pub(super) their_card: Zeroizing<Vec<u8>>,
}

/// A contact.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Active {
    pub(super) pair: Pair,
    /// Their signed card, checked when it came. It grants the right to deposit in their queues.
    pub(super) their_card: Zeroizing<Vec<u8>>,
    /// The last card that we queued for them.
    pub(super) our_card: OurCard,
    /// Ours for them; kept while they are blocked, so that the address they know leads to us again afterwards.
    pub(super) queues: Queues,
    /// The invite they redeemed, until they are heard from after they were confirmed.
    pub(super) awaited_by: Option<InviteId>,
    /// A new group of ours that they have not answered yet: an envelope.
    pub(super) pending_reset: Option<Vec<u8>>,
}

/// Our last card to a contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OurCard {
    /// Its version; 0 if there was none.
    pub(super) version: u32,
    /// What it said, so that the next is sent only if it says something else. All zero: it is to be sent again.
    pub(super) digest: [u8; 32],
}

/// Our queues for a contact.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Queues {
    /// What their names come from, and the rights to them; all zero until the first is made.
    pub(super) seed: [u8; 32],
    #[zeroize(skip)]
    pub(super) all: Vec<OwnQueue>,
}

impl ContactRecord {
    /// A person in a stage.
    pub(super) fn new(root: &RootPublic, stage: Stage, now: Timestamp) -> Self {
        let profile = Profile {
            root: *root.as_bytes(),
            name: None,
            note: None,
            verified: false,
            on_record: false,
            created_at: now,
            file_limit: DEFAULT_FILE_LIMIT,
        };
        Self::of(profile, stage)
    }

    /// One of whom something is known.
    pub(super) fn of(profile: Profile, stage: Stage) -> Self {
        Self { profile, stage, former: None, blocked_since: None }
    }

    pub(super) fn root(&self) -> RootPublic {
        self.profile.root()
    }

    /// The stage as the owner sees it.
    pub(super) fn state(&self) -> ContactState {
        match self.stage {
            Stage::Known => ContactState::Known,
            Stage::Joining(_) => ContactState::Joining,
            Stage::Asking(_) => ContactState::Asking,
            Stage::Active(_) => ContactState::Active,
            Stage::Blocked(_) => ContactState::Blocked,
        }
    }

    /// Keys and key packages, once there was a group.
    pub(super) fn pair(&self) -> Option<&Pair> {
        match &self.stage {
            Stage::Joining(Joining { step: JoinStep::Introduced(introduced), .. }) => Some(&introduced.pair),
            Stage::Asking(asking) => Some(&asking.pair),
            Stage::Active(active) | Stage::Blocked(active) => Some(&active.pair),
            Stage::Known | Stage::Joining(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn pair_mut(&mut self) -> Option<&mut Pair> {
        match &mut self.stage {
            Stage::Joining(Joining { step: JoinStep::Introduced(introduced), .. }) => {
                Some(&mut introduced.pair)
            }
            Stage::Asking(asking) => Some(&mut asking.pair),
            Stage::Active(active) | Stage::Blocked(active) => Some(&mut active.pair),
            Stage::Known | Stage::Joining(_) => None,
        }
    }

    /// Their card; none before one came.
    pub(super) fn their_card(&self) -> Option<&[u8]> {
        match &self.stage {
            Stage::Asking(asking) => Some(&asking.their_card),
            Stage::Active(active) | Stage::Blocked(active) => Some(&active.their_card),
            Stage::Known | Stage::Joining(_) => None,
        }
    }

    /// Which card they have of us; version 0 where they have none.
    pub(super) fn our_card(&self) -> OurCard {
        match &self.stage {
            Stage::Joining(joining) => joining.our_card,
            Stage::Active(active) | Stage::Blocked(active) => active.our_card,
            Stage::Known | Stage::Asking(_) => OurCard::default(),
        }
    }

    /// Where it is remembered which card they have of us.
    pub(super) fn our_card_mut(&mut self) -> Option<&mut OurCard> {
        match &mut self.stage {
            Stage::Joining(joining) => Some(&mut joining.our_card),
            Stage::Active(active) | Stage::Blocked(active) => Some(&mut active.our_card),
            Stage::Known | Stage::Asking(_) => None,
        }
    }

    /// Our queues for them, the one at the pod itself first.
    pub(super) fn queues(&self) -> &[OwnQueue] {
        match &self.stage {
            Stage::Joining(joining) => &joining.queues.all,
            Stage::Active(active) | Stage::Blocked(active) => &active.queues.all,
            Stage::Known | Stage::Asking(_) => &[],
        }
    }

    /// The same, to be changed. None in a stage that has no queues.
    pub(super) fn queues_mut(&mut self) -> Option<&mut Queues> {
        match &mut self.stage {
            Stage::Joining(joining) => Some(&mut joining.queues),
            Stage::Active(active) | Stage::Blocked(active) => Some(&mut active.queues),
            Stage::Known | Stage::Asking(_) => None,
        }
    }

    /// The invite of ours that brought them, while it matters.
    pub(super) fn invite(&self) -> Option<InviteId> {
        match &self.stage {
            Stage::Asking(asking) => Some(asking.invite),
            Stage::Active(active) => active.awaited_by,
            Stage::Known | Stage::Joining(_) | Stage::Blocked(_) => None,
        }
    }

    /// Whether they asked by this invite and wait to be confirmed.
    pub(super) fn asks_by(&self, invite: InviteId) -> bool {
        matches!(&self.stage, Stage::Asking(asking) if asking.invite == invite)
    }

    /// The redemption, in that stage.
    pub(super) fn joining(&self) -> Option<&Joining> {
        if let Stage::Joining(joining) = &self.stage { Some(joining) } else { None }
    }

    /// The same, to be changed.
    pub(super) fn joining_mut(&mut self) -> Option<&mut Joining> {
        if let Stage::Joining(joining) = &mut self.stage { Some(joining) } else { None }
    }

    /// The contact, in that stage and not blocked.
    pub(super) fn active(&self) -> Option<&Active> {
        if let Stage::Active(active) = &self.stage { Some(active) } else { None }
    }

    /// The same, to be changed.
    pub(super) fn active_mut(&mut self) -> Option<&mut Active> {
        if let Stage::Active(active) = &mut self.stage { Some(active) } else { None }
    }

    /// A new group of ours that a contact has not answered yet.
    pub(super) fn pending_reset(&self) -> Option<&[u8]> {
        self.active()?.pending_reset.as_deref()
    }

    /// The owner confirmed one who asks. Gives the invite, whose queue they may still need.
    ///
    /// None in any other stage, which is left as it is.
    pub(super) fn confirm(&mut self) -> Option<InviteId> {
        match std::mem::replace(&mut self.stage, Stage::Known) {
            Stage::Asking(Asking { invite, pair, their_card }) => {
                self.stage = Stage::Active(Active {
                    pair,
                    their_card,
                    our_card: OurCard::default(),
                    queues: Queues::default(),
                    awaited_by: Some(invite),
                    pending_reset: None,
                });
                Some(invite)
            }
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Takes a card of theirs. Of an inviter it is the first, and says that they confirmed us: contacts from then on.
    /// Whether that is so.
    pub(super) fn take_card(&mut self, card: &[u8]) -> bool {
        match std::mem::replace(&mut self.stage, Stage::Known) {
            Stage::Joining(Joining {
                step: JoinStep::Introduced(Introduced { pair, .. }),
                queues,
                our_card,
                ..
            }) => {
                let their_card = Zeroizing::new(card.to_vec());
                let (awaited_by, pending_reset) = (None, None);
                self.stage =
                    Stage::Active(Active { pair, their_card, our_card, queues, awaited_by, pending_reset });
                return true;
            }
            mut other => {
                let card = Zeroizing::new(card.to_vec());
                match &mut other {
                    Stage::Asking(asking) => asking.their_card = card,
                    Stage::Active(active) | Stage::Blocked(active) => active.their_card = card,
                    Stage::Known | Stage::Joining(_) => {}
                }
                self.stage = other;
            }
        }
        false
    }

    /// Blocks a contact, or lifts that. Whether anything changed; none if they are no contact.
    ///
    /// Blocking forgets that an invite waits for them; everything else is kept for the day they are unblocked.
    pub(super) fn set_blocked(&mut self, blocked: bool) -> Option<bool> {
        match (std::mem::replace(&mut self.stage, Stage::Known), blocked) {
            (Stage::Active(active), true) => {
                self.stage = Stage::Blocked(Active { awaited_by: None, ..active });
                Some(true)
            }
            (Stage::Blocked(active), false) => {
                self.stage = Stage::Active(active);
                Some(true)
            }
            (same, _) => {
                self.stage = same;
                matches!(self.stage, Stage::Active(_) | Stage::Blocked(_)).then_some(false)
            }
        }
    }
}

impl Profile {
    #[expect(
        clippy::expect_used,
        reason = "the root was a key when the record was made, and the restore compares it with the name of the contact"
    )]
    pub(super) fn root(&self) -> RootPublic {
        RootPublic::from_bytes(&self.root).expect("checked when the record was made or read")
    }

    /// The bytes of a root key that was read and not checked yet.
    pub(super) fn root_bytes(&self) -> &[u8; 32] {
        &self.root
    }
}

impl Joining {
    /// Before anything was done.
    pub(super) fn new(invite: StoredInvite) -> Self {
        Self { invite, step: JoinStep::Redeem, queues: Queues::default(), our_card: OurCard::default() }
    }
}
