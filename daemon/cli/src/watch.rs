//! `message watch`: messages as they come.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    Failure,
    contact::choose,
    context::{Context, Mail},
    message::line,
};
use autonomy_api::{Contact, ContactId, Event, EventKind};
use autonomy_client::{CallError, DeviceError, PodClient};
use autonomy_messaging::Name;

/// Pause before a broken stream is opened again; doubled each time in vain, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Prints messages and what becomes of them, until interrupted.
pub(super) async fn watch(context: &Context, wanted: Option<&str>) -> Result<(), Failure> {
    let mail = context.mail().await?;
    let contacts = context.spinner.during("asking the pod", mail.mailbox().contacts()).await?;
    let only = wanted.map(|wanted| choose(&contacts, wanted, None).map(|contact| contact.id));
    let mut watch = Watch { context, mail: &mail, only: only.transpose()?, names: names(contacts), last: 0 };
    watch.last = newest_event(&mail.pod).await?;
    context.out.note("waiting for messages; end with Ctrl-C");
    tokio::select! {
        told = watch.follow() => told,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn names(contacts: Vec<Contact>) -> BTreeMap<ContactId, Name> {
    contacts.into_iter().map(|contact| (contact.id, contact.name)).collect()
}

/// The last event so far: what comes after it is news.
async fn newest_event(pod: &PodClient) -> Result<u64, Failure> {
    let mut stream = pod.events(Some(0), false).await?;
    let mut last = 0;
    while let Some(event) = stream.next().await? {
        last = event.id;
    }
    Ok(last)
}

struct Watch<'a> {
    context: &'a Context,
    mail: &'a Mail,
    /// The only contact to be told of.
    only: Option<ContactId>,
    names: BTreeMap<ContactId, Name>,
    last: u64,
}

impl Watch<'_> {
    async fn follow(&mut self) -> Result<(), Failure> {
        let mut pause = FIRST_PAUSE;
        loop {
            let before = self.last;
            match self.tell().await {
                Ok(Told::ReaderGone) => return Ok(()),
                Ok(Told::All)
                | Err(DeviceError::Call(CallError::Unreachable { .. } | CallError::TooSlow { .. })) => {}
                Err(error) => return Err(error.into()),
            }
            if self.last > before {
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn tell(&mut self) -> Result<Told, DeviceError> {
        let mut stream = self.mail.pod.events(Some(self.last), true).await?;
        while let Some(event) = stream.next().await? {
            if let Some((json, text)) = self.news(&event).await? {
                let line = if self.context.out.json { json.to_string() } else { text };
                let mut out = io::stdout().lock();
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    return Ok(Told::ReaderGone);
                }
            }
            self.last = event.id;
        }
        Ok(Told::All)
    }

    /// What an event says about messages, for programs and for people.
    async fn news(&mut self, event: &Event) -> Result<Option<(Value, String)>, DeviceError> {
        let (what, contact, number) = match &event.kind {
            EventKind::MessageReceived { contact, number } => ("received", contact, *number),
            EventKind::MessageDelivered { contact, number } => ("delivered", contact, *number),
            EventKind::MessageExpired { contact, number } => ("expired", contact, *number),
            _ => return Ok(None),
        };
        if self.only.as_ref().is_some_and(|only| only != contact) {
            return Ok(None);
        }
        let Some(message) = self.mail.mailbox().message(contact, number).await? else { return Ok(None) };
        if !self.names.contains_key(contact) {
            self.names = names(self.mail.mailbox().contacts().await?);
        }
        let name = self.names.get(contact).map_or("somebody", Name::as_str);
        let json = json!({ "event": what, "contact": contact, "name": name, "message": message });
        Ok(Some((json, line(name, &message))))
    }
}

enum Told {
    All,
    ReaderGone,
}
