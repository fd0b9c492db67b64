//! What a device can ask of the pod's messenger: who may, and what is answered in the words of the API.
//!
//! Most commands are the messenger's own, built by the routes from requests that were checked as they were parsed. The
//! node has a command of its own only where one request is several steps for the messenger, or where an answer is
//! shown in another way.

use autonomy_messaging::{
    TransferId,
    messenger::{self, ContactId, RefusedBecause},
};

use super::{Answer, Id, Refusal, Reply, mail_answer, turn::Turn};
use autonomy_api::{Access, SetProfile, UpdateContact, place};

/// How far a device must be allowed to go. Who becomes a contact, and where messages wait, is decided with full
/// access; an invite is a right to ask, so its text is shown to nobody else.
pub(super) fn required_access(command: &messenger::Command) -> Access {
    use messenger::Command as To;
    match command {
        To::Status
        | To::Contacts
        | To::Contact(_)
        | To::Send { .. }
        | To::Messages { .. }
        | To::MarkRead { .. }
        | To::Files(_)
        | To::File(..)
        | To::OfferFile { .. }
        | To::LoadFile { .. }
        | To::ReadFile { .. }
        | To::RemoveFile(..)
        | To::ExportParcel(_)
        | To::ImportParcel(_)
        | To::ExportCard(_)
        | To::Relays => Access::Limited,
        To::SetName(_)
        | To::SetReach(_)
        | To::Invites
        | To::InviteById(_)
        | To::Invite { .. }
        | To::CancelInvite(_)
        | To::Accept { .. }
        | To::Confirm(_)
        | To::Rename(..)
        | To::SetVerified(..)
        | To::SetBlocked(..)
        | To::SetFileLimit(..)
        | To::Remove(_)
        | To::ExportInvite(_)
        | To::ImportCard(_)
        | To::AddRelay { .. }
        | To::RemoveRelay(_)
        // Sessions of the node send these; no route does.
        | To::SendApplication { .. } => Access::Full,
    }
}

/// What a command is about, for a refusal that says what is not there.
#[derive(Debug, Default)]
pub(super) struct Subject {
    /// The contact, invite or relay.
    of: String,
    /// The file, where it is about one of a contact's.
    file: Option<TransferId>,
}

impl Subject {
    /// What a command is about.
    pub(super) fn of(command: &messenger::Command) -> Self {
        use messenger::Command as To;
        match command {
            To::InviteById(id) | To::CancelInvite(id) | To::ExportInvite(id) => {
                Self { of: Id::from(*id).to_string(), file: None }
            }
            To::Confirm(id)
            | To::Contact(id)
            | To::Rename(id, _)
            | To::SetVerified(id, _)
            | To::SetBlocked(id, _)
            | To::SetFileLimit(id, _)
            | To::Remove(id)
            | To::Files(id)
            | To::ExportParcel(id)
            | To::ExportCard(id) => Self::contact(*id),
            To::Send { contact, .. }
            | To::SendApplication { contact, .. }
            | To::Messages { contact, .. }
            | To::MarkRead { contact, .. }
            | To::OfferFile { contact, .. } => Self::contact(*contact),
            To::File(contact, transfer)
            | To::RemoveFile(contact, transfer)
            | To::LoadFile { contact, transfer, .. }
            | To::ReadFile { contact, transfer, .. } => {
                Self { file: Some(*transfer), ..Self::contact(*contact) }
            }
            To::RemoveRelay(place) => Self { of: place::text(place), file: None },
            To::Status
            | To::SetName(_)
            | To::SetReach(_)
            | To::Invite { .. }
            | To::Invites
            | To::Accept { .. }
            | To::Contacts
            | To::AddRelay { .. }
            | To::Relays
            | To::ImportParcel(_)
            | To::ImportCard(_) => Self::default(),
        }
    }

    /// A contact, by the name that the API has for one.
    fn contact(id: ContactId) -> Self {
        Self { of: Id::from(id).to_string(), file: None }
    }

