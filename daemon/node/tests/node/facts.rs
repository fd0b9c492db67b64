//! What a pod answers a device, as lines that a later release must answer too.
//!
//! The words are those of this file and not of the API, so that a field that gets another name is still the same fact.

use autonomy_api::{Account, CardFields, Contact, Event, Written as _, place};
use autonomy_messaging::messenger::Command as Mail;
use autonomy_node::{
    Answer, Caller, Command, HistoryPage, SessionAnswer, SessionCommand,
    sessions::card::{CardAnswer, CardCommand},
};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::{
    mail::{asks, id},
    world::World,
};

/// Most lines of a history: more than the story has.
const ALL: u32 = 1_000;

/// Everything that the pod of the story knows.
pub(crate) fn facts(world: &mut World) -> Vec<String> {
    let mut facts = pod(world);
    facts.extend(money(world));
    facts.extend(mail(world));
    facts.extend(events(world));
    facts
}

fn card(world: &mut World, command: CardCommand) -> CardAnswer {
    match world.device_asks(Command::Session(SessionCommand::Card(command))).unwrap() {
        Answer::Session(SessionAnswer::Card(answer)) => answer,
        other => panic!("no card: {other:?}"),
    }
}

fn written(fields: &CardFields) -> String {
    let CardFields { note, email, way, picture } = fields;
    let (note, email) = (note.as_ref().map(|note| note.as_str()), email.as_ref().map(|email| email.as_str()));
    let way = way.as_ref().map(|way| way.as_str());
    let picture = picture.as_ref().map(|picture| HEXLOWER.encode(picture.as_bytes()));
    format!("note {note:?}, e-mail {email:?}, way {way:?}, picture {picture:?}")
}

fn pod(world: &mut World) -> Vec<String> {
    let Answer::Status(status) = world.device_asks(Command::Status).unwrap() else { panic!("no status") };
    let Answer::Devices(devices) = world.device_asks(Command::Devices).unwrap() else { panic!("no devices") };
    let owner = status.owner.unwrap();
    let mut facts = vec![
        format!("pod {} on {} belongs to {owner}", status.pod_key, status.network),
        format!("pod asks for {}", world.node.pod_request().to_text()),
        format!("state epoch {}", status.state_epoch),
        format!("block {} is {}", status.chain.height, status.chain.tip.unwrap()),
    ];
    facts.extend(
        devices
            .devices
            .iter()
            .map(|device| format!("device {} {:?} {:?}", device.id, device.name, device.access)),
    );
    facts
}

fn money(world: &mut World) -> Vec<String> {
    let Answer::Accounts(accounts) = world.device_asks(Command::Accounts).unwrap() else {
        panic!("no accounts")
    };
    accounts.accounts.iter().flat_map(|account| of_account(world, account)).collect()
}

fn of_account(world: &mut World, account: &Account) -> Vec<String> {
    let id = account.id;
    let (name, balance) = (&account.name, &account.balance);
    let Answer::History(history) =
        world.device_asks(Command::History(id, HistoryPage { limit: ALL })).unwrap()
    else {
        panic!("no history")
    };
    let Answer::Payments(payments) = world.device_asks(Command::Payments(id)).unwrap() else {
        panic!("no payments")
    };
    let mut facts = vec![
        format!("account {name} {:?} {}", account.kind, account.descriptor),
        format!(
            "account {name} has {} sat, {} of them confirmed",
            balance.total.to_sat(),
            balance.confirmed.to_sat()
        ),
        format!(
            "account {name} gave out {} addresses, the first is {}",
            account.revealed,
            account.first_address.write().as_str()
        ),
    ];
    for entry in &history.entries {
        facts.push(format!(
            "{} in block {:?}: {} sat, fee {:?}, note {:?}",
            entry.txid,
            entry.height,
            entry.net.to_sat(),
            entry.fee.map(|fee| fee.to_sat()),
            entry.note
        ));
    }
    for payment in &payments.payments {
        let paid: Vec<_> = payment
            .recipients
            .iter()
            .map(|to| format!("{} sat to {}", to.amount.to_sat(), to.address.write().as_str()))
            .collect();
        facts.push(format!(
            "payment {} {:?}: {} in {}",
            payment.id,
            payment.state,
            paid.join(", "),
            payment.txid
        ));
    }
    facts
}

