//! The service's own certificate runs out again and again under load, and no request notices.
//!
//! CCM's certificates live for 90 days, so the node agent here is the test's: it certifies for some seconds. The group's quorum policy lets nobody but that app export, so a renewal that fails is a request that fails.
#![forbid(unsafe_code)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::agent::Scene;
use common::gcm;
use dsma_testkit::{Credential, Stack};

const CONNECTIONS: usize = 32;
/// Seconds that a certificate lives; it is renewed at two thirds. The last third has to be enough for a loaded machine.
const LIFE: i64 = 18;
const RENEWALS: usize = 3;

#[test]
fn no_request_fails_while_the_certificate_is_renewed() {
    let scene = Scene::new(Stack::start(), LIFE);
    // Keys expire all the time, so that our own session is in use all the time.
    let host = scene.start(&[("CACHE_TTL", "1")]);
    host.wait_log("Successfully connected to DSM at ");
    let kid = &scene.kid;
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let client = host.client(&scene.stack).with(Credential::Basic(scene.client.clone()));
    std::thread::scope(|scope| {
        let load = || {
            while !done.load(Ordering::Relaxed) {
                let reply = client.request("POST", "/crypto/v1/encrypt", Some(gcm(kid)));
                assert_eq!(reply.status, 200, "{}", reply.text);
                served.fetch_add(1, Ordering::Relaxed);
            }
        };
        let workers: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(load)).collect();
        scene.agent.wait_for(1 + RENEWALS);
        host.wait_log("the certificate is renewed");
        done.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let log = host.log();
    assert!(log.matches("INFO dsma::identity - the certificate is renewed").count() >= RENEWALS - 1, "{log}");
    assert!(!log.contains("WARN dsma::identity"), "{log}");
    let exports = scene.stack.admin().exports_of(kid);
    assert!(served.load(Ordering::Relaxed) > 10 * CONNECTIONS && exports > 2 * RENEWALS, "{served:?} requests, {exports} exports");
}
