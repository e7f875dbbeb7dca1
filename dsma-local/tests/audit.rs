//! The audit log: what is in it, who reads it, and when.

use std::collections::HashSet;

use dsma_testkit::Stack;
use serde_json::{Value, json};

fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message"].as_str().unwrap()).collect()
}

#[test]
fn every_act_is_there_when_its_answer_is() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = dsm
        .create_key(json!({"name": "k", "obj_type": "AES", "key_size": 128, "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"]}));
    let encrypt = json!({"key": {"kid": kid}, "alg": "AES", "mode": "ECB", "plain": "AAAAAAAAAAAAAAAAAAAAAA=="});
    let cipher = dsm.request("POST", "/crypto/v1/encrypt", Some(encrypt)).success().json()["cipher"].clone();
    assert_eq!(messages(&dsm.audit())[0], "Encrypted with sobject \"k\"");
    let decrypt = json!({"key": {"kid": kid}, "mode": "ECB", "cipher": cipher});
    dsm.request("POST", "/crypto/v1/decrypt", Some(decrypt)).success();
    dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).success();
    let ec = dsm.create_key(json!({"name": "e", "obj_type": "EC", "elliptic_curve": "NistP256"}));
    dsm.request("POST", &format!("/crypto/v1/keys/{ec}/sign"), Some(json!({"hash_alg": "SHA256", "data": "AAAA"}))).success();
    let verify = json!({"hash_alg": "SHA256", "data": "AAAA", "signature": "AAAA"});
    dsm.request("POST", &format!("/crypto/v1/keys/{ec}/verify"), Some(verify)).success();
    dsm.request("DELETE", &format!("/crypto/v1/keys/{ec}"), None).success();

    let lines = dsm.audit();
    assert_eq!(
        messages(&lines),
        [
            "Deleted sobject \"e\"",
            "Verified with sobject \"e\"",
            "Signed with sobject \"e\"",
            "Created sobject \"e\"",
            "Exported sobject \"k\"",
            "Decrypted with sobject \"k\"",
            "Encrypted with sobject \"k\"",
            "Created sobject \"k\"",
        ]
    );
    let export = &lines[4];
    assert_eq!((export["action_type"].as_str(), export["actor_type"].as_str()), (Some("CRYPTOOPERATION"), Some("App")));
    assert_eq!((&export["object_id"], &export["group_ids"]), (&json!(kid), &json!([dsm.default_group()])));
    assert_eq!(export["client_ip"].as_str().map(|ip| ip == "127.0.0.1" || ip == "::1"), Some(true));
    assert_eq!(export["severity"], "INFO");
    // This endpoint's own form of time, unlike all others.
    assert!(export["time"].as_str().is_some_and(|time| time.len() == 20 && time.contains('-') && time.ends_with('Z')), "{export}");

    let shown = dsm.request("GET", &format!("/crypto/v1/keys/{kid}"), None).json();
    assert_ne!(shown["lastused_at"], "19700101T000000Z");
}

#[test]
fn refused_operations_and_keys_of_high_volume_leave_no_line_but_exports_always_do() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let ops = json!(["ENCRYPT", "EXPORT", "HIGHVOLUME"]);
    let kid = dsm.create_key(json!({"name": "busy", "obj_type": "AES", "key_size": 128, "key_ops": ops}));
    let encrypt = |mode: &str| {
        let body = json!({"key": {"kid": kid}, "alg": "AES", "mode": mode, "plain": "AAAAAAAAAAAAAAAAAAAAAA=="});
        dsm.request("POST", "/crypto/v1/encrypt", Some(body)).status
    };
    assert_eq!((encrypt("ECB"), encrypt("XTS")), (200, 400));
    let shut = dsm.create_key(json!({"name": "shut", "obj_type": "AES", "key_size": 128}));
    assert_eq!(dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": shut}))).status, 403);
    assert_eq!(messages(&dsm.audit()), ["Created sobject \"shut\"", "Created sobject \"busy\""]);
    dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).success();
    assert_eq!(messages(&dsm.audit())[0], "Exported sobject \"busy\"");
}

