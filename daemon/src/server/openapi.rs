//! The OpenAPI 3.1 document, collected from the routes themselves: none is served that does not stand in it.

use std::sync::LazyLock;

use axum::{http::header, response::IntoResponse};
use utoipa::OpenApi;

use super::routes;

#[derive(OpenApi)]
#[openapi(
    info(title = "Autonomy app API",
         description = "What a device says to its pod, over mutual TLS on the app onion or on the pod's Unix socket."),
    tags((name = "pod"), (name = "devices"), (name = "accounts"), (name = "payments"), (name = "contacts"), (name = "messages"),
         (name = "files"), (name = "relays"), (name = "events"))
)]
struct Document;

/// Made once: it is the same as long as the program runs.
#[expect(clippy::expect_used, reason = "the document is made of constants")]
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = Document::openapi().merge_from(routes::documented().into_openapi());
    document.to_pretty_json().expect("the document is made of constants")
});

/// The document as it is served and committed.
#[must_use]
pub fn document_text() -> &'static str {
    &DOCUMENT
}

pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document_text())
}
