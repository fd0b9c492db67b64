//! The OpenAPI 3.1 document, collected from the routes themselves: none is served that does not stand in it.

mod complete;

use std::sync::LazyLock;

use axum::{http::header, response::IntoResponse};
use utoipa::OpenApi;

use super::routes;

#[derive(OpenApi)]
#[openapi(
    info(title = "Autonomy app API",
         description = "What a device says to its pod, over mutual TLS on the app onion or on the pod's Unix socket.\n\n\
            Limits: a body has at most 64 KiB, that of a signed payment 6 MiB, a piece of a file 460,000 bytes, a parcel \
            16.7 MB; a caller has at most 16 event streams and one large body on its way. Lists are answered two at a time \
            to each caller. A request that changes something carries an `Idempotency-Key`: its repeat within a day, or \
            within 256 requests of its class (money, messages, settings), gets the same answer."),
    tags((name = "pod"), (name = "devices"), (name = "accounts"), (name = "payments"), (name = "contacts"), (name = "messages"),
         (name = "files"), (name = "relays"), (name = "events"))
)]
struct Document;

/// Made once: it is the same as long as the program runs.
#[expect(clippy::expect_used, reason = "the document is made of constants")]
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = Document::openapi().merge_from(routes::documented().into_openapi());
    let mut document = serde_json::to_value(document).expect("the document is made of constants");
    complete::complete(&mut document);
    serde_json::to_string_pretty(&document).expect("the document is made of constants")
});

/// The document as it is served and committed.
#[must_use]
pub fn document_text() -> &'static str {
    &DOCUMENT
}

pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document_text())
}
