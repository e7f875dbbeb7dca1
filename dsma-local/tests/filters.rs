//! What `GET /crypto/v1/keys` finds: its parameters, and `filter` expressions.

use base64_simd::STANDARD;
use dsma_testkit::{Dsm, Stack};
use serde_json::{Value, json};

/// Percent-encodes everything that is not a letter or a digit.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn names(dsm: &Dsm, query: &str) -> Vec<String> {
    let list = dsm.request("GET", &format!("/crypto/v1/keys?sort=name:asc&{query}"), None).success().json();
    list.as_array().expect("a bare array").iter().map(|sobject| sobject["name"].as_str().unwrap().to_owned()).collect()
}

fn create(dsm: &Dsm, spec: Value) -> Value {
    dsm.request("POST", "/crypto/v1/keys", Some(spec)).success().json()
}

fn with_name(name: &str, mut spec: Value) -> Value {
    spec["name"] = json!(name);
    spec
}

#[test]
fn expressions_choose_as_the_published_examples_say() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let group = dsm.new_group("Back office");
    let app = stack.dsm_as(&dsm.new_app("key creator", &[(&dsm.default_group(), &["MANAGE"]), (&group, &["MANAGE"])]));
    let small =
        create(&dsm, json!({"name": "small", "obj_type": "AES", "key_size": 128, "custom_metadata": {"custom": "a1", "50%_": "x"}}));
    create(&app, json!({"name": "Big", "obj_type": "AES", "key_size": 256, "group_id": group, "description": "the BIG one"}));
    let odd = json!({"a\"b\\c": "quoted"});
    let pair = json!({"obj_type": "EC", "elliptic_curve": "NistP256", "deactivation_date": "20990101T000000Z", "custom_metadata": odd});
    create(&dsm, with_name("pair", pair));
    let links = json!({"parent": small["kid"]});
    let later = json!({"obj_type": "HMAC", "key_size": 160, "activation_date": "20980101T000000Z", "enabled": false, "links": links});
    create(&dsm, with_name("later", later));
    let found = |filter: Value| names(&app, &format!("filter={}", encoded(&filter.to_string())));
    let (now, kid) = (2_000_000_000_i64, small["kid"].as_str().unwrap());
    for (filter, expected) in [
        (json!({}), &["Big", "later", "pair", "small"][..]),
        (json!({"key_size": {"$lte": 160}}), &["later", "small"]),
        (json!({"$and": [{"key_size": {"$gte": 256}}, {"obj_type": {"$eq": "AES"}}]}), &["Big"]),
        (json!({"$and": [{"key_size": 128}, {"state": {"$eq": "Active"}}, {"name": {"$text": {"$search": "MAL"}}}]}), &["small"]),
        (json!({"$or": [{"name": "pair"}, {"enabled": {"$eq": "false"}}]}), &["later", "pair"]),
        (json!({"$not": {"obj_type": "AES"}}), &["later", "pair"]),
        (json!({"obj_type": {"$nin": ["AES", "HMAC"]}}), &["pair"]),
        (json!({"state": {"$ne": "Active"}}), &["later"]),
        (json!({"state": "PreActive"}), &["later"]),
        (json!({"kid": {"$text": {"$search": kid}}}), &["small"]),
        (json!({"kid": {"$text": {"$search": &kid[..13]}}}), &["small"]),
        (json!({"kid": {"$in": [kid]}}), &["small"]),
        (json!({"description": {"$text": {"$search": "big"}}}), &["Big"]),
        (json!({"description": {"$exists": false}, "key_size": 128}), &["small"]),
        (json!({"custom_attributes.custom": {"$text": {"$search": "1"}}}), &["small"]),
        (json!({"custom_metadata.50%_": "x"}), &["small"]),
        (json!({"custom_metadata.nothing": {"$exists": true}}), &[]),
        (json!({"group_name": {"$text": {"$search": "back"}}}), &["Big"]),
        (json!({"group_id": {"$eq": group}}), &["Big"]),
        (json!({"creator_name": {"$text": {"$search": "key creator"}}}), &["Big"]),
        (json!({"creator_type": {"$in": ["User"]}}), &[]),
        (json!({"key_ops": {"$any": {"$or": [{"$eq": "SIGN"}, {"$eq": "WRAPKEY"}]}}}), &["Big", "pair", "small"]),
        (json!({"key_ops": {"$all": {"$ne": "ENCRYPT"}}}), &["later", "pair"]),
        (json!({"key_ops": "AGREEKEY"}), &["pair"]),
        (json!({"key_ops": {"$any": {"$text": {"$search": "gree"}}}}), &["pair"]),
        (json!({"key_ops": {"$nin": ["SIGN", "ENCRYPT"]}}), &["later"]),
        (json!({"custom_metadata.a\"b\\c": "quoted"}), &["pair"]),
        (json!({"custom_metadata.a\"b\\c": {"$exists": false}, "key_size": 128}), &["small"]),
        (json!({"custom_metadata.custom": {"$ne": "a1"}}), &["Big", "later", "pair"]),
        (json!({"custom_metadata.50%_": {"$text": {"$search": "%"}}}), &[]),
        (json!({"description": {"$text": {"$search": "the_big"}}}), &[]),
        (json!({"elliptic_curve": "NistP256", "origin": "FortanixHSM", "public_only": false, "never_exportable": true}), &["pair"]),
        (json!({"parent": {"$exists": true}}), &["later"]),
        (json!({"parent": kid}), &["later"]),
        (json!({"group_name": {"$exists": false}}), &[]),
        (json!({"creator_name": {"$ne": "key creator"}}), &["later", "pair", "small"]),
        (json!({"expires": {"$range": {"$gt": now, "$lt": "20990102T000000Z"}}}), &["pair"]),
        (json!({"expires": {"$exists": false}, "activation_date": {"$gt": now}}), &["later"]),
        (json!({"created_at": {"$gt": now * 2}}), &[]),
        (json!({"lastused_at": {"$lt": 1}}), &["Big", "later", "pair", "small"]),
        (json!({"name": {"$eq": "x' OR '1'='1"}}), &[]),
    ] {
        assert_eq!(found(filter.clone()), expected, "{filter}");
    }
    assert_eq!(
        names(&dsm, &format!("filter={}", encoded("{}"))),
        ["later", "pair", "small"],
        "a filter shows no more than there is to see"
    );
    let long = json!({"name": {"$text": {"$search": "x".repeat(2000)}}}).to_string();
    for bad in ["{", "[]", "17", r#"{"colour":1}"#, r#"{"name":{"$like":"x"}}"#, r#"{"key_size":{"$gt":"big"}}"#, &"[".repeat(4000), &long]
    {
        let reply = dsm.request("GET", &format!("/crypto/v1/keys?filter={}", encoded(bad)), None);
        assert_eq!(reply.status, 400, "{bad}: {}", reply.text);
    }
}

