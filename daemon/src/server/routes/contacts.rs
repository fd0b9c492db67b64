//! Invites and contacts.

use axum::{
    extract::State,
    http::StatusCode,
    routing::{get, post},
};

use super::{Answered, ApiError, ApiState, answered, ask_mail, unexpected};
use crate::server::extract::{IdempotencyKey, Json, PathId};
use autonomy_api::{
    AcceptInvite, Contact, Contacts, Id, Invite, Invites, NewInvite, Problem, Safety, UpdateContact,
};
use autonomy_node::{Answer, Caller, MailCommand};

pub(super) fn routes() -> axum::Router<ApiState> {
    axum::Router::new()
        .route("/v1/invites", get(invites).post(new_invite))
        .route("/v1/invites/{id}", get(invite).delete(cancel_invite))
        .route("/v1/contacts", get(contacts).post(accept_invite))
        .route("/v1/contacts/{id}", get(contact).patch(update_contact).delete(remove_contact))
        .route("/v1/contacts/{id}/confirm", post(confirm_contact))
        .route("/v1/contacts/{id}/safety", get(safety))
}

/// All invites, oldest first.
#[utoipa::path(get, path = "/v1/invites", tag = "contacts",
    responses((status = 200, body = Invites), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn invites(State(state): State<ApiState>, caller: Caller) -> Answered<Invites> {
    answered!(ask_mail(&state, caller, None, MailCommand::Invites).await?, Invites)
}

/// Makes an invite. It can be redeemed once its state is `ready`: its place has to take it first.
#[utoipa::path(post, path = "/v1/invites", tag = "contacts", request_body = NewInvite,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Invite), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn new_invite(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<NewInvite>,
) -> Answered<Invite> {
    answered!(ask_mail(&state, caller, Some(key), MailCommand::NewInvite(body)).await?, Invite)
}

/// One invite.
#[utoipa::path(get, path = "/v1/invites/{id}", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Invite), (status = 404, body = Problem)))]
pub(in crate::server) async fn invite(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(invite): PathId<Id<8>>,
) -> Answered<Invite> {
    answered!(ask_mail(&state, caller, None, MailCommand::Invite(invite)).await?, Invite)
}

/// Takes an invite back: nobody can redeem it any more.
#[utoipa::path(delete, path = "/v1/invites/{id}", tag = "contacts",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(in crate::server) async fn cancel_invite(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(invite): PathId<Id<8>>,
) -> Result<StatusCode, ApiError> {
    ask_mail(&state, caller, Some(key), MailCommand::CancelInvite(invite)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everybody: contacts, those who ask, those who were asked.
#[utoipa::path(get, path = "/v1/contacts", tag = "contacts",
    responses((status = 200, body = Contacts), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn contacts(State(state): State<ApiState>, caller: Caller) -> Answered<Contacts> {
    answered!(ask_mail(&state, caller, None, MailCommand::Contacts).await?, Contacts)
}

/// Redeems an invite of somebody else's. Messages go once the inviter has confirmed.
#[utoipa::path(post, path = "/v1/contacts", tag = "contacts", request_body = AcceptInvite,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Contact), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn accept_invite(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<AcceptInvite>,
) -> Answered<Contact> {
    answered!(ask_mail(&state, caller, Some(key), MailCommand::Accept(body)).await?, Contact)
}

/// One contact.
#[utoipa::path(get, path = "/v1/contacts/{id}", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Contact), (status = 404, body = Problem)))]
pub(in crate::server) async fn contact(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<Id<16>>,
) -> Answered<Contact> {
    answered!(ask_mail(&state, caller, None, MailCommand::Contact(contact)).await?, Contact)
}

/// Renames, verifies, blocks.
#[utoipa::path(patch, path = "/v1/contacts/{id}", tag = "contacts", request_body = UpdateContact,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Contact), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::server) async fn update_contact(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<Id<16>>,
    Json(body): Json<UpdateContact>,
) -> Answered<Contact> {
    answered!(ask_mail(&state, caller, Some(key), MailCommand::UpdateContact(contact, body)).await?, Contact)
}

/// Forgets a contact and all that was said; declines one who asks.
#[utoipa::path(delete, path = "/v1/contacts/{id}", tag = "contacts",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(in crate::server) async fn remove_contact(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<Id<16>>,
) -> Result<StatusCode, ApiError> {
    ask_mail(&state, caller, Some(key), MailCommand::RemoveContact(contact)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody who redeemed an invite is who they say: become contacts. Whoever else redeemed it is declined.
#[utoipa::path(post, path = "/v1/contacts/{id}/confirm", tag = "contacts",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Contact), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn confirm_contact(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<Id<16>>,
) -> Answered<Contact> {
    answered!(ask_mail(&state, caller, Some(key), MailCommand::Confirm(contact)).await?, Contact)
}

/// What two people compare to know that nobody stands between them. It depends on their identities alone.
#[utoipa::path(get, path = "/v1/contacts/{id}/safety", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Safety), (status = 404, body = Problem)))]
pub(in crate::server) async fn safety(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<Id<16>>,
) -> Answered<Safety> {
    answered!(ask_mail(&state, caller, None, MailCommand::Safety(contact)).await?, Safety)
}
