//! One rule at a time: documents of a PKI of our own, right in every way but one.

mod support;

use ciborium::{Value, cbor};
use dsma_attest::{Error, Verifier};
use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use support::{Certificate, Pki, decoded, encoded, now, set, usual};

fn refusal(pki: &Pki, document: &[u8]) -> Error {
    pki.verifier().verify(document, now()).unwrap_err()
}

/// The refusal of a chain in which one certificate is changed.
fn refusal_of_chain(change: impl FnOnce(&mut Vec<Certificate>)) -> Error {
    let mut certificates = usual();
    change(&mut certificates);
    let pki = Pki::new(&certificates);
    refusal(&pki, &pki.document(|_| {}))
}

fn refusal_of_field(name: &str, value: Value) -> String {
    let pki = Pki::new(&usual());
    let refused = refusal(&pki, &pki.document(|fields| set(fields, name, value)));
    assert_eq!(refused.rule(), "syntax", "{refused}");
    refused.to_string()
}

#[test]
fn the_unchanged_document_is_believed() {
    let pki = Pki::new(&usual());
    let document = pki.verifier().verify(&pki.document(|_| {}), now()).unwrap();
    assert_eq!((document.module_id.as_str(), document.pcrs.len(), document.public_key), ("i-3-enc4", 16, None));
}

/// Documents since 2025 have a map of indefinite length; older ones a definite one.
#[test]
fn indefinite_lengths_absent_fields_and_new_fields_are_read() {
    let pki = Pki::new(&usual());
    let definite = encoded(&Value::Map(pki.fields()));
    assert_eq!(definite[0], 0xa9);
    let indefinite = [&[0xbf], &definite[1..], &[0xff]].concat();
    let document = pki.verifier().verify(&pki.sign(&indefinite), now()).unwrap();
    // The same, but for the digest of the signed bytes.
    let says_the_same = |payload: &[u8]| {
        let mut other = pki.verifier().verify(&pki.sign(payload), now()).unwrap();
        assert_ne!(std::mem::replace(&mut other.content, document.content), document.content);
        assert_eq!(other, document);
    };
    says_the_same(&definite);
    let sparse = pki.document(|fields| fields.retain(|(key, _)| !matches!(key.as_text(), Some("public_key" | "user_data" | "nonce"))));
    assert_eq!(pki.verifier().verify(&sparse, now()).unwrap().user_data, None);
    let mut newer = pki.fields();
    set(&mut newer, "firmware", Value::from(3));
    says_the_same(&encoded(&Value::Map(newer)));
    let longest = pki.document(|fields| set(fields, "nonce", Value::Bytes(vec![1; 1024])));
    pki.verifier().verify(&longest, now()).unwrap();
}

#[test]
fn the_envelope_must_be_that_of_the_nsm() {
    let pki = Pki::new(&usual());
    let good = pki.document(|_| {});
    let parts = decoded(&good).into_array().unwrap();
    let with = |place: usize, value: Value| {
        let mut parts = parts.clone();
        parts[place] = value;
        refusal(&pki, &encoded(&Value::Array(parts))).to_string()
    };
    let protected = |value: Value| with(0, Value::Bytes(encoded(&value)));
    for (seen, expected) in [
        (protected(cbor!({1 => -7}).unwrap()), "must be algorithm ES384 (-35) and nothing else"),
        (protected(cbor!({1 => -35, 4 => Value::Bytes(vec![1])}).unwrap()), "must be algorithm ES384 (-35) and nothing else"),
        (protected(cbor!({1 => -35, 2 => [4], 4 => Value::Bytes(vec![1])}).unwrap()), "nothing else"),
        (with(0, Value::Bytes(vec![])), "must be algorithm ES384"),
        (with(1, cbor!({1 => -35}).unwrap()), "the unprotected header is not empty"),
        (with(2, Value::Null), "the payload is detached"),
        (with(2, Value::Bytes(vec![])), "the payload is empty"),
        (with(3, Value::Bytes(vec![0; 64])), "the signature has 64 bytes, and ES384 has 96"),
        (refusal(&pki, &good[..good.len() - 1]).to_string(), "the CBOR breaks off"),
        (refusal(&pki, &[good.as_slice(), &[0]].concat()).to_string(), "1 bytes follow the CBOR item"),
        (refusal(&pki, b"").to_string(), "the CBOR breaks off"),
        (refusal(&pki, &[0x81; 4000]).to_string(), "nested too deep"),
        (refusal(&pki, &pki.sign(&encoded(&Value::from(1)))).to_string(), "the payload is no map"),
        (refusal(&pki, &pki.sign(&[0xbf])).to_string(), "the payload: the CBOR breaks off"),
        (refusal(&pki, &pki.document(|fields| fields.push((1.into(), 2.into())))).to_string(), "a key that is no text"),
        (refusal(&pki, &pki.document(|fields| fields.push(fields[7].clone()))).to_string(), "has \"user_data\" twice"),
    ] {
        assert!(seen.contains(expected), "{expected:?} is expected, and seen was: {seen}");
    }
}

