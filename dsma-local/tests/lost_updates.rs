//! Two who change one thing at once: neither undoes what the other was told is done.

mod ccm;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use base64_simd::STANDARD;
use ccm::{Ccm, Node};
use dsma_testkit::{Credential, Stack};
use serde_json::{Value, json};

/// Runs `beside` again and again, in several threads, until `change` is through, which begins when each thread has done it once.
fn beside<T>(beside: impl Fn() + Sync, change: impl FnOnce() -> T) -> T {
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _done = Done(&done);
        let (begun, begins) = std::sync::mpsc::channel();
        for _ in 0..4 {
            let (begun, done, beside) = (begun.clone(), &done, &beside);
            scope.spawn(move || {
                beside();
                drop(begun);
                while !done.load(Ordering::Relaxed) {
                    beside();
                }
            });
        }
        drop(begun);
        // It ends when each has done it.
        begins.iter().for_each(|()| ());
        change()
    })
}

#[test]
fn a_nodes_sign_of_life_undoes_no_decision() {
    let stack = Stack::start();
    let ccm = Ccm::log_in(&stack);
    let node = Node::enrol(&stack, &ccm, "busy");
    let path = format!("/v1/nodes/{}", node.id);
    beside(
        || assert_eq!(node.post("/v1/node/status", &json!({})).0, 200),
        || {
            for number in 0..10 {
                let label = json!({ "op": "add", "path": format!("/labels/l{number}"), "value": "x" });
                ccm.call("PATCH", &path, json!({ "patch": [label] }));
            }
            ccm.call("POST", &format!("{path}/deactivate"), None);
        },
    );
    let shown = ccm.call("GET", &path, None);
    assert_eq!(shown["status"]["status"], "DEACTIVATED", "{shown}");
    assert_eq!(shown["labels"].as_object().unwrap().len(), 10, "{shown}");

    // Of a node that has enrolled again, the certificate before is worth nothing.
    let before = Node::enrol(&stack, &ccm, "again");
    let after = Node::enrol(&stack, &ccm, "again");
    assert_eq!(before.post("/v1/node/status", &json!({})).1["code"], "NODE_NOT_ENROLLED");
    assert_eq!(after.post("/v1/node/status", &json!({})).0, 200);
}

#[test]
fn people_and_accounts_of_ccm_keep_each_change() {
    let stack = Stack::start();
    let (name, password) = (stack.env("CCM_USERNAME"), stack.env("CCM_PASSWORD"));
    let ccm = Ccm::log_in(&stack);
    let me = format!("/v1/users/{}", ccm.call("GET", "/v1/user", None)["user_id"].as_str().unwrap());
    beside(
        || drop(Ccm::log_in_as(&stack, &name, &password)),
        || {
            for number in 0..5 {
                ccm.call("PATCH", &me, json!({ "first_name": format!("Ann {number}") }));
            }
        },
    );
    assert_eq!(ccm.call("GET", &me, None)["first_name"], "Ann 4", "a login tells when it was, and nothing else");

    let account = format!("/v1/accounts/{}", stack.env("CCM_ACCOUNT_ID"));
    for (path, [one, other]) in [(&me, ["first_name", "last_name"]), (&account, ["name", "custom_logo"])] {
        beside(
            || drop(ccm.call("PATCH", path, json!({ one: "beside" }))),
            || {
                for number in 0..10 {
                    ccm.call("PATCH", path, json!({ other: format!("{number}") }));
                }
            },
        );
        let shown = ccm.call("GET", path, None);
        assert_eq!((&shown[one], &shown[other]), (&json!("beside"), &json!("9")), "{path}");
    }
}

#[test]
fn a_user_of_dsm_keeps_each_change() {
    let stack = Stack::start();
    let nobody = stack.dsm().with(Credential::None);
    let user = json!({"user_email": "ann@example.com", "user_password": "correct horse battery"});
    let user = nobody.request("POST", "/sys/v1/users", Some(user)).success().json();
    let ann = nobody.with(Credential::Basic(STANDARD.encode_to_string("ann@example.com:correct horse battery"))).login();
    let path = format!("/sys/v1/users/{}", user["user_id"].as_str().unwrap());
    beside(
        || drop(ann.request("PATCH", &path, Some(json!({"first_name": "Ann"}))).success()),
        || {
            for number in 0..10 {
                ann.request("PATCH", &path, Some(json!({"last_name": format!("{number}")}))).success();
            }
        },
    );
    let shown = ann.request("GET", &path, None).success().json();
    assert_eq!((&shown["first_name"], &shown["last_name"]), (&json!("Ann"), &json!("9")));
}

/// A large key takes a while to generate: what is said of the old one meanwhile must hold for the new one too.
#[test]
fn a_rotation_takes_nothing_back_that_was_changed_meanwhile() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = dsm.create_key(json!({"name": "large", "obj_type": "RSA", "key_size": 4096}));
    let rekey = || dsm.request("POST", "/crypto/v1/keys/rekey", Some(json!({"name": "large"})));
    let describe = |text: &str| dsm.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"description": text}))).success();
    let count = AtomicU32::new(0);
    let refused = beside(|| drop(describe(&count.fetch_add(1, Ordering::Relaxed).to_string())), rekey);
    assert_eq!((refused.status, refused.text.as_str()), (409, "Sobject was changed by another request meanwhile: try again"));
    describe("changed");
    // Being used is no change.
    let sign = json!({"key": {"kid": kid}, "hash_alg": "SHA256", "data": "AAAA"});
    let rotated = beside(|| drop(dsm.request("POST", "/crypto/v1/sign", Some(sign.clone())).success()), rekey).success().json();
    assert_eq!(rotated["description"], "changed");
    let old: Value = dsm.request("GET", &format!("/crypto/v1/keys/{kid}"), None).success().json();
    assert_eq!(old["links"]["replacement"], rotated["kid"]);
}
