//! Sobjects: made, imported, found, exported, changed, ended. Formats of `value` are checked with OpenSSL, not with our own parser.

mod openssl;

use base64_simd::STANDARD;
use dsma_testkit::{Dsm, Reply, Stack};
use openssl::openssl;
use serde_json::{Value, json};

fn create(dsm: &Dsm, spec: Value) -> Value {
    let reply = dsm.request("POST", "/crypto/v1/keys", Some(spec));
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

fn import(dsm: &Dsm, spec: Value) -> Reply {
    dsm.request("PUT", "/crypto/v1/keys", Some(spec))
}

fn export(dsm: &Dsm, kid: &Value) -> Vec<u8> {
    let reply = dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).success().json();
    STANDARD.decode_to_vec(reply["value"].as_str().expect("a value")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode_to_vec(value.as_str().expect("base64")).unwrap()
}

fn path(kid: &Value, rest: &str) -> String {
    format!("/crypto/v1/keys/{}{rest}", kid.as_str().unwrap())
}

#[test]
fn a_new_sobject_has_every_member_that_clients_require() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let aes = create(&dsm, json!({"name": "a b/ü", "obj_type": "AES", "key_size": 192, "description": null, "iv": null}));
    for member in [
        "acct_id",
        "created_at",
        "creator",
        "enabled",
        "key_ops",
        "obj_type",
        "origin",
        "public_only",
        "kid",
        "name",
        "group_id",
        "state",
        "lastused_at",
        "never_exportable",
        "key_size",
        "kcv",
    ] {
        assert!(!aes[member].is_null(), "{member} is missing in {aes}");
    }
    assert_eq!((aes["name"].as_str(), aes["state"].as_str(), aes["key_size"].as_u64()), (Some("a b/ü"), Some("Active"), Some(192)));
    assert_eq!((aes["lastused_at"].as_str(), aes["origin"].as_str()), (Some("19700101T000000Z"), Some("FortanixHSM")));
    assert_eq!(aes["never_exportable"], true);
    assert!(aes["value"].is_null() && aes["pub_key"].is_null());
    assert_eq!(aes["group_id"], dsm.default_group());

    let rsa = create(&dsm, json!({"name": "rsa", "obj_type": "RSA", "key_size": 2048}));
    assert_eq!(rsa["rsa"]["public_exponent"], 65537);
    assert_eq!(rsa["rsa"]["encryption_policy"], json!([{"padding": {"OAEP": {}}}]));
    assert_eq!(rsa["rsa"]["signature_policy"], json!([{}]));
    let ec = create(&dsm, json!({"name": "ec", "obj_type": "EC", "elliptic_curve": "NistP256"}));
    assert_eq!(ec["elliptic_curve"], "NistP256");

    let shown = dsm.request("GET", &path(&aes["kid"], ""), None).success().json();
    assert_eq!(shown, aes);
    let by_name = dsm.request("POST", "/crypto/v1/keys/info?", Some(json!({"name": "a b/ü", "kid": null}))).success().json();
    assert_eq!(by_name, aes);
}

