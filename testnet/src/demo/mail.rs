//! What a person says and hears: asked of their pod on its own machine, so that nothing but the pods is measured.

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

/// Messages in one answer.
const PAGE: usize = 200;

impl Person {
    /// Waits until `look` finds something. Between start and open socket a pod has no ear: that counts as nothing.
    pub(super) fn awaits<T>(
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

    /// [`awaits`](Self::awaits) of a pod that answers, looking so often that the wait can be measured.
    pub(super) fn awaits_closely<T>(
        &self,
        what: &str,
        limit: Duration,
        look: impl FnMut() -> Result<Option<T>, DemoError>,
    ) -> Result<T, DemoError> {
        clock::wait_closely(limit, look)?.map_err(|cause| self.waited(what, cause))
    }

    fn waited(&self, what: &str, cause: NotYet) -> DemoError {
        let look = |path: &str| self.pod.ask(path, None).unwrap_or_default();
        let seen = format!("{} {}", look("GET /v1/mail"), look("GET /v1/relays"));
        DemoError::Waited { what: format!("{what}, at {}", self.pod.name()), cause, seen }
    }

    /// The only contact, once it is in `state`.
    pub(super) fn contact_in(&self, state: &str, limit: Duration) -> Result<Value, DemoError> {
        self.awaits(&format!("a contact is {state}"), limit, || {
            let told = self.pod.ask("GET /v1/contacts", None)?;
            let contacts = told["contacts"].as_array().ok_or_else(|| missing(&told, "contacts"))?;
            Ok(contacts.iter().find(|contact| contact["state"] == state).cloned())
        })
    }

    /// Says something to `contact`; gives its number. By `key` the pod knows a repeat.
    pub(super) fn say_once(&self, contact: &str, words: &str, key: &str) -> Result<u64, DemoError> {
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
            let told = self.pod.ask(&request, None)?;
            let page = told["messages"].as_array().ok_or_else(|| missing(&told, "messages"))?;
            all.splice(0..0, page.iter().cloned());
            if page.len() < PAGE {
                return Ok(all);
            }
        }
    }

    /// The texts that came from `contact`, in the order in which they are shown.
    pub(super) fn heard(&self, contact: &str) -> Result<Vec<String>, DemoError> {
        let conversation = self.conversation(contact)?;
        let came = conversation.iter().filter(|message| message["direction"] == "incoming");
        Ok(came.filter_map(|message| message["text"].as_str().map(str::to_owned)).collect())
    }

    /// Waits until as many texts came from `contact` as `said` has, and compares: each once, in order.
    pub(super) fn hears(&self, contact: &str, said: &[String], limit: Duration) -> Result<(), DemoError> {
        let heard = self.awaits(&format!("{} messages are there", said.len()), limit, || {
            Ok(Some(self.heard(contact)?).filter(|heard| heard.len() >= said.len()))
        })?;
        must(heard == said, || format!("said were {said:?}, heard {heard:?}"))
    }

    /// Waits until all that was said to `contact` is known to have arrived.
    pub(super) fn all_delivered(&self, contact: &str, limit: Duration) -> Result<(), DemoError> {
        let request = format!("GET /v1/contacts/{contact}");
        self.awaits("all receipts are there", limit, || {
            Ok((self.pod.ask(&request, None)?["queued"] == 0).then_some(()))
        })
    }
}
