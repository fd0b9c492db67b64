//! Between the simulator's words and the node's.

use autonomy_api::{
    AccountKind, AccountOffer, AddDevice, ApprovePayment, BeginAccount, CompleteAccount, Contact, EventKind,
    File, Id, Invite as InviteIs, InviteState as InviteStands, NewPayment, Payment, PaymentState, Recipient,
    SetProfile, UpdateContact,
};
use autonomy_messaging::TransferId;
use autonomy_messaging::invite::Invite;
use autonomy_messaging::messenger::{Command as Mail, ContactId, InviteId, InviteState};
use autonomy_messaging::payload::{FileName, Text};
use autonomy_node as node;

use super::{ChainNews, Effect, Input};
use crate::chain::Verdict;
use crate::command::{
    Answer, Command, Completion, ContactSeen, InviteSeen, Newcomer, Notice, Offer, PaymentSeen,
    PaymentStands, Refused,
};

/// What payments offer, satoshi a virtual byte: what devices agree to.
const FEE_RATE: f64 = 2.0;

/// An input of the node.
pub(super) fn input(input: Input) -> node::Input {
    match input {
        Input::Mail(input) => node::Input::Mail(input),
        Input::Adopt(bundle) => {
            let command = node::Command::Adopt(bundle);
            let request = node::Request { caller: node::Caller::Owner, idempotency_key: None, command };
            node::Input::Request(request)
        }
        Input::Wake => node::Input::Wake,
        Input::Chain(news) => node::Input::Chain(chain_event(news)),
        Input::Broadcast(txid, verdict) => node::Input::Broadcast(txid, outcome(verdict)),
        Input::Ask { device: key, key: asked_under, command: asked } => {
            let caller = super::device(key);
            let idempotency_key = asked_under.map(idempotency_key);
            node::Input::Request(node::Request { caller, idempotency_key, command: command(asked) })
        }
    }
}

/// Each key names one request here, so its text stands for the request's digest too.
fn idempotency_key(key: String) -> node::IdempotencyKey {
    let mut request = [0; 32];
    request.iter_mut().zip(key.bytes()).for_each(|(byte, of_key)| *byte = of_key);
    node::IdempotencyKey { key, request }
}

/// An effect of the node, as far as this world has what it is about.
pub(super) fn effect(effect: node::Effect) -> Effect {
    match effect {
        node::Effect::Mail(effect) => Effect::Mail(Box::new(effect)),
        node::Effect::Notify(event) => Effect::Notice(notice(&event.kind)),
        node::Effect::Admit { devices, .. } => {
            Effect::Admit(devices.into_iter().map(|(key, _)| key.0).collect())
        }
        node::Effect::Broadcast(txid, transaction) => Effect::Broadcast(txid, transaction),
        node::Effect::Adopted => Effect::Nothing,
    }
}

/// A command as a device gives it.
fn command(command: Command) -> node::Command {
    match command {
        Command::Status => node::Command::Status,
        Command::AddDevice(Newcomer { certificate, descriptor_key, name }) => {
            let descriptor_key = Id(descriptor_key);
            node::Command::AddDevice(AddDevice { certificate: certificate.into(), name, descriptor_key })
        }
        Command::RevokeDevice(key) => node::Command::RevokeDevice(Id(key)),
        Command::DrawKeys => node::Command::DrawKeys,
        Command::Reconcile { seen } => node::Command::Reconcile { seen },
        Command::BeginAccount => {
            let begin = BeginAccount { name: "main".into(), kind: AccountKind::TwoOfThree };
            node::Command::BeginAccount(begin)
        }
        Command::CompleteAccount(completion) => complete(completion),
        Command::NewAddress(account) => node::Command::NewAddress(account),
        Command::Account(account) => node::Command::Account(account),
        Command::NewPayment { account, address, sat } => {
            let recipients = vec![Recipient { address, amount_sat: sat }];
            let payment = NewPayment { recipients, fee_rate: Some(FEE_RATE), note: None };
            node::Command::NewPayment(account, payment)
        }
        Command::Approve { payment, psbt, epoch } => {
            let approval = ApprovePayment { psbt, state_epoch: epoch };
            node::Command::ApprovePayment(Id(payment), approval)
        }
        Command::Payments(account) => node::Command::Payments(account),
        Command::Session(command) => node::Command::Session(command),
        Command::Profile => node::Command::Profile,
        Command::SetReach(reach) => {
            node::Command::SetProfile(SetProfile { reach: Some(reach), ..SetProfile::default() })
        }
        Command::SetName(name) => {
            node::Command::SetProfile(SetProfile { name: Some(name), ..SetProfile::default() })
        }
        Command::SetBlocked(contact, blocked) => {
            let update = UpdateContact { blocked: Some(blocked), ..UpdateContact::default() };
            node::Command::UpdateContact(contact, update)
        }
        about_mail => node::Command::Mail(mail_command(about_mail)),
    }
}