#[test]
fn parameters_of_listings() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let id = STANDARD.encode_to_string([0xfb, 0xff, 0xfe]);
    let aes =
        |name: &str, metadata: Value| create(&dsm, json!({"name": name, "obj_type": "AES", "key_size": 128, "custom_metadata": metadata}));
    let labelled = aes("one", json!({"pkcs11_label": "label", "pkcs11_id": id, "ключ": "значение & more"}));
    aes("label 2", json!({"pkcs11_label": "other"}));
    aes("label", json!({"pkcs11_label": "hidden"}));
    aes("two", json!({}));
    let opaque = json!({"name": "opaque", "obj_type": "OPAQUE", "value": "AAAA"});
    dsm.request("PUT", "/crypto/v1/keys", Some(opaque)).success();

    assert_eq!(names(&dsm, "pkcs11_label=label"), ["one"]);
    assert_eq!(names(&dsm, "pkcs11_label=two"), ["two"], "a name is the label where there is no other");
    assert_eq!(names(&dsm, &format!("pkcs11_id={id}")), ["one"]);
    assert_eq!(names(&dsm, &format!("pkcs11_id={}", encoded(&id))), ["one"]);
    assert_eq!(names(&dsm, &format!("custom_metadata.{}={}", encoded("ключ"), encoded("значение & more"))), ["one"]);
    let creator = labelled["creator"]["app"].as_str().unwrap();
    assert_eq!(names(&dsm, &format!("creator={creator}")).len(), 5);
    assert_eq!(names(&dsm, &format!("creator={}", labelled["kid"].as_str().unwrap())).len(), 0);
    let value = |query: &str| dsm.request("GET", &format!("/crypto/v1/keys?name=opaque{query}"), None).json()[0]["value"].clone();
    assert_eq!((value(""), value("&show_value=true")), (Value::Null, json!("AAAA")));

    // Metadata follows changes, and goes with the sobject.
    let path = format!("/crypto/v1/keys/{}", labelled["kid"].as_str().unwrap());
    dsm.request("PATCH", &path, Some(json!({"custom_metadata": {"pkcs11_label": "new"}}))).success();
    assert_eq!((names(&dsm, "pkcs11_label=label").len(), names(&dsm, "pkcs11_label=new")), (0, vec!["one".to_owned()]));
    dsm.request("DELETE", &path, None).success();
    assert_eq!(names(&dsm, "pkcs11_label=new").len(), 0);
    let page = dsm.request("GET", "/crypto/v1/keys?with_metadata=true&limit=1&offset=3", None).json();
    assert_eq!((&page["metadata"], page["items"].as_array().unwrap().len()), (&json!({"total_count": 4, "filtered_count": 4}), 1));
}

/// Any Unicode is a name, unique byte by byte.
#[test]
fn names_of_any_script() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let long = "ü".repeat(4096);
    let all = ["ключ", "鍵 🔑", "e\u{301}", "\u{e9}", "a\tb", "\u{202e}x", "NULL", "'; --", "%00", long.as_str()];
    for name in all {
        let key = create(&dsm, json!({"name": name, "obj_type": "AES", "key_size": 128}));
        assert_eq!(key["name"], name);
        let found = dsm.request("POST", "/crypto/v1/keys/info", Some(json!({"name": name}))).success().json();
        assert_eq!(found["kid"], key["kid"]);
        if name.len() < 1000 {
            assert_eq!(names(&dsm, &format!("name={}", encoded(name))), [name]);
        }
        let again = dsm.request("POST", "/crypto/v1/keys", Some(json!({"name": name, "obj_type": "AES", "key_size": 128})));
        assert_eq!(again.status, 409);
    }
    assert_eq!(names(&dsm, "").len(), all.len());
}
