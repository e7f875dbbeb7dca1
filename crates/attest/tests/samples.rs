//! Real documents of AWS's NSMs: believed at their time, refused as expired now, and refused for each byte that was changed.

mod support;

use std::time::SystemTime;

use ciborium::Value;
use dsma_attest::{Document, Error, Roots, Verifier};
use support::{EVERVAULT, FORTANIX, Pki, TKHQ, at_millis, decoded, encoded, usual};

/// Sample, its timestamp, PCR0 to PCR2 in hexadecimal: from the publishers' own tests, or computed by others.
const PRODUCTION: [(&[u8], u64, [&str; 3]); 2] = [
    (
        EVERVAULT,
        1_665_651_482_136,
        [
            "f4d48b81a460c9916d1e685119074bf24660afd3e34fae9fca0a0d28d9d5599936332687e6f66fc890ac8cf150142d8b",
            "bcdf05fefccaa8e55bf2c8d6dee9e79bbff31e34bf28a99aa19e6b29c37ee80b214a414b7607236edf26fcb78654e63f",
            "d8f114da658de5481f8d9ec73907feb553560787522f705c92d7d96beed8e15e2aa611984e098c576832c292e8dc469a",
        ],
    ),
    (
        TKHQ,
        1_657_117_102_484,
        [
            "f8bb0133c427bc49aa39f6811a01077ce9ab7e635fa1f5439c9c8bf99754f8230e41b09426b0e595eebdc4d6ed4bc3b6",
            "bcdf05fefccaa8e55bf2c8d6dee9e79bbff31e34bf28a99aa19e6b29c37ee80b214a414b7607236edf26fcb78654e63f",
            "c185515d78cb90a2dc1fa49ea232fb44645acd18652c96dd05a92b9c5dbfa36d61d7c7d9e71d51de38de914cd00214bb",
        ],
    ),
];
const PCR8: &str = "8790eb3cce6c83d07e84b126dc61ca923333d6f66615c4a79157de48c5ab2418bdc60746ea7b7afbff03a1c6210201cb";
const FORTANIX_TIME: u64 = 1_631_182_760_215;

fn aws() -> Verifier {
    Verifier::new(Roots::aws())
}

#[test]
fn production_documents_verify_at_their_time_and_give_their_measurements() {
    for (sample, millis, measurements) in PRODUCTION {
        let document = aws().verify(sample, at_millis(millis)).unwrap();
        assert_eq!(document.timestamp_millis, millis);
        assert_eq!(document.pcrs.len(), 16);
        assert_eq!(document.cabundle.len(), 4);
        for (index, expected) in (0u32..).zip(measurements) {
            assert_eq!(hex::encode(&document.pcrs[&index]), expected, "PCR{index}");
        }
        // PCR4 is the instance's id, hashed once over 48 zero bytes.
        let (instance, _) = document.module_id.split_once("-enc").unwrap();
        let pcr4 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, &[&[0; 48], instance.as_bytes()].concat());
        assert_eq!(document.pcrs[&4], pcr4.as_ref());
    }
    assert_eq!(hex::encode(&Document::parse(EVERVAULT).unwrap().pcrs[&8]), PCR8);
}

#[test]
fn a_debug_mode_document_is_refused_unless_it_is_asked_for() {
    let time = at_millis(FORTANIX_TIME);
    let refused = aws().verify(FORTANIX, time).unwrap_err();
    assert!(matches!(refused, Error::DebugMode { pcr: 0, seen: "all zero" }), "{refused}");
    let document = aws().allow_debug(true).verify(FORTANIX, time).unwrap();
    assert_eq!(document.unmeasured(), Some((0, "all zero")));
    assert_eq!(document.user_data.map(|data| data.len()), Some(64));
    assert_eq!(document.nonce.map(|nonce| nonce.len()), Some(16));
    assert_eq!(document.public_key, None);
}

#[test]
fn all_of_them_have_expired_now() {
    for sample in [FORTANIX, EVERVAULT, TKHQ] {
        let refused = aws().allow_debug(true).without_age_limit().verify(sample, SystemTime::now()).unwrap_err();
        assert!(matches!(&refused, Error::Validity { expired: true, certificate, .. } if certificate.contains("aws.nitro-enclaves")));
        assert!(refused.to_string().contains("has expired; ask the NSM for a new document"), "{refused}");
    }
}

#[test]
fn the_time_decides() {
    let (sample, millis, _) = PRODUCTION[0];
    let verify = |verifier: &Verifier, offset: i64| verifier.verify(sample, at_millis(millis.strict_add_signed(offset * 1000)));
    verify(&aws(), 299).unwrap();
    let old = verify(&aws(), 301).unwrap_err();
    assert!(matches!(old, Error::TooOld { .. }), "{old}");
    assert!(old.to_string().starts_with("the document was signed 301 s ago (2022-10-13T08:58:02Z), and at most 300 s"), "{old}");
    // The leaf begins 3 s before its document: a clock that is further behind sees a certificate of the future.
    verify(&aws(), -2).unwrap();
    assert!(matches!(verify(&aws(), -5).unwrap_err(), Error::Validity { expired: false, .. }));
    // Without an age limit the leaf's three hours remain.
    let patient = aws().without_age_limit();
    verify(&patient, 3 * 3600 - 5).unwrap();
    let over = verify(&patient, 3 * 3600 + 5).unwrap_err();
    assert!(matches!(&over, Error::Validity { expired: true, certificate, .. } if certificate.starts_with("the signing certificate")));
}

