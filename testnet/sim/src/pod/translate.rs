//! Between the simulator's types and the node's: the one place that a change of the node's commands, answers, events
//! and effects touches.

use std::sync::Arc;

use autonomy_api::{
    AccountKind, AccountOffer, AddDevice, ApprovePayment, BeginAccount, CeremonyId, CompleteAccount, Contact,
    DeviceKey, EventKind, Hex, Invite as InviteIs, NewPayment, Payment, PaymentId, PaymentState, Recipient,
    SetProfile, UpdateContact, Written,
};
use autonomy_messaging::FileContent;
use autonomy_messaging::messenger::{Command as Mail, ContactId};
use autonomy_messaging::payload::{FileName, Text};
use autonomy_node as node;
use autonomy_wallet::{
    account::AccountId,
    bitcoin::{Amount, FeeRate},
    rate,
};

use super::{ChainNews, Effect, Input};
use crate::chain::Verdict;
use crate::command::{
    Answer, Command, Completion, ContactSeen, InviteSeen, NewDevice, Notice, Offer, PaymentProgress,
    PaymentSeen, Refused,
};

/// The fee rate of payments. Devices here accept no other.
const FEE_RATE: FeeRate = rate::sat_per_vb(2);

/// An input of the node.
pub(super) fn input(input: Input) -> node::Input {
    match input {
        Input::Mail(input) => node::Input::Mail(input),
        Input::Adopt(bundle) => {
            let command = node::Command::Adopt(made(&bundle));
            let request = node::Request { caller: node::Caller::Owner, idempotency_key: None, command };
            node::Input::Request(request)
        }
        Input::Clock(is_right) => node::Input::Clock { is_right },
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

/// A key names one request here, so its text stands for the digest of the request too.
fn idempotency_key(key: String) -> node::IdempotencyKey {
    let mut request = [0; 32];
    request.iter_mut().zip(key.bytes()).for_each(|(byte, of_key)| *byte = of_key);
    node::IdempotencyKey { key, request, app: String::new() }
}

/// An effect of the node, as far as this world has what it is about.
pub(super) fn effect(effect: node::Effect) -> Effect {
    match effect {
        node::Effect::Mail(effect) => Effect::Mail(Box::new(effect)),
        node::Effect::Notify(event) => Effect::Notice(notice(&event.kind)),
        node::Effect::Admit { devices, .. } => {
            Effect::Admit(devices.into_iter().map(|(key, _)| key.0).collect())
        }
        node::Effect::Watch(watch) => Effect::Watch(watch),
        node::Effect::Broadcast(txid, transaction) => Effect::Broadcast(txid, transaction),
        node::Effect::Listen(seeds) => {
            Effect::Listen(seeds.iter().map(|seed| *seed.public().as_bytes()).collect())
        }
        node::Effect::Adopted => Effect::Nothing,
    }
}

/// A command as a device gives it. The match names every command, so a new one does not compile before it has its
/// translation.
fn command(command: Command) -> node::Command {
    use node::Command as To;
    match command {
        Command::Status => To::Status,
        Command::Reconcile { seen } => To::Reconcile { seen },
        Command::DrawKeys => To::DrawKeys,
        Command::AddDevice(device) => add_device(device),
        Command::RevokeDevice(key) => To::RevokeDevice(DeviceKey(key)),
        Command::BeginAccount => begin_account(),
        Command::CompleteAccount(completion) => complete(completion),
        Command::NewAddress(account) => To::NewAddress(account),
        Command::Account(account) => To::Account(account),
        Command::NewPayment { account, address, sat } => new_payment(account, &address, sat),
        Command::Approve { payment, psbt, epoch } => {
            To::ApprovePayment(PaymentId(payment), ApprovePayment { psbt: made(&psbt), state_epoch: epoch })
        }
        Command::Cancel(payment) => To::CancelPayment(PaymentId(payment)),
        Command::Payments(account) => To::Payments(account),
        Command::Session(command) => To::Session(command),
        Command::Profile => To::Profile,
        Command::SetReach(reach) => set_profile(SetProfile { reach: Some(reach), ..SetProfile::default() }),
        Command::SetName(name) => set_profile(SetProfile { name: Some(name), ..SetProfile::default() }),
        Command::SetNameAndReach(name, reach) => {
            set_profile(SetProfile { name: Some(name), reach: Some(reach) })
        }
        Command::SetBlocked(contact, blocked) => {
            To::UpdateContact(contact, UpdateContact { blocked: Some(blocked), ..UpdateContact::default() })
        }
        Command::OfferFile { contact, content } => To::Mail(offer_file(contact, content)),
        Command::LoadFile { contact, transfer, first, bytes } => {
            To::Mail(Mail::LoadFile { contact, transfer, first, bytes: bytes.into() })
        }
        Command::File(contact, transfer) => To::Mail(Mail::File(contact, transfer)),
        Command::ReadFile { contact, transfer, first, count } => {
            To::Mail(Mail::ReadFile { contact, transfer, first, count })
        }
        Command::AddRelay { place, name, token } => To::Mail(Mail::AddRelay { place, name, token }),
        Command::Invite { valid_for } => To::Mail(Mail::Invite { note: None, valid_for }),
        Command::InviteById(id) => To::Mail(Mail::InviteById(id)),
        Command::Accept { invite, again } => To::Mail(Mail::Accept { invite, name: None, again }),
        Command::Confirm(contact) => To::Mail(Mail::Confirm(contact)),
        Command::Remove(contact) => To::Mail(Mail::Remove(contact)),
        Command::Contacts => To::Mail(Mail::Contacts),
        Command::Contact(contact) => To::Mail(Mail::Contact(contact)),
        Command::Send { contact, text } => To::Mail(Mail::Send { contact, text: whole_text(&text) }),
        Command::MarkRead { contact, up_to } => To::Mail(Mail::MarkRead { contact, up_to }),
    }
}

fn add_device(device: NewDevice) -> node::Command {
    let NewDevice { certificate, descriptor_key, name } = device;
    let descriptor_key = Hex(descriptor_key);
    node::Command::AddDevice(AddDevice { certificate: certificate.into(), name, descriptor_key })
}

fn begin_account() -> node::Command {
    node::Command::BeginAccount(BeginAccount { name: made("main"), kind: AccountKind::TwoOfThree })
}

/// A payment to one recipient at [`FEE_RATE`], without a note.
fn new_payment(account: AccountId, address: &str, sat: u64) -> node::Command {
    let recipients = vec![Recipient { address: made(address), amount: Amount::from_sat(sat) }];
    node::Command::NewPayment(account, NewPayment { recipients, fee_rate: Some(FEE_RATE), note: None })
}

fn set_profile(change: SetProfile) -> node::Command {
    node::Command::SetProfile(change)
}

/// All files have one name here: nothing depends on it.
#[expect(clippy::expect_used, reason = "a plain file name")]
fn offer_file(contact: ContactId, content: FileContent) -> Mail {
    let name = FileName::new("photo.jpg").expect("a plain file name");
    Mail::OfferFile { contact, name, content }
}

#[expect(clippy::expect_used, reason = "as long as a message may be")]
fn whole_text(text: &str) -> Text {
    Text::new(text).expect("as long as a message may be")
}

/// What a device reads from a reply.
pub(super) fn reply(reply: node::Reply) -> Result<Answer, Refused> {
    Ok(match reply.map_err(|refusal| Refused(refusal.to_string()))? {
        node::Answer::Invite(invite) => Answer::Invite(invite_seen(invite)),
        node::Answer::Contact(contact) => Answer::Contact(contact_seen(contact)),
        node::Answer::Contacts(all) => Answer::Contacts(all.contacts.into_iter().map(contact_seen).collect()),
        node::Answer::Queued(queued) => Answer::Queued(queued.number),
        node::Answer::Profile(profile) => Answer::Profile { name: profile.name.map(|name| name.to_string()) },
        node::Answer::File(file) => Answer::File { transfer: file.id, state: file.state },
        node::Answer::Bytes(bytes) => Answer::Bytes(bytes.into_vec()),
        node::Answer::Status(status) => Answer::Status { epoch: status.state_epoch },
        node::Answer::Offer(offer) => Answer::Offer(offered(&offer)),
        node::Answer::Address(address) => {
            Answer::Address { index: address.index, address: address.address.write().to_string() }
        }
        node::Answer::Account(account) => {
            Answer::Account { confirmed_sat: account.balance.confirmed.to_sat() }
        }
        node::Answer::Payment(payment) => Answer::Payment(payment_seen(&payment)),
        node::Answer::Payments(all) => Answer::Payments(all.payments.iter().map(payment_seen).collect()),
        node::Answer::Session(answer) => Answer::Session(answer),
        _ => Answer::Done,
    })
}

/// An event of the node, as far as anybody here waits for it.
fn notice(event: &EventKind) -> Notice {
    match *event {
        EventKind::ContactAsked { contact } => Notice::Asked(contact),
        EventKind::ContactConnected { contact } => Notice::Connected(contact),
        EventKind::JoinFailed { contact, .. } => Notice::JoinFailed(contact),
        EventKind::ContactChanged { contact } => Notice::CardChanged(contact),
        EventKind::ContactRekeyed { contact } => Notice::Rekeyed(contact),
        EventKind::RelayReplaced { .. } => Notice::RelayReplaced,
        EventKind::RelayTrouble { .. } => Notice::RelayTrouble,
        _ => Notice::Other,
    }
}

fn chain_event(news: ChainNews) -> node::ChainEvent {
    match news {
        ChainNews::Anchor(points) => {
            let point = |(height, hash, time)| node::ChainPoint { height, hash, time };
            node::ChainEvent::Anchor(points.into_iter().map(point).collect())
        }
        ChainNews::Block(event) => event,
        ChainNews::Mempool { seen, evicted } => {
            let seen = seen.into_iter().map(|transaction| (Arc::new(transaction), 0)).collect();
            node::ChainEvent::Mempool { seen, evicted }
        }
        ChainNews::Synced(height) => node::ChainEvent::Source(node::SourceState::Synced(height)),
    }
}

fn outcome(verdict: Verdict) -> node::BroadcastOutcome {
    match verdict {
        Verdict::Accepted => node::BroadcastOutcome::Accepted,
        Verdict::Refused(why) => node::BroadcastOutcome::Refused(why.into()),
    }
}

fn complete(completion: Completion) -> node::Command {
    let Completion { ceremony, device_member_key, recovery_member_key, descriptor, first_address } =
        completion;
    let body = CompleteAccount {
        device_member_key: made(&device_member_key),
        recovery_member_key: made(&recovery_member_key),
        descriptor,
        first_address: made(&first_address),
    };
    node::Command::CompleteAccount(CeremonyId(ceremony), Box::new(body))
}

fn offered(offer: &AccountOffer) -> Offer {
    Offer {
        ceremony: offer.ceremony.0,
        account_index: offer.account_index.to_u32(),
        pod_member_key: offer.pod_member_key.to_string(),
        birthday: (offer.birthday_height, offer.birthday_time),
    }
}

fn payment_seen(payment: &Payment) -> PaymentSeen {
    let state = match payment.state {
        PaymentState::Draft | PaymentState::Cancelled => PaymentProgress::GivenUp,
        PaymentState::Signed => PaymentProgress::Signed,
        PaymentState::Seen => PaymentProgress::Seen,
        PaymentState::Confirmed => PaymentProgress::Confirmed,
        PaymentState::Failed => PaymentProgress::Failed,
    };
    let psbt = payment.psbt.as_ref().map(|psbt| psbt.write().to_string());
    PaymentSeen { id: payment.id.0, txid: payment.txid, state, psbt }
}

fn invite_seen(invite: InviteIs) -> InviteSeen {
    InviteSeen { id: invite.id, state: invite.state, invite: invite.text }
}

fn contact_seen(contact: Contact) -> ContactSeen {
    let card_name = contact.card_name.map(|name| name.to_string());
    ContactSeen { id: contact.id, state: contact.state, card_name }
}

/// Reads a text that a device wrote, by the rule of its type.
///
/// # Panics
/// The text breaks the rule: devices here write valid texts only.
fn made<T: Written>(text: &str) -> T {
    T::read(text).unwrap_or_else(|rule| panic!("a device wrote `{text}`: {rule}"))
}