#[test]
fn exported_values_have_the_published_formats() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let ops = json!(["SIGN", "VERIFY", "EXPORT"]);

    let aes = create(&dsm, json!({"name": "aes", "obj_type": "AES", "key_size": 256, "key_ops": ["EXPORT"]}));
    let value = export(&dsm, &aes["kid"]);
    assert_eq!(value.len(), 32);
    // The check value: the first three bytes of the encrypted zero block.
    let block = openssl(&["enc", "-aes-256-ecb", "-nopad", "-K", &hex::encode(&value)], &[0; 16]);
    assert_eq!(aes["kcv"].as_str().unwrap(), hex::encode_upper(&block[..3]));

    let rsa = create(&dsm, json!({"name": "rsa", "obj_type": "RSA", "key_size": 2048, "key_ops": ops}));
    let value = export(&dsm, &rsa["kid"]);
    // PKCS #1: version 0 and the modulus follow at once, without the algorithm of PKCS #8.
    assert_eq!(value[..9], [0x30, 0x82, value[2], value[3], 2, 1, 0, 2, 0x82]);
    let public = openssl(&["rsa", "-inform", "DER", "-pubout", "-outform", "DER"], &value);
    assert_eq!(public, bytes(&rsa["pub_key"]));

    for (curve, name) in [("NistP256", "prime256v1"), ("NistP384", "secp384r1"), ("NistP521", "secp521r1"), ("SecP256K1", "secp256k1")] {
        let ec = create(&dsm, json!({"name": curve, "obj_type": "EC", "elliptic_curve": curve, "key_ops": ops}));
        let value = export(&dsm, &ec["kid"]);
        let parsed = String::from_utf8(openssl(&["asn1parse", "-inform", "DER"], &value)).unwrap();
        for part in ["INTEGER           :01", "cont [ 0 ]", name, "cont [ 1 ]", "BIT STRING"] {
            assert!(parsed.contains(part), "{part} is missing in {parsed}");
        }
        let public = openssl(&["ec", "-inform", "DER", "-pubout", "-outform", "DER"], &value);
        assert_eq!(public, bytes(&ec["pub_key"]));
    }
    let path_style = dsm.request("GET", &path(&aes["kid"], "/export"), None).success().json();
    assert_eq!(bytes(&path_style["value"]), export(&dsm, &aes["kid"]));
}

#[test]
fn import_takes_every_usual_form() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let pkcs8 = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"], &[]);
    let pkcs1 = openssl(&["rsa", "-inform", "DER", "-traditional", "-outform", "DER"], &pkcs8);
    let rsa_public = openssl(&["rsa", "-inform", "DER", "-pubout", "-outform", "DER"], &pkcs8);
    let ec_pkcs8 = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-outform", "DER"], &[]);
    let sec1 = openssl(&["ec", "-inform", "DER", "-outform", "DER"], &ec_pkcs8);
    let ec_public = openssl(&["ec", "-inform", "DER", "-pubout", "-outform", "DER"], &ec_pkcs8);

    for (name, obj_type, value, exported) in [
        ("aes", "AES", &vec![7; 16], Some(&vec![7; 16])),
        ("pkcs1", "RSA", &pkcs1, Some(&pkcs1)),
        ("pkcs8", "RSA", &pkcs8, Some(&pkcs1)),
        ("rsa public", "RSA", &rsa_public, None),
        ("sec1", "EC", &sec1, Some(&sec1)),
        ("ec pkcs8", "EC", &ec_pkcs8, Some(&sec1)),
        ("ec public", "EC", &ec_public, None),
    ] {
        let reply = import(&dsm, json!({"name": name, "obj_type": obj_type, "value": STANDARD.encode_to_string(value)}));
        assert_eq!(reply.status, 201, "{name}: {}", reply.text);
        let sobject = reply.json();
        assert_eq!((sobject["origin"].as_str(), sobject["never_exportable"].as_bool()), (Some("External"), Some(false)), "{name}");
        assert_eq!(sobject["public_only"].as_bool(), Some(exported.is_none()), "{name}");
        let shown = dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"name": name}))).success().json();
        match exported {
            Some(value) => assert_eq!(&bytes(&shown["value"]), value, "{name}"),
            None => assert!(shown["value"].is_null(), "{name}"),
        }
    }
    let public = dsm.request("POST", "/crypto/v1/keys/info", Some(json!({"name": "ec public"}))).json();
    assert_eq!(public["key_ops"], json!(["VERIFY", "EXPORT", "APPMANAGEABLE", "AGREEKEY"]));
    assert_eq!(bytes(&public["pub_key"]), ec_public);
}

