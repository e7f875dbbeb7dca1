//! Bad input: DSM's status and plain text, never a 500, never an empty body, and the service goes on.

use dsma_testkit::{Credential, Dsm, Stack};
use serde_json::{Value, json};

/// A refusal as clients see it.
#[track_caller]
fn refused(dsm: &Dsm, method: &str, path: &str, body: Option<Vec<u8>>) -> (u16, String) {
    let shown = body.as_ref().map(|body| String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned());
    let reply = dsm.try_request(method, path, body).expect("an answer");
    assert!((400..500).contains(&reply.status), "{method} {path} {shown:?}: {} {}", reply.status, reply.text);
    assert!(!reply.text.is_empty() && !reply.text.starts_with('{'), "{method} {path} {shown:?}: {}", reply.text);
    assert_eq!(reply.request_id.len(), 8);
    (reply.status, reply.text)
}

#[track_caller]
fn refused_json(dsm: &Dsm, method: &str, path: &str, body: &Value) -> (u16, String) {
    refused(dsm, method, path, Some(body.to_string().into_bytes()))
}

#[test]
fn bodies_that_are_no_requests() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = dsm.create_key(json!({"name": "k", "obj_type": "AES", "key_size": 128}));
    let paths = [
        ("POST", "/crypto/v1/keys".to_owned()),
        ("PUT", "/crypto/v1/keys".to_owned()),
        ("POST", "/crypto/v1/keys/info".to_owned()),
        ("POST", "/crypto/v1/keys/export".to_owned()),
        ("PATCH", format!("/crypto/v1/keys/{kid}")),
        ("POST", format!("/crypto/v1/keys/{kid}/revoke")),
        ("POST", format!("/crypto/v1/keys/{kid}/encrypt")),
        ("POST", "/crypto/v1/encrypt".to_owned()),
        ("POST", "/crypto/v1/decrypt".to_owned()),
        ("POST", "/crypto/v1/sign".to_owned()),
        ("POST", "/crypto/v1/verify".to_owned()),
        ("POST", "/crypto/v1/digest".to_owned()),
        ("POST", "/crypto/v1/keys/batch/encrypt".to_owned()),
    ];
    let bodies: &[&[u8]] =
        &[b"", b"  ", b"{", b"nonsense", b"\"text\"", b"17", b"{\"key\":", b"\xff\xfe", b"{\"name\":17}x", b"[[[[", b"{}[]"];
    for (method, path) in &paths {
        for body in bodies {
            let (status, _) = refused(&dsm, method, path, Some(body.to_vec()));
            assert_eq!(status, 400, "{method} {path} {:?}", String::from_utf8_lossy(body));
        }
        let nobody = dsm.with(Credential::None);
        assert_eq!(refused(&nobody, method, path, Some(b"{".to_vec())).0, 401, "who asks comes first: {path}");
    }
    assert_eq!(refused(&dsm, "POST", "/crypto/v1/keys", Some(b"[]".to_vec())).0, 400, "an array is no object");
    // Nested so deeply that a careless parser overflows its stack.
    assert_eq!(refused(&dsm, "POST", "/crypto/v1/keys", Some(vec![b'['; 500_000])).0, 400);
    assert_eq!(dsm.request("GET", "/crypto/v1/keys", None).status, 200);
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_next_one_is_not() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let digest = |bytes: usize| json!({"alg": "SHA256", "data": "A".repeat(bytes / 4 * 4)}).to_string().into_bytes();
    for size in [1 << 20, 4 << 20] {
        let (status, text) = refused(&dsm, "POST", "/crypto/v1/digest", Some(digest(size)));
        assert_eq!((status, text.as_str()), (413, "Request body is too large"), "{size}");
    }
    let reply = dsm.try_request("POST", "/crypto/v1/digest", Some(digest((1 << 20) - 100))).unwrap();
    assert_eq!(reply.status, 200);
}

