//! `message watch`: messages as they arrive, until interrupted.
//!
//! The pod's event stream says that something happened; the message itself is fetched then. A
//! broken stream is opened again after the last event that was shown, so nothing is lost or shown
//! twice.

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

/// Pause before a broken stream is opened again; doubled after each failure, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Prints messages and changes of their state, until interrupted. `wanted` limits it to one
/// contact.
///
/// # Errors
/// The pod refuses; there is no such contact.
pub(super) async fn watch(context: &Context, wanted: Option<&str>) -> Result<(), Failure> {
    let mail = context.mail().await?;
    let contacts = context.spinner.during("asking the pod", mail.mailbox().contacts()).await?;
    let only = wanted.map(|wanted| choose(&contacts, wanted, None).map(|contact| contact.id));
    let mut watch = Watch { context, mail: &mail, only: only.transpose()?, names: names(contacts), last: 0 };
    watch.last = newest_event(&mail.pod).await?;
    context.out.note("waiting for messages; end with Ctrl-C");
    tokio::select! {
        outcome = watch.follow() => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// The names of contacts by id.
fn names(contacts: Vec<Contact>) -> BTreeMap<ContactId, Name> {
    contacts.into_iter().map(|contact| (contact.id, contact.name)).collect()
}

/// The id of the newest event so far. Only what comes after it is shown.
async fn newest_event(pod: &PodClient) -> Result<u64, Failure> {
    let mut stream = pod.events(Some(0), false).await?;
    let mut last = 0;
    while let Some(event) = stream.next().await? {
        last = event.id;
    }
    Ok(last)
}

/// What one `message watch` has to know.
struct Watch<'a> {
    /// How to print.
    context: &'a Context,
    /// The connection to the pod.
    mail: &'a Mail,
    /// The only contact whose messages are shown.
    only: Option<ContactId>,
    /// Names by contact id; fetched again when an unknown contact appears.
    names: BTreeMap<ContactId, Name>,
    /// The last event that was shown.
    last: u64,
}

impl Watch<'_> {
    /// Shows events and reconnects until standard output is closed.
    ///
    /// # Errors
    /// An error that waiting does not remove.
    async fn follow(&mut self) -> Result<(), Failure> {
        let mut pause = FIRST_PAUSE;
        loop {
            let before = self.last;
            match self.show_events().await {
                Ok(StreamEnd::ReaderGone) => return Ok(()),
                Ok(StreamEnd::All)
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

    /// Shows the events of one stream until it ends.
    async fn show_events(&mut self) -> Result<StreamEnd, DeviceError> {
        let mut stream = self.mail.pod.events(Some(self.last), true).await?;
        while let Some(event) = stream.next().await? {
            if let Some((json, text)) = self.news(&event).await? {
                let line = if self.context.out.json { json.to_string() } else { text };
                let mut out = io::stdout().lock();
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    return Ok(StreamEnd::ReaderGone);
                }
            }
            self.last = event.id;
        }
        Ok(StreamEnd::All)
    }

    /// What an event says about a message, as JSON and as text; `None` for events that are not
    /// shown.
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

/// How a stream of events ended.
enum StreamEnd {
    /// The pod ended it.
    All,
    /// Nobody reads standard output any more.
    ReaderGone,
}