#[test]
fn listings_filter_sort_and_page() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let other = dsm.new_group("other");
    let app = stack.dsm_as(&dsm.new_app("both", &[(&dsm.default_group(), &["MANAGE"]), (&other, &["MANAGE"])]));
    for (name, group, metadata) in
        [("c 1", &other, json!({})), ("a+2", &dsm.default_group(), json!({"pkcs11.id": "x=y", "n": "1"})), ("b", &other, json!({"n": "1"}))]
    {
        create(&app, json!({"name": name, "group_id": group, "obj_type": "AES", "key_size": 128, "custom_metadata": metadata}));
    }
    create(&app, json!({"name": "d", "obj_type": "EC", "elliptic_curve": "NistP256"}));
    let names = |dsm: &Dsm, query: &str| -> Vec<String> {
        let list = dsm.request("GET", &format!("/crypto/v1/keys?{query}"), None).success().json();
        list.as_array().expect("a bare array").iter().map(|sobject| sobject["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&app, "sort=name:asc"), ["a+2", "b", "c 1", "d"]);
    assert_eq!(names(&app, "sort=name:desc&limit=2&offset=1"), ["c 1", "b"]);
    assert_eq!(names(&app, "sort=name:desc&limit=10000&offset=1")[..2], ["c 1", "b"]);
    let too_many = app.request("GET", "/crypto/v1/keys?limit=10001", None);
    assert!(too_many.status == 400 && too_many.text.contains("at most 10000"), "{} {}", too_many.status, too_many.text);
    assert_eq!(names(&app, "sort=name:asc&start=b"), ["c 1", "d"]);
    assert_eq!(names(&app, "name=c%201"), ["c 1"]);
    assert_eq!(names(&app, "name=a%2B2&sort=&limit="), ["a+2"]);
    assert_eq!(names(&app, "name=a"), [""; 0], "names match whole");
    assert_eq!(names(&app, "obj_type=EC"), ["d"]);
    assert_eq!(names(&app, &format!("group_id={other}&sort=name:asc")), ["b", "c 1"]);
    assert_eq!(names(&app, "custom_metadata.n=1&sort=name:asc"), ["a+2", "b"]);
    assert_eq!(names(&app, "custom_metadata.pkcs11.id=x=y"), ["a+2"]);
    assert_eq!(names(&dsm, "sort=name:asc"), ["a+2", "d"], "another group's sobjects are not seen");
    assert_eq!(names(&stack.admin(), "sort=name:asc").len(), 5, "the TLS key that comes with each state, too");

    let kids = |query: &str| -> Vec<String> {
        let list = app.request("GET", &format!("/crypto/v1/keys?{query}"), None).json();
        list.as_array().unwrap().iter().map(|sobject| sobject["kid"].as_str().unwrap().to_owned()).collect()
    };
    let all = kids("");
    assert!(all.is_sorted());
    assert_eq!(kids(&format!("start={}&limit=2", all[0])), all[1..3]);
    assert_eq!(kids("sort=kid:desc"), all.iter().rev().cloned().collect::<Vec<_>>());

    let page = app.request("GET", "/crypto/v1/keys?with_metadata=true&obj_type=AES&limit=1", None).success().json();
    assert_eq!(page["metadata"], json!({"total_count": 4, "filtered_count": 3}));
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
}

#[test]
fn updates_replace_what_they_name() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let key = create(&dsm, json!({"name": "old", "obj_type": "AES", "key_size": 128, "custom_metadata": {"a": "1", "b": "2"}}));
    create(&dsm, json!({"name": "taken", "obj_type": "AES", "key_size": 128}));
    let patch = |body: Value| dsm.request("PATCH", &path(&key["kid"], ""), Some(body));

    let changed = patch(json!({"name": "new", "description": "text", "custom_metadata": {"c": "3"}, "enabled": null})).success().json();
    assert_eq!((changed["name"].as_str(), changed["description"].as_str()), (Some("new"), Some("text")));
    assert_eq!((&changed["custom_metadata"], changed["enabled"].as_bool()), (&json!({"c": "3"}), Some(true)));

    assert_eq!(dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"name": "new"}))).status, 403);
    let changed = patch(json!({"key_ops": ["EXPORT", "APPMANAGEABLE"]})).success().json();
    assert_eq!(changed["never_exportable"], false);
    assert_eq!(export(&dsm, &key["kid"]).len(), 16);

    let reply = patch(json!({"name": "taken"}));
    assert_eq!((reply.status, reply.text.as_str()), (409, "Sobject with this name already exists"));
    for body in [
        json!({"obj_type": "RSA"}),
        json!({"key_size": 256}),
        json!({"value": "AAAA"}),
        json!({"state": "Destroyed"}),
        json!({"name": " "}),
    ] {
        assert_eq!(patch(body.clone()).status, 400, "{body}");
    }
    assert_eq!(patch(json!({"group_id": "00000000-0000-0000-0000-000000000001"})).status, 404);
    assert_eq!(dsm.request("GET", &path(&key["kid"], ""), None).json()["name"], "new");
}