#[test]
fn another_root_is_not_believed() {
    let (sample, millis, _) = PRODUCTION[0];
    let refused = Verifier::new(Pki::new(&usual()).roots()).verify(sample, at_millis(millis)).unwrap_err();
    let expected = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";
    assert!(matches!(&refused, Error::UnknownRoot { fingerprint, pinned: 1, .. } if fingerprint == expected), "{refused}");
}

/// Each single byte of a real document matters: whatever is changed, it is refused, and nothing panics.
#[test]
fn no_byte_can_be_changed() {
    let (sample, millis, _) = PRODUCTION[1];
    let verifier = aws().allow_debug(true).without_age_limit();
    let mut rules = std::collections::BTreeSet::new();
    for place in 0..sample.len() {
        let mut tampered = sample.to_vec();
        tampered[place] ^= 1 << (place % 8);
        let refused = verifier.verify(&tampered, at_millis(millis)).map(|_| place).unwrap_err();
        rules.insert(refused.rule());
    }
    for rule in ["envelope", "syntax", "certificate", "root", "chain", "signature", "validity"] {
        assert!(rules.contains(rule), "no byte led to the rule of {rule}: {rules:?}");
    }
}

#[test]
fn tagged_ones_are_taken_too() {
    let (sample, millis, _) = PRODUCTION[0];
    let tagged = encoded(&Value::Tag(18, Box::new(decoded(sample))));
    assert_eq!(tagged[0], 0xd2);
    assert_eq!(aws().verify(&tagged, at_millis(millis)).unwrap(), aws().verify(sample, at_millis(millis)).unwrap());
    let mistagged = encoded(&Value::Tag(98, Box::new(decoded(sample))));
    assert!(aws().verify(&mistagged, at_millis(millis)).unwrap_err().to_string().contains("tag 98"));
}

#[test]
fn a_document_is_known_by_what_is_signed() {
    let (sample, millis, _) = PRODUCTION[0];
    let document = aws().verify(sample, at_millis(millis)).unwrap();
    let payload = decoded(sample).into_array().unwrap().swap_remove(2).into_bytes().unwrap();
    assert_eq!(document.content, aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &payload).as_ref());
    assert_ne!(document.content, Document::parse(TKHQ).unwrap().content);
}

/// Each field of a real document, replaced by another that is well-formed: the signature covers it, or the chain does.
#[test]
fn each_field_is_covered() {
    let (sample, millis, _) = PRODUCTION[0];
    let parts = decoded(sample).into_array().unwrap();
    let fields = decoded(parts[2].as_bytes().unwrap()).into_map().unwrap();
    let foreign = Document::parse(TKHQ).unwrap();
    let pcrs = foreign.pcrs.iter().map(|(index, value)| (Value::from(*index), Value::Bytes(value.clone()))).collect();
    for (name, value, rule) in [
        ("module_id", Value::from("i-0-enc0"), "signature"),
        ("timestamp", Value::from(millis + 1), "signature"),
        ("pcrs", Value::Map(pcrs), "signature"),
        ("certificate", Value::Bytes(foreign.certificate.clone()), "chain order"),
        ("cabundle", Value::Array(foreign.cabundle.iter().cloned().map(Value::Bytes).collect()), "chain order"),
        ("public_key", Value::Bytes(vec![1; 64]), "signature"),
        ("user_data", Value::Bytes(vec![1; 64]), "signature"),
        ("nonce", Value::Null, "signature"),
    ] {
        let mut fields = fields.clone();
        support::set(&mut fields, name, value);
        let mut parts = parts.clone();
        parts[2] = Value::Bytes(encoded(&Value::Map(fields)));
        let refused = aws().verify(&encoded(&Value::Array(parts)), at_millis(millis)).unwrap_err();
        assert_eq!(refused.rule(), rule, "{name}: {refused}");
    }
}

/// Whoever has a signature (r, s) has (r, n - s) as well, which is as good (FIPS 186-5 leaves it so). It is the same document all the same.
#[test]
fn a_mirrored_signature_is_no_new_document() {
    const ORDER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    let (sample, millis, _) = PRODUCTION[0];
    let mut parts = decoded(sample).into_array().unwrap();
    let mut signature = parts[3].as_bytes().unwrap().clone();
    let mut borrow = 0;
    for (place, order) in hex::decode(ORDER).unwrap().into_iter().enumerate().rev() {
        let difference = i16::from(order) - i16::from(signature[48 + place]) - borrow;
        borrow = i16::from(difference < 0);
        signature[48 + place] = difference.rem_euclid(256) as u8;
    }
    parts[3] = Value::Bytes(signature);
    let mirrored = encoded(&Value::Array(parts));
    assert_ne!(mirrored, sample);
    let time = at_millis(millis);
    assert_eq!(aws().verify(&mirrored, time).unwrap().content, aws().verify(sample, time).unwrap().content);
}
