//! Contacts, messages, files, relays, and what happened.

use std::collections::BTreeMap;

use autonomy_api::{
    AcceptInvite, AddRelay, Contact, ContactState, Contacts, Direction, Event, EventKind, File, FileState,
    Files, ImportCard, Imported, Invite, InviteState, Invites, MailStatus, MarkRead, Message, MessageKind,
    MessageState, Messages, NewInvite, NewMessage, OfferFile, OfferedFile, PaymentState, Profile,
    QueuedMessage, Reach, RefusalReason, Relay, RelayState, Relays, Safety, SetProfile, UnconfirmedReason,
    UpdateContact,
};
use autonomy_messaging::vcard::{OtherProperties, VCard};
use proptest::prelude::*;

use crate::{read_back, values::*};

read_back! {
    invites_read_back: some(known_invite()).prop_map(|invites| Invites { invites });
    a_wish_for_an_invite_reads_back: (maybe(name()), any::<Option<u64>>())
        .prop_map(|(note, valid_for)| NewInvite { note, valid_for });
    a_redemption_reads_back: (invite(), maybe(name()), any::<bool>()).prop_map(|(invite, name, again)| AcceptInvite { invite, name, again });
    a_card_reads_back: (name(), root())
        .prop_map(|(name, root)| ImportCard { vcard: VCard { name, note: None, root, others: OtherProperties::default() } });
    contacts_read_back: some(contact()).prop_map(|contacts| Contacts { contacts });
    a_change_of_a_contact_reads_back: (maybe(name()), any::<(Option<bool>, Option<bool>, Option<u64>)>())
        .prop_map(|(name, (verified, blocked, file_limit))| UpdateContact { name, verified, blocked, file_limit });
    a_safety_number_reads_back: (safety(), any::<bool>())
        .prop_map(|((digits, words, qr), verified)| Safety { digits, words, qr, verified });
    messages_read_back: (some(message()), any::<u64>()).prop_map(|(messages, first)| Messages { messages, first });
    words_read_back: words().prop_map(|text| NewMessage { text });
    a_queued_message_reads_back: any::<(u64, u64)>().prop_map(|(number, at)| QueuedMessage { number, at });
    a_mark_reads_back: any::<u64>().prop_map(|up_to| MarkRead { up_to });
    files_read_back: some(file()).prop_map(|files| Files { files });
    an_offered_file_reads_back: (file_name(), any::<u64>(), hex())
        .prop_map(|(name, size, sha256)| OfferFile { name, size, sha256 });
    a_count_reads_back: any::<(u32, u32, u32)>()
        .prop_map(|(opened, repeats, refused)| Imported { opened, repeats, refused });
    a_profile_reads_back: (maybe(name()), reach()).prop_map(|(name, reach)| Profile { name, reach });
    a_change_of_the_profile_reads_back: (maybe(name()), maybe(reach()))
        .prop_map(|(name, reach)| SetProfile { name, reach });
    a_state_of_the_mail_reads_back: mail_status();
    relays_read_back: some(relay()).prop_map(|relays| Relays { relays });
    a_relay_to_add_reads_back: (place(), maybe(name()), maybe(capability()))
        .prop_map(|(place, name, token)| AddRelay { place, name, token });
    an_event_reads_back: (any::<(u64, u64)>(), event()).prop_map(|((id, at), kind)| Event { id, at, kind });
    what_happened_reads_back: event();
}

fn known_invite() -> impl Strategy<Value = Invite> {
    use InviteState::{Cancelled, Expired, Failed, Publishing, Ready, Used};
    let state = one_of(&[Publishing, Ready, Used, Expired, Cancelled, Failed]);
    (invite_id(), invite(), state, maybe(name()), any::<(u64, u64)>(), place()).prop_map(
        |(id, text, state, note, (created_at, expires_at), place)| Invite {
            id,
            text,
            state,
            note,
            created_at,
            expires_at,
            place,
        },
    )
}

fn contact() -> impl Strategy<Value = Contact> {
    use ContactState::{Active, Asking, Blocked, Joining, Known};
    let state = one_of(&[Active, Asking, Blocked, Joining, Known]);
    let named = (contact_id(), root(), name(), maybe(name()));
    let numbers = any::<(bool, u64, Option<u64>, u32, u32, u64)>();
    (named, state, maybe(safety()), some(place()), numbers).prop_map(
        |((id, identity, name, card_name), state, safety, places, numbers)| Contact {
            id,
            identity,
            name,
            card_name,
            state,
            returns: numbers.1.is_multiple_of(2),
            verified: numbers.0,
            safety_number: safety.map(|(digits, ..)| digits),
            places,
            created_at: numbers.1,
            heard_at: numbers.2,
            queued: numbers.3,
            unread: numbers.4,
            file_limit: numbers.5,
        },
    )
}

fn direction() -> impl Strategy<Value = Direction> {
    one_of(&[Direction::Incoming, Direction::Outgoing])
}

