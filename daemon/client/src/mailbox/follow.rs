//! Waiting for what others do: a place that takes an invite, a contact that confirms, a message that arrives.

use std::time::Duration;

use super::Mailbox;
use crate::{CallError, DeviceError};
use autonomy_api::{Contact, ContactId, ContactState, Invite, InviteState, Message, MessageState};

/// How long to wait in all, and how often to look at first.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// In all.
    pub within: Duration,
}

/// The first look; the next ones are further and further apart.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// Looks are never further apart: a person waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

impl Mailbox<'_> {
    /// Waits until an invite can be redeemed, or never will be; gives it as it is when the time is over.
    ///
    /// # Errors
    /// A call's own. That the pod was not reached once is no reason to stop waiting.
    pub async fn follow_invite(&self, invite: &Invite, wait: Wait) -> Result<Invite, DeviceError> {
        let over = |invite: &Invite| invite.state != InviteState::Publishing;
        wait.until(invite.clone(), over, async || self.invite_by_id(&invite.id).await).await
    }

    /// Waits until a contact is one, or no longer asked; gives it as it is when the time is over.
    ///
    /// # Errors
    /// A call's own. A contact that is gone is refused by the pod as unknown.
    pub async fn follow_contact(&self, contact: &Contact, wait: Wait) -> Result<Contact, DeviceError> {
        let over = |contact: &Contact| contact.state != ContactState::Joining;
        wait.until(contact.clone(), over, async || self.contact(&contact.id).await).await
    }

    /// Waits until a message is delivered or given up; gives it as it is when the time is over.
    ///
    /// # Errors
    /// A call's own.
    pub async fn follow_message(
        &self,
        contact: &ContactId,
        number: u64,
        wait: Wait,
    ) -> Result<Option<Message>, DeviceError> {
        let over = |message: &Option<Message>| {
            message.as_ref().is_none_or(|message| message.state != MessageState::Queued)
        };
        let first = self.message(contact, number).await?;
        wait.until(first, over, async || self.message(contact, number).await).await
    }
}

impl Wait {
    /// Waits so long.
    #[must_use]
    pub fn seconds(seconds: u64) -> Self {
        Self { within: Duration::from_secs(seconds) }
    }

    pub(super) async fn until<T>(
        self,
        first: T,
        over: impl Fn(&T) -> bool,
        look: impl AsyncFn() -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let (mut last, mut pause, mut waited) = (first, FIRST_PAUSE, Duration::ZERO);
        while !over(&last) && waited < self.within {
            let pause_now = pause.min(self.within - waited);
            tokio::time::sleep(pause_now).await;
            waited += pause_now;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match look().await {
                Ok(now) => last = now,
                Err(DeviceError::Call(CallError::Unreachable { .. } | CallError::TooSlow { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(last)
    }
}
