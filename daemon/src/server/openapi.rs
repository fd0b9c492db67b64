//! The OpenAPI 3.1 document, made from the routes themselves.

use axum::{http::header, response::IntoResponse};
use utoipa::OpenApi;

use super::{
    events,
    routes::{self, contacts, files, mail, money, parcels},
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Autonomy app API",
         description = "What a device says to its pod, over mutual TLS on the app onion or on the pod's Unix socket."),
    paths(
        routes::status, routes::adopt, routes::back_up, routes::reconcile, routes::devices, routes::add_device,
        routes::revoke_device, money::accounts, money::begin_account, money::complete_account, money::account,
        money::addresses, money::new_address, money::history, money::payments, money::new_payment, money::payment,
        money::approve_payment, money::cancel_payment, contacts::invites, contacts::new_invite, contacts::invite,
        contacts::cancel_invite, contacts::contacts, contacts::accept_invite, contacts::contact,
        contacts::update_contact, contacts::remove_contact, contacts::confirm_contact, contacts::safety, mail::mail,
        mail::profile, mail::set_profile, mail::messages, mail::new_message, mail::mark_read, mail::relays,
        mail::add_relay, mail::remove_relay, files::files, files::offer_file, files::file, files::remove_file, files::load_file,
        files::read_file, parcels::export_parcel, parcels::export_invite, parcels::import_parcel, parcels::export_card,
        parcels::import_card, events::stream_events,
    ),
    tags((name = "pod"), (name = "devices"), (name = "accounts"), (name = "payments"), (name = "contacts"), (name = "messages"),
         (name = "files"), (name = "relays"), (name = "events"))
)]
struct Document;

/// The document as it is served and committed.
///
/// # Panics
/// Never: it is made of constants.
#[must_use]
pub fn document_text() -> String {
    Document::openapi().to_pretty_json().expect("the document is made of constants")
}

pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document_text())
}
