//! The owner's contacts, messages and relays at a pod. What the pod tells of people is held against their identities,
//! names and texts are held against their rules, and nothing else reaches a person.
//!
//! The pod reads and keeps the owner's messages; whether it tells them truly cannot be checked here. What can be is:
//! that a contact's id and safety number follow from their identity, that an invite is the owner's own, that answers
//! are about what was asked for, and that no word of anybody can redraw a terminal.

mod check;
mod files;
mod follow;
mod parcels;

use autonomy_messaging::{RootPublic, payload::Text};
use serde::{Serialize, de::DeserializeOwned};

pub use self::{files::FileError, follow::Wait};
use super::{Device, DeviceError, PodClient, call::Call, routes::id};
use autonomy_api::{
    AcceptInvite, AddRelay, Contact, Contacts, Exchange, Invite, Invites, MailStatus, MarkRead, Message,
    Messages, Method, NewInvite, NewMessage, Profile, QueuedMessage, Relay, Relays, Safety, SetProfile,
    UpdateContact, place,
};

const KIB: usize = 1024;

/// A contact of at most eight places is told in 2 kB, an invite in 1 kB, a status or relay in less.
const MAX_SMALL: usize = 64 * KIB;
/// 1,024 contacts of 2 kB each.
const MAX_CONTACTS: usize = 3 * KIB * KIB;
/// 64 invites of 1 kB each.
const MAX_INVITES: usize = 128 * KIB;
/// 200 texts of 16 KiB, of which each byte may take six in JSON: 19.7 MB.
const MAX_MESSAGES: usize = 20_000 * KIB;

/// What the owner says and hears through a pod.
#[derive(Debug, Clone, Copy)]
pub struct Mailbox<'a> {
    pod: &'a PodClient,
    own: Option<RootPublic>,
}

impl Device {
    /// The owner's mailbox, at the pod of this device.
    #[must_use]
    pub fn mailbox(&self) -> Mailbox<'_> {
        Mailbox::new(&self.pod, self.profile.pod().map(|pod| pod.root()))
    }
}

impl<'a> Mailbox<'a> {
    /// The mailbox of `own` at `pod`. Without `own`, invites and safety numbers are the pod's word.
    #[must_use]
    pub fn new(pod: &'a PodClient, own: Option<RootPublic>) -> Self {
        Self { pod, own }
    }

    /// How messages flow.
    ///
    /// # Errors
    /// The call's own, or [`Distrust::Mail`](super::Distrust::Mail) where the answer breaks a rule; so for all
    /// functions below.
    pub async fn status(&self) -> Result<MailStatus, DeviceError> {
        let status: MailStatus = self.send(Call::get("/v1/mail", MAX_SMALL)).await?;
        check::optional_name("status", "name", status.name.as_deref())?;
        Ok(status)
    }