#[test]
fn paths_and_methods() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/crypto/v2/keys", 404),
        ("POST", "/crypto/v1/keys/", 404),
        ("POST", "/sys/v1/plugins", 404),
        ("DELETE", "/crypto/v1/keys", 405),
        ("GET", "/crypto/v1/encrypt", 405),
        ("POST", "/sys/v1/health", 405),
        ("GET", "/crypto/v1/keys/nonsense", 400),
        ("GET", "/crypto/v1/keys/00000000-0000-0000-0000-000000000001", 404),
        ("GET", "/crypto/v1/keys/%00%ff", 400),
        ("GET", "/crypto/v1/keys?limit=-1", 400),
        ("GET", "/crypto/v1/keys?offset=x", 400),
        ("GET", "/crypto/v1/keys?group_id=x", 400),
        ("GET", "/crypto/v1/keys?sort=colour", 400),
        ("GET", "/crypto/v1/keys?filter=%7B", 400),
        ("GET", "/crypto/v1/keys?filter=%5B%5D", 400),
        ("GET", "/crypto/v1/keys?filter=%7B%22colour%22:1%7D", 400),
        ("GET", "/crypto/v1/keys?creator=x", 400),
        ("GET", "/crypto/v1/pubkey/x/y", 404),
        ("GET", "/crypto/v1/pubkey/00000000-0000-0000-0000-000000000001/%00%ff", 404),
        ("DELETE", "/crypto/v1/keys/00000000-0000-0000-0000-000000000001/private", 404),
        ("POST", "/crypto/v1/keys/00000000-0000-0000-0000-000000000001/restore", 400),
    ] {
        assert_eq!(refused(&dsm, method, path, None).0, status, "{method} {path}");
    }
    assert!(refused(&dsm, "GET", "//crypto/v1/keys", None).1.contains("must not end with a slash"));
    for path in ["/crypto/v1/keys?", "/crypto/v1/keys?&&=&name", "/crypto/v1/keys?name='%27%", "/crypto/v1/keys?start=nonsense"] {
        assert_eq!(dsm.request("GET", path, None).status, 200, "{path}");
    }
}

#[test]
fn new_sobjects() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let aes = |more: Value| merged(json!({"name": "x", "obj_type": "AES", "key_size": 128}), more);
    for (body, part) in [
        (json!({}), "obj_type"),
        (json!({"name": "x", "obj_type": "AES"}), "key_size"),
        (json!({"name": "x", "obj_type": "EC"}), "elliptic_curve"),
        (json!({"name": "x", "obj_type": "EC", "elliptic_curve": "NistP192"}), "elliptic_curve"),
        (json!({"name": "x", "obj_type": "RSA", "key_size": 512}), "key_size"),
        (json!({"name": "x", "obj_type": "RSA", "key_size": 100_000}), "key_size"),
        (json!({"name": "x", "obj_type": "RSA", "key_size": 2048, "pub_exponent": 4}), "exponent"),
        (json!({"name": "x", "obj_type": "SECRET"}), "obj_type"),
        (json!({"name": "x", "obj_type": "NONSENSE", "key_size": 128}), "obj_type"),
        (aes(json!({"name": null})), "name"),
        (aes(json!({"name": " \t"})), "name"),
        (aes(json!({"name": "two\nlines"})), "name"),
        (aes(json!({"name": "x".repeat(4097)})), "name"),
        (aes(json!({"key_size": 100})), "key_size"),
        (aes(json!({"key_size": "128"})), "expected u32"),
        (aes(json!({"key_size": -1})), "expected u32"),
        (aes(json!({"key_ops": ["FLY"]})), "FLY"),
        (aes(json!({"key_ops": ["SIGN"]})), "SIGN"),
        (aes(json!({"state": "Destroyed"})), "state"),
        (aes(json!({"activation_date": "2026-01-01T00:00:00Z"})), "time"),
        (aes(json!({"deactivation_date": "20200101T000000Z"})), "deactivation_date"),
        (aes(json!({"custom_metadata": {"a": 1}})), "string"),
        (aes(json!({"transient": true})), "ransient"),
        (aes(json!({"group_id": "x"})), "UUID"),
    ] {
        let (status, text) = refused_json(&dsm, "POST", "/crypto/v1/keys", &body);
        assert!(status == 400 && text.contains(part), "{body}: {status} {text}");
    }
    for (body, part) in [
        (json!({"name": "x", "obj_type": "AES"}), "value"),
        (json!({"name": "x", "obj_type": "AES", "value": "AAAA"}), "AES key"),
        (json!({"name": "x", "obj_type": "AES", "value": "AA=A"}), "base64"),
        (json!({"name": "x", "obj_type": "AES", "value": "AAAAAAAAAAAAAAAAAAAAAA"}), "base64"),
        (json!({"name": "x", "obj_type": "AES", "key_size": 256, "value": "AAAAAAAAAAAAAAAAAAAAAA=="}), "key_size"),
        (json!({"name": "x", "obj_type": "RSA", "value": "MAA="}), "RSA key"),
        (json!({"name": "x", "obj_type": "EC", "value": "MAA="}), "EC key"),
    ] {
        let (status, text) = refused_json(&dsm, "PUT", "/crypto/v1/keys", &body);
        assert!(status == 400 && text.contains(part), "{body}: {status} {text}");
    }
    assert_eq!(dsm.request("GET", "/crypto/v1/keys", None).json(), json!([]), "nothing half-made");
}