fn message() -> impl Strategy<Value = Message> {
    use MessageKind::{Card, FileCancelled, Unknown};
    use MessageState::{Delivered, Expired, Queued, Received};
    let state = one_of(&[Queued, Delivered, Expired, Received]);
    let kind = one_of(&[MessageKind::Text, Card, MessageKind::File, FileCancelled, Unknown]);
    let offered = (file_id(), file_name(), any::<u64>(), hex())
        .prop_map(|(transfer, name, size, sha256)| OfferedFile { transfer, name, size, sha256 });
    let content = (kind, maybe(words()), maybe(offered));
    (any::<(u64, u64, Option<u64>)>(), direction(), state, content).prop_map(
        |((number, at, settled_at), direction, state, (kind, text, file))| Message {
            number,
            direction,
            at,
            state,
            settled_at,
            kind,
            text,
            file,
        },
    )
}

fn file() -> impl Strategy<Value = File> {
    let state = one_of(&[FileState::Loading, FileState::Underway, FileState::Complete, FileState::Cancelled]);
    (file_id(), direction(), file_name(), hex(), state, any::<(u64, u64, u64)>()).prop_map(
        |(id, direction, name, sha256, state, (size, done, at))| File {
            id,
            direction,
            name,
            size,
            sha256,
            state,
            done,
            at,
        },
    )
}

fn reach() -> impl Strategy<Value = Reach> {
    one_of(&[Reach::Direct, Reach::Relays])
}

fn mail_status() -> impl Strategy<Value = MailStatus> {
    (maybe(name()), any::<(u32, u32, u32, u32)>(), any::<u64>()).prop_map(
        |(name, (contacts, asking, queued, unread), foreign)| MailStatus {
            name,
            contacts,
            asking,
            queued,
            unread,
            refused: BTreeMap::from([(RefusalReason::Foreign, foreign)]),
        },
    )
}

fn relay() -> impl Strategy<Value = Relay> {
    use RelayState::{Active, Dead, Spare, Withholding};
    let state = one_of(&[Active, Spare, Dead, Withholding]);
    (place(), name(), state, any::<(bool, u32)>(), maybe(".{0,20}")).prop_map(
        |(place, name, state, (connected, queues), detail)| Relay {
            place,
            name,
            state,
            connected,
            queues,
            detail,
        },
    )
}

fn event() -> impl Strategy<Value = EventKind> {
    prop_oneof![event_of_the_pod(), event_of_money(), event_of_people(), event_of_files()]
}

fn event_of_the_pod() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        (device_key(), name()).prop_map(|(device, name)| EventKind::DeviceAdded { device, name }),
        (device_key(), name()).prop_map(|(device, name)| EventKind::DeviceRevoked { device, name }),
        any::<u64>().prop_map(|oldest| EventKind::Gap { oldest }),
        (place(), ".{0,20}").prop_map(|(place, detail)| EventKind::RelayTrouble { place, detail }),
        (place(), place()).prop_map(|(place, by)| EventKind::RelayReplaced { place, by }),
    ]
}

fn event_of_money() -> impl Strategy<Value = EventKind> {
    use UnconfirmedReason::{Dropped, Reorganised, Replaced};
    let reason = one_of(&[Reorganised, Replaced, Dropped]);
    let state = one_of(&[PaymentState::Draft, PaymentState::Failed]);
    let moved = || (account_id(), txid());
    prop_oneof![
        (account_id(), account_name())
            .prop_map(|(account, name)| EventKind::AccountCreated { account, name }),
        (moved(), net(), any::<Option<u32>>()).prop_map(|((account, txid), net, estimated_minutes)| {
            EventKind::TransactionSeen { account, txid, net, estimated_minutes }
        }),
        (moved(), any::<(u32, u32)>()).prop_map(|((account, txid), (confirmations, height))| {
            EventKind::TransactionConfirmed { account, txid, confirmations, height }
        }),
        (moved(), reason).prop_map(|((account, txid), reason)| EventKind::TransactionUnconfirmed {
            account,
            txid,
            reason
        }),
        (payment_id(), account_id(), state, maybe(".{0,20}")).prop_map(
            |(payment, account, state, detail)| {
                EventKind::PaymentChanged { payment, account, state, detail }
            }
        ),
    ]
}

fn event_of_people() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        invite_id().prop_map(|invite| EventKind::InviteReady { invite }),
        (invite_id(), ".{0,20}").prop_map(|(invite, detail)| EventKind::InviteFailed { invite, detail }),
        contact_id().prop_map(|contact| EventKind::ContactAsked { contact }),
        contact_id().prop_map(|contact| EventKind::ContactConnected { contact }),
        (contact_id(), ".{0,20}").prop_map(|(contact, detail)| EventKind::JoinFailed { contact, detail }),
        contact_id().prop_map(|contact| EventKind::ContactChanged { contact }),
        contact_id().prop_map(|contact| EventKind::ContactRekeyed { contact }),
        (contact_id(), any::<u64>())
            .prop_map(|(contact, number)| EventKind::MessageReceived { contact, number }),
        (contact_id(), any::<u64>())
            .prop_map(|(contact, number)| EventKind::MessageDelivered { contact, number }),
        (contact_id(), any::<u64>())
            .prop_map(|(contact, number)| EventKind::MessageExpired { contact, number }),
    ]
}

fn event_of_files() -> impl Strategy<Value = EventKind> {
    (contact_id(), file_id(), 0..4).prop_map(|(contact, file, which)| match which {
        0 => EventKind::FileOffered { contact, file },
        1 => EventKind::FileReceived { contact, file },
        2 => EventKind::FileDelivered { contact, file },
        _ => EventKind::FileCancelled { contact, file },
    })
}
