//! What is carried by hand: parcels of sealed messages, and cards for address books.

use autonomy_messaging::{
    carrier::{MAX_PARCEL, Parcel},
    vcard::{MAX_VCARD, VCard},
};
use hyper::body::Bytes;

use super::{MAX_SMALL, Mailbox, check};
use crate::{DeviceError, call::Call, routes::id};
use autonomy_api::{Contact, ImportCard, Imported};

impl Mailbox<'_> {
    /// Everything that a contact waits for, to be carried to them.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn export_parcel(&self, contact: &str) -> Result<Parcel, DeviceError> {
        self.parcel(format!("/v1/contacts/{}/parcel", id(contact)?)).await
    }

    /// What waits at the place of an invite, to be carried to whoever redeems it.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn export_invite(&self, invite: &str) -> Result<Parcel, DeviceError> {
        self.parcel(format!("/v1/invites/{}/parcel", id(invite)?)).await
    }

    async fn parcel(&self, path: String) -> Result<Parcel, DeviceError> {
        let call = Call::post(path, &serde_json::json!({}), MAX_PARCEL);
        check::parcel(&call.send_for_bytes(self.pod.transport()).await?)
    }

    /// Has the pod take in what was carried here.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn import_parcel(&self, parcel: &Parcel) -> Result<Imported, DeviceError> {
        let call = Call::post_bytes("/v1/parcels", Bytes::from(parcel.to_bytes()), MAX_SMALL);
        check::imported(parcel, self.send(call).await?)
    }

    /// A contact for an address book.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn export_card(&self, contact: &Contact) -> Result<VCard, DeviceError> {
        let call = Call::get(format!("/v1/contacts/{}/vcard", id(&contact.id)?), MAX_VCARD);
        check::card(contact, &call.send_for_bytes(self.pod.transport()).await?)
    }

    /// Puts a person on record. Of their card only what this program reads goes to the pod.
    ///
    /// # Errors
    /// See [`Mailbox::status`].
    pub async fn import_card(&self, card: &VCard) -> Result<Contact, DeviceError> {
        let body = ImportCard { vcard: card.clone() };
        let told: Contact = self.send(Call::post("/v1/vcards", &body, MAX_SMALL)).await?;
        check::same("contact", &card.root.to_string(), &told.identity)?;
        check::contact(self.own.as_ref(), told)
    }
}