#[test]
fn operations() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let iv12 = "AAAAAAAAAAAAAAAA";
    let iv16 = "AAAAAAAAAAAAAAAAAAAAAA==";
    // A key that is known: under a random one, one block in 256 decrypts to something that ends like padding. This one ends in 0x3a.
    let zeros = json!({"name": "aes", "obj_type": "AES", "value": iv16});
    dsm.request("PUT", "/crypto/v1/keys", Some(zeros)).success();
    dsm.create_key(json!({"name": "rsa", "obj_type": "RSA", "key_size": 2048}));
    dsm.create_key(json!({"name": "ec", "obj_type": "EC", "elliptic_curve": "NistP256"}));
    let gcm = |more: Value| merged(json!({"key": {"name": "aes"}, "alg": "AES", "mode": "GCM", "plain": "AAAA", "tag_len": 128}), more);
    let cbc = |more: Value| merged(json!({"key": {"name": "aes"}, "alg": "AES", "mode": "CBC", "plain": "AAAA"}), more);
    let rsa = |more: Value| merged(json!({"key": {"name": "rsa"}, "alg": "RSA", "plain": "AAAA"}), more);
    table(
        &dsm,
        "/crypto/v1/encrypt",
        &[
            (gcm(json!({"key": null})), 400, "Missing field `key`"),
            (gcm(json!({"key": {"kid": "00000000-0000-0000-0000-000000000001"}})), 404, "Sobject does not exist"),
            (gcm(json!({"key": {"name": "nobody"}})), 404, "Sobject does not exist"),
            (gcm(json!({"key": {"name": "aes", "kid": "00000000-0000-0000-0000-000000000001"}})), 400, "exactly one of"),
            (gcm(json!({"key": {"transient_key": "AAAA"}})), 400, "Transient"),
            (gcm(json!({"alg": null})), 400, "alg"),
            (gcm(json!({"alg": "RSA"})), 400, "alg does not match"),
            (gcm(json!({"alg": "NONSENSE"})), 400, "Unknown algorithm"),
            (gcm(json!({"plain": null})), 400, "plain"),
            (gcm(json!({"plain": "A"})), 400, "base64"),
            (gcm(json!({"mode": null})), 400, "Missing field `mode`"),
            (gcm(json!({"mode": "XTS"})), 400, "unknown mode"),
            (gcm(json!({"mode": "CCM", "tag_len": 40})), 400, "Invalid tag_len"),
            (gcm(json!({"mode": {"PKCS1_V15": {}}})), 400, "Invalid mode"),
            (gcm(json!({"tag_len": null})), 400, "Missing field `tag_len`"),
            (gcm(json!({"tag_len": 129})), 400, "Invalid tag_len"),
            (gcm(json!({"tag_len": 8})), 400, "Invalid tag_len"),
            (gcm(json!({"tag_len": 1e30})), 400, "Invalid request body"),
            (gcm(json!({"iv": ""})), 400, "Invalid IV length"),
            (gcm(json!({"label": "AAAA"})), 400, "label"),
            (cbc(json!({"iv": iv12})), 400, "Invalid IV length"),
            (cbc(json!({"ad": "AAAA"})), 400, "`ad`"),
            (cbc(json!({"tag_len": 128})), 400, "`tag_len`"),
            (cbc(json!({"mode": "CBCNOPAD"})), 400, "Invalid input length"),
            (cbc(json!({"mode": "ECB"})), 400, "Invalid input length"),
            (cbc(json!({"mode": "ECB", "iv": iv16})), 400, "`iv`"),
            (cbc(json!({"mode": "CTR", "iv": iv12})), 400, "Invalid IV length"),
            (rsa(json!({"mode": "GCM"})), 400, "Invalid mode"),
            (rsa(json!({"mode": {"OAEP": {"mgf": {"mgf1": {"hash": "STREEBOG256"}}}}})), 400, "not possible"),
            (rsa(json!({"mode": {"RAW_DECRYPT": {}}})), 403, "padding"),
            (rsa(json!({"mode": {"OAEP": {}}})), 400, "mode"),
            (rsa(json!({"iv": iv16})), 400, "`iv`"),
            (rsa(json!({"plain": "A".repeat(400)})), 400, "Invalid input length"),
            (rsa(json!({"key": {"name": "ec"}, "alg": "EC"})), 403, "ENCRYPT"),
        ],
    );
    let gcm = |more: Value| merged(json!({"key": {"name": "aes"}, "mode": "GCM", "cipher": "AAAA", "iv": iv12, "tag": iv16}), more);
    table(
        &dsm,
        "/crypto/v1/decrypt",
        &[
            (gcm(json!({})), 400, "Decryption failed"),
            (gcm(json!({"iv": null})), 400, "Missing field `iv`"),
            (gcm(json!({"tag": null})), 400, "Missing field `tag`"),
            (gcm(json!({"tag": ""})), 400, "Invalid tag length"),
            (gcm(json!({"tag": "AAAA"})), 400, "Invalid tag length"),
            (gcm(json!({"cipher": null})), 400, "cipher"),
            (gcm(json!({"mode": "CBC", "iv": iv16})), 400, "`tag`"),
            (gcm(json!({"mode": "CBC", "iv": iv16, "tag": null})), 400, "Invalid input length"),
            (gcm(json!({"mode": "CBC", "iv": iv16, "tag": null, "cipher": iv16})), 400, "Decryption failed"),
            (json!({"key": {"name": "rsa"}, "cipher": "AAAA"}), 400, ""),
            (json!({"key": {"name": "rsa"}, "cipher": iv12, "tag": iv16}), 400, "`tag`"),
        ],
    );
    let sign = |more: Value| merged(json!({"key": {"name": "ec"}, "hash_alg": "SHA256", "data": "AAAA"}), more);
    table(
        &dsm,
        "/crypto/v1/sign",
        &[
            (sign(json!({"hash_alg": null})), 400, "hash_alg"),
            (sign(json!({"hash_alg": "MD5"})), 400, "unknown digest"),
            (sign(json!({"key": {"name": "rsa"}, "hash_alg": "STREEBOG256"})), 400, "not possible"),
            (sign(json!({"data": null})), 400, "Exactly one"),
            (sign(json!({"hash": "AAAA"})), 400, "Exactly one"),
            (sign(json!({"hash": "AAAA", "data": null})), 400, "Invalid length of `hash`"),
            (sign(json!({"mode": {"PKCS1_V15": {}}})), 400, "`mode`"),
            (sign(json!({"key": {"name": "rsa"}, "mode": {"PSS": {}}})), 400, "mgf"),
            (sign(json!({"key": {"name": "aes"}})), 403, "SIGN"),
            (sign(json!({"deterministic_signature": true, "hash_alg": "SHA3_256"})), 400, "eterministic"),
            (sign(json!({"deterministic_signature": 1})), 400, "boolean"),
            (sign(json!({"context": "AAAA"})), 400, "`context`"),
        ],
    );
    table(&dsm, "/crypto/v1/verify", &[(sign(json!({})), 400, "signature"), (sign(json!({"signature": "?"})), 400, "base64")]);
    for signature in ["", "AAAA", "MAA="] {
        let body = merged(sign(json!({})), json!({"signature": signature}));
        assert_eq!(dsm.request("POST", "/crypto/v1/verify", Some(body)).success().json()["result"], false, "{signature}");
    }
    table(
        &dsm,
        "/crypto/v1/digest",
        &[(json!({"alg": "MD5", "data": ""}), 400, "unknown digest"), (json!({"alg": "SHA256"}), 400, "data")],
    );
}

#[track_caller]
fn table(dsm: &Dsm, path: &str, rows: &[(Value, u16, &str)]) {
    for (body, status, part) in rows {
        let (got, text) = refused_json(dsm, "POST", path, body);
        assert!(got == *status && text.contains(part), "{path} {body}: {got} {text}");
    }
}

/// `base` with the members of `more` in their place.
fn merged(mut base: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}
