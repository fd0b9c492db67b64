//! What owners chose, as far as their pods answered: whom they block, what is on their cards, and who gets which fields.
//!
//! A command that was cut off with its pod may be carried out or not: until the next one that is answered, either is right.
//! A pod that is restored from a backup has the choices of that moment. Two who are strangers again have chosen nothing.
//!
//! What must hold: nothing of a contact who is blocked is shown, neither messages nor fields of their card; a contact never
//! has a field that was not chosen for them since the two last were strangers. This is compared whenever a row of a card is
//! on disk, or a message is shown.
//! `activities::cards` compares the end state.

use std::collections::{BTreeMap, BTreeSet};

use autonomy_api::{CardField, CardFields, ShareCard};
use autonomy_messaging::messenger::ContactId;
use autonomy_node::{
    SessionAnswer, SessionCommand,
    sessions::card::{CardAnswer, CardCommand},
};

use super::command::{Answer, Command};
use super::person::FULL;
use super::pod::Input;
use super::world::World;

/// All fields of a card.
pub(super) const CARD_FIELDS: [CardField; 4] =
    [CardField::Note, CardField::Email, CardField::Way, CardField::Picture];

/// What the owner of a pod chose and its contacts chose for it, as it has to be on its disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Choices {
    /// The fields of the owner's card.
    pub(super) own: Latest<CardFields>,
    /// By the number of the other pod.
    about: BTreeMap<usize, ContactChoices>,
    /// Contacts of whose cards rows were written, and nobody looked since.
    unseen: BTreeSet<usize>,
}

/// The same about one contact.
#[derive(Debug, Clone, Default)]
struct ContactChoices {
    blocked: Latest<bool>,
    /// The fields that they get.
    shared: Latest<Vec<CardField>>,
    /// The fields of theirs that the pod has.
    has: CardFields,
}

/// What was chosen last: one value, or several while a command is not answered.
#[derive(Debug, Clone)]
pub(super) struct Latest<T>(Vec<T>);

/// A command that chooses something.
#[derive(Debug, Clone)]
pub(super) enum Choice {
    Block(ContactId, bool),
    SetOwn(Box<CardFields>),
    Share(ContactId, Vec<CardField>),
}

/// How far a command is. One that was cut off is never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Asked,
    Refused,
    Done,
}

impl Choice {
    /// What a command chooses, if it does.
    pub(super) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::SetBlocked(contact, blocked) => Self::Block(*contact, *blocked),
            Command::Session(SessionCommand::Card(CardCommand::SetOwn(fields))) => {
                Self::SetOwn(fields.clone())
            }
            Command::Session(SessionCommand::Card(CardCommand::Share(contact, ShareCard { fields }))) => {
                Self::Share(
                    *contact,
                    CARD_FIELDS.into_iter().filter(|field| fields.contains(field)).collect(),
                )
            }
            _ => return None,
        })
    }

    fn contact(&self) -> Option<ContactId> {
        match self {
            Self::Block(contact, _) | Self::Share(contact, _) => Some(*contact),
            Self::SetOwn(_) => None,
        }
    }
}

impl Choices {
    /// Whether the pod has to hold this contact as blocked.
    pub(super) fn has_blocked(&self, other: usize) -> bool {
        self.about.get(&other).is_some_and(|about| about.blocked.is(&true))
    }

    /// The fields that a contact gets.
    pub(super) fn shared_with(&self, other: usize) -> Latest<Vec<CardField>> {
        self.about.get(&other).map(|about| about.shared.clone()).unwrap_or_default()
    }
}

impl<T: PartialEq> Latest<T> {
    /// A command that chooses this is at this point.
    fn choose(&mut self, value: T, progress: Progress) {
        match progress {
            Progress::Asked => self.0.push(value),
            Progress::Refused => drop(self.0.pop()),
            Progress::Done => self.0 = vec![value],
        }
    }

    /// Whether it can be this.
    pub(super) fn may_be(&self, value: &T) -> bool {
        self.0.contains(value)
    }

    /// Whether it is this, and nothing else can be.
    fn is(&self, value: &T) -> bool {
        self.0.iter().all(|chosen| chosen == value)
    }
}

/// Nothing is chosen at first.
impl<T: Default> Default for Latest<T> {
    fn default() -> Self {
        Self(vec![T::default()])
    }
}