/// One about contacts, messages, files or relays.
fn mail_command(command: Command) -> Mail {
    match command {
        Command::OfferFile { contact, content } => {
            let name = FileName::new("photo.jpg").expect("a plain file name");
            Mail::OfferFile { contact, name, content }
        }
        Command::LoadFile { contact, transfer, bytes } => {
            Mail::LoadFile { contact, transfer, first: 0, bytes: bytes.into() }
        }
        Command::File(contact, transfer) => Mail::File(contact, transfer),
        Command::ReadFile { contact, transfer, count } => {
            Mail::ReadFile { contact, transfer, first: 0, count }
        }
        Command::AddRelay { place, name, token } => Mail::AddRelay { place, name, token },
        Command::Invite { valid_for } => Mail::Invite { note: None, valid_for },
        Command::InviteById(id) => Mail::InviteById(id),
        Command::Accept(invite) => Mail::Accept { invite, name: None },
        Command::Confirm(contact) => Mail::Confirm(contact),
        Command::Remove(contact) => Mail::Remove(contact),
        Command::Contacts => Mail::Contacts,
        Command::Contact(contact) => Mail::Contact(contact),
        Command::Send { contact, text } => {
            Mail::Send { contact, text: Text::new(&text).expect("as long as a message may be") }
        }
        Command::MarkRead { contact, up_to } => Mail::MarkRead { contact, up_to },
        other => unreachable!("{other:?} is about no mail"),
    }
}

/// A reply as a person understands it.
pub(super) fn reply(reply: node::Reply) -> Result<Answer, Refused> {
    Ok(match reply.map_err(|refusal| Refused(refusal.to_string()))? {
        node::Answer::Invite(invite) => Answer::Invite(invite_seen(&invite)?),
        node::Answer::Contact(contact) => Answer::Contact(contact_seen(contact)?),
        node::Answer::Contacts(all) => {
            Answer::Contacts(all.contacts.into_iter().map(contact_seen).collect::<Result<_, _>>()?)
        }
        node::Answer::Queued(queued) => Answer::Queued(queued.number),
        node::Answer::Profile(profile) => Answer::Profile { name: profile.name },
        node::Answer::File(file) => file_seen(&file)?,
        node::Answer::Bytes(bytes) => Answer::Bytes(bytes.into_vec()),
        node::Answer::Status(status) => Answer::Status { epoch: status.state_epoch },
        node::Answer::Offer(offer) => Answer::Offer(offered(offer)?),
        node::Answer::Address(address) => Answer::Address { index: address.index, address: address.address },
        node::Answer::Account(account) => Answer::Account { confirmed_sat: account.balance.confirmed_sat },
        node::Answer::Payment(payment) => Answer::Payment(payment_seen(payment)?),
        node::Answer::Payments(all) => {
            Answer::Payments(all.payments.into_iter().map(payment_seen).collect::<Result<_, _>>()?)
        }
        node::Answer::Session(answer) => Answer::Session(answer),
        _ => Answer::Done,
    })
}

/// An event as far as somebody in this world listens to it.
fn notice(event: &EventKind) -> Notice {
    let about = |text: &str, what: fn(ContactId) -> Notice| {
        text.parse().map_or(Notice::Other, |id: Id<16>| what(ContactId(id.0)))
    };
    match event {
        EventKind::ContactAsked { contact } => about(contact, Notice::Asked),
        EventKind::ContactConnected { contact } => about(contact, Notice::Connected),
        EventKind::JoinFailed { contact, .. } => about(contact, Notice::JoinFailed),
        EventKind::ContactChanged { contact } => about(contact, Notice::CardChanged),
        EventKind::ContactRekeyed { contact } => about(contact, Notice::Rekeyed),
        EventKind::RelayReplaced { .. } => Notice::RelayReplaced,
        EventKind::RelayTrouble { .. } => Notice::RelayTrouble,
        _ => Notice::Other,
    }
}

