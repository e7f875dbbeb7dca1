//! Signatures, judged by OpenSSL with the public key that DSM shows.

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use sdkms::api_model::{
    BatchResponseItem, DigestAlgorithm, EllipticCurve, Mgf, ObjectType, RsaSignaturePadding, SignRequest, SignatureMode, SobjectDescriptor,
    SobjectRequest, VerifyRequest,
};
use uuid::Uuid;

use crate::keys::{kid, make, on_curve, request};
use crate::outcome::{Failure, Outcome, expect, present};
use crate::{Dsm, Scenario};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("sign, verify: RSA in PKCS#1 v1.5 and PSS", rsa),
    ("sign, verify: P-256, P-384 and P-521, of data and of a hash", nist),
    ("sign, verify: secp256k1 (a blockchain's account key)", secp256k1),
    ("sign, verify: Ed25519 (a validator's consensus key)", ed25519),
    ("batch_sign, batch_verify: results in order, one of them an error", batches),
];

const MESSAGE: &[u8] = b"a message";

fn sign_request(key: Uuid, hash_alg: DigestAlgorithm, mode: Option<SignatureMode>) -> SignRequest {
    SignRequest { key: kid(key), hash_alg, hash: None, data: Some(MESSAGE.to_vec().into()), mode, deterministic_signature: None }
}

/// Signs; DSM must find the signature good, and bad for another message.
fn signed(dsm: &Dsm, request: &SignRequest) -> Result<Vec<u8>, Failure> {
    let signature = dsm.app.sign(request)?.signature;
    let mut check = VerifyRequest {
        key: request.key.clone(),
        hash_alg: request.hash_alg,
        hash: request.hash.clone(),
        data: request.data.clone(),
        mode: request.mode.clone(),
        signature: signature.clone(),
    };
    expect(dsm.app.verify(&check)?.result, "DSM refuses its own signature")?;
    check.hash = None;
    check.data = Some(b"another message".to_vec().into());
    expect(!dsm.app.verify(&check)?.result, "DSM accepts a signature of something else")?;
    Ok(signature.into())
}

fn public_key(dsm: &Dsm, key: Uuid) -> Result<PKey<Public>, Failure> {
    let shown = dsm.app.get_sobject(None, &SobjectDescriptor::Kid(key))?;
    Ok(PKey::public_key_from_der(&present(shown.pub_key, "pub_key")?)?)
}

fn rsa(dsm: &Dsm) -> Outcome {
    let key = make(dsm, &request("rsa signing", ObjectType::Rsa, Some(2048)))?;
    let public = public_key(dsm, key)?;
    for mode in
        [None, Some(RsaSignaturePadding::Pkcs1V15 {}), Some(RsaSignaturePadding::Pss { mgf: Mgf::Mgf1 { hash: DigestAlgorithm::Sha256 } })]
    {
        let pss = matches!(mode, Some(RsaSignaturePadding::Pss { .. }));
        let signature = signed(dsm, &sign_request(key, DigestAlgorithm::Sha256, mode.map(SignatureMode::Rsa)))?;
        let mut verifier = Verifier::new(MessageDigest::sha256(), &public)?;
        if pss {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        expect(verifier.verify_oneshot(&signature, MESSAGE)?, format!("OpenSSL refuses the signature, PSS: {pss}"))?;
    }
    Ok(())
}

fn nist(dsm: &Dsm) -> Outcome {
    for (curve, hash_alg, digest) in [
        (EllipticCurve::NistP256, DigestAlgorithm::Sha256, MessageDigest::sha256()),
        (EllipticCurve::NistP384, DigestAlgorithm::Sha384, MessageDigest::sha384()),
        (EllipticCurve::NistP521, DigestAlgorithm::Sha512, MessageDigest::sha512()),
    ] {
        ecdsa(dsm, curve, hash_alg, digest)?;
    }
    Ok(())
}

fn secp256k1(dsm: &Dsm) -> Outcome {
    ecdsa(dsm, EllipticCurve::SecP256K1, DigestAlgorithm::Sha256, MessageDigest::sha256())
}

fn ecdsa(dsm: &Dsm, curve: EllipticCurve, hash_alg: DigestAlgorithm, digest: MessageDigest) -> Outcome {
    let key = make(dsm, &on_curve(&format!("signing {curve:?}"), curve))?;
    let public = public_key(dsm, key)?;
    let of_data = sign_request(key, hash_alg, None);
    let hash = openssl::hash::hash(digest, MESSAGE)?.to_vec();
    let of_hash = SignRequest { hash: Some(hash.into()), data: None, ..of_data.clone() };
    for request in [of_data, of_hash] {
        let signature = signed(dsm, &request)?;
        let good = Verifier::new(digest, &public)?.verify_oneshot(&signature, MESSAGE)?;
        expect(good, format!("OpenSSL refuses the signature on {curve:?}"))?;
    }
    Ok(())
}

fn ed25519(dsm: &Dsm) -> Outcome {
    let key = make(dsm, &on_curve("signing Ed25519", EllipticCurve::Ed25519))?;
    let signature = signed(dsm, &sign_request(key, DigestAlgorithm::Sha512, None))?;
    let public = public_key(dsm, key)?;
    let good = Verifier::new_without_digest(&public)?.verify_oneshot(&signature, MESSAGE)?;
    expect(signature.len() == 64 && good, "OpenSSL refuses the signature")
}

fn batches(dsm: &Dsm) -> Outcome {
    let key = make(dsm, &SobjectRequest { ..on_curve("batches", EllipticCurve::NistP256) })?;
    let good = sign_request(key, DigestAlgorithm::Sha256, None);
    let bad = SignRequest { key: kid(Uuid::nil()), ..good.clone() };
    let replies = dsm.app.batch_sign(&vec![good.clone(), bad, good])?;
    let statuses: Vec<u16> = replies.iter().map(BatchResponseItem::status).collect();
    expect(statuses == [200, 404, 200], format!("{statuses:?}"))?;
    let mut checks = Vec::new();
    for reply in replies {
        if let BatchResponseItem::Success { body, .. } = reply {
            let data = Some(MESSAGE.to_vec().into());
            checks.push(VerifyRequest {
                key: kid(key),
                hash_alg: DigestAlgorithm::Sha256,
                hash: None,
                data,
                mode: None,
                signature: body.signature,
            });
        }
    }
    for reply in dsm.app.batch_verify(&checks)? {
        expect(matches!(reply, BatchResponseItem::Success { body, .. } if body.result), "a signature is refused")?;
    }
    Ok(())
}
