//! Keys in parts: exports that give each custodian one part, imports that take one from each, always by an approval request.

mod wire;

use dsma_testkit::{Dsm, Reply, Stack};
use serde_json::{Value, json};
use wire::{b64, bytes};

/// A group with an approval policy and three custodians.
struct House {
    stack: Stack,
    group: String,
    asking: Dsm,
    reviewer: Dsm,
    custodians: Vec<(Dsm, Value)>,
}

impl House {
    fn new() -> Self {
        let stack = Stack::start();
        let dsm = stack.dsm();
        let group = dsm.new_group("in parts");
        let app = |name: &str, permissions: &[&str]| stack.dsm_as(&dsm.new_app(name, &[(&group, permissions)]));
        let (asking, reviewer) = (app("asking", &["MANAGE", "EXPORT", "ENCRYPT"]), app("reviewer", &["VERIFY"]));
        let custodians: Vec<(Dsm, Value)> = ["first", "second", "third"]
            .into_iter()
            .map(|name| {
                let app = stack.dsm_as(&dsm.new_app(name, &[]));
                let id = app.request("POST", "/sys/v1/session/auth", None).success().json()["entity_id"].clone();
                (app, json!({ "app": id }))
            })
            .collect();
        Self { stack, group, asking, reviewer, custodians }
    }

    fn protect(&self) {
        let id = self.reviewer.request("POST", "/sys/v1/session/auth", None).success().json()["entity_id"].clone();
        let members: Vec<&Value> = self.custodians.iter().map(|(_, principal)| principal).collect();
        let policies = json!({
            "approval_policy": {"quorum": {"n": 1, "members": [{"app": id}]}, "protect_crypto_operations": true},
            "custodian_policy": {"quorum": {"n": 2, "members": members}},
        });
        self.stack.admin().request("PATCH", &format!("/sys/v1/groups/{}", self.group), Some(policies)).success();
    }

    fn principals(&self) -> Vec<Value> {
        self.custodians.iter().map(|(_, principal)| principal.clone()).collect()
    }

    fn ask(&self, operation: &str, body: Value) -> Reply {
        let operation = format!("/crypto/v1/keys/components/{operation}");
        self.asking.request("POST", "/sys/v1/approval_requests", Some(json!({"method": "POST", "operation": operation, "body": body})))
    }

    fn asked(&self, operation: &str, body: Value) -> String {
        format!("/sys/v1/approval_requests/{}", self.ask(operation, body).success().json()["request_id"].as_str().unwrap())
    }

    fn exportable(&self, name: &str, value: &[u8], obj_type: &str) -> Value {
        let spec = json!({"name": name, "obj_type": obj_type, "value": b64(value), "group_id": self.group});
        self.asking.request("PUT", "/crypto/v1/keys", Some(spec)).success().json()["kid"].clone()
    }
}

#[test]
fn each_custodian_gets_one_part_and_all_of_them_make_the_key() {
    let house = House::new();
    let value = [0x5a; 32];
    let kid = house.exportable("key", &value, "AES");
    house.protect();
    let body = json!({"key": {"kid": kid}, "custodians": house.principals(), "method": "XOR", "description": "for the safe"});
    let direct = house.asking.request("POST", "/crypto/v1/keys/components/export", Some(body.clone()));
    assert_eq!((direct.status, direct.text.as_str()), (403, "This operation requires approval"));

    let path = house.asked("export", body);
    let result = |app: &Dsm| app.request("POST", &format!("{path}/result"), None);
    assert_eq!(result(&house.custodians[0].0).status, 400, "not approved yet");
    house.reviewer.request("POST", &format!("{path}/approve"), None).success();
    assert_eq!(result(&house.asking).status, 403, "the requester holds no part");
    assert_eq!(result(&house.reviewer).status, 403);

    let mut whole = vec![0; value.len()];
    for (app, principal) in &house.custodians {
        let answer = result(app).success().json();
        assert_eq!((&answer["status"], &answer["body"]["description"]), (&json!(200), &json!("for the safe")));
        let parts = answer["body"]["components"].as_array().unwrap();
        assert!(parts.len() == 1 && &parts[0]["custodian"] == principal, "{answer}");
        let part = bytes(&parts[0]["component"]);
        assert_ne!(part, value);
        // The check value of a part is that of a key of its bytes.
        let check = json!({"kcv": parts[0]["component_kcv"], "value": parts[0]["component"], "obj_type": "AES"});
        assert_eq!(house.asking.request("POST", "/crypto/v1/keys/kcv/verify", Some(check)).success().json()["verified"], true);
        let check = json!({"kcv": answer["body"]["key_kcv"], "value": b64(&value), "obj_type": "AES"});
        assert_eq!(house.asking.request("POST", "/crypto/v1/keys/kcv/verify", Some(check)).success().json()["verified"], true);
        whole.iter_mut().zip(&part).for_each(|(byte, part)| *byte ^= part);
        assert_eq!(result(app).status, 400, "once only");
    }
    assert_eq!(whole, value);
    assert_eq!(house.stack.admin().uses_of(kid.as_str().unwrap(), "Split into components"), 1);
}