    /// The name of the thing of this kind.
    fn named(self, what: &str) -> String {
        match self.file {
            Some(file) if what == "file" => Id::from(file).to_string(),
            _ => self.of,
        }
    }
}

impl Turn<'_> {
    /// Hands a command to the messenger, and says what came of it in the words of the API.
    pub(super) fn mail_command(&mut self, command: messenger::Command) -> Reply {
        match command {
            messenger::Command::ExportCard(contact) => return self.export_card(contact),
            messenger::Command::ImportCard(card) => return self.import_card(card),
            _ => {}
        }
        Ok(mail_answer::answer(self.ask_messenger(command)?, self.cx.now))
    }

    /// How the owner is called and reached.
    pub(super) fn profile(&mut self) -> Reply {
        match self.ask_messenger(messenger::Command::Status)? {
            messenger::MailAnswer::Status(status) => Ok(Answer::Profile(mail_answer::profile(&status))),
            other => Ok(mail_answer::answer(other, self.cx.now)),
        }
    }

    /// Changes the name on cards, the way contacts reach the pod, or both. The way comes first: it is the one that the
    /// messenger may refuse, so that a refusal has changed nothing.
    pub(super) fn set_profile(&mut self, change: SetProfile) -> Reply {
        let reach = change.reach.map(messenger::Command::SetReach);
        let name = change.name.map(messenger::Command::SetName);
        let steps = [reach, name].into_iter().flatten().collect();
        self.ask_in_turn(steps, "give at least one of `name`, `reach`")?;
        self.profile()
    }

    /// What to compare with a contact: it follows from the two identities alone.
    pub(super) fn safety(&mut self, contact: ContactId) -> Reply {
        match self.ask_messenger(messenger::Command::Contact(contact))? {
            messenger::MailAnswer::Contact(view) => Ok(Answer::Safety(mail_answer::safety(&view))),
            other => Ok(mail_answer::answer(other, self.cx.now)),
        }
    }

    /// Renames, verifies, blocks, limits: all of it or nothing. Blocking comes first: it is the one that the messenger may
    /// refuse where the contact exists.
    pub(super) fn update_contact(&mut self, contact: ContactId, change: UpdateContact) -> Reply {
        let blocked = change.blocked.map(|blocked| messenger::Command::SetBlocked(contact, blocked));
        let verified = change.verified.map(|verified| messenger::Command::SetVerified(contact, verified));
        let renamed = change.name.map(|name| messenger::Command::Rename(contact, name));
        let limited = change.file_limit.map(|limit| messenger::Command::SetFileLimit(contact, limit));
        let steps = [blocked, verified, renamed, limited].into_iter().flatten().collect();
        let answer =
            self.ask_in_turn(steps, "give at least one of `name`, `verified`, `blocked`, `file_limit`")?;
        Ok(mail_answer::answer(answer, self.cx.now))
    }

    /// Several steps of one request, of which only the first can be refused. Gives the answer to the last.
    fn ask_in_turn(
        &mut self,
        steps: Vec<messenger::Command>,
        none: &str,
    ) -> Result<messenger::MailAnswer, Refusal> {
        let mut answer = Err(Refusal::invalid("name", none));
        for step in steps {
            answer = Ok(self.ask_messenger(step)?);
        }
        answer
    }
}

/// Why the messenger did nothing, by the name of what the command was about.
pub(super) fn refusal(because: RefusedBecause, subject: Subject) -> Refusal {
    match because {
        RefusedBecause::NotAdopted => Refusal::NotAdopted,
        RefusedBecause::Unknown(what) => Refusal::Unknown { what, id: subject.named(what) },
        RefusedBecause::Conflict(why) => Refusal::Conflict(why),
        RefusedBecause::Full { what, limit, remedy } => Refusal::Full { what, limit, remedy },
        RefusedBecause::Invalid { field, rule } => Refusal::Invalid { field, rule },
    }
}
