//! A client that judges every reply by the document, and remembers what it has seen.

use std::cell::RefCell;
use std::collections::BTreeSet;

use dsma_testkit::{Dsm, Reply};
use serde_json::Value;

use crate::document::{Document, Operation};

/// What all clients of one walk share.
pub(crate) struct Journal {
    document: Document,
    /// Names of the operations that have succeeded.
    walked: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

/// One credential's view of DSM.
pub(crate) struct Client<'a> {
    pub(crate) dsm: Dsm,
    journal: &'a Journal,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { document: Document::read(), walked: RefCell::default(), problems: RefCell::default() }
    }

    pub(crate) fn client(&self, dsm: Dsm) -> Client<'_> {
        Client { dsm, journal: self }
    }

    /// The published operations that this DSM has, whoever asks.
    pub(crate) fn implemented<'a>(&'a self, anybody: &'a Dsm) -> impl Iterator<Item = &'a Operation> {
        self.document.operations().iter().filter(|operation| is_implemented(anybody, operation))
    }

    /// Whether an operation has succeeded during this walk.
    pub(crate) fn has_walked(&self, operation: &Operation) -> bool {
        self.walked.borrow().contains(&operation.name())
    }

    /// # Panics
    /// Where a reply was not as published; the message tells of each.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let problems = self.problems.borrow();
        assert!(problems.is_empty(), "{} replies are not as published:\n{}", problems.len(), problems.join("\n"));
    }

    fn note(&self, method: &str, path: &str, body: &str, reply: &Reply) {
        if let Err(problem) = self.document.judge(method, path, reply) {
            let body: String = body.chars().take(200).collect();
            self.problems.borrow_mut().push(format!("{method} {path} {body}\n    {problem}"));
        } else if reply.status < 300 {
            self.walked.borrow_mut().insert(self.document.operation(method, path).name());
        }
    }
}

impl<'a> Client<'a> {
    /// The same walk, with another credential.
    pub(crate) fn with(&self, dsm: Dsm) -> Self {
        Self { dsm, journal: self.journal }
    }

    /// Whether this DSM has the operation that such a request asks for.
    pub(crate) fn has(&self, method: &str, path: &str) -> bool {
        is_implemented(&self.dsm, self.journal.document.operation(method, path))
    }

    /// A request that must succeed. Returns the body, null where there is none.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str, body: impl Into<Option<Value>>) -> Value {
        let body = body.into();
        let reply = self.send(method, path, body.as_ref().map(|body| body.to_string().into_bytes()));
        assert!(reply.status < 300, "{method} {path} {body:?}: {} {}", reply.status, reply.text);
        if reply.text.is_empty() { Value::Null } else { reply.json() }
    }

    /// As [`Client::call`]; `None` where this DSM says that it does not have what is asked for.
    #[track_caller]
    pub(crate) fn call_if_supported(&self, method: &str, path: &str, body: impl Into<Option<Value>>) -> Option<Value> {
        let body = body.into();
        let reply = self.send(method, path, body.as_ref().map(|body| body.to_string().into_bytes()));
        if reply.status == 400 && reply.text.contains("not supported") {
            return None;
        }
        assert!(reply.status < 300, "{method} {path} {body:?}: {} {}", reply.status, reply.text);
        Some(if reply.text.is_empty() { Value::Null } else { reply.json() })
    }

    /// A request that must be refused with this status. Returns the text.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, method: &str, path: &str, body: impl Into<Option<Value>>) -> String {
        let body = body.into();
        let reply = self.send(method, path, body.as_ref().map(|body| body.to_string().into_bytes()));
        assert_eq!(reply.status, status, "{method} {path} {body:?}: {}", reply.text);
        reply.text
    }

    /// A request whose answer may be anything that the document and DSM's ways allow.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Reply {
        let shown = body.as_ref().map_or(String::new(), |body| String::from_utf8_lossy(body).into_owned());
        let reply = self.dsm.try_request(method, path, body).unwrap_or_else(|error| panic!("{method} {path} {shown}: {error}"));
        self.journal.note(method, path, &shown, &reply);
        reply
    }
}

/// An endpoint that is not there says so before it asks who calls.
fn is_implemented(dsm: &Dsm, operation: &Operation) -> bool {
    let nobody = dsm.with(dsma_testkit::Credential::None);
    let reply = nobody.request(&operation.method, &operation.path_with("00000000-0000-0000-0000-000000000000"), None);
    !(reply.status == 405 || reply.status == 404 && reply.text == "No such endpoint")
}
