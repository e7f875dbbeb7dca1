//! `/batch/v1`: requests of any kind carried by one.

use dsma_testkit::{Credential, Stack};
use serde_json::{Value, json};

fn item(method: &str, operation: &str, body: Value) -> Value {
    json!({"SingleItem": {"method": method, "operation": operation, "body": body}})
}

fn list(kind: &str, items: Vec<Value>) -> Value {
    json!({"Batch": {"batch_execution_type": kind, "items": items}})
}

#[test]
fn each_request_is_answered_as_if_it_had_come_alone() {
    let stack = Stack::start();
    let dsm = stack.dsm().login();
    let key = json!({"name": "made in a batch", "obj_type": "AES", "key_size": 128});
    let encrypt = json!({"key": {"name": "made in a batch"}, "alg": "AES", "mode": "ECB", "plain": "AAAAAAAAAAAAAAAAAAAAAA=="});
    let request = list(
        "Unordered",
        vec![
            item("POST", "/crypto/v1/keys", key.clone()),
            item("post", "crypto/v1/encrypt", encrypt.clone()),
            item("GET", "/crypto/v1/keys?name=made%20in%20a%20batch", Value::Null),
            item("POST", "/crypto/v1/keys", key),
            item("POST", "/sys/v1/session/refresh", Value::Null),
            list("Serial", vec![item("GET", "/nowhere", Value::Null), item("GET", "/sys/v1/version", Value::Null), list("Serial", vec![])]),
            item("GET", "/crypto/v1/encrypt", Value::Null),
        ],
    );
    let reply = dsm.request("POST", "/batch/v1", Some(request)).success().json();
    let items = reply["Batch"]["items"].as_array().unwrap();
    let result = |index: usize| &items[index]["SingleItem"]["Result"];
    assert_eq!((&result(0)["status"], &result(0)["body"]["name"]), (&json!(201), &json!("made in a batch")));
    let alone = dsm.request("POST", "/crypto/v1/encrypt", Some(encrypt)).success().json();
    assert_eq!(*result(1), json!({"status": 200, "body": alone}));
    assert_eq!(result(2)["body"][0]["kid"], alone["kid"], "queries are read");
    assert_eq!(*result(3), json!({"status": 409, "body": "Sobject with this name already exists"}), "refusals are strings");
    assert_eq!(*result(4), json!({"status": 204}));
    let nested = &items[5]["Batch"]["items"];
    assert_eq!(nested[0]["SingleItem"]["Result"], json!({"status": 404, "body": "No such endpoint"}));
    assert_eq!(nested[1], json!({"SingleItem": {"Skipped": {"reason": "An earlier request of this serial batch failed"}}}));
    assert_eq!(nested[2], json!({"Batch": {"items": []}}));
    assert_eq!(result(6)["status"], 404);

    let alone = dsm.request("POST", "/batch/v1", Some(item("GET", "/sys/v1/version", Value::Null))).success().json();
    assert_eq!(alone["SingleItem"]["Result"]["status"], 200);
}

#[test]
fn a_serial_batch_stops_and_an_unordered_one_does_not() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let make = |name: &str| item("POST", "/crypto/v1/keys", json!({"name": name, "obj_type": "AES", "key_size": 128}));
    let fail = || item("DELETE", "/crypto/v1/keys/00000000-0000-0000-0000-000000000001", Value::Null);
    // The failure lies in a nested list: it is a failure of the list around it as well.
    for (kind, made) in [("Serial", false), ("Unordered", true)] {
        let request = list(kind, vec![make(&format!("{kind} 1")), list("Unordered", vec![fail()]), make(&format!("{kind} 2"))]);
        let reply = dsm.request("POST", "/batch/v1", Some(request)).success().json();
        assert_eq!(reply["Batch"]["items"][2]["SingleItem"].get("Result").is_some(), made, "{reply}");
        let listed = dsm.request("GET", &format!("/crypto/v1/keys?name={kind}%202"), None).json();
        assert_eq!(listed.as_array().unwrap().len(), usize::from(made));
    }
}

#[test]
fn nobody_gains_by_a_batch() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = dsm.create_key(json!({"obj_type": "AES", "key_size": 128, "key_ops": ["EXPORT"]}));
    let export = list("Serial", vec![item("POST", "/crypto/v1/keys/export", json!({"kid": kid}))]);
    assert_eq!(dsm.with(Credential::None).request("POST", "/batch/v1", Some(export.clone())).status, 401);
    let app = stack.dsm_as(&dsm.new_app("app", &[(&dsm.default_group(), &["ENCRYPT"])]));
    let reply = app.request("POST", "/batch/v1", Some(export)).success().json();
    assert_eq!(reply["Batch"]["items"][0]["SingleItem"]["Result"]["status"], 403);
    let nested = item("POST", "/batch/v1", list("Serial", vec![]));
    assert_eq!(app.request("POST", "/batch/v1", Some(nested)).success().json()["SingleItem"]["Result"]["status"], 400);
}

#[test]
fn bad_input() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let mut deep = item("GET", "/sys/v1/version", Value::Null);
    for _ in 0..200 {
        deep = list("Serial", vec![deep]);
    }
    for (body, words) in [
        (json!({}), "body"),
        (json!({"Batch": {"items": []}}), "batch_execution_type"),
        (json!({"Batch": {"batch_execution_type": "Parallel", "items": []}}), "Parallel"),
        (json!({"Batch": {"batch_execution_type": "Serial"}}), "items"),
        (json!({"Batch": {"batch_execution_type": "Serial", "items": [7]}}), "body"),
        (json!({"SingleItem": {"operation": "/x"}}), "method"),
        (json!({"SingleItem": {"method": "GET"}}), "operation"),
        (deep, "recursion"),
    ] {
        let reply = dsm.request("POST", "/batch/v1", Some(body));
        assert!(reply.status == 400 && reply.text.contains(words), "{words}: {} {}", reply.status, reply.text);
    }
    for (method, operation, status) in
        [("G T", "/sys/v1/version", 404), ("GET", "/a path", 404), ("GET", "", 404), ("BREW", "/sys/v1/version", 404)]
    {
        let reply = dsm.request("POST", "/batch/v1", Some(item(method, operation, Value::Null))).success().json();
        assert_eq!(reply["SingleItem"]["Result"]["status"], status, "{method} {operation}");
    }
    let null = json!({"Batch": null, "SingleItem": {"method": "GET", "operation": "/sys/v1/version", "body": null}});
    assert_eq!(dsm.request("POST", "/batch/v1", Some(null)).success().json()["SingleItem"]["Result"]["status"], 200);
}
