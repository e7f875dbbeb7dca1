//! Calls in every order: sequences that proptest makes up, compared with a small model of what the standard says about sessions, logins,
//! objects, searches and operations.
//!
//! The model knows for each kind of operation whether none is active, one is, or one is in parts, and nothing of cryptography: of a call
//! that the model allows, success or an error of the data will do, and both end what they must end. Two sessions take part, which see
//! each other's objects and share the login.

mod messages;
mod objects;
mod operations;
mod run;
mod steps;

use proptest::prelude::*;

use crate::keys::shared;

use self::run::{Rsa, Run};
use self::steps::steps;

#[test]
fn calls_in_any_order_follow_the_model() {
    let module = shared().another();
    let rsa = Rsa::new(&module);
    // Under Valgrind a few must do.
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 600 };
    let config = ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps())| {
        let mut run = Run::new(&module, &rsa);
        for (session, step) in &steps {
            run.step(*session, *step);
        }
        run.end();
    });
}