impl World {
    /// Notes what an owner chooses. One who is no contact is chosen nothing for: the pod refuses that.
    pub(super) fn note_choice(&mut self, pod: usize, choice: Choice, progress: Progress) {
        let known = choice.contact().filter(|contact| self.shells[pod].pod.knows(*contact));
        let other = known.and_then(|contact| self.people.get(&contact).copied());
        let choices = &mut self.shells[pod].choices;
        match (choice, other) {
            (Choice::SetOwn(fields), _) => choices.own.choose(*fields, progress),
            (Choice::Block(_, blocked), Some(other)) => {
                choices.about.entry(other).or_default().blocked.choose(blocked, progress);
                self.figures.blocked += u64::from(blocked && progress == Progress::Done);
            }
            (Choice::Share(_, fields), Some(other)) => {
                self.shells[other].chosen_for.entry(pod).or_default().extend(&fields);
                let choices = &mut self.shells[pod].choices;
                choices.about.entry(other).or_default().shared.choose(fields, progress);
            }
            (_, None) => {}
        }
    }

    /// The disk of a pod is an older one: what was chosen for its contacts then is chosen again.
    pub(super) fn choose_as_before(&mut self, pod: usize) {
        let about = self.shells[pod].choices.about.clone();
        for (other, ContactChoices { shared, .. }) in about {
            let chosen = shared.0.into_iter().flatten();
            self.shells[other].chosen_for.entry(pod).or_default().extend(chosen);
        }
    }

    /// A pod has removed a contact from its disk. What was chosen for the other one may still arrive, until they have removed
    /// this one too.
    pub(super) fn contact_removed(&mut self, pod: usize, contact: ContactId) {
        let Some(other) = self.people.get(&contact).copied() else { return };
        self.shells[pod].choices.about.remove(&other);
        let this = self.shells[pod].pod.contact_id();
        if !self.shells[other].pod.knows(this) {
            self.shells[pod].chosen_for.remove(&other);
            self.shells[other].chosen_for.remove(&pod);
        }
    }

    /// Rows of a contact's card were written: somebody is to look.
    pub(super) fn card_written(&mut self, pod: usize, contact: ContactId) {
        if let Some(other) = self.people.get(&contact) {
            self.shells[pod].choices.unseen.insert(*other);
        }
    }

    /// A device looks at the cards of which rows were written. No crash cuts that off, so that it sees each state which is on
    /// disk.
    pub(super) fn look_at_cards(&mut self, pod: usize) {
        while self.shells[pod].pod.is_running()
            && let Some(other) = self.shells[pod].choices.unseen.pop_first()
        {
            let contact = self.shells[other].pod.contact_id();
            let device = self.shells[pod].pod.person().device_key(FULL);
            let command = Command::Session(SessionCommand::Card(CardCommand::Of(contact)));
            let answer = self.give_until(pod, Input::Ask { device, key: None, command }, None);
            if let Some(Ok(Answer::Session(SessionAnswer::Card(CardAnswer::Of(card))))) = answer {
                self.check_fields(pod, other, card.theirs);
            }
        }
    }

    /// A pod has no fields but such as were chosen for it, and no new ones of a contact whom it blocks.
    fn check_fields(&mut self, pod: usize, other: usize, fields: CardFields) {
        let shell = &mut self.shells[pod];
        let about = shell.choices.about.entry(other).or_default();
        let chosen: Vec<CardField> = shell.chosen_for.get(&other).into_iter().flatten().copied().collect();
        let is_new = |field: &CardField| {
            let field = [*field];
            fields.only(&field) != CardFields::default() && fields.only(&field) != about.has.only(&field)
        };
        self.figures.card_fields += CARD_FIELDS.iter().filter(|field| is_new(field)).count() as u64;
        let before = std::mem::replace(&mut about.has, fields.clone());
        if fields != fields.only(&chosen) {
            let what =
                format!("of the card of pod {other} it has {fields:?}, and only {chosen:?} was ever chosen");
            self.breach(Some(pod), what);
        } else if fields != before && self.shells[pod].choices.has_blocked(other) {
            self.breach(Some(pod), format!("it has new fields of pod {other}, whom it blocks"));
        }
    }
}