/// What a state lets a key do, from the wire's side: the whole matrix is the table of `dsma_api::authorize`.
#[test]
fn life_cycle() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let sign = |kid: &Value| {
        let reply = dsm.request("POST", &path(kid, "/sign"), Some(json!({"hash_alg": "SHA256", "data": "AAAA"})));
        (reply.status, reply.text)
    };
    let verify = |kid: &Value| {
        let body = json!({"hash_alg": "SHA256", "data": "AAAA", "signature": "AAAA"});
        dsm.request("POST", &path(kid, "/verify"), Some(body)).status
    };
    let act = |kid: &Value, what: &str, body: Option<Value>| dsm.request("POST", &path(kid, what), body).status;
    let state = |kid: &Value| dsm.request("GET", &path(kid, ""), None).success().json()["state"].as_str().unwrap().to_owned();
    let spec = |name: &str| json!({"name": name, "obj_type": "EC", "elliptic_curve": "NistP256"});

    let key = create(&dsm, json!({"name": "1", "obj_type": "EC", "elliptic_curve": "NistP256", "activation_date": "20990101T000000Z"}));
    assert_eq!(key["state"], "PreActive");
    assert_eq!(sign(&key["kid"]), (403, "Sobject is not yet active".into()));
    assert_eq!(act(&key["kid"], "/activate", None), 204);
    assert_eq!((state(&key["kid"]).as_str(), sign(&key["kid"]).0), ("Active", 200));

    assert_eq!(act(&key["kid"], "/revoke", Some(json!({"code": "Superseded", "message": "newer"}))), 204);
    assert_eq!(state(&key["kid"]), "Deactivated");
    assert_eq!(sign(&key["kid"]), (403, "Sobject is deactivated".into()));
    assert_eq!(verify(&key["kid"]), 200);
    assert_eq!(act(&key["kid"], "/activate", None), 400);

    let key = create(&dsm, spec("2"));
    assert_eq!(act(&key["kid"], "/revoke", Some(json!({"code": "Bored"}))), 400);
    assert_eq!(act(&key["kid"], "/revoke", Some(json!({"code": "KeyCompromise"}))), 204);
    assert_eq!(sign(&key["kid"]), (403, "Sobject is compromised".into()));
    let shown = dsm.request("GET", &path(&key["kid"], ""), None).json();
    assert_eq!((shown["state"].as_str(), shown["revocation_reason"]["code"].as_str()), (Some("Compromised"), Some("KeyCompromise")));
    assert!(shown["compromise_date"].is_string());

    assert_eq!(act(&key["kid"], "/destroy", None), 204);
    assert_eq!(state(&key["kid"]), "Destroyed");
    assert_eq!((sign(&key["kid"]), verify(&key["kid"])), ((403, "Sobject is destroyed".into()), 403));
    assert_eq!(act(&key["kid"], "/destroy", None), 400);
    let listed = |query: &str| dsm.request("GET", &format!("/crypto/v1/keys?name=2{query}"), None).json().as_array().unwrap().len();
    assert_eq!((listed(""), listed("&show_destroyed=true")), (0, 1));

    let key = create(&dsm, spec("3"));
    dsm.request("PATCH", &path(&key["kid"], ""), Some(json!({"enabled": false}))).success();
    assert_eq!(sign(&key["kid"]), (403, "Sobject is disabled".into()));
    assert_eq!(dsm.request("DELETE", &path(&key["kid"], ""), None).status, 204);
    for (status, text) in [sign(&key["kid"]), {
        let reply = dsm.request("DELETE", &path(&key["kid"], ""), None);
        (reply.status, reply.text)
    }] {
        assert_eq!((status, text.as_str()), (404, "Sobject does not exist"));
    }
    create(&dsm, spec("3"));
}
