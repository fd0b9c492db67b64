//! What a command is to the rest: whether it changes anything, and what doing it twice would do.

use autonomy_messaging::messenger::Command as Mail;
use serde::{Deserialize, Serialize};

use super::Command;

/// The class of a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// It changes nothing.
    Read,
    /// It moves money, or gives out keys or addresses. Done twice, it does so once more.
    Money,
    /// It says something to somebody. Done twice, it says it once more.
    Message,
    /// It says how something shall be. Done twice, it leaves that as it is.
    #[default]
    Setting,
    /// It removes something, or makes it removable, so that there is room again. Done twice, it is gone as well.
    Removal,
}

impl Command {
    /// What this command is to the rest.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Status
            | Self::Devices
            | Self::Accounts
            | Self::Account(_)
            | Self::Addresses(..)
            | Self::History(..)
            | Self::Payments(_)
            | Self::Payment(_)
            | Self::Profile
            | Self::Safety(_)
            | Self::Events { .. } => Class::Read,
            Self::BeginAccount(_)
            | Self::CompleteAccount(..)
            | Self::NewAddress(_)
            | Self::NewPayment(..)
            | Self::ApprovePayment(..)
            | Self::CancelPayment(_)
            | Self::GiveUpPayment(_) => Class::Money,
            Self::Session(_) => Class::Message,
            Self::Mail(command) => of_mail(command),
            _ => Class::Setting,
        }
    }
}

const fn of_mail(command: &Mail) -> Class {
    match command {
        Mail::Status
        | Mail::Invites
        | Mail::InviteById(_)
        | Mail::Contacts
        | Mail::Contact(_)
        | Mail::Messages { .. }
        | Mail::Relays
        | Mail::Files(_)
        | Mail::File(..)
        | Mail::ReadFile { .. }
        | Mail::ExportCard(_) => Class::Read,
        Mail::Invite { .. }
        | Mail::Accept { .. }
        | Mail::Send { .. }
        | Mail::SendApplication { .. }
        | Mail::OfferFile { .. } => Class::Message,
        Mail::MarkRead { .. } | Mail::RemoveFile(..) | Mail::Remove(_) | Mail::CancelInvite(_) => {
            Class::Removal
        }
        _ => Class::Setting,
    }
}