#[test]
fn filters_and_pages() {
    let stack = Stack::start();
    let (dsm, admin) = (stack.dsm(), stack.admin());
    let kids: Vec<String> = (0..5).map(|n| dsm.create_key(json!({"name": format!("k{n}"), "obj_type": "AES", "key_size": 128}))).collect();
    let session = dsm.login();
    let query = |query: &str| -> Vec<Value> {
        admin.request("GET", &format!("/sys/v1/logs?{query}"), None).success().json()["hits"].as_array().unwrap().clone()
    };
    let all = query("");
    // Two groups and three apps, an enclave's group, app and key, five keys, one login.
    assert_eq!(all.len(), 14);
    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let page = query(&format!("size=4{after}"));
        let Some(last) = page.last() else { break };
        after = format!("&previous_id={}", last["_id"].as_str().unwrap());
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let ids: HashSet<&str> = all.iter().map(|line| line["_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), all.len());

    assert_eq!(query("size=3&from=2"), all[2..5]);
    assert_eq!(query(&format!("object_id={}", kids[2])).len(), 1);
    assert_eq!(query("action_type=AUTH").len(), 1);
    assert_eq!(query("action_type=Administrative&actor_type=app").len(), 13);
    assert_eq!(query(&format!("actor_id={}", all[0]["_source"]["actor_id"].as_str().unwrap())).len(), 6);
    assert_eq!(query("range_from=32503680000").len(), 0);
    assert_eq!(query("range_from=1600000000&range_to=32503680000").len(), 14);
    assert_eq!(admin.request("GET", "/sys/v1/logs?size=1001", None).status, 400);
    assert_eq!(admin.request("GET", "/sys/v1/logs?object_id=x", None).status, 400);
    assert_eq!(session.request("GET", "/sys/v1/logs?size=1", None).success().json()["hits"].as_array().unwrap().len(), 1);
}

#[test]
fn an_ordinary_app_reads_its_own_acts_and_those_in_its_groups() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let group = dsm.new_group("private");
    let member = stack.dsm_as(&dsm.new_app("member", &[(&group, &["MANAGE"])]));
    let colleague = stack.dsm_as(&dsm.new_app("colleague", &[(&group, &["MANAGE"])]));
    member.create_key(json!({"name": "theirs", "obj_type": "AES", "key_size": 128}));
    let outsider = stack.dsm_as(&dsm.new_app("outsider", &[(&dsm.default_group(), &["MANAGE"])]));
    let _ = outsider.login();
    let sees = |dsm: &dsma_testkit::Dsm, message: &str| messages(&dsm.audit()).contains(&message);
    for (reader, expected) in [(&member, true), (&colleague, true), (&outsider, false), (&stack.admin(), true)] {
        assert_eq!(sees(reader, "Created sobject \"theirs\""), expected);
    }
    assert!(sees(&outsider, "Authenticated app \"outsider\"") && !sees(&dsm, "Authenticated app \"outsider\""));
}

/// The line is on the disk before the key leaves, and lines of operations at the end of a clean stop.
#[test]
fn lines_outlive_the_process() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = dsm.create_key(json!({"name": "k", "obj_type": "AES", "key_size": 128, "key_ops": ["ENCRYPT", "EXPORT"]}));
    let encrypt = json!({"key": {"kid": kid}, "alg": "AES", "mode": "CBC", "plain": ""});
    dsm.request("POST", "/crypto/v1/encrypt", Some(encrypt)).success();
    dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).success();
    stack.restart();
    assert_eq!(messages(&dsm.audit()), ["Exported sobject \"k\"", "Encrypted with sobject \"k\"", "Created sobject \"k\""]);
}

#[test]
fn concurrent_exports_are_all_counted() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = dsm.create_key(json!({"name": "k", "obj_type": "AES", "key_size": 128, "key_ops": ["EXPORT"]}));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).success();
                }
            });
        }
    });
    assert_eq!(dsm.exports_of(&kid), 200);
}
