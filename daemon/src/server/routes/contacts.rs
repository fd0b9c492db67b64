//! Invites and contacts.

use axum::{extract::State, http::StatusCode, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answered, ApiError, ApiState, answered, ask, ask_mail, listed, unexpected};
use crate::server::extract::{IdempotencyKey, Json, PathId};
use autonomy_api::{
    AcceptInvite, Contact, ContactId, Contacts, Invite, InviteId, Invites, NewInvite, Problem, Safety,
    UpdateContact, schema,
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
///
/// Needs full access: whoever has the text of an invite can come in the invited person's stead. At most 64; those whose
/// time is over are listed until they make room for others.
#[utoipa::path(get, path = "/v1/invites", tag = "contacts",
    responses((status = 200, body = Invites), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn invites(State(state): State<ApiState>, caller: Caller) -> Answered<Invites> {
    answered!(ask_mail(&state, caller, None, Mail::Invites).await?, Invites)
}

/// Makes an invite. It can be redeemed once its state is `ready`: its place has to take it first.
///
/// Needs full access. `valid_for` is in seconds, at most 30 days, a week where it is absent. The event `invite_ready` or
/// `invite_failed` tells what became of it. `full` where 64 are open.
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
///
/// Needs full access, as its text is in the answer. `unknown` where there is none of this id.
#[utoipa::path(get, path = "/v1/invites/{id}", tag = "contacts", params(("id" = schema::InviteId, Path)),
    responses((status = 200, body = Invite), (status = 404, body = Problem)))]
pub(in crate::server) async fn invite(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(invite): PathId<InviteId>,
) -> Answered<Invite> {
    answered!(ask_mail(&state, caller, None, Mail::InviteById(invite)).await?, Invite)
}

/// Takes an invite back: nobody can redeem it any more.
///
/// Needs full access. Who redeemed it before stays among the contacts, and is declined by deleting them there. A repeat
/// changes nothing.
#[utoipa::path(delete, path = "/v1/invites/{id}", tag = "contacts",
    params(("id" = schema::InviteId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(in crate::server) async fn cancel_invite(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(invite): PathId<InviteId>,
) -> Result<StatusCode, ApiError> {
    ask_mail(&state, caller, Some(key.of(b"")), Mail::CancelInvite(invite)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everybody: contacts, those who ask, those who were asked.
///
/// Needs limited access. Without safety numbers, each of which takes milliseconds: ask for one contact, or for
/// `/safety`. At most 1,024.
#[utoipa::path(get, path = "/v1/contacts", tag = "contacts",
    responses((status = 200, body = Contacts), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn contacts(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Response, ApiError> {
    listed!(ask_mail(&state, caller, None, Mail::Contacts).await?, Contacts)
}

/// Redeems an invite of somebody else's. Messages go once the inviter has confirmed.
///
/// Needs full access. The contact is `joining` until the inviter has confirmed, then `active` (event
/// `contact_connected`); `join_failed` tells that the invite leads nowhere. `conflict` for an invite of the owner's own, and
/// for one of a person who is a contact already, unless `again` says that they lost their pod; `invalid` for one whose time is over.
#[utoipa::path(post, path = "/v1/contacts", tag = "contacts", request_body = AcceptInvite,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Contact), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::server) async fn accept_invite(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body, bytes): Json<AcceptInvite>,
) -> Answered<Contact> {
    let command = Mail::Accept { invite: Box::new(body.invite), name: body.name, again: body.again };
    answered!(ask_mail(&state, caller, Some(key.of(&bytes)), command).await?, Contact)
}

/// One contact.
///
/// Needs limited access. With the safety number. `unknown` where there is none of this id.
#[utoipa::path(get, path = "/v1/contacts/{id}", tag = "contacts", params(("id" = schema::ContactId, Path)),
    responses((status = 200, body = Contact), (status = 404, body = Problem)))]
pub(in crate::server) async fn contact(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<ContactId>,
) -> Answered<Contact> {
    answered!(ask_mail(&state, caller, None, Mail::Contact(contact)).await?, Contact)
}

/// Renames, verifies, blocks.
///
/// Needs full access. What is absent or `null` stays as it is; all of a change is done, or nothing. `invalid` without any
/// field, `conflict` where somebody is to be blocked who is no contact yet.
#[utoipa::path(patch, path = "/v1/contacts/{id}", tag = "contacts", request_body = UpdateContact,
    params(("id" = schema::ContactId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Contact), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub(in crate::server) async fn update_contact(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<ContactId>,
    Json(body, bytes): Json<UpdateContact>,
) -> Answered<Contact> {
    let command = Command::UpdateContact(contact, body);
    answered!(ask(&state.handle, caller, Some(key.of(&bytes)), command).await?, Contact)
}

/// Forgets a contact and all that was said; declines one who asks.
///
/// Needs full access. Messages that were not delivered are given up, and the contact's queues are closed: to talk again
/// takes a new invite.
#[utoipa::path(delete, path = "/v1/contacts/{id}", tag = "contacts",
    params(("id" = schema::ContactId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(in crate::server) async fn remove_contact(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<ContactId>,
) -> Result<StatusCode, ApiError> {
    ask_mail(&state, caller, Some(key.of(b"")), Mail::Remove(contact)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody who redeemed an invite is who they say: become contacts. Whoever else redeemed it is declined.
///
/// Needs full access. Compare first, by another way, that it is the person who was invited. `conflict` where the contact
/// does not ask.
#[utoipa::path(post, path = "/v1/contacts/{id}/confirm", tag = "contacts",
    params(("id" = schema::ContactId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Contact), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::server) async fn confirm_contact(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    PathId(contact): PathId<ContactId>,
) -> Answered<Contact> {
    answered!(ask_mail(&state, caller, Some(key.of(b"")), Mail::Confirm(contact)).await?, Contact)
}

/// What two people compare to know that nobody stands between them. It depends on their identities alone.
///
/// Needs limited access. A device computes the same from the two identities, and does not show another number.
#[utoipa::path(get, path = "/v1/contacts/{id}/safety", tag = "contacts", params(("id" = schema::ContactId, Path)),
    responses((status = 200, body = Safety), (status = 404, body = Problem)))]
pub(in crate::server) async fn safety(
    State(state): State<ApiState>,
    caller: Caller,
    PathId(contact): PathId<ContactId>,
) -> Answered<Safety> {
    answered!(ask(&state.handle, caller, None, Command::Safety(contact)).await?, Safety)
}
