//! The OpenAPI 3.1 document, made from the routes themselves.

use axum::{http::header, response::IntoResponse};
use utoipa::OpenApi;

use super::{events, routes};

#[derive(OpenApi)]
#[openapi(
    info(title = "Autonomy app API",
         description = "What a device says to its pod, over mutual TLS on the app onion or on the pod's Unix socket."),
    paths(
        routes::status, routes::adopt, routes::back_up, routes::reconcile, routes::devices, routes::add_device, routes::revoke_device, routes::accounts,
        routes::begin_account, routes::complete_account, routes::account, routes::addresses, routes::new_address,
        routes::history, routes::payments, routes::new_payment, routes::payment, routes::approve_payment,
        routes::cancel_payment, events::stream_events,
    ),
    tags((name = "pod"), (name = "devices"), (name = "accounts"), (name = "payments"), (name = "events"))
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
