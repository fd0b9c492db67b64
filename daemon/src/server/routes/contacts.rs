//! Invites and contacts.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answered, ApiError, ApiState, answered, ask, ask_mail, unexpected};
use crate::server::extract::{IdempotencyKey, Json, PathId};
use autonomy_api::{
    AcceptInvite, Contact, Contacts, Id, Invite, Invites, NewInvite, Problem, Safety, UpdateContact,
};
use autonomy_messaging::messenger::Command as Mail;
use autonomy_node::{Answer, Caller, Command};

/// An invite holds for a week where nothing else is asked for, seconds.
const USUAL_VALIDITY: u64 = 7 * 24 * 60 * 60;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(invites, new_invite))
        .routes(routes!(invite, cancel_invite))
        .routes(routes!(contacts, accept_invite))
        .routes(routes!(contact, update_contact, remove_contact))
        .routes(routes!(confirm_contact))
        .routes(routes!(safety))
}

/// All invites, oldest first.
#[utoipa::path(get, path = "/v1/invites", tag = "contacts",
    responses((status = 200, body = Invites), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn invites(State(state): State<ApiState>, caller: Caller) -> Answered<Invites> {
    answered!(ask_mail(&state, caller, None, Mail::Invites).await?, Invites)
}

/// Makes an invite. It can be redeemed once its state is `ready`: its place has to take it first.
#[utoipa::path(post, path = "/v1/invites", tag = "contacts", request_body = NewInvite,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Invite), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn new_invite(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<NewInvite>,
) -> Answered<Invite> {
    let command = Mail::Invite { note: body.note, valid_for: body.valid_for.unwrap_or(USUAL_VALIDITY) };
    answered!(ask_mail(&state, caller, Some(key.of(&bytes)), command).await?, Invite)
}

/// One invite.
#[utoipa::path(get, path = "/v1/invites/{id}", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Invite), (status = 404, body = Problem)))]
pub(in crate::server) async fn invite(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(invite): PathId<Id<8>>,
) -> Answered<Invite> {
    answered!(ask_mail(&state, caller, None, Mail::InviteById(invite.into())).await?, Invite)
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
    ask_mail(&state, caller, Some(key.of(b"")), Mail::CancelInvite(invite.into())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everybody: contacts, those who ask, those who were asked.
#[utoipa::path(get, path = "/v1/contacts", tag = "contacts",
    responses((status = 200, body = Contacts), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn contacts(State(state): State<ApiState>, caller: Caller) -> Answered<Contacts> {
    answered!(ask_mail(&state, caller, None, Mail::Contacts).await?, Contacts)
}

/// Redeems an invite of somebody else's. Messages go once the inviter has confirmed.
#[utoipa::path(post, path = "/v1/contacts", tag = "contacts", request_body = AcceptInvite,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Contact), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn accept_invite(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<AcceptInvite>,
) -> Answered<Contact> {
    let command = Mail::Accept { invite: Box::new(body.invite), name: body.name };
    answered!(ask_mail(&state, caller, Some(key.of(&bytes)), command).await?, Contact)
}

/// One contact.
#[utoipa::path(get, path = "/v1/contacts/{id}", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Contact), (status = 404, body = Problem)))]
pub(in crate::server) async fn contact(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<Id<16>>,
) -> Answered<Contact> {
    answered!(ask_mail(&state, caller, None, Mail::Contact(contact.into())).await?, Contact)
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
    Json(body, bytes): Json<UpdateContact>,
) -> Answered<Contact> {
    let command = Command::UpdateContact(contact.into(), body);
    answered!(ask(&state.handle, caller, Some(key.of(&bytes)), command).await?, Contact)
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
    ask_mail(&state, caller, Some(key.of(b"")), Mail::Remove(contact.into())).await?;
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
    answered!(ask_mail(&state, caller, Some(key.of(b"")), Mail::Confirm(contact.into())).await?, Contact)
}

/// What two people compare to know that nobody stands between them. It depends on their identities alone.
#[utoipa::path(get, path = "/v1/contacts/{id}/safety", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Safety), (status = 404, body = Problem)))]
pub(in crate::server) async fn safety(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<Id<16>>,
) -> Answered<Safety> {
    answered!(ask(&state.handle, caller, None, Command::Safety(contact.into())).await?, Safety)
}
