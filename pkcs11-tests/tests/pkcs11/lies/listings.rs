//! Listings: what is no page of them, and those that never end.

use std::ptr::null_mut;

use cryptoki_sys::*;
use dsma_testkit::Answer;
use serde_json::{Value, json};

use super::{Court, nobody, remove, set};
use crate::module::{call, ok};

const LIST: &str = "GET /crypto/v1/keys";

#[test]
fn with_wrong_members() {
    let court = Court::open();
    let key = court.bench.aes();
    let module = court.bench.another();
    let session = module.logged_in();
    let find = || {
        ok(call!(module, C_FindObjectsInit(session, null_mut(), 0)))?;
        ok(call!(module, C_FindObjectsFinal(session)))
    };
    // The listing is taken once: each lie needs a library that has none.
    for (wrong, said) in [
        (set("/0/kid", json!("no UUID"), ""), "`[0].kid` is not what was expected"),
        (set("/0/created_at", json!("20201399T999999Z"), ""), "`[0].created_at` is not what was expected"),
        (set("/0/activation_date", json!("-1"), ""), "`[0].activation_date` is not what was expected"),
        (set("/0/deactivation_date", json!(1e30), ""), "`[0].deactivation_date` is not what was expected"),
        (set("/0/key_size", json!(-256), ""), "`[0].key_size` is not what was expected"),
        (set("/0/key_size", json!(1e30), ""), "`[0].key_size` is not what was expected"),
        (set("/0/pub_key", json!("not base64!"), ""), "`[0].pub_key` is not what was expected"),
        (remove("/0/obj_type", ""), "`[0].obj_type` is missing"),
        (set("/0", json!("a key"), ""), "`[0]` is not what was expected"),
    ] {
        court.catches_each(LIST, [super::Wrong { said, ..wrong }], || {
            let module = court.bench.another();
            let session = module.logged_in();
            ok(call!(module, C_FindObjectsInit(session, null_mut(), 0)))?;
            assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OK);
            assert_eq!(module.find(session, &[(CKA_LABEL, key.label.as_bytes())]).len(), 1);
            Ok(())
        });
    }
    court.catches(LIST, |answer| answer.body = b"{\"items\": []}".to_vec(), "not the JSON that was expected", find);
}

/// The same sobject twice is one object, and one without a kid is none.
#[test]
fn with_sobjects_that_are_not_there() {
    let court = Court::open();
    let (one, other) = (court.bench.aes(), court.bench.aes());
    let honest = court.bench.another();
    let session = honest.logged_in();
    let count = honest.find(session, &[]).len();
    court.liar.lie(LIST, |answer| {
        let mut listed = answer.json();
        let items = listed.as_array_mut().expect("a listing");
        let first = items[0].clone();
        items.extend([first.clone(), first.clone()]);
        let mut nameless = first;
        nameless.as_object_mut().expect("a sobject").remove("kid");
        items.push(nameless);
        answer.body = listed.to_string().into_bytes();
    });
    let module = court.bench.another();
    let session = module.logged_in();
    for key in [&one, &other] {
        assert_eq!(module.find(session, &[(CKA_LABEL, key.label.as_bytes())]).len(), 1);
    }
    assert_eq!(court.liar.pending(), 0);
    assert_eq!(module.find(session, &[]).len(), count);
}

/// A page of so many sobjects, made of the first one.
fn fill(answer: &mut Answer, count: usize, kid: impl Fn(usize) -> Value) {
    let first = answer.json()[0].clone();
    let item = |number| {
        let mut item = first.clone();
        item["kid"] = kid(number);
        item
    };
    answer.body = Value::from((0..count).map(item).collect::<Vec<_>>()).to_string().into_bytes();
}

fn numbered(number: usize) -> Value {
    json!(uuid::Uuid::from_u128(number as u128 + 1).to_string())
}

#[test]
fn that_show_the_same_page_again() {
    let court = Court::open();
    let key = court.bench.aes();
    // A thousand sobjects, and one a thousand times.
    for kid in [numbered, |_| numbered(0)] {
        court.liar.lie(LIST, move |answer| fill(answer, 1000, kid));
        // DSM itself has nothing to make a second page of.
        let first = court.bench.stack.dsm().request("GET", "/crypto/v1/keys", None).success().text.into_bytes();
        let lie = move |answer: &mut Answer| {
            answer.body = first;
            fill(answer, 1000, kid);
        };
        let act = || {
            let module = court.bench.another();
            let session = module.logged_in();
            ok(call!(module, C_FindObjectsInit(session, null_mut(), 0)))?;
            assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OK);
            assert_eq!(module.find(session, &[(CKA_LABEL, key.label.as_bytes())]).len(), 1);
            Ok(())
        };
        court.catches(LIST, lie, "shows what the one before showed", act);
    }
}

/// A page may be longer than asked for: what is in it counts once.
#[test]
fn with_a_page_that_is_too_long() {
    let court = Court::open();
    let key = court.bench.aes();
    court.liar.lie(LIST, |answer| fill(answer, 3000, |number| numbered(number % 1500)));
    let module = court.bench.another();
    let session = module.logged_in();
    let found = module.find(session, &[(CKA_LABEL, key.label.as_bytes())]);
    assert_eq!(court.liar.pending(), 0);
    // Those 1500, and what the honest page after them shows.
    assert!((1500..=1501).contains(&found.len()), "{}", found.len());
}

/// A kid that nobody has is an object like any other, until it is used.
#[test]
fn with_a_kid_that_nobody_has() {
    let court = Court::open();
    let key = court.bench.aes();
    court.liar.lie(LIST, |answer| answer.set("/0/kid", nobody()));
    let (module, session, object) = court.bench.use_key(&key);
    let used = module.encrypt(session, &crate::module::gcm(), object, b"data");
    assert_eq!(used, Err(CKR_KEY_HANDLE_INVALID));
    let (honest, session, object) = court.bench.use_key(&key);
    assert!(honest.encrypt(session, &crate::module::gcm(), object, b"data").is_ok());
}
