//! Requests that know their route and the rules of their answer: a device sends one as it is, and nothing that breaks a
//! rule reaches a person.
//!
//! For requests of sessions. The device library has one function for all of them, so a session adds none to it.

use std::fmt;

/// A request with its route, and what its answer has to hold.
pub struct Exchange<B, A> {
    method: Method,
    path: String,
    body: B,
    max_answer: usize,
    check: Check<A>,
}

/// Holds an answer against its rules.
type Check<A> = Box<dyn Fn(&A) -> Result<(), BrokenRule> + Send + Sync>;

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Asks, and changes nothing.
    Get,
    /// Puts something in the place of what was there; sent under an idempotency key.
    Put,
}

/// A rule that an answer breaks: the pod is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRule {
    /// The kind of answer.
    pub what: &'static str,
    /// Its field.
    pub field: &'static str,
    /// What is wrong with it, to be read behind both.
    pub rule: String,
}

impl<A> Exchange<(), A> {
    /// Asks for what is at `path`, which is made of constants and of ids that were parsed. The answer has at most
    /// `max_answer` bytes.
    #[must_use]
    pub fn get(path: impl Into<String>, max_answer: usize) -> Self {
        Self::new(Method::Get, path.into(), (), max_answer)
    }
}

impl<B, A> Exchange<B, A> {
    /// Puts `body` at `path`; see [`Exchange::get`].
    #[must_use]
    pub fn put(path: impl Into<String>, body: B, max_answer: usize) -> Self {
        Self::new(Method::Put, path.into(), body, max_answer)
    }

    fn new(method: Method, path: String, body: B, max_answer: usize) -> Self {
        Self { method, path, body, max_answer, check: Box::new(|_| Ok(())) }
    }

    /// With rules that the types of the answer's fields do not hold it to.
    #[must_use]
    pub fn checked(mut self, check: impl Fn(&A) -> Result<(), BrokenRule> + Send + Sync + 'static) -> Self {
        self.check = Box::new(check);
        self
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is sent as JSON; `()` where nothing is.
    #[must_use]
    pub fn body(&self) -> &B {
        &self.body
    }

    /// Most bytes of an answer.
    #[must_use]
    pub fn max_answer(&self) -> usize {
        self.max_answer
    }

    /// Holds an answer against its rules.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn check(&self, answer: &A) -> Result<(), BrokenRule> {
        (self.check)(answer)
    }
}

/// Without the body, which may be about a person.
impl<B, A> fmt::Debug for Exchange<B, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