#[test]
fn custodians_who_ask_at_the_same_time_get_the_parts_of_one_split() {
    let house = House::new();
    let value = [0x5a; 32];
    let kid = house.exportable("key", &value, "AES");
    house.protect();
    let path = house.asked("export", json!({"key": {"kid": kid}, "custodians": house.principals()}));
    house.reviewer.request("POST", &format!("{path}/approve"), None).success();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let result = |app: &Dsm| app.request("POST", &format!("{path}/result"), None).success().json();
        let asking: Vec<_> = house.custodians.iter().map(|(app, _)| scope.spawn(move || result(app))).collect();
        asking.into_iter().map(|answer| answer.join().unwrap()).collect()
    });
    let mut whole = vec![0; value.len()];
    for answer in &answers {
        assert_eq!(answer["status"], 200, "{answer}");
        whole.iter_mut().zip(bytes(&answer["body"]["components"][0]["component"])).for_each(|(byte, part)| *byte ^= part);
    }
    assert_eq!(whole, value);
}

#[test]
fn custodians_bring_a_key_that_nobody_has_seen() {
    let house = House::new();
    house.protect();
    let parts: Vec<Vec<u8>> = (1..=3_u8).map(|number| vec![number.wrapping_mul(0x31); 16]).collect();
    let value: Vec<u8> = (0..16).map(|at| parts.iter().fold(0, |byte, part| byte ^ part[at])).collect();
    let key = json!({"name": "ceremony", "obj_type": "AES", "group_id": house.group, "key_ops": ["ENCRYPT", "DECRYPT", "APPMANAGEABLE"]});
    let path = house.asked("import", json!({"key": key, "custodians": house.principals()}));
    let approve = |app: &Dsm, body: Value| app.request("POST", &format!("{path}/approve"), Some(body));
    approve(&house.reviewer, json!({})).success();

    let part = |number: usize| json!({"body": {"component": b64(&parts[number])}});
    let [first, second, third] = [0, 1, 2].map(|number| &house.custodians[number].0);
    for (bad, words) in [
        (json!({}), "body"),
        (json!({"body": {}}), "component"),
        (json!({"body": {"component": ""}}), "1 to 1024"),
        (json!({"body": {"component": b64(&parts[0]), "component_kcv": "000000"}}), "component_kcv"),
    ] {
        let refused = approve(first, bad.clone());
        assert!(refused.status == 400 && refused.text.contains(words), "{bad}: {}", refused.text);
    }
    assert_eq!(approve(&house.reviewer, part(0)).status, 400, "a reviewer who is no custodian brings nothing");
    approve(first, part(0)).success();
    assert_eq!(approve(second, json!({"body": {"component": b64(&[1; 24])}})).status, 400, "another length");
    let pending = approve(second, part(1)).success();
    assert!(pending.json()["status"] == "PENDING" && !pending.text.contains(&b64(&parts[0])), "parts are not shown: {}", pending.text);
    assert_eq!(house.asking.request("POST", &format!("{path}/result"), None).status, 400);
    assert_eq!(approve(third, part(2)).success().json()["status"], "APPROVED");
    let made = house.asking.request("POST", &format!("{path}/result"), None).success().json();
    assert_eq!(made["status"], 201, "{made}");
    let check = json!({"kcv": made["body"]["kcv"], "value": b64(&value), "obj_type": "AES"});
    assert_eq!(house.asking.request("POST", "/crypto/v1/keys/kcv/verify", Some(check)).success().json()["verified"], true);
}

#[test]
fn requests_that_make_no_sense_are_refused_with_the_mend() {
    let house = House::new();
    let kid = house.exportable("key", &[7; 32], "AES");
    let secret = house.exportable("secret", b"words", "SECRET");
    let all = house.principals();
    let spec = json!({"name": "new", "obj_type": "AES", "group_id": house.group});
    let unprotected = house.ask("export", json!({"key": {"kid": kid}, "custodians": all}));
    assert!(unprotected.status == 400, "{}", unprotected.text);
    house.protect();
    let stranger = json!({"app": house.asking.request("POST", "/sys/v1/session/auth", None).success().json()["entity_id"]});
    for (operation, body, words) in [
        ("export", json!({"key": {"kid": kid}, "custodians": []}), "custodians"),
        ("export", json!({"key": {"kid": kid}, "custodians": [all[0]]}), "2 to 64"),
        ("export", json!({"key": {"kid": kid}, "custodians": [all[0], all[0]]}), "different"),
        ("export", json!({"key": {"kid": kid}, "custodians": [all[0], stranger]}), "custodian policy"),
        ("export", json!({"key": {"kid": kid}}), "custodians"),
        ("export", json!({"key": {"kid": kid}, "custodians": all, "method": "SHAMIR"}), "SHAMIR"),
        ("export", json!({"key": {"kid": kid}, "custodians": all, "wrap_key_params": {}}), "wrap_key_params"),
        ("import", json!({"key": {"name": "x", "obj_type": "AES"}, "custodians": all}), "group_id"),
        ("import", json!({"key": spec, "custodians": all, "components": [{"component": "AA=="}]}), "components"),
        ("import", json!({"key": spec, "custodians": all, "auth_config": {"require_2fa": true}}), "auth_config"),
    ] {
        let reply = house.ask(operation, body.clone());
        assert!(reply.status == 400 && reply.text.contains(words), "{operation} {body}: {} {}", reply.status, reply.text);
    }
    let path = house.asked("export", json!({"key": {"kid": secret}, "custodians": all}));
    house.reviewer.request("POST", &format!("{path}/approve"), None).success();
    let result = house.custodians[0].0.request("POST", &format!("{path}/result"), None).success().json();
    assert!(result["status"] == 400 && result["body"].as_str().unwrap().contains("AES, DES3 and HMAC"), "{result}");
    for (custodian, _) in &house.custodians {
        let again = custodian.request("POST", &format!("{path}/result"), None);
        assert!(again.status == 400 && again.text.contains("has failed"), "one approval is one attempt: {}", again.text);
    }
}
