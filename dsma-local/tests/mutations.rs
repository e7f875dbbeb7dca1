//! Each operation with each of its fields spoiled in turn: absent, null, of another type, no base64, too long. What cannot be done is
//! refused in words, nothing is half-made, and what was good before is good after.

use base64_simd::STANDARD;
use dsma_testkit::{Dsm, Stack};
use serde_json::{Map, Value, json};

/// An operation with a body that succeeds.
struct Good {
    path: String,
    body: Value,
}

fn b64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

/// What a field may be spoiled with.
fn spoilt() -> Vec<Value> {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let long = "A".repeat(600_000);
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("?"),
        json!("A"),
        json!("AAA\u{0}"),
        json!("\u{1f600}"),
        json!("nonsense"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"kid": null}),
        json!({"kid": "x", "name": 7}),
    ];
    values.into_iter().chain([deep, json!(long)]).collect()
}

/// Keys of each kind, and requests with them, in the body's spelling, the path's, and those of batches.
fn good(dsm: &Dsm) -> Vec<Good> {
    let key = |spec: Value| json!({"kid": dsm.create_key(spec)});
    let all = json!(["ENCRYPT", "DECRYPT", "WRAPKEY", "UNWRAPKEY", "DERIVEKEY", "MACGENERATE", "MACVERIFY", "EXPORT", "APPMANAGEABLE"]);
    let aes = key(json!({"name": "aes", "obj_type": "AES", "key_size": 128, "key_ops": all}));
    let rsa = key(json!({"name": "rsa", "obj_type": "RSA", "key_size": 2048}));
    let ec = key(json!({"name": "ec", "obj_type": "EC", "elliptic_curve": "NistP256"}));
    let hmac = key(json!({"name": "hmac", "obj_type": "HMAC", "key_size": 256}));
    let fpe = key(
        json!({"name": "fpe", "obj_type": "AES", "key_size": 128, "fpe": {"radix": 10, "min_length": 6, "max_length": 9, "preserve": []}}),
    );
    let mldsa = key(json!({"name": "mldsa", "obj_type": "MLDSA", "mldsa": {"param_set": "MlDsa44"}}));
    let post = |path: &str, body: &Value| dsm.request("POST", &format!("/crypto/v1/{path}"), Some(body.clone())).success().json();
    let with = |mut body: Value, more: Value| {
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };

    let gcm =
        json!({"key": aes, "alg": "AES", "mode": "GCM", "plain": "AAAA", "iv": b64(&[1; 12]), "ad": "AAAA", "tag_len": 128, "label": null});
    let sealed = post("encrypt", &gcm);
    let opened = json!({"key": aes, "alg": "AES", "mode": "GCM", "cipher": sealed["cipher"], "iv": sealed["iv"], "ad": "AAAA", "tag": sealed["tag"], "masked": false, "label": null});
    let oaep = json!({"key": rsa, "alg": "RSA", "mode": {"OAEP": {"mgf": {"mgf1": {"hash": "SHA256"}}}}, "plain": "AAAA", "label": "AAAA"});
    let unpadded = with(
        json!({"key": rsa, "mode": {"OAEP": {"mgf": {"mgf1": {"hash": "SHA256"}}}}, "label": "AAAA"}),
        json!({"cipher": post("encrypt", &oaep)["cipher"]}),
    );
    let token = json!({"key": fpe, "alg": "AES", "mode": "FF1", "plain": b64(b"123456")});
    let sign = json!({"key": ec, "hash_alg": "SHA256", "data": "AAAA", "hash": null, "mode": null, "deterministic_signature": true, "context": null});
    let pss = json!({"key": rsa, "hash_alg": "SHA256", "data": "AAAA", "mode": {"PSS": {"mgf": {"mgf1": {"hash": "SHA256"}}}}});
    let lattice = json!({"key": mldsa, "data": "AAAA", "mode": {"variant": "PURE"}, "context": "AAAA"});
    let verify = with(sign.clone(), json!({"signature": post("sign", &sign)["signature"]}));
    let mac = json!({"key": hmac, "alg": "SHA256", "data": "AAAA"});
    let macverify = with(mac.clone(), json!({"mac": post("mac", &mac)["mac"]}));
    let wrap = json!({"key": aes, "subject": aes, "alg": "AES", "mode": "KW", "key_format": "Default"});
    let wrapped = post("wrapkey", &wrap)["wrapped_key"].clone();
    let transient = json!({"transient": true, "key_ops": ["ENCRYPT"], "enabled": true, "description": "x", "custom_metadata": {"a": "b"}});
    let unwrap = with(json!({"key": aes, "alg": "AES", "mode": "KW", "obj_type": "AES", "wrapped_key": wrapped}), transient.clone());
    let hkdf = with(
        json!({"key": aes, "key_type": "AES", "key_size": 128, "mechanism": {"hkdf": {"hash_alg": "SHA256", "info": "AAAA", "salt": "AAAA"}}}),
        transient.clone(),
    );
    let data = with(
        json!({"key": aes, "key_type": "AES", "key_size": 128, "mechanism": {"encrypt_data": {"alg": "AES", "mode": "ECB", "plain": b64(&[0; 16])}}}),
        transient.clone(),
    );
    let curve = |name: &str| key(json!({"name": name, "obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["AGREEKEY"]}));
    let agree = with(
        json!({"private_key": curve("a"), "public_key": curve("b"), "mechanism": "diffie_hellman", "key_type": "AES", "key_size": 128}),
        transient,
    );
    let cbc = json!({"key": aes, "alg": "AES", "mode": "CBC", "iv": b64(&[0; 16])});
    let state = |direction: &str| post(&format!("{direction}/init"), &cbc)["state"].clone();
    let item = json!({"kid": aes["kid"], "request": {"alg": "AES", "mode": "GCM", "plain": "AAAA", "tag_len": 128}});

    let mut good = Vec::new();
    for (operation, body) in [
        ("encrypt", gcm.clone()),
        ("encrypt", oaep),
        ("encrypt", token),
        ("decrypt", opened),
        ("decrypt", unpadded),
        ("sign", sign.clone()),
        ("sign", pss),
        ("sign", lattice),
        ("verify", verify.clone()),
        ("mac", mac.clone()),
        ("macverify", macverify.clone()),
        ("wrapkey", wrap),
        ("unwrapkey", unwrap),
        ("derive", hkdf),
        ("derive", data),
        ("encrypt/init", cbc.clone()),
        ("decrypt/init", cbc.clone()),
        ("encrypt/update", json!({"key": aes, "plain": "AAAA", "state": state("encrypt")})),
        ("decrypt/update", json!({"key": aes, "cipher": b64(&[1; 32]), "state": state("decrypt")})),
        ("encrypt/final", json!({"key": aes, "state": state("encrypt"), "tag_len": null})),
    ] {
        let kid = body["key"]["kid"].as_str().unwrap().to_owned();
        let mut without = body.clone();
        without.as_object_mut().unwrap().remove("key");
        good.push(Good { path: format!("/crypto/v1/{operation}"), body });
        good.push(Good { path: format!("/crypto/v1/keys/{kid}/{operation}"), body: without });
    }
    for (path, body) in [
        ("/crypto/v1/agree", agree),
        ("/crypto/v1/digest", json!({"alg": "SHA256", "data": "AAAA"})),
        ("/crypto/v1/keys/digest", json!({"key": aes, "alg": "SHA256"})),
        ("/crypto/v1/keys/batch/encrypt", json!([item])),
        ("/crypto/v1/keys/batch/sign", json!([sign])),
        ("/crypto/v1/keys/batch/verify", json!([verify])),
        ("/crypto/v1/keys/batch/mac", json!([mac])),
        ("/crypto/v1/keys/batch/macverify", json!([macverify])),
        (
            "/batch/v1",
            json!({"Batch": {"batch_execution_type": "Serial", "items": [{"SingleItem": {"method": "POST", "operation": "/crypto/v1/encrypt", "body": gcm}}]}}),
        ),
    ] {
        good.push(Good { path: path.to_owned(), body });
    }
    good
}

/// Sends a body, which must be answered well or refused in words.
#[track_caller]
fn answered(dsm: &Dsm, path: &str, body: &Value) -> u16 {
    let reply = dsm.try_request("POST", path, Some(body.to_string().into_bytes())).expect("an answer");
    let shown = body.to_string().chars().take(300).collect::<String>();
    assert!(matches!(reply.status, 200 | 201 | 400 | 403 | 404 | 413), "{path} {shown}: {} {}", reply.status, reply.text);
    if reply.status >= 400 {
        assert!(!reply.text.is_empty() && !reply.text.starts_with('{'), "{path} {shown}: {}", reply.text);
    } else if let Value::Array(items) = reply.json() {
        assert!(items.iter().all(|item| item["status"].as_u64().is_some_and(|status| status < 500)), "{path} {shown}: {}", reply.text);
    } else {
        let status = reply.json().pointer("/Batch/items/0/SingleItem/Result/status").and_then(Value::as_u64);
        assert!(status.is_none_or(|status| status < 500), "{path} {shown}: {}", reply.text);
    }
    reply.status
}

/// The fields of an object, those of objects and arrays within it too, as JSON pointers.
fn fields(value: &Value, at: &str, found: &mut Vec<String>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        _ => return,
    };
    for (name, member) in members {
        let at = format!("{at}/{name}");
        fields(member, &at, found);
        found.push(at);
    }
}

#[test]
fn spoilt_requests_are_refused_in_words() {
    let stack = Stack::start();
    let dsm = stack.dsm().login();
    let good = good(&dsm);
    let kids = |dsm: &Dsm| dsm.request("GET", "/crypto/v1/keys?limit=1000&show_newer_types=true", None).json().as_array().unwrap().len();
    let before = kids(&dsm);
    let spoilt = spoilt();
    let (mut sent, mut refused) = (0, 0);
    for Good { path, body } in &good {
        let status = answered(&dsm, path, body);
        assert!(status < 300, "{path} {body}: {status}");
        let mut places = Vec::new();
        fields(body, "", &mut places);
        for place in places {
            for value in &spoilt {
                // A long text only where texts stand: it is most of the time that this takes.
                if value.as_str().is_some_and(|text| text.len() > 1000) && !body.pointer(&place).is_some_and(Value::is_string) {
                    continue;
                }
                // Without it the key would be stored.
                if place == "/transient" {
                    continue;
                }
                let mut request = body.clone();
                *request.pointer_mut(&place).unwrap() = value.clone();
                sent += 1;
                refused += u32::from(answered(&dsm, path, &request) >= 400);
            }
            let mut request = body.clone();
            let (parent, name) = place.rsplit_once('/').unwrap();
            if let Some(Value::Object(members)) = request.pointer_mut(parent).filter(|_| place != "/transient") {
                members.remove(name);
                answered(&dsm, path, &request);
            }
        }
        // The one of `Batch` and `SingleItem` stands alone.
        if let Value::Object(members) = body
            && path != "/batch/v1"
        {
            let mut more: Map<String, Value> = members.clone();
            more.insert("an additional field".into(), json!({"of": ["later", "versions"]}));
            assert_eq!(answered(&dsm, path, &more.into()), status, "{path}: unknown fields are ignored");
        }
    }
    assert_eq!(kids(&dsm), before, "nothing half-made");
    assert!(sent > 2000 && refused > sent / 2, "{refused} of {sent} refused");
    for Good { path, body } in &good {
        assert!(answered(&dsm, path, body) < 300, "{path} {body} was good before");
    }
}

/// Bodies that are none, with and without a content type, to each operation.
#[test]
fn bodies_that_are_no_requests() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    for Good { path, .. } in good(&dsm) {
        for body in [&b""[..], b" ", b"null", b"{", b"\"\"", b"17", b"[1]", b"{}x", b"\xff", b"{\"key\":{\"kid\":}}"] {
            let reply = dsm.try_request("POST", &path, Some(body.to_vec())).expect("an answer");
            // An array is what a batch takes; what is in it is answered on its own.
            let batch = reply.status == 200 && path.contains("/batch/") && body == b"[1]" && reply.json()[0]["status"] == 400;
            assert!(batch || reply.status == 400 && !reply.text.is_empty(), "{path} {body:?}: {} {}", reply.status, reply.text);
        }
    }
}
