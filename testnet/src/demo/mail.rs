//! What a person sends and receives, through the local socket of their pod, so that only pods are
//! measured.

use std::time::Duration;

use autonomy_testnet::{
    clock::{self, NotYet},
    party::AskError,
};
use serde_json::{Value, json};

use super::{
    DemoError,
    person::Person,
    stage::{missing, must, number},
};

/// Most messages in one answer of the API.
const PAGE: usize = 200;

impl Person {
    /// Waits until `look` finds something. While a pod starts and has no socket yet, nothing is
    /// found.
    ///
    /// # Errors
    /// The pod refuses, or nothing is found within `limit`.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> Result<Option<T>, DemoError>,
    ) -> Result<T, DemoError> {
        let outcome = clock::wait_for(limit, || match look() {
            Err(DemoError::Ask(AskError::Io { .. })) if self.pod.pid().is_some() => Ok(None),
            other => other,
        })?;
        outcome.map_err(|cause| self.waited(what, cause))
    }

    /// The same for a pod that answers, polling so often that the time can be measured.
    pub(super) fn wait_closely<T>(
        &self,
        what: &str,
        limit: Duration,
        look: impl FnMut() -> Result<Option<T>, DemoError>,
    ) -> Result<T, DemoError> {
        clock::wait_closely(limit, look)?.map_err(|cause| self.waited(what, cause))
    }

    /// The error of a wait in vain, with the state of mail and relays.
    fn waited(&self, what: &str, cause: NotYet) -> DemoError {
        let look = |path: &str| self.pod.ask(path, None).unwrap_or_default();
        let seen = format!("{} {}", look("GET /v1/mail"), look("GET /v1/relays"));
        DemoError::Waited { what: format!("{what}, at {}", self.pod.name()), cause, seen }
    }

    /// Waits for the only contact to be in `state`, and returns it.
    pub(super) fn contact_in(&self, state: &str, limit: Duration) -> Result<Value, DemoError> {
        self.wait(&format!("a contact is {state}"), limit, || {
            let answer = self.pod.ask("GET /v1/contacts", None)?;
            let contacts = answer["contacts"].as_array().ok_or_else(|| missing(&answer, "contacts"))?;
            Ok(contacts.iter().find(|contact| contact["state"] == state).cloned())
        })
    }

    /// Sends a message to `contact` and returns its number. A repeat with the same `key` is not
    /// sent again.
    pub(super) fn send_once(&self, contact: &str, words: &str, key: &str) -> Result<u64, DemoError> {
        let request = format!("POST /v1/contacts/{contact}/messages");
        number(&self.pod.ask_once(&request, Some(&json!({ "text": words })), key)?, "number")
    }

    /// The conversation with `contact`, oldest first.
    pub(super) fn conversation(&self, contact: &str) -> Result<Vec<Value>, DemoError> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let before = all.first().map(|first| number(first, "number")).transpose()?;
            let before = before.map_or_else(String::new, |number| format!("&before={number}"));
            let request = format!("GET /v1/contacts/{contact}/messages?limit={PAGE}{before}");
            let answer = self.pod.ask(&request, None)?;
            let page = answer["messages"].as_array().ok_or_else(|| missing(&answer, "messages"))?;
            all.splice(0..0, page.iter().cloned());
            if page.len() < PAGE {
                return Ok(all);
            }
        }
    }

    /// The texts from `contact`, in the order in which they are shown.
    pub(super) fn received(&self, contact: &str) -> Result<Vec<String>, DemoError> {
        let conversation = self.conversation(contact)?;
        let came = conversation.iter().filter(|message| message["direction"] == "incoming");
        Ok(came.filter_map(|message| message["text"].as_str().map(str::to_owned)).collect())
    }

    /// Waits until as many texts from `contact` are there as in `said`, and compares them: each
    /// once, in order.
    pub(super) fn receive(&self, contact: &str, said: &[String], limit: Duration) -> Result<(), DemoError> {
        let heard = self.wait(&format!("{} messages are there", said.len()), limit, || {
            Ok(Some(self.received(contact)?).filter(|heard| heard.len() >= said.len()))
        })?;
        must(heard == said, || format!("said were {said:?}, heard {heard:?}"))
    }

    /// Waits until everything sent to `contact` is acknowledged.
    pub(super) fn all_delivered(&self, contact: &str, limit: Duration) -> Result<(), DemoError> {
        let request = format!("GET /v1/contacts/{contact}");
        self.wait("all receipts are there", limit, || {
            Ok((self.pod.ask(&request, None)?["queued"] == 0).then_some(()))
        })
    }
}