    /// How the owner is called on cards, and how contacts reach the pod.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn profile(&self) -> Result<Profile, DeviceError> {
        check::profile(self.send(Call::get("/v1/profile", MAX_SMALL)).await?)
    }

    /// Changes what is given.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn set_profile(&self, wish: &SetProfile) -> Result<Profile, DeviceError> {
        check::profile(self.send(Call::put("/v1/profile", wish, MAX_SMALL)).await?)
    }

    /// Makes an invite. It can be redeemed once it is ready: see [`Mailbox::follow_invite`].
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn invite(&self, wish: &NewInvite) -> Result<Invite, DeviceError> {
        check::invite(self.own.as_ref(), self.send(Call::post("/v1/invites", wish, MAX_SMALL)).await?)
    }

    /// One invite.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn invite_by_id(&self, invite: &str) -> Result<Invite, DeviceError> {
        let told: Invite = self.send(Call::get(format!("/v1/invites/{}", id(invite)?), MAX_SMALL)).await?;
        check::same("invite", invite, &told.id)?;
        check::invite(self.own.as_ref(), told)
    }

    /// All invites, oldest first.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn invites(&self) -> Result<Vec<Invite>, DeviceError> {
        let told: Invites = self.send(Call::get("/v1/invites", MAX_INVITES)).await?;
        told.invites.into_iter().map(|told| check::invite(self.own.as_ref(), told)).collect()
    }

    /// Takes an invite back.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn cancel_invite(&self, invite: &str) -> Result<(), DeviceError> {
        self.act(Call::delete(format!("/v1/invites/{}", id(invite)?), MAX_SMALL)).await
    }

    /// Redeems somebody's invite.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn accept(&self, wish: &AcceptInvite) -> Result<Contact, DeviceError> {
        let told: Contact = self.send(Call::post("/v1/contacts", wish, MAX_SMALL)).await?;
        check::same("contact", &wish.invite.root().to_string(), &told.identity)?;
        check::contact(self.own.as_ref(), told)
    }

    /// Everybody.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn contacts(&self) -> Result<Vec<Contact>, DeviceError> {
        let told: Contacts = self.send(Call::get("/v1/contacts", MAX_CONTACTS)).await?;
        told.contacts.into_iter().map(|told| check::contact(None, told)).collect()
    }

    /// One contact.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn contact(&self, contact: &str) -> Result<Contact, DeviceError> {
        self.about(contact, Call::get(format!("/v1/contacts/{}", id(contact)?), MAX_SMALL)).await
    }

    /// Renames, verifies, blocks.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn update(&self, contact: &str, change: &UpdateContact) -> Result<Contact, DeviceError> {
        self.about(contact, Call::patch(format!("/v1/contacts/{}", id(contact)?), change, MAX_SMALL)).await
    }

    /// Whoever asks is who they say.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn confirm(&self, contact: &str) -> Result<Contact, DeviceError> {
        let path = format!("/v1/contacts/{}/confirm", id(contact)?);
        self.about(contact, Call::post(path, &serde_json::json!({}), MAX_SMALL)).await
    }

    /// Forgets a contact.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn remove(&self, contact: &str) -> Result<(), DeviceError> {
        self.act(Call::delete(format!("/v1/contacts/{}", id(contact)?), MAX_SMALL)).await
    }

    /// What to compare with a contact, computed here where the owner's identity is known.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn safety(&self, contact: &Contact) -> Result<Safety, DeviceError> {
        let path = format!("/v1/contacts/{}/safety", id(&contact.id)?);
        check::safety(self.own.as_ref(), contact, self.send(Call::get(path, MAX_SMALL)).await?)
    }

    /// Says something.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn say(&self, contact: &str, text: Text) -> Result<QueuedMessage, DeviceError> {
        let path = format!("/v1/contacts/{}/messages", id(contact)?);
        self.send(Call::post(path, &NewMessage { text }, MAX_SMALL)).await
    }

    /// What was said, newest last: at most `limit` messages, before number `before`.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn messages(
        &self,
        contact: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Message>, DeviceError> {
        let mut path = format!("/v1/contacts/{}/messages?limit={limit}", id(contact)?);
        if let Some(before) = before {
            path.push_str(&format!("&before={before}"));
        }
        let told: Messages = self.send(Call::get(path, MAX_MESSAGES)).await?;
        check::messages(told.messages, before, limit)
    }

    /// One message; none where it is not in the conversation, or no longer.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn message(&self, contact: &str, number: u64) -> Result<Option<Message>, DeviceError> {
        let found = self.messages(contact, Some(number.saturating_add(1)), 1).await?;
        Ok(found.into_iter().find(|message| message.number == number))
    }

    /// All up to this message was read.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn mark_read(&self, contact: &str, up_to: u64) -> Result<(), DeviceError> {
        self.act(Call::post(format!("/v1/contacts/{}/read", id(contact)?), &MarkRead { up_to }, MAX_SMALL))
            .await
    }

    /// All relays.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn relays(&self) -> Result<Vec<Relay>, DeviceError> {
        check::relays(self.send::<Relays>(Call::get("/v1/relays", MAX_SMALL)).await?.relays)
    }

    /// Keeps queues at a relay too; gives all relays.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn add_relay(&self, wish: &AddRelay) -> Result<Vec<Relay>, DeviceError> {
        check::relays(self.send::<Relays>(Call::post("/v1/relays", wish, MAX_SMALL)).await?.relays)
    }

    /// Keeps no queues there any more; gives the relays that stay.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn remove_relay(&self, relay: &Relay) -> Result<Vec<Relay>, DeviceError> {
        // Read and written anew: nothing but a place gets into the path.
        let place = place::text(&check::place("relay", &relay.place)?);
        let call = Call::delete(format!("/v1/relays?place={place}"), MAX_SMALL);
        check::relays(self.send::<Relays>(call).await?.relays)
    }

    /// Sends a request of a session, and gives its answer once it holds what the request says of it.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn exchange<B: Serialize, A: DeserializeOwned>(
        &self,
        request: &Exchange<B, A>,
    ) -> Result<A, DeviceError> {
        let call = match request.method() {
            Method::Get => Call::get(request.path(), request.max_answer()),
            Method::Put => Call::put(request.path(), request.body(), request.max_answer()),
        };
        let answer = self.send(call).await?;
        request.check(&answer).map_err(check::broken_rule)?;
        Ok(answer)
    }

    async fn about(&self, contact: &str, call: Call) -> Result<Contact, DeviceError> {
        let told: Contact = self.send(call).await?;
        check::same("contact", contact, &told.id)?;
        check::contact(self.own.as_ref(), told)
    }

    async fn send<T: DeserializeOwned>(&self, call: Call) -> Result<T, DeviceError> {
        Ok(call.send(self.pod.transport()).await?)
    }

    async fn act(&self, call: Call) -> Result<(), DeviceError> {
        Ok(call.send_for_bytes(self.pod.transport()).await.map(drop)?)
    }
}