fn file_seen(file: &File) -> Result<Answer, Refused> {
    let id: Id<16> = file.id.parse().map_err(unreadable)?;
    let state = file.state;
    Ok(Answer::File { transfer: TransferId(id.0), state })
}

fn chain_event(news: ChainNews) -> node::ChainEvent {
    match news {
        ChainNews::Anchor(points) => {
            let point = |(height, hash, time)| node::ChainPoint { height, hash, time };
            node::ChainEvent::Anchor(points.into_iter().map(point).collect())
        }
        ChainNews::Block { block, height } => node::ChainEvent::Block { block, height },
        ChainNews::Mempool { seen, evicted } => {
            let seen = seen.into_iter().map(|transaction| (transaction, 0)).collect();
            node::ChainEvent::Mempool { seen, evicted }
        }
        ChainNews::Synced(height) => node::ChainEvent::Source(node::SourceState::Synced(height)),
    }
}

fn outcome(verdict: Verdict) -> node::BroadcastOutcome {
    match verdict {
        Verdict::Accepted => node::BroadcastOutcome::Accepted,
        Verdict::Waits(why) => node::BroadcastOutcome::Waits(why.into()),
        Verdict::Invalid(why) => node::BroadcastOutcome::Invalid(why.into()),
    }
}

fn complete(completion: Completion) -> node::Command {
    let Completion { ceremony, device_member_key, recovery_member_key, descriptor, first_address } =
        completion;
    let body = CompleteAccount { device_member_key, recovery_member_key, descriptor, first_address };
    node::Command::CompleteAccount(Id(ceremony), body)
}

fn offered(offer: AccountOffer) -> Result<Offer, Refused> {
    let ceremony: Id<16> = offer.ceremony.parse().map_err(unreadable)?;
    Ok(Offer {
        ceremony: ceremony.0,
        account_index: offer.account_index,
        pod_member_key: offer.pod_member_key,
        birthday: (offer.birthday_height, offer.birthday_time),
    })
}

fn payment_seen(payment: Payment) -> Result<PaymentSeen, Refused> {
    let id: Id<16> = payment.id.parse().map_err(unreadable)?;
    let state = match payment.state {
        PaymentState::Draft | PaymentState::Cancelled => PaymentStands::GivenUp,
        PaymentState::Signed | PaymentState::Seen => PaymentStands::Open,
        PaymentState::Confirmed => PaymentStands::Confirmed,
        PaymentState::Failed => PaymentStands::Failed,
    };
    let txid = payment.txid.parse().map_err(unreadable)?;
    Ok(PaymentSeen { id: id.0, txid, state, psbt: payment.psbt })
}

fn invite_seen(invite: &InviteIs) -> Result<InviteSeen, Refused> {
    let id: Id<8> = invite.id.parse().map_err(unreadable)?;
    let state = match invite.state {
        InviteStands::Publishing => InviteState::Publishing,
        InviteStands::Ready => InviteState::Ready,
        InviteStands::Used => InviteState::Used,
        InviteStands::Expired => InviteState::Expired,
        InviteStands::Cancelled => InviteState::Cancelled,
        InviteStands::Failed => InviteState::Failed,
    };
    let invite = Invite::from_text(&invite.text).map_err(unreadable)?;
    Ok(InviteSeen { id: InviteId(id.0), state, invite })
}

fn contact_seen(contact: Contact) -> Result<ContactSeen, Refused> {
    let id: Id<16> = contact.id.parse().map_err(unreadable)?;
    let state = contact.state;
    Ok(ContactSeen { id: ContactId(id.0), state, card_name: contact.card_name })
}

/// An answer of the node that a device cannot read.
fn unreadable(error: impl std::fmt::Display) -> Refused {
    Refused(format!("the answer cannot be read: {error}"))
}