fn mail(world: &mut World) -> Vec<String> {
    let Answer::Profile(profile) = world.device_asks(Command::Profile).unwrap() else { panic!("no profile") };
    let Answer::Contacts(contacts) = asks(world, Mail::Contacts) else { panic!("no contacts") };
    let Answer::Relays(relays) = asks(world, Mail::Relays) else { panic!("no relays") };
    let Answer::Invites(invites) = world.ask(Caller::Owner, Command::Mail(Mail::Invites)).unwrap() else {
        panic!("no invites")
    };
    let CardAnswer::Own(own) = card(world, CardCommand::Own) else { panic!("no own card") };
    let mut facts = vec![
        format!("profile {:?} {:?}", profile.name, profile.reach),
        format!("own card: {}", written(&own)),
    ];
    facts.extend(
        relays
            .relays
            .iter()
            .map(|relay| format!("relay {} {:?} {:?}", place::text(&relay.place), relay.name, relay.state)),
    );
    facts.extend(invites.invites.iter().map(|invite| {
        format!(
            "invite {} {:?} {:?} until {}: {}",
            invite.id,
            invite.state,
            invite.note,
            invite.expires_at,
            invite.text.to_text()
        )
    }));
    for contact in &contacts.contacts {
        facts.extend(of_contact(world, contact));
    }
    facts
}

fn of_contact(world: &mut World, contact: &Contact) -> Vec<String> {
    let of = id(contact);
    let Answer::Messages(page) = asks(world, Mail::Messages { contact: of, before: None, limit: 200 }) else {
        panic!("no messages")
    };
    let Answer::Files(files) = asks(world, Mail::Files(of)) else { panic!("no files") };
    let CardAnswer::Of(card) = card(world, CardCommand::Of(of)) else { panic!("no card") };
    let name = &contact.name;
    let mut facts = vec![
        format!("contact {name:?} has of us {:?}, {:?}", card.shared, card.delivery),
        format!("contact {name:?} shares {}", written(&card.theirs)),
        format!("contact {} {name:?} {:?}, verified {}", contact.identity, contact.state, contact.verified),
        format!("contact {name:?} calls themselves {:?}, is at {:?}", contact.card_name, contact.places),
        format!(
            "contact {name:?}: {} unread, {} queued, files to {}",
            contact.unread, contact.queued, contact.file_limit
        ),
    ];
    for message in &page.messages {
        let (number, text) = (message.number, message.text.as_ref().map(|text| text.as_str()));
        facts.push(format!(
            "{name:?} {number} {:?} {:?} {:?}: {text:?}",
            message.direction, message.state, message.kind
        ));
    }
    for file in &files.files {
        facts.push(format!(
            "{name:?} {:?} file {:?}, {} of {} bytes {:?}",
            file.direction, file.name, file.done, file.size, file.state
        ));
        if file.done == file.size {
            let transfer = file.id;
            let read = Mail::ReadFile { contact: of, transfer, first: 0, count: 40 };
            let Answer::Bytes(bytes) = asks(world, read) else { panic!("no bytes") };
            facts.push(format!(
                "file {:?} has the digest {}",
                file.name,
                HEXLOWER.encode(&Sha256::digest(&*bytes))
            ));
        }
    }
    facts
}

/// Each event that is still readable: when it happened, and of which kind.
fn events(world: &mut World) -> Vec<String> {
    let Answer::Events(events) = world.device_asks(Command::Events { after: 0 }).unwrap() else {
        panic!("no events")
    };
    let kind = |event: &Event| {
        let shown = format!("{:?}", event.kind);
        shown.split(' ').next().unwrap().to_owned()
    };
    events.iter().map(|event| format!("event {} at {}: {}", event.id, event.at, kind(event))).collect()
}