/// What cannot be a document is not parsed at all.
#[test]
fn oversized_input_is_refused_unread() {
    let pki = Pki::new(&usual());
    let refused = refusal(&pki, &vec![0x84; 16_513]);
    assert!(matches!(refused, Error::TooLarge { length: 16_513, limit: 16_512, .. }), "{refused}");
    let refused = refusal(&pki, &pki.sign(&vec![0; 16_385]));
    assert!(matches!(refused, Error::TooLarge { length: 16_385, limit: 16_384, .. }), "{refused}");
    // A length that only the header claims costs nothing: the bytes are not there.
    let claimed = refusal(&pki, &[0x84, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(claimed.rule(), "envelope");
    let claimed = refusal(&pki, &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert_eq!(claimed.rule(), "envelope");
}

#[test]
fn fields_keep_their_form() {
    let bytes = |length: usize| Value::Bytes(vec![1; length]);
    let pcrs = |entries: Vec<(Value, Value)>| refusal_of_field("pcrs", Value::Map(entries));
    for (seen, expected) in [
        (refusal_of_field("module_id", "".into()), "module_id is empty"),
        (refusal_of_field("module_id", Value::Null), "module_id is missing"),
        (refusal_of_field("module_id", 5.into()), "module_id is no text"),
        (refusal_of_field("digest", "SHA256".into()), "digest is \"SHA256\", and only SHA384 is known"),
        (refusal_of_field("timestamp", 0.into()), "timestamp is zero"),
        (refusal_of_field("timestamp", Value::from(-1)), "timestamp is no unsigned number"),
        (refusal_of_field("timestamp", "now".into()), "timestamp is no unsigned number"),
        (pcrs(vec![]), "a map of 0 entries, and 1 to 32 are allowed"),
        (pcrs((0..33).map(|index| (index.into(), bytes(48))).collect()), "a map of 33 entries"),
        (pcrs(vec![(32.into(), bytes(48))]), "a key that is no number below 32"),
        (pcrs(vec![(Value::from(-1), bytes(48))]), "a key that is no number below 32"),
        (pcrs(vec![(0.into(), bytes(47))]), "entry 0 has 47 bytes, and 32, 48 or 64 are allowed"),
        (pcrs(vec![(0.into(), "x".into())]), "entry 0 is no byte string"),
        (pcrs(vec![(0.into(), bytes(48)), (0.into(), bytes(48))]), "entry 0 twice"),
        (refusal_of_field("pcrs", Value::Array(vec![])), "pcrs is no map"),
        (refusal_of_field("certificate", bytes(0)), "certificate is a byte string of 0 bytes, and 1 to 1024"),
        (refusal_of_field("certificate", bytes(1025)), "certificate is a byte string of 1025 bytes"),
        (refusal_of_field("certificate", "pem".into()), "certificate is no byte string"),
        (refusal_of_field("cabundle", Value::Array(vec![])), "cabundle is empty"),
        (refusal_of_field("cabundle", bytes(3)), "cabundle is no array"),
        (refusal_of_field("cabundle", Value::Array(vec![bytes(1025)])), "cabundle is a byte string of 1025 bytes"),
        (refusal_of_field("public_key", bytes(0)), "public_key is a byte string of 0 bytes, and 1 to 1024"),
        (refusal_of_field("user_data", bytes(1025)), "user_data is a byte string of 1025 bytes, and 0 to 1024"),
        (refusal_of_field("nonce", "x".into()), "nonce is no byte string"),
    ] {
        assert!(seen.contains(expected), "{expected:?} is expected, and seen was: {seen}");
    }
}

#[test]
fn each_certificate_has_its_time() {
    let names = ["cabundle[0]", "cabundle[1]", "cabundle[2]", "cabundle[3]", "the signing certificate"];
    for (place, name) in names.into_iter().enumerate() {
        let over = refusal_of_chain(|chain| chain[place].until = -1);
        assert!(matches!(&over, Error::Validity { certificate, expired: true, .. } if certificate.starts_with(name)), "{over}");
        let early = refusal_of_chain(|chain| chain[place].from = 1);
        assert!(matches!(&early, Error::Validity { certificate, expired: false, .. } if certificate.starts_with(name)), "{early}");
        assert!(early.to_string().contains("check the clocks"), "{early}");
    }
}

#[test]
fn each_ca_counts_the_cas_below_it() {
    for (place, too_few, seen) in [(0, 2, 3), (1, 1, 2), (2, 0, 1)] {
        let refused = refusal_of_chain(|chain| chain[place].ca = IsCa::Ca(BasicConstraints::Constrained(too_few)));
        assert!(
            matches!(&refused, Error::PathLength { allowed, seen: counted, .. } if (*allowed, *counted) == (too_few, seen)),
            "{refused}"
        );
    }
    // One more level than the lowest CA allows: a leaf that was made a CA signs another leaf.
    let refused = refusal_of_chain(|chain| {
        let mut below = chain[4].clone();
        below.name = "i-5".to_owned();
        chain[4].ca = IsCa::Ca(BasicConstraints::Unconstrained);
        chain[4].usages = vec![KeyUsagePurpose::KeyCertSign];
        chain.push(below);
    });
    assert!(matches!(&refused, Error::PathLength { .. }), "{refused}");
}

#[test]
fn each_certificate_is_used_for_what_it_is_for() {
    let no_ca = refusal_of_chain(|chain| chain[2].ca = IsCa::ExplicitNoCa);
    assert!(no_ca.to_string().starts_with("cabundle[2]") && no_ca.to_string().contains("it is no CA"), "{no_ca}");
    let no_signer = refusal_of_chain(|chain| chain[1].usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert!(no_signer.to_string().contains("keyCertSign"), "{no_signer}");
    let silent = refusal_of_chain(|chain| chain[3].usages = vec![]);
    assert!(silent.to_string().starts_with("cabundle[3]") && silent.to_string().contains("keyCertSign"), "{silent}");
    let leaf = refusal_of_chain(|chain| chain[4].usages = vec![KeyUsagePurpose::KeyEncipherment]);
    assert!(leaf.to_string().contains("digitalSignature"), "{leaf}");
    let ca = refusal_of_chain(|chain| chain[4].ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert!(ca.to_string().contains("it is a CA, and documents are signed by none"), "{ca}");
    for refused in [no_ca, no_signer, silent, leaf, ca] {
        assert_eq!(refused.rule(), "key usage");
    }
}

#[test]
fn the_chain_is_one_chain() {
    let critical = refusal_of_chain(|chain| chain[2].critical = Some(vec![1, 2, 3, 4]));
    assert!(critical.to_string().contains("UnsupportedCriticalExtension"), "{critical}");

    let (pki, other) = (Pki::new(&usual()), Pki::new(&usual()));
    let bundle = |chain: Vec<&Vec<u8>>| Value::Array(chain.into_iter().cloned().map(Value::Bytes).collect());
    let with_bundle = |chain| refusal(&pki, &pki.document(|fields| set(fields, "cabundle", bundle(chain))));
    let [root, regional, zonal, instance, _] = [0, 1, 2, 3, 4].map(|place| &pki.chain[place]);

    let swapped = with_bundle(vec![root, zonal, regional, instance]);
    assert!(matches!(&swapped, Error::ChainOrder { certificate, .. } if certificate.starts_with("cabundle[1]")), "{swapped}");
    let gap = with_bundle(vec![root, regional, instance]);
    assert!(matches!(gap, Error::ChainOrder { .. }), "{gap}");
    let backwards = with_bundle(vec![instance, zonal, regional, root]);
    assert!(matches!(backwards, Error::UnknownRoot { .. }), "{backwards}");
    let rootless = with_bundle(vec![regional, zonal, instance]);
    assert!(matches!(rootless, Error::UnknownRoot { .. }), "{rootless}");
    // The same names, other keys: only the signatures tell.
    let foreign = with_bundle(vec![root, &other.chain[1], &other.chain[2], &other.chain[3]]);
    assert_eq!(foreign.rule(), "chain", "{foreign}");
    let other_root = with_bundle(vec![&other.chain[0], regional, zonal, instance]);
    assert_eq!(other_root.rule(), "root", "{other_root}");
    let garbage = with_bundle(vec![root, regional, &vec![1, 2, 3], instance]);
    assert!(garbage.to_string().starts_with("cabundle[2] is not usable"), "{garbage}");
    let leaf = refusal(&pki, &pki.document(|fields| set(fields, "certificate", Value::Bytes(other.chain[4].clone()))));
    assert_eq!(leaf.rule(), "chain", "{leaf}");
    // A whole chain of another PKI, root and all.
    assert_eq!(refusal(&pki, &other.document(|_| {})).rule(), "root");

    let p256 = Pki::with_algorithm(&usual(), &PKCS_ECDSA_P256_SHA256);
    let refused = refusal(&p256, &p256.document(|_| {}));
    assert!(refused.to_string().contains("its key is none of curve P-384"), "{refused}");
}

#[test]
fn content_and_signature_belong_together() {
    let pki = Pki::new(&usual());
    let one = decoded(&pki.document(|_| {})).into_array().unwrap();
    let two = decoded(&pki.document(|fields| set(fields, "user_data", Value::Bytes(vec![9; 64])))).into_array().unwrap();
    let mixed = Value::Array(vec![one[0].clone(), one[1].clone(), two[2].clone(), one[3].clone()]);
    let refused = refusal(&pki, &encoded(&mixed));
    assert!(matches!(refused, Error::Signature), "{refused}");
}

#[test]
fn age_has_two_ends() {
    let pki = Pki::new(&usual());
    let dated = |offset: i64| {
        let millis = (support::NOW * 1000).strict_add_signed(offset);
        pki.document(|fields| set(fields, "timestamp", Value::from(millis)))
    };
    let verify = |verifier: Verifier, offset| verifier.verify(&dated(offset), now());
    verify(pki.verifier(), -300_000).unwrap();
    assert!(matches!(verify(pki.verifier(), -300_001), Err(Error::TooOld { .. })));
    verify(pki.verifier(), 60_000).unwrap();
    let ahead = verify(pki.verifier(), 60_001).unwrap_err();
    assert!(matches!(ahead, Error::Ahead { .. }) && ahead.to_string().contains("check the clocks"), "{ahead}");
    verify(pki.verifier().without_age_limit(), 3_600_000).unwrap();
    let absurd = pki.document(|fields| set(fields, "timestamp", Value::from(u64::MAX)));
    assert_eq!(refusal(&pki, &absurd).rule(), "freshness");
}

/// Any of the three will do: a debug-mode enclave has all of them zero, and none proves anything without the others.
#[test]
fn debug_mode_shows_in_any_of_three_registers() {
    let pki = Pki::new(&usual());
    for index in 0..3u32 {
        let without = |value: Option<Vec<u8>>| {
            let mut pcrs: Vec<_> = (0..16u32).map(|at| (Value::from(at), Value::Bytes(vec![1; 48]))).collect();
            match value {
                Some(value) => pcrs[index as usize].1 = Value::Bytes(value),
                None => drop(pcrs.remove(index as usize)),
            }
            pki.document(|fields| set(fields, "pcrs", Value::Map(pcrs)))
        };
        let zero = refusal(&pki, &without(Some(vec![0; 48])));
        assert!(matches!(zero, Error::DebugMode { pcr, seen: "all zero" } if pcr == index), "{zero}");
        let missing = refusal(&pki, &without(None));
        assert!(matches!(missing, Error::DebugMode { pcr, seen: "missing" } if pcr == index), "{missing}");
        pki.verifier().allow_debug(true).verify(&without(None), now()).unwrap();
    }
}
