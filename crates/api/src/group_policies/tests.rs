//! A table by hand: policies, sobjects, and the words of the refusal.

use serde_json::{Value, json};

use super::*;

fn sobject(changes: Value) -> Sobject {
    let mut document = json!({
        "acct_id": "00000000-0000-0000-0000-000000000001", "obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "APPMANAGEABLE"],
        "enabled": true, "origin": "FortanixHSM", "public_only": false, "creator": {"app": "00000000-0000-0000-0000-000000000002"},
        "created_at": "20260101T000000Z", "activation_date": "20260101T000000Z",
    });
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    serde_json::from_value(document).unwrap()
}

#[test]
fn cryptographic_policies() {
    let rsa =
        |paddings: Value| json!({"obj_type": "RSA", "key_size": 2048, "rsa": {"encryption_policy": paddings, "signature_policy": [{}]}});
    let oaep = || json!([{"padding": {"OAEP": {}}}]);
    for (policy, changes, refusal) in [
        (json!({"aes": {}}), json!({}), None),
        (json!({"aes": {"key_sizes": [256]}}), json!({}), None),
        (json!({"aes": {"key_sizes": [256]}}), json!({"key_size": 128}), Some("AES keys of 128 bits")),
        (json!({"aes": {"key_sizes": []}}), json!({}), Some("256 bits")),
        (json!({"rsa": {}}), json!({}), Some("sobjects of type AES")),
        (json!({"aes": null}), json!({}), Some("type AES")),
        (json!({"aes": {}, "key_ops": ["ENCRYPT"]}), json!({}), Some("APPMANAGEABLE")),
        (json!({"hmac": {"minimum_key_length": 256}}), json!({"obj_type": "HMAC", "key_size": 160}), Some("160 bits")),
        (json!({"hmac": {"minimum_key_length": 160}}), json!({"obj_type": "HMAC", "key_size": 160}), None),
        (json!({"ec": {"elliptic_curves": ["NistP256"]}}), json!({"obj_type": "EC", "elliptic_curve": "NistP256"}), None),
        (json!({"ec": {"elliptic_curves": ["NistP256"]}}), json!({"obj_type": "EC", "elliptic_curve": "Ed25519"}), Some("curve Ed25519")),
        (json!({"ec": {}}), json!({"obj_type": "EC", "elliptic_curve": "Ed25519"}), None),
        (json!({"secret": {}}), json!({"obj_type": "SECRET"}), None),
        (json!({"aes": {}}), json!({"obj_type": "SECRET"}), Some("type SECRET")),
        (json!({"rsa": {"minimum_key_length": 3072}}), rsa(oaep()), Some("2048 bits")),
        (json!({"rsa": {"encryption_policy": oaep()}}), rsa(oaep()), None),
        (json!({"rsa": {"encryption_policy": [{}]}}), rsa(oaep()), None),
        (json!({"rsa": {"encryption_policy": oaep()}}), rsa(json!([{"padding": {"PKCS1_V15": {}}}])), Some("encryption_policy")),
    ] {
        let read: CryptographicPolicy = serde_json::from_value(policy.clone()).unwrap();
        let violation = read.violation(&sobject(changes.clone()));
        match refusal {
            None => assert_eq!(violation, None, "{policy} {changes}"),
            Some(words) => assert!(violation.as_ref().is_some_and(|text| text.contains(words)), "{policy} {changes}: {violation:?}"),
        }
    }
}

#[test]
fn metadata_policies() {
    let policy = |base: Value| -> KeyMetadataPolicy {
        serde_json::from_value(json!({"base": base, "for_obj_type": {"RSA": {"custom_metadata": {}}}, "legacy_objects": "prohibited"}))
            .unwrap()
    };
    let required = json!({"custom_metadata": {"owner": {"required": {"non_empty_after_trim": true, "allowed_values": ["a", " "]}}}});
    let year =
        json!({"custom_metadata": {}, "deactivation_date": {"required": {"allowed_values": {"min": {"days": 1}, "max": {"days": 365}}}}});
    let bare = json!({"custom_metadata": {"x": {"forbidden": {}}}, "description": {"forbidden": {}}, "activation_date": {"forbidden": {}}});
    for (base, changes, refusal) in [
        (&required, json!({"custom_metadata": {"owner": "a"}}), None),
        (&required, json!({}), Some("`custom_metadata.owner` must be there")),
        (&required, json!({"custom_metadata": {"owner": " "}}), Some("blank")),
        (&required, json!({"custom_metadata": {"owner": "b"}}), Some("not among")),
        (&required, json!({"obj_type": "RSA"}), None),
        (&year, json!({"deactivation_date": "20260601T000000Z"}), None),
        (&year, json!({}), Some("`deactivation_date` must be there")),
        (&year, json!({"deactivation_date": "20280101T000000Z"}), Some("outside")),
        (&year, json!({"deactivation_date": "20260101T000001Z"}), Some("outside")),
        (&bare, json!({}), None),
        (&bare, json!({"description": ""}), Some("`description` must not")),
        (&bare, json!({"custom_metadata": {"x": "y"}}), Some("custom_metadata.x")),
        (&bare, json!({"activation_date": "20260201T000000Z"}), Some("activation_date")),
    ] {
        let violation = policy(base.clone()).violation(&sobject(changes.clone()));
        match refusal {
            None => assert_eq!(violation, None, "{base} {changes}"),
            Some(words) => assert!(violation.as_ref().is_some_and(|text| text.contains(words)), "{base} {changes}: {violation:?}"),
        }
    }
}
