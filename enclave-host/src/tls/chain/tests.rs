//! Chains made by hand: good ones of several shapes, and one of each fault.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls_pki_types::CertificateDer;

use super::{ChainError, check, pick};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![format!("{name}.example")]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = day(-1);
    params.not_after = day(30);
    params
}

fn day(offset: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc() + time::Duration::days(offset)
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn root(name: &str) -> Ca {
    CertifiedIssuer::self_signed(ca_params(name), KeyPair::generate().unwrap()).unwrap()
}

fn sub(name: &str, issuer: &Ca) -> Ca {
    CertifiedIssuer::signed_by(ca_params(name), KeyPair::generate().unwrap(), issuer).unwrap()
}

fn leaf(params: &CertificateParams, key: &KeyPair, issuer: &Ca) -> CertificateDer<'static> {
    params.signed_by(key, issuer).unwrap().der().clone()
}

fn der(ca: &Ca) -> CertificateDer<'static> {
    ca.der().clone()
}

#[test]
fn chains_that_are_taken() {
    let key = KeyPair::generate().unwrap();
    let spki = key.subject_public_key_info();
    let top = root("top");
    let (middle, low) = {
        let middle = sub("middle", &top);
        let low = sub("low", &middle);
        (middle, low)
    };
    let now = SystemTime::now();
    for (what, chain) in [
        ("two tiers", vec![leaf(&params("a"), &key, &top), der(&top)]),
        ("four tiers", vec![leaf(&params("b"), &key, &low), der(&low), der(&middle), der(&top)]),
        ("self-signed", vec![params("c").self_signed(&key).unwrap().der().clone()]),
    ] {
        assert_eq!(check(&chain, &spki, now), Ok(()), "{what}");
    }
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let chain = [leaf(&params("d"), &rsa, &top), der(&top)];
    assert_eq!(check(&chain, &rsa.subject_public_key_info(), now), Ok(()));
}

#[test]
fn each_fault_has_its_own_refusal() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let spki = key.subject_public_key_info();
    let (top, stranger) = (root("top"), root("stranger"));
    let namesake = root("top");
    let low = sub("low", &top);
    let good = leaf(&params("a"), &key, &low);
    let with = |change: fn(&mut CertificateParams)| {
        let mut params = params("a");
        change(&mut params);
        leaf(&params, &key, &low)
    };
    let no_ca = {
        let params = params("low");
        let key = KeyPair::generate().unwrap();
        CertifiedIssuer::signed_by(params, key, &top).unwrap()
    };
    let short = {
        let mut params = ca_params("short");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &top).unwrap()
    };
    let below_short = sub("below", &short);
    let ends = |chain: &[&CertificateDer<'static>]| chain.iter().map(|der| (*der).clone()).collect::<Vec<_>>();
    let (top_der, low_der) = (der(&top), der(&low));
    type Fits = fn(&ChainError) -> bool;
    let table: Vec<(&str, Vec<CertificateDer<'static>>, Fits)> = vec![
        ("nothing", vec![], |e| *e == ChainError::Empty),
        ("nine", vec![good.clone(); 9], |e| *e == ChainError::TooMany(9)),
        ("garbage", ends(&[&good, &CertificateDer::from(vec![0x30, 3, 1, 2, 3])]), |e| matches!(e, ChainError::Garbage(2, _))),
        ("another key", ends(&[&leaf(&params("a"), &other, &low), &low_der, &top_der]), |e| *e == ChainError::OtherKey),
        ("reversed", ends(&[&top_der, &low_der, &good]), |e| *e == ChainError::LeafNotFirst(3)),
        (
            "swapped",
            ends(&[&good, &top_der, &low_der]),
            |e| matches!(e, ChainError::OutOfOrder(1, issuer, subject) if issuer.contains("low") && subject.contains("top")),
        ),
        ("twice", ends(&[&good, &good, &low_der, &top_der]), |e| matches!(e, ChainError::OutOfOrder(1, ..))),
        ("no root", ends(&[&good, &low_der]), |e| matches!(e, ChainError::NoRoot(2, issuer) if issuer.contains("top"))),
        ("leaf alone", ends(&[&good]), |e| matches!(e, ChainError::NoRoot(1, _))),
        ("another root", ends(&[&good, &low_der, &der(&stranger)]), |e| matches!(e, ChainError::OutOfOrder(2, ..))),
        ("a root of the same name", ends(&[&good, &low_der, &der(&namesake)]), |e| *e == ChainError::BadSignature(2)),
        ("an issuer that is no CA", ends(&[&leaf(&params("a"), &key, &no_ca), &der(&no_ca), &top_der]), |e| *e == ChainError::NotCa(2)),
        ("a CA as leaf", vec![ca_params("a").self_signed(&key).unwrap().der().clone()], |e| *e == ChainError::LeafIsCa),
        (
            "expired",
            ends(&[&with(|p| p.not_after = day(0)), &low_der, &top_der]),
            |e| matches!(e, ChainError::Expired(1, at) if at.ends_with('Z')),
        ),
        ("early", ends(&[&with(|p| p.not_before = day(2)), &low_der, &top_der]), |e| matches!(e, ChainError::NotYetValid(1, _))),
        ("for clients", ends(&[&with(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]), &low_der, &top_der]), |e| {
            matches!(e, ChainError::Refused(1, _))
        }),
        ("for encryption", ends(&[&with(|p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]), &low_der, &top_der]), |e| {
            *e == ChainError::NotForSignatures
        }),
        ("too deep", ends(&[&leaf(&params("a"), &key, &below_short), &der(&below_short), &der(&short), &top_der]), |e| {
            matches!(e, ChainError::Refused(_, webpki::Error::PathLenConstraintViolated))
        }),
    ];
    let now = SystemTime::now() + Duration::from_secs(1);
    let mut texts = std::collections::BTreeSet::new();
    for (what, chain, fits) in table {
        let error = check(&chain, &spki, now).expect_err(what);
        assert!(fits(&error), "{what}: {error:?}");
        assert!(error.to_string().contains("; "), "{what} has no mend: {error}");
        texts.insert(error.to_string());
    }
    assert!(texts.len() >= 15, "distinct messages: {texts:#?}");
}

#[test]
fn a_chain_is_picked_out_of_a_heap_newest_first() {
    let key = KeyPair::generate().unwrap();
    let spki = key.subject_public_key_info();
    let top = root("top");
    let low = sub("low", &top);
    let (new, old) = (leaf(&params("new"), &key, &low), leaf(&params("old"), &key, &top));
    let heap = [der(&low), new, old.clone(), der(&root("other")), der(&top)];
    assert_eq!(pick(&heap, &spki), [1, 0, 4]);
    assert_eq!(pick(&heap[2..], &spki), [0, 2]);
    assert!(pick(&heap[..1], &spki).is_empty());
    // Without its issuers it goes as far as it can; rubbish is passed over.
    assert_eq!(pick(&[CertificateDer::from(vec![1]), old], &spki), [1]);
}
